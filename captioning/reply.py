"""Replies: what a model wrote, read as JSON by the schema; anything else is a BackendError, never a guess."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NamedTuple

from media.errors import BackendError

__all__ = ["Texts", "parse_object", "parse_reply", "text_of"]

_FENCE: Final = re.compile(r"^\s*```(?:json)?\s*|\s*```\s*$")
_THINKING: Final = re.compile(r"(?s)^.*</think>")


class Texts(NamedTuple):
    """What a model wrote of one clip; `medium` is empty where it was not asked for."""

    short: str
    medium: str
    dense: str


def parse_reply(raw: str, key: str | None = None) -> Texts:
    """Return the texts of a model's output.

    With `key`, the reply must repeat it as its `id`, and have a `medium` text: an answer to another question is told
    by its id. Raises BackendError as `parse_object` does, and when a text is missing, empty or no text.
    """
    found = parse_object(raw)
    if key is not None and found.get("id") != key:
        raise BackendError(f"the reply is for {found.get('id')!r}, asked was {key!r}")
    wanted = ("short", "dense") if key is None else ("short", "medium", "dense")
    return Texts(**{"medium": "", **{name: text_of(found, name, raw) for name in wanted}})


def text_of(found: dict[str, Any], name: str, raw: str) -> str:
    """Return a text of a reply's object; BackendError where it is missing, empty or no text."""
    value = found.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BackendError(f"the reply has no text {name!r}: {_quoted(raw)}")
    return value.strip()


def parse_object(raw: str) -> dict[str, Any]:
    """Return the one JSON object of a model's output.

    A code fence, a thinking prologue and text around the object are tolerated. Raises BackendError when there is no
    object, or it is cut short.
    """
    text = _FENCE.sub("", _THINKING.sub("", raw)).strip()
    start = text.find("{")
    if start < 0:
        raise BackendError(f"the reply holds no JSON object: {_quoted(raw)}")
    try:
        found: Any
        found, _ = json.JSONDecoder().raw_decode(text[start:])
    except json.JSONDecodeError as error:
        raise BackendError(f"the reply is no JSON ({error.msg} at {error.pos}): {_quoted(raw)}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets without end
        raise BackendError(f"the reply is no JSON ({type(error).__name__}): {_quoted(raw)}") from None
    assert isinstance(found, dict)  # it begins with a brace
    return found


def _quoted(raw: str) -> str:
    return repr(raw if len(raw) <= 120 else raw[:117] + "...")
