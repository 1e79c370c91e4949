"""How a vector that an expert gave every clip is named: EXPERT.COLUMN."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator

__all__ = ["SpaceName", "VectorName"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.[A-Za-z0-9_]+")
_WORDS: Final = ("auto", "words")


def _vector(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"write EXPERT.COLUMN, for instance clip.clip_embedding; not {text!r}")
    return text


def _space(text: str) -> str:
    if text not in _WORDS and not _NAME.fullmatch(text):
        raise ValueError(f"write auto, words or EXPERT.COLUMN, for instance clip.clip_embedding; not {text!r}")
    return text


VectorName = Annotated[str, AfterValidator(_vector)]
"""The name of a vector: EXPERT.COLUMN."""

SpaceName = Annotated[str, AfterValidator(_space)]
"""The name of a space of meaning: EXPERT.COLUMN, words or auto."""
