"""The prompts, as files under version control; every caption's row holds their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from captioning.template import SHORT_WORDS, sayable
from experts.base import Statement

__all__ = ["SCHEMA", "facts_of", "messages", "prompt_hash"]

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "short": {"type": "string", "minLength": 1, "maxLength": 160},
        "dense": {"type": "string", "minLength": 1, "maxLength": 1600},
    },
    "required": ["short", "dense"],
    "additionalProperties": False,
}
"""The JSON schema that a reply must follow; servers and runtimes that can are held to it while they decode."""

_FILES: Final = ("system.j2", "facts.j2", "example.yaml")


def facts_of(statements: Sequence[Statement]) -> list[str]:
    """Return the facts a model is given: one clause a phrase."""
    return [p.clause for p in sayable(statements)]


def messages(statements: Sequence[Statement]) -> list[dict[str, str]]:
    """Return the chat: the rules, the worked example, the facts. Only the last message differs between clips."""
    system, facts, example = _loaded()
    answer = json.dumps({"short": example["short"], "dense": example["dense"]}, ensure_ascii=False)
    return [
        {"role": "system", "content": system.render(short_words=SHORT_WORDS).strip()},
        {"role": "user", "content": facts.render(facts=example["facts"]).strip()},
        {"role": "assistant", "content": answer},
        {"role": "user", "content": facts.render(facts=facts_of(statements)).strip()},
    ]


@lru_cache(maxsize=1)
def prompt_hash() -> str:
    """Return 12 hex digits of the BLAKE2b of the prompt files and the schema."""
    digest = hashlib.blake2b(digest_size=6)
    for name in _FILES:
        digest.update(_text(name).encode() + b"\0")
    digest.update(json.dumps(SCHEMA, sort_keys=True).encode())
    return digest.hexdigest()


def _text(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text("utf-8")


@lru_cache(maxsize=1)
def _loaded() -> tuple[Any, Any, dict[str, Any]]:
    import jinja2
    import yaml

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    example: dict[str, Any] = yaml.safe_load(_text("example.yaml"))
    return environment.from_string(_text("system.j2")), environment.from_string(_text("facts.j2")), example
