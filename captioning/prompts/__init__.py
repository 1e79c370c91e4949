"""The prompts, as files under version control; every caption's row holds their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from captioning.template import MEDIUM_WORDS, SHORT_WORDS, sayable
from experts.base import Statement

__all__ = ["CHINESE", "SCHEMA", "SCHEMA_BY_KEY", "facts_of", "in_chinese", "messages", "prompt_hash"]


def _object(**longest: int) -> dict[str, Any]:
    """Return the schema of an object of texts, each with its greatest length in characters."""
    return {
        "type": "object",
        "properties": {name: {"type": "string", "minLength": 1, "maxLength": most} for name, most in longest.items()},
        "required": list(longest),
        "additionalProperties": False,
    }


SCHEMA: Final[dict[str, Any]] = _object(short=160, dense=1600)
"""The JSON schema that the embedded model's reply must follow while it decodes freely."""

SCHEMA_BY_KEY: Final[dict[str, Any]] = _object(id=8, short=160, medium=400, dense=1600)
"""The schema of a server's reply: the id is not fixed in it, so that an answer to another question shows."""

CHINESE: Final[dict[str, Any]] = _object(id=8, short=160, dense=1600)
"""The schema of a translation."""

_FILES: Final = ("system.j2", "facts.j2", "chinese.j2", "example.yaml")


def facts_of(statements: Sequence[Statement]) -> list[str]:
    """Return the facts a model is given: one clause a phrase."""
    return [p.clause for p in sayable(statements)]


def messages(statements: Sequence[Statement], key: str | None = None) -> list[dict[str, str]]:
    """Return the chat: the rules, the worked example, the facts. Only the last message differs between clips.

    With `key` the reply is to repeat it as its id, and to have a text of medium length.
    """
    facts = _loaded()[0]["facts.j2"].render(key=key, facts=facts_of(statements))
    return [*map(dict, _fixed(key is not None)), {"role": "user", "content": facts.strip()}]


def in_chinese(short: str, dense: str, key: str) -> list[dict[str, str]]:
    """Return the chat that asks for the two texts in Chinese."""
    prompts, _ = _loaded()
    asked = json.dumps({"id": key, "short": short, "dense": dense}, ensure_ascii=False)
    return [
        {"role": "system", "content": prompts["chinese.j2"].render().strip()},
        {"role": "user", "content": asked},
    ]


@lru_cache(maxsize=1)
def prompt_hash() -> str:
    """Return 12 hex digits of the BLAKE2b of the prompt files and the schemas."""
    digest = hashlib.blake2b(digest_size=6)
    for name in _FILES:
        digest.update(_text(name).encode() + b"\0")
    digest.update(json.dumps([SCHEMA, SCHEMA_BY_KEY, CHINESE], sort_keys=True).encode())
    return digest.hexdigest()


@lru_cache(maxsize=2)
def _fixed(with_key: bool) -> tuple[dict[str, str], ...]:
    """Return the chat's first messages, the same for every clip."""
    prompts, example = _loaded()
    names = ("id", "short", "medium", "dense") if with_key else ("short", "dense")
    key = example["id"] if with_key else None
    rules = prompts["system.j2"].render(key=key, short_words=SHORT_WORDS, medium_words=MEDIUM_WORDS)
    worked = prompts["facts.j2"].render(key=key, facts=example["facts"])
    return (
        {"role": "system", "content": rules.strip()},
        {"role": "user", "content": worked.strip()},
        {"role": "assistant", "content": json.dumps({name: example[name] for name in names}, ensure_ascii=False)},
    )


def _text(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text("utf-8")


@lru_cache(maxsize=1)
def _loaded() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the compiled prompts by name, and the worked example."""
    import jinja2
    import yaml

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    prompts = {name: environment.from_string(_text(name)) for name in _FILES if name.endswith(".j2")}
    return prompts, yaml.safe_load(_text("example.yaml"))
