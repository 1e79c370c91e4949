"""The labelled statement sets of `data/`, and the oracle that reads their labels: it knows nothing of the checker.

A word of a text holds in a set if a statement has it, in any inflection, or the label `allowed` does; a pattern of
`never` is wrong wherever it is found; a quotation must be written in the set. Every word but the function words is
counted as a claim.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml

from captioning.statements import settle
from experts.base import Statement

DATA = Path(__file__).parent / "data"
SPAN = (0, 48)
Split = Literal["first", "tune", "held"]

_WORD = re.compile(r'"[^"]*"|“[^”]*”|\d+(?:[.,]\d+)*%?|[^\W_]+(?:[-\'’][^\W_]+)*')


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FUNCTION = _listed(
    "a an the this that these those there here it its they them their who which where when while as and or but "
    "with of in at to from by for on is are was were be been being has have having had do does it's what also "
    "each other one's see seen sees shown show shows showing visible present appear appears appearing feature "
    "features featuring featured contain contains can read reads reading says saying picture image scene video "
    "clip footage frame camera shot view screen on-screen text written about so some something thing things "
    "looks look like kind"
)


@dataclass(frozen=True, eq=False)
class LabelledSet:
    """A set of statements, captions by hand, and the labels of what may be said of it.

    `readings` has, for a planted sentence, the ways to say which of its words are wrong; `planted` has the first.
    """

    name: str
    statements: tuple[Statement, ...]
    supported: tuple[str, ...]
    planted: tuple[tuple[str, tuple[str, ...]], ...]
    facts: tuple[str, ...]
    allowed: frozenset[str]
    never: tuple[str, ...]
    split: Split
    readings: dict[str, tuple[tuple[str, ...], ...]]

    @property
    def row(self) -> dict[str, Any]:
        """The clip's row."""
        return {"clip_id": f"{self.name}:{SPAN[0]}-{SPAN[1]}", "first_frame": SPAN[0], "end_frame": SPAN[1]}

    def wrong_in(self, text: str) -> list[str]:
        """Return the words and patterns of `text` that do not hold in this set, in order."""
        holds = self._holding()
        wrong = [w for w in content_words(text) if not (_is_quote(w) and self._is_written(w)) and not forms(w) & holds]
        return wrong + self.never_in(text)

    def never_in(self, text: str) -> list[str]:
        """Return what of `text` fits a pattern of `never`."""
        return [m.group() for p in self.never for m in _pattern(p).finditer(text)]

    def said_in(self, text: str) -> set[str]:
        """Return the facts of this set that `text` says."""
        return {fact for fact in self.facts if any(_pattern(p).search(text) for p in fact.split(" / "))}

    def _is_written(self, quote: str) -> bool:
        said = _squeezed(quote)
        return any(f" {said} " in f" {_squeezed(s.value)} " for s in self.statements if s.dimension == "text")

    def _holding(self) -> frozenset[str]:
        return _holding(self)


def words(text: str) -> list[str]:
    """Return the words, numbers and quotations of `text`, in lower case."""
    return [w.lower() for w in _WORD.findall(text)]


def content_words(text: str) -> list[str]:
    """Return the words of `text` that claim something: all but the function words."""
    return [w for w in words(text) if w not in _FUNCTION]


@lru_cache(maxsize=8192)
def forms(word: str) -> frozenset[str]:
    """Return what `word` may be an inflection of, itself among them."""
    word = word.removesuffix("'s").removesuffix("’s")
    found = {word}
    for ending, others in (("ies", ("y",)), ("es", ("", "e")), ("s", ("",)), ("ing", ("", "e")), ("ed", ("", "e"))):
        rest = word.removesuffix(ending)
        if rest != word and len(rest) > 1:
            found |= {rest + other for other in others}
            if ending in {"ing", "ed"} and rest[-1:] == rest[-2:-1]:
                found.add(rest[:-1])
    return frozenset(found)


def parse(line: str) -> Statement:
    """Return the statement of one line of a data file."""
    expert, dimension, subject, predicate, value, confidence = (part.strip() for part in line.split(" | "))
    return Statement(expert, dimension, subject, predicate, value, float(confidence), *SPAN)  # type: ignore[arg-type]


def load(*splits: Split) -> list[LabelledSet]:
    """Return the labelled sets of `splits`, all if none is named: `first` are the 20 of sets.yaml."""
    found = [s for name in ("sets.yaml", "sets_more.yaml") for s in yaml.safe_load((DATA / name).read_text("utf-8"))]
    return [s for s in map(_labelled, found) if not splits or s.split in splits]


def _labelled(s: dict[str, Any]) -> LabelledSet:
    return LabelledSet(
        s["name"],
        tuple(parse(line) for line in s["statements"]),
        tuple(s["supported"]),
        tuple((p["text"], tuple(p["wrong"])) for p in s["planted"]),
        tuple(s["facts"]),
        frozenset(s["allowed"].split()),
        tuple(s["never"]),
        s.get("split", "first"),
        {p["text"]: (tuple(p["wrong"]), *map(tuple, p.get("or", ()))) for p in s["planted"]},
    )


@lru_cache(maxsize=128)
def _holding(labelled: LabelledSet) -> frozenset[str]:
    kept = settle(labelled.statements, span=SPAN).statements
    told = [w for s in kept for w in words(f"{s.subject} {s.predicate} {s.value}")]
    return frozenset().union(*(forms(w) for w in (*told, *labelled.allowed)))


@lru_cache(maxsize=4096)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?i)(?<!\w)(?:{pattern.strip().replace('~', '[^.]{0,40}')})(?!\w)")


def _is_quote(word: str) -> bool:
    return word[0] in '"“'


def _squeezed(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text.casefold()).split())
