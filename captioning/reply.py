"""Replies: what a model wrote, read as JSON by the schema; anything else is a BackendError, never a guess."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from media.errors import BackendError

__all__ = ["parse_reply"]

_FENCE: Final = re.compile(r"^\s*```(?:json)?\s*|\s*```\s*$")
_THINKING: Final = re.compile(r"(?s)^.*</think>")


def parse_reply(raw: str) -> tuple[str, str]:
    """Return `(short, dense)` of a model's output.

    A code fence, a thinking prologue and text around the one JSON object are tolerated. Raises BackendError when there
    is no object, it is cut short, or a field is missing, empty or no text.
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
    texts = []
    for name in ("short", "dense"):
        value = found.get(name) if isinstance(found, dict) else None
        if not isinstance(value, str) or not value.strip():
            raise BackendError(f"the reply has no text {name!r}: {_quoted(raw)}")
        texts.append(value.strip())
    return texts[0], texts[1]


def _quoted(raw: str) -> str:
    return repr(raw if len(raw) <= 120 else raw[:117] + "...")
