"""The checker: holds each claim of a caption against the statements, and says what supports it.

Closed classes are settled by rule: the same number of the same thing, the same colour of the same thing, the same
text, direction and mover, camera move, denial, gender, place, degree, name. An open word (noun, verb, adjective) is
supported by a statement that has it, or a word that entails it (an inflection, a listed synonym or hyponym), and says
it of the same thing; failing that, by sentence-embedding cosine where an embedder is given. What nothing supports is
unsupported: the checker never gives the benefit of the doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from captioning.claims import CLOSED, Claim, find_claims
from captioning.statements import statement_text
from captioning.words import (
    COLOURS,
    DEGREES,
    DIRECTIONS,
    FUNCTION,
    GENDERED,
    GENERAL,
    HYPONYMS,
    MOVES,
    NEGATIONS,
    QUANTIFIERS,
    entailing,
    is_plural,
    number_value,
    stem,
    tokens,
)
from experts.base import Statement

__all__ = ["COSINE_THRESHOLD", "Checked", "Checker", "Embed", "Evidence", "make_checker"]

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]
"""Texts to unit vectors, float32 [N, D]: `experts.sentence.Sentence().embed`."""

COSINE_THRESHOLD: Final = 0.8
"""An open word may be supported by a statement's word from this cosine on. Set for MiniLM on the labelled pairs of
tests/captioning/data/words.yaml, where it lets no false pair pass. Cosine is blind to direction (a car is a vehicle, a
vehicle is no car), so a listed hyponym of the statement's word never passes by it, nor does a word for a kind."""

_WHOLE: Final = frozenset(stem(w) for w in GENERAL)
_VERBS: Final = frozenset(stem(w) for w in (*MOVES, *DIRECTIONS))
_PROPERTY: Final = frozenset({"appearance", "light", "style", "quality", "action", "camera"})
_COLOUR_STEMS: Final = frozenset(stem(w) for w in COLOURS)
_KINDS: Final = frozenset(
    {
        "animal",
        "vehicle",
        "building",
        "place",
        "food",
        "plant",
        "instrument",
        "object",
        "person",
        "people",
        "thing",
    }
)
_LOOKS: Final = frozenset({"appearance", "light", "style", "quality"})
_THING: Final = frozenset({"subject", "count"})


@dataclass(frozen=True, slots=True)
class Evidence:
    """What supports `span`: one statement, with score 1 for a rule and the cosine for an embedding."""

    span: str
    dimension: str
    expert: str
    statement: str
    score: float


@dataclass(frozen=True, slots=True)
class Checked:
    """A text held against statements: its claims in order, the unsupported ones, the evidence for the rest."""

    text: str
    claims: tuple[Claim, ...]
    unsupported: tuple[Claim, ...]
    evidence: tuple[Evidence, ...]

    @property
    def ok(self) -> bool:
        """Whether every claim is supported."""
        return not self.unsupported


class _Known:
    """One statement, taken apart once: its words and what of each closed class is in them."""

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
        self.negated = any(w in NEGATIONS or w.endswith("n't") for w in self.lowers)
        self.negated |= statement.dimension == "count" and 0.0 in self.numbers
        self.whole = self.subject <= _WHOLE or not self.subject
        self.pictorial = _WHOLE
        self.quotes = [_squeezed(t.text[1:-1]) for t in found if t.kind == "quote"]

    def shares(self, about: frozenset[str]) -> bool:
        """Whether the statement speaks of what `about` names; the picture names the whole, nothing names anything."""
        things = about - self.pictorial
        if not things:
            return not about or self.whole or bool(about & self.stems)
        return any(entailing(word) & self.stems for word in things)

    def is_mover(self, about: frozenset[str]) -> bool:
        """Whether what moves, or acts, in the statement is among `about`; its verb and direction are no match."""
        actor = self.stems if self.whole else self.subject
        return not about or any(entailing(word) & actor for word in about - self.pictorial - _VERBS)


