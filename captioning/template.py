"""The template: a caption straight from the statements, with no model; deterministic, and the declared fallback.

It says nothing that no statement supports, because every phrase in it is its statements' own (`phrases`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from captioning.english import be, joined
from captioning.phrases import Phrase, phrases
from captioning.words import sentences, word_count
from experts.base import Statement

__all__ = [
    "DENSE_WORDS",
    "MEDIUM_WORDS",
    "SHORT_WORDS",
    "Written",
    "beginning",
    "capitalised",
    "sayable",
    "structured",
    "write",
    "write_dense",
    "write_short",
]

SHORT_WORDS: Final = 15
"""A short caption has at most this many words."""

MEDIUM_WORDS: Final = 40
"""A medium caption has at most this many words."""

DENSE_WORDS: Final = 200
"""A dense caption has at most this many words."""

_LEADS: Final = ("count", "subject", "text", "setting", "appearance")
_ADJUNCTS: Final = ("subject", "setting", "light", "camera", "action", "text", "style")
_THINGS: Final = frozenset({"subject", "count", "setting"})
_PAIRED: Final = frozenset({"camera", "light", "style"})
_NOT_SAID: Final = frozenset({"quality"})
# Quality is for selection; a caption that trains a generator speaks of what is to be seen.


@dataclass(frozen=True, slots=True)
class Written:
    """A caption's three texts and its parts by dimension."""

    short: str
    medium: str
    dense: str
    structured: dict[str, str]


def write(statements: Sequence[Statement]) -> Written:
    """Write the caption of settled `statements`; the texts are empty if nothing can be said."""
    dense = write_dense(statements)
    return Written(write_short(statements), beginning(dense, MEDIUM_WORDS), dense, structured(statements))


def beginning(text: str, words: int) -> str:
    """Return the first sentences of `text`, as many as have at most `words` words together; at least the first."""
    kept = ""
    for _, end in sentences(text):
        longer = text[:end]
        if kept and word_count(longer) > words:
            break
        kept = longer
    return kept


def sayable(statements: Sequence[Statement]) -> list[Phrase]:
    """Return the phrases that may stand in a caption; a part (`a person's face`) leads only where no whole does."""
    told = [p for p in phrases(statements) if p.dimension not in _NOT_SAID]
    wholes = [p for p in told if p.noun is not None and p.dimension in _THINGS and not _is_part(p)]
    return [replace(p, noun=None, adjunct=None) if wholes and _is_part(p) else p for p in told]


def _is_part(p: Phrase) -> bool:
    return p.dimension == "subject" and p.noun is not None and "'s " in p.noun


def write_short(statements: Sequence[Statement]) -> str:
    """Return one sentence of at most `SHORT_WORDS` words: the lead, then what fits of place, light and camera."""
    told = sayable(statements)
    lead = _lead(told)
    if lead is None or lead.noun is None or word_count(lead.noun) > SHORT_WORDS:
        return next((capitalised(p.clause) for p in told if word_count(p.clause) <= SHORT_WORDS), "")
    said, withs = lead.noun, 0
    for dimension in _ADJUNCTS:
        p = next((p for p in told if p.dimension == dimension and p is not lead and p.adjunct), None)
        if p is None or p.adjunct is None:
            continue
        is_with = p.adjunct.startswith("with ")
        longer = f"{said}{', ' if p.adjunct.startswith('as ') else ' '}{p.adjunct}"
        if word_count(longer) <= SHORT_WORDS and not (is_with and (withs or " as " in said or " with " in said)):
            said, withs = longer, withs + is_with
    return capitalised(said)


def write_dense(statements: Sequence[Statement]) -> str:
    """Return every phrase in full sentences, in the order of the dimensions, up to `DENSE_WORDS` words."""
    groups: dict[str, list[Phrase]] = {}
    for p in sayable(statements):
        groups.setdefault("thing" if p.dimension in {"subject", "count"} else p.dimension, []).append(p)
    sentences: list[str] = []
    for name, group in groups.items():
        clauses = [p.clause for p in group]
        sentences += _things(group) if name == "thing" else _paired(clauses) if name in _PAIRED else clauses
    dense = ""
    for sentence in sentences:
        longer = f"{dense} {capitalised(sentence)}".strip()
        if word_count(longer) > DENSE_WORDS:
            break
        dense = longer
    return dense


def structured(statements: Sequence[Statement]) -> dict[str, str]:
    """Return the caption by dimension: the clauses of each, joined by semicolons; all dimensions, quality too."""
    parts: dict[str, list[str]] = {}
    for p in phrases(statements):
        parts.setdefault(p.dimension, []).append(p.clause)
    return {dimension: "; ".join(clauses) for dimension, clauses in parts.items()}


def capitalised(text: str) -> str:
    """Return `text` as a sentence: first letter in upper case, a full stop at its end."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".") if text else ""


def _lead(told: Sequence[Phrase]) -> Phrase | None:
    for dimension in _LEADS:
        for p in told:
            if p.dimension == dimension and p.noun is not None:
                return p
    return None


def _things(group: Sequence[Phrase]) -> list[str]:
    """Say what is there: all nouns in one sentence, counts last as they may count the same things again."""
    nouns = [p.noun for p in group if p.dimension == "subject" and p.noun is not None]
    counted = [p.clause for p in group if p.dimension == "count"]
    rest = [p.clause for p in group if p.dimension == "subject" and p.noun is None]
    are = "are" if len(nouns) > 1 else "".join(map(be, nouns))
    return ([f"{joined(nouns)} {are} visible"] if nouns else []) + rest + counted


def _paired(clauses: Sequence[str]) -> list[str]:
    """Join clauses two by two with `and`, where both are short."""
    out: list[str] = []
    for clause in clauses:
        if out and not re.search(r",| and |\"", out[-1] + clause) and word_count(out[-1]) + word_count(clause) <= 14:
            out[-1] = f"{out[-1]} and {clause}"
        else:
            out.append(clause)
    return out
