"""A statement, taken apart once: its words, what of each closed class is in them, and what is said of what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from captioning.statements import statement_text
from captioning.syntax import Role, roles
from captioning.words import (
    COLOURS,
    DEGREES,
    DIRECTIONS,
    FUNCTION,
    GENDERED,
    GENERAL,
    MOVES,
    NEGATIONS,
    PLACES,
    Token,
    entailing_stem,
    number_value,
    stem,
    tokens,
)
from experts.base import Statement

__all__ = ["WHOLE", "Known", "aliases_of", "squeezed", "take_apart"]

WHOLE: Final = frozenset(stem(w) for w in GENERAL)
"""Stems that speak of the recording itself."""

_EVERYWHERE: Final = WHOLE - {stem(w) for w in ("camera", "light", "lighting", "colour", "tone", "hue", "shade")}
_CONVERSE: Final = {"left": "right", "right": "left", "above": "below", "below": "above", "under": "above"}
_VERBS: Final = frozenset(stem(w) for w in (*MOVES, *DIRECTIONS))
_NAMING: Final = frozenset({"shows", "contains", "includes", "looks like", "may be", "is visible"})
_ENDS_DENIAL: Final = PLACES | {"in", "at", "from", "to", "with", "except", "but", "and", ","}
_Aliases = Mapping[str, frozenset[str]]


class Known:
    """One statement; `roles` holds, by stem, what each of its words is said of."""

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self.text = statement_text(statement)
        found = tokens(self.text)
        words = [t for t in found if t.kind in {"word", "number"}]
        self.lowers = frozenset(t.lower for t in words)
        self.content = [t.lower for t in words if t.kind == "word" and t.lower not in FUNCTION]
        self.stems = frozenset(stem(w) for w in self.content)
        self.subject = frozenset(stem(t.text) for t in tokens(statement.subject))
        self.objects = frozenset(stem(t.text) for t in tokens(statement.value)) - self.subject
        self.numbers = frozenset(n for w in words if (n := number_value(w.text)) is not None)
        self.colours = frozenset(COLOURS[w] for w in self.lowers if w in COLOURS)
        self.directions = frozenset(DIRECTIONS[w] for w in self.lowers if w in DIRECTIONS)
        self.camera = "camera" in self.stems
        self.moves = frozenset(MOVES[w] for w in self.lowers if w in MOVES) if self.camera else frozenset()
        if self.camera:
            self.directions |= self.lowers & {"in", "out"}
        self.degrees = frozenset(DEGREES[w] for w in self.lowers if w in DEGREES)
        self.genders = frozenset(GENDERED[w] for w in self.lowers if w in GENDERED)
        self.denied = _denied(found)
        if statement.dimension == "count" and 0.0 in self.numbers:
            self.denied |= self.stems
        self.negated = bool(self.denied)
        self.whole = self.subject <= WHOLE or not self.subject
        self.pictorial = WHOLE
        self.aliases: _Aliases = {}
        self.quotes = [squeezed(t.text[1:-1]) for t in found if t.kind == "quote"]
        self.roles = _roles(statement, self.whole)

    def shares(self, about: frozenset[str]) -> bool:
        """Whether the statement speaks of what `about` names; the picture names the whole, nothing names anything."""
        things = about - self.pictorial
        if not things:
            return not about or self.whole or bool(about & self.stems)
        return any(entailing_stem(word) & self.stems for word in things)

    def is_mover(self, about: frozenset[str]) -> bool:
        """Whether what moves, or acts, in the statement is among `about`; its verb and direction are no match."""
        actor = self.stems if self.whole else self.subject
        return not about or any(entailing_stem(word) & actor for word in about - self.pictorial - _VERBS)

    def denies(self, base: str) -> bool:
        """Whether the statement denies the word of that stem."""
        return bool(entailing_stem(base) & self.denied)

    def agrees(self, role: Role, bases: Iterable[str]) -> bool:
        """Whether one of the words `bases` is said here of what `role` says it of."""
        return any(self._fits(role, r) for base in bases for r in self.roles.get(base, ()))

    def turns(self, role: Role, word: str) -> bool:
        """Whether the converse is said: `the star is left of the ring`, where the ring is right of the star."""
        return role.kind == "link" and any(
            r.kind == "link" and self._same(role.of, r.to) and self._same(role.to, r.of)
            for r in self.roles.get(_CONVERSE.get(word, ""), ())
        )

    def differs(self, role: Role, bases: Iterable[str]) -> bool:
        """Whether the words `bases` are here, and all are said of something else than `role` says."""
        found = [r for base in bases for r in self.roles.get(base, ()) if r.kind == role.kind]
        return bool(found) and not any(self._fits(role, r) for r in found)

    def gives(self, role: Role) -> bool:
        """Whether who stands before a link has, or wears, its object: `a man in a coat`, where he wears one."""
        things = (r for base in role.to for r in self.roles.get(base, ()) if r.kind == "noun" and r.owned == "has")
        return any(self._same(role.of, r.of) for r in things)

    def names_who(self, bases: Iterable[str]) -> bool:
        """Whether the statement says who does what the words `bases` say, or to what."""
        return any(r.of or r.to for base in bases for r in self.roles.get(base, ()) if r.kind == "verb")

    def _fits(self, mine: Role, theirs: Role) -> bool:
        if mine.kind != theirs.kind or _are_rivals(mine.marks, theirs.marks):
            return False
        if mine.kind == "noun" and not (mine.owned and theirs.owned == "has"):
            return True
        everywhere = mine.kind != "modifier" and theirs.of <= _EVERYWHERE
        if mine.of and not everywhere and not self._same(mine.of, theirs.of):
            return False
        return not (mine.to and theirs.to) or self._same(mine.to, theirs.to)

    def _same(self, mine: frozenset[str], theirs: frozenset[str]) -> bool:
        if mine & self.pictorial and theirs & WHOLE:
            return True
        return any((entailing_stem(word) | self.aliases.get(word, frozenset())) & theirs for word in mine)


def take_apart(statements: Iterable[Statement]) -> list[Known]:
    """Return each statement taken apart, with what they know of one another: which words name the same thing."""
    known = [Known(s) for s in statements]
    looks = {"appearance", "light", "style", "quality"}
    pictorial = frozenset().union(WHOLE, *(k.stems for k in known if k.whole and k.statement.dimension in looks))
    aliases = aliases_of(k.statement for k in known)
    for k in known:
        k.pictorial, k.aliases = pictorial, aliases
    return known


def aliases_of(statements: Iterable[Statement]) -> _Aliases:
    """Return, for the stem of a thing, what names the same: `animal looks like cat`; all people, if one is there."""
    found: dict[str, set[str]] = {}
    alone, told = False, list(statements)
    for s in told:
        if s.predicate.lower() in {"looks like", "may be"} and s.subject and s.value:
            broad, fine = stem(s.subject.split()[-1]), stem(s.value.split(",")[0].split()[-1])
            found.setdefault(broad, set()).add(fine)
            found.setdefault(fine, set()).add(broad)
        if s.dimension == "count" and {stem(w) for w in (*s.subject.split(), *s.value.split())} & {"person"}:
            alone = alone or any(number_value(w) == 1 for w in s.value.split())
    if alone:
        people = entailing_stem("person") | {stem(w) for w in GENDERED}
        there = {base for s in told for w in f"{s.subject} {s.value}".split() if (base := stem(w)) in people}
        for base in there:
            found.setdefault(base, set()).update(there)
    return {word: frozenset(others) for word, others in found.items()}


@lru_cache(maxsize=4096)
def _roles(statement: Statement, whole: bool) -> dict[str, list[Role]]:
    """Read the statement as a sentence; of one about the whole, `scene shows a dog`, what is shown."""
    value = f'"{statement.value}"' if statement.dimension == "text" else statement.value
    naming = whole and statement.predicate.lower() in _NAMING
    text = value if naming else f"{statement.subject} {statement.predicate} {value}"
    at = len(statement.subject) + 1
    words = tokens(text)
    predicate = frozenset() if naming or statement.dimension == "count" else frozenset({at})
    read = roles(words, predicate)
    found: dict[str, list[Role]] = {}
    for token in words:
        if token.start in read:
            found.setdefault(stem(token.text), []).append(read[token.start])
    return found


def _denied(found: list[Token]) -> frozenset[str]:
    """Return the stems that a negation reaches: up to a preposition, a comma, or `except`."""
    denied: set[str] = set()
    reached = False
    for token in found:
        if token.lower in NEGATIONS or token.lower.endswith("n't"):
            reached = True
        elif token.lower in _ENDS_DENIAL:
            reached = False
        elif reached and token.kind == "word" and token.lower not in FUNCTION:
            denied.add(stem(token.text))
    return frozenset(denied)


_RIVALS: Final[tuple[dict[str, str], ...]] = (
    {w: w for w in ("first", "second", "third", "fourth", "fifth", "last", "leading")},
    {w: DIRECTIONS[w] for w in ("left", "right")},
    {w: w for w in ("old", "young", "little")},
    {w: w for w in ("tall", "short", "large", "small", "big", "tiny", "huge")},
    COLOURS,
)
"""Marks of which a thing has one: two that differ are two things."""


def _are_rivals(mine: frozenset[str], theirs: frozenset[str]) -> bool:
    for rivals in _RIVALS:
        ours, others = {rivals[m] for m in mine if m in rivals}, {rivals[m] for m in theirs if m in rivals}
        if ours and others and not ours & others:
            return True
    return False


def squeezed(text: str) -> str:
    """Return `text` in lower case, its letters and digits parted by single spaces."""
    return " ".join("".join(c if c.isalnum() else " " for c in text.casefold()).split())