class Checker:
    """Checks texts against statements. `embed` widens the open words from the listed to the similar."""

    def __init__(self, embed: Embed | None = None, *, threshold: float = COSINE_THRESHOLD) -> None:
        self._embed = embed
        self.threshold = threshold
        self._vectors: dict[str, npt.NDArray[np.float32]] = {}

    def check(self, text: str, statements: Sequence[Statement]) -> Checked:
        """Hold `text` against `statements`."""
        known = [_Known(s) for s in statements]
        pictorial = frozenset().union(_WHOLE, *(k.stems for k in known if k.whole and k.statement.dimension in _LOOKS))
        for k in known:
            k.pictorial = pictorial
        claims = find_claims(text)
        supports = [self._support(claim, known) for claim in claims]
        unsupported = tuple(c for c, s in zip(claims, supports, strict=True) if s is None)
        return Checked(text, tuple(claims), unsupported, _merged(text, claims, supports))

    def _support(self, claim: Claim, known: Sequence[_Known]) -> tuple[_Known, float] | None:
        """Return the statement that supports `claim`, and the score; None if there is none."""
        rule = _RULES[claim.kind] if claim.kind in CLOSED else _word_holds
        candidates = [k for k in known if rule(claim, k)]
        if candidates:
            return max(candidates, key=lambda k: (len(k.stems & claim.clause), k.statement.confidence)), 1.0
        if claim.kind == "word" and self._embed is not None:
            return self._by_cosine(claim, known)
        return None

    def _by_cosine(self, claim: Claim, known: Sequence[_Known]) -> tuple[_Known, float] | None:
        best: tuple[_Known, float] | None = None
        if any(entailing(claim.lower) & k.stems for k in known):
            return None  # the word is there, and the rules refused it: a wrong number, polarity or thing
        mine = self._vector(claim.lower)
        for k in known:
            if k.negated or k.statement.dimension not in {"subject", "setting", "action", "style"}:
                continue
            for word in k.content:
                if word in _KINDS or stem(claim.lower) in _narrower(word):
                    continue
                cosine = float(mine @ self._vector(word))
                if cosine >= self.threshold and (best is None or cosine > best[1]) and _bound(claim, k):
                    best = (k, cosine)
        return best

    def _vector(self, word: str) -> npt.NDArray[np.float32]:
        assert self._embed is not None
        if word not in self._vectors:
            self._vectors[word] = self._embed([word])[0]
        return self._vectors[word]


def make_checker(profile: str | None = None) -> Checker:
    """Return a checker with the profile's sentence embedder, or with the word lists alone if `profile` is None.

    The embedder is worth its memory where a backend writes freely (a server, transformers); the template and the
    grammar of facts use the statements' own words. MissingModelError where its weights are not on this machine.
    """
    if profile is None:
        return Checker()
    from experts.sentence import Sentence

    return Checker(Sentence(profile).embed)


# -- one rule a kind -------------------------------------------------------------------------------------------------


def _number_holds(claim: Claim, k: _Known) -> bool:
    if not k.shares(claim.about) or not _same_colour(claim, k) or (k.negated and not claim.negated):
        return False
    if claim.lower in k.lowers:
        return True
    if claim.lower in QUANTIFIERS:
        low, high = QUANTIFIERS[claim.lower]
        return any(low <= n <= high for n in k.numbers)
    value = number_value(claim.text)
    return value in k.numbers and ("%" in claim.text) == ("%" in k.text)


def _colour_holds(claim: Claim, k: _Known) -> bool:
    return claim.value in k.colours and k.shares(claim.about) and k.negated == claim.negated


def _quote_holds(claim: Claim, k: _Known) -> bool:
    said = _squeezed(claim.value)
    return bool(said) and any(f" {said} " in f" {quote} " for quote in k.quotes)


def _direction_holds(claim: Claim, k: _Known) -> bool:
    if claim.value not in k.directions or k.negated:
        return False
    return k.camera if claim.camera else not k.camera and k.is_mover(claim.before or claim.about)


def _camera_holds(claim: Claim, k: _Known) -> bool:
    if not k.camera or not claim.camera:
        return False
    if claim.value == "move":
        return bool(k.moves - {"static"}) != claim.negated
    return claim.value in k.moves and not claim.negated


def _negation_holds(claim: Claim, k: _Known) -> bool:
    if k.negated:
        rest = k.stems & claim.clause - {stem(n) for n in NEGATIONS}
        return bool(rest - _WHOLE) or (k.whole and bool(rest))
    return "static" in k.moves and bool(claim.clause & {"move", "motion"}) and "camera" in claim.clause


def _gender_holds(claim: Claim, k: _Known) -> bool:
    return claim.value in k.genders


