"""The checker: holds each claim of a caption against the statements, and says what supports it.

Closed classes are settled by rule: the same number of the same thing, the same colour of the same thing, the same
text, direction and mover, camera move, denial, gender, place, degree, name. An open word (noun, verb, adjective) is
supported by a statement that has it, or a word that entails it (an inflection, a listed synonym or hyponym), and says
it of the same thing; failing that, by sentence-embedding cosine where an embedder is given. What nothing supports is
unsupported: the checker never gives the benefit of the doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from captioning.claims import Claim, claims_in, find_claims
from captioning.known import WHOLE, Known, take_apart
from captioning.rules import bases_of, holds, is_bound, narrower, said_elsewhere
from captioning.words import entailing, sentences, stem
from experts.base import Statement

__all__ = ["COSINE_THRESHOLD", "Checked", "Checker", "Embed", "Evidence", "make_checker"]

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]
"""Texts to unit vectors, float32 [N, D]: `experts.sentence.Sentence().embed`."""

COSINE_THRESHOLD: Final = 0.8
"""An open word may be supported by a statement's word from this cosine on. Set for MiniLM on the labelled pairs of
tests/captioning/data/words.yaml, where it lets no false pair pass. Cosine is blind to direction (a car is a vehicle, a
vehicle is no car), so a listed hyponym of the statement's word never passes by it, nor does a word for a kind."""

_KINDS: Final = frozenset(
    ("animal", "vehicle", "building", "place", "food", "plant", "instrument", "object", "person", "people", "thing")
)


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


_Support = tuple[Known, float] | None


class _Held(NamedTuple):
    """Statements taken apart, and what they support of each sentence asked about so far."""

    statements: tuple[Statement, ...]
    known: list[Known]
    supports: dict[str, list[_Support]]


class Checker:
    """Checks texts against statements. `embed` widens the open words from the listed to the similar."""

    def __init__(self, embed: Embed | None = None, *, threshold: float = COSINE_THRESHOLD) -> None:
        self._embed = embed
        self.threshold = threshold
        self._vectors: dict[str, npt.NDArray[np.float32]] = {}
        self._last = _Held((), [], {})

    def check(self, text: str, statements: Sequence[Statement]) -> Checked:
        """Hold `text` against `statements`."""
        held = self._held(statements)
        claims = find_claims(text)
        supports = [s for start, end in sentences(text) for s in self._supports_of(text[start:end], held)]
        unsupported = tuple(c for c, s in zip(claims, supports, strict=True) if s is None)
        return Checked(text, tuple(claims), unsupported, _merged(text, claims, supports))

    def _support(self, claim: Claim, known: Sequence[Known]) -> _Support:
        """Return the statement that supports `claim`, and the score; None if there is none."""
        bases = bases_of(claim)
        candidates = [k for k in known if holds(claim, k, bases)]
        if _names_who(claim) and any(said_elsewhere(claim, k, bases) for k in known):
            candidates = [k for k in candidates if k.names_who(bases)]  # who does it was said: not just that it is done
        if candidates:
            return max(candidates, key=lambda k: (len(k.stems & claim.clause), k.statement.confidence)), 1.0
        if claim.kind == "word" and self._embed is not None:
            return self._by_cosine(claim, known)
        return None

    def _held(self, statements: Sequence[Statement]) -> _Held:
        """Return the statements taken apart; those of the last call are kept, as repair asks again and again."""
        held, key = self._last, tuple(statements)
        if key != held.statements:
            held = self._last = _Held(key, take_apart(key), {})
        return held

    def _supports_of(self, sentence: str, held: _Held) -> list[_Support]:
        """Return what supports each claim of the sentence."""
        if sentence not in held.supports:
            claims = claims_in(sentence)
            supports = [self._support(claim, held.known) for claim in claims]
            held.supports[sentence] = _without_objects(claims, supports)
        return held.supports[sentence]

    def _by_cosine(self, claim: Claim, known: Sequence[Known]) -> _Support:
        best: tuple[Known, float] | None = None
        if any(entailing(claim.lower) & k.stems for k in known):
            return None  # the word is there, and the rules refused it: a wrong number, polarity or thing
        near = [(k, word) for k in known if _is_open(k) for word in k.content if not _is_wider(claim, word)]
        mine, *vectors = self._vectors_of([claim.lower, *(word for _, word in near)])
        for (k, word), vector in zip(near, vectors, strict=True):
            cosine = float(mine @ vector)
            if cosine < self.threshold or (best is not None and cosine <= best[1]) or not is_bound(claim, k):
                continue
            if claim.role is None or not k.differs(claim.role, {stem(word)}):
                best = (k, cosine)
        return best

    def _vectors_of(self, words: Sequence[str]) -> list[npt.NDArray[np.float32]]:
        """Return a vector for each word; those not seen before are embedded together."""
        assert self._embed is not None
        new = [w for w in dict.fromkeys(words) if w not in self._vectors]
        if new:
            self._vectors.update(zip(new, self._embed(new), strict=True))
        return [self._vectors[w] for w in words]


def _names_who(claim: Claim) -> bool:
    """Whether the claim is a verb, with somebody who acts or something acted on."""
    role = claim.role
    return role is not None and role.kind == "verb" and bool(role.of - WHOLE or role.to)


def _is_open(k: Known) -> bool:
    return not k.negated and k.statement.dimension in {"subject", "setting", "action", "style"}


def _is_wider(claim: Claim, word: str) -> bool:
    """Whether the statement's word is a kind, or one that the claim's word is a listed hyponym of."""
    return word in _KINDS or stem(claim.lower) in narrower(word)


def make_checker(profile: str | None = None) -> Checker:
    """Return a checker with the profile's sentence embedder, or with the word lists alone if `profile` is None.

    The embedder is worth its memory where a backend writes freely (a server, transformers); the template and the
    grammar of facts use the statements' own words. MissingModelError where its weights are not on this machine.
    """
    if profile is None:
        return Checker()
    from experts.sentence import Sentence

    return Checker(Sentence(profile).embed)


# -- what hangs on what is unsupported -------------------------------------------------------------------------------


def _without_objects(claims: Sequence[Claim], supports: list[_Support]) -> list[_Support]:
    """Take the support from what hangs on an unsupported word, in one sentence.

    The adjectives of a noun that is not there; the object of a verb or preposition: `holds a cup`, where nobody does.
    """
    found = list(supports)
    for i, claim in enumerate(claims):
        if found[i] is None and claim.role is not None:
            hanging = _adjectives(claims, i) if claim.role.kind == "noun" else _objects(claims, i)
            for j in hanging:
                found[j] = None
    return found


def _adjectives(claims: Sequence[Claim], noun: int) -> Iterator[int]:
    for i in range(noun - 1, -1, -1):
        role = claims[i].role
        if role is None or role.kind != "modifier" or role.of != {claims[noun].value}:
            return
        yield i


def _objects(claims: Sequence[Claim], verb: int) -> Iterator[int]:
    role = claims[verb].role
    if role is None or role.kind not in {"verb", "link"}:
        return
    for i in range(verb + 1, len(claims)):
        other = claims[i].role
        if other is not None and other.kind in {"verb", "link"}:
            return
        if stem(claims[i].text) in role.to or (other is not None and other.of & role.to):
            yield i


def _merged(text: str, claims: Sequence[Claim], supports: Sequence[_Support]) -> tuple[Evidence, ...]:
    """Join neighbouring claims that one statement supports into one span."""
    runs: list[tuple[int, int, int, Known, float]] = []
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