def _place_holds(claim: Claim, k: _Known) -> bool:
    """A relation needs a statement with the same word; being in a stated setting or light needs none."""
    if claim.lower in k.lowers and k.shares(claim.clause - {stem(claim.lower)}):
        return True
    if k.statement.dimension in _THING or claim.lower not in {"in", "at", "on", "from", "to"}:
        return False
    return bool(claim.about & k.stems)


def _time_holds(claim: Claim, k: _Known) -> bool:
    return claim.lower in k.lowers


def _degree_holds(claim: Claim, k: _Known) -> bool:
    return claim.value in k.degrees and _same_colour(claim, k) and k.shares(claim.about)


def _same_colour(claim: Claim, k: _Known) -> bool:
    """`much grey` needs a statement of grey, not one of much green."""
    colours = claim.about & _COLOUR_STEMS
    return not colours or bool(colours & k.stems)


def _name_holds(claim: Claim, k: _Known) -> bool:
    return claim.lower in k.lowers or claim.value in k.stems


def _word_holds(claim: Claim, k: _Known) -> bool:
    if k.negated != claim.negated or not entailing(claim.lower) & k.stems:
        return False
    return _bound(claim, k) and _number_agrees(claim, k)


def _bound(claim: Claim, k: _Known) -> bool:
    """Whether the word is said of what the statement says it of; a statement's own subject needs no binding."""
    dimension = k.statement.dimension
    if dimension == "camera" and claim.camera >= k.camera:
        return True
    if dimension not in _PROPERTY or entailing(claim.lower) & k.subject:
        return True
    if dimension == "action" and not k.whole:
        return bool(entailing(claim.lower) & k.objects) or k.is_mover(claim.before or claim.about)
    others = (claim.about | claim.clause if dimension == "action" else claim.about) - {claim.value}
    return k.shares(others) or bool(others & k.stems)


def _number_agrees(claim: Claim, k: _Known) -> bool:
    """Whether a plural noun is matched by a statement of more than one; a statement's verb has no number."""
    predicate = {stem(w) for w in k.statement.predicate.split()}
    if not is_plural(claim.text) or claim.value == "word" or entailing(claim.lower) & predicate:
        return True
    plural_there = any((is_plural(w) or w.endswith(("ing", "ed"))) and stem(w) == claim.value for w in k.content)
    return plural_there or any(n != 1 for n in k.numbers) or bool(k.lowers & QUANTIFIERS.keys())


@lru_cache(maxsize=1024)
def _narrower(word: str) -> frozenset[str]:
    """Return the stems of listed words that `word` does not entail although they are near: its hyponyms."""
    found = {stem(w) for w in HYPONYMS.get(word, "").split()}
    return frozenset(found.union(*(_narrower(w) for w in HYPONYMS.get(word, "").split())) if found else ())


_Rule = Callable[[Claim, _Known], bool]
_RULES: Final[dict[str, _Rule]] = {
    "number": _number_holds,
    "colour": _colour_holds,
    "quote": _quote_holds,
    "direction": _direction_holds,
    "camera": _camera_holds,
    "negation": _negation_holds,
    "gender": _gender_holds,
    "place": _place_holds,
    "time": _time_holds,
    "degree": _degree_holds,
    "name": _name_holds,
}


def _squeezed(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text.casefold()).split())


def _merged(
    text: str, claims: Sequence[Claim], supports: Sequence[tuple[_Known, float] | None]
) -> tuple[Evidence, ...]:
    """Join neighbouring claims that one statement supports into one span."""
    runs: list[tuple[int, int, int, _Known, float]] = []
    for claim, support in zip(claims, supports, strict=True):
        if support is None:
            continue
        k, score = support
        if runs and runs[-1][3] is k and runs[-1][2] == claim.sentence and not _gap(text, claims, runs[-1][1], claim):
            runs[-1] = (runs[-1][0], claim.end, claim.sentence, k, min(score, runs[-1][4]))
        else:
            runs.append((claim.start, claim.end, claim.sentence, k, score))
    return tuple(
        Evidence(text[start:end], k.statement.dimension, k.statement.expert, k.text, score)
        for start, end, _, k, score in runs
    )


def _gap(text: str, claims: Sequence[Claim], end: int, claim: Claim) -> bool:
    """Whether another claim, or a comma, stands between `end` and `claim`."""
    return any(end <= c.start < claim.start for c in claims) or "," in text[end : claim.start]
