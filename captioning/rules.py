"""Rules: whether a statement supports a claim, a rule for each kind; and whether it says the same of something else."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from captioning.claims import CLOSED, Claim
from captioning.known import WHOLE, Known, squeezed
from captioning.words import COLOURS, HYPONYMS, NEGATIONS, QUANTIFIERS, entailing, is_plural, number_value, stem

__all__ = ["bases_of", "holds", "is_bound", "narrower", "said_elsewhere"]

_PROPERTY: Final = frozenset({"appearance", "light", "style", "quality", "action", "camera"})
_COLOUR_STEMS: Final = frozenset(stem(w) for w in COLOURS)
_AROUND: Final = frozenset({"setting", "light", "style", "camera", "text"})
# What all of a picture is in: `in warm light`, `at the beach`, `in a close-up`.


def holds(claim: Claim, k: Known, bases: frozenset[str]) -> bool:
    """Whether the statement supports the claim; `bases` are `bases_of(claim)`."""
    rule = _RULES[claim.kind] if claim.kind in CLOSED else _word_holds
    return (rule(claim, k) or _says_so(claim, k, bases)) and not said_elsewhere(claim, k, bases)


# -- what is said of what ---------------------------------------------------------------------------------------------


def bases_of(claim: Claim) -> frozenset[str]:
    """Return the stems that say what `claim` does."""
    if claim.kind == "colour":
        return _FAMILIES[claim.value]
    return entailing(claim.lower)


_FAMILIES: Final = {c: frozenset(stem(w) for w, family in COLOURS.items() if family == c) for c in COLOURS.values()}
_STRUCTURAL: Final = frozenset({"word", "colour", "direction", "place"})


def _says_so(claim: Claim, k: Known, bases: frozenset[str]) -> bool:
    """Whether the statement says the same word of the same thing, in the same part of a sentence."""
    if claim.role is None or claim.kind not in _STRUCTURAL:
        return False
    if claim.kind != "colour" and (claim.camera or k.camera):
        return False
    if claim.kind in {"direction", "place"} and not claim.negated and k.turns(claim.role, claim.lower):
        return True
    if k.denies(claim.value) != claim.negated or not k.agrees(claim.role, bases):
        return False
    return claim.kind != "word" or _number_agrees(claim, k)


def said_elsewhere(claim: Claim, k: Known, bases: frozenset[str]) -> bool:
    """Whether the statement says the word, but of something else: of another thing, actor or object."""
    if (
        claim.role is None
        or claim.camera
        or (claim.kind in {"direction", "place"} and k.turns(claim.role, claim.lower))
    ):
        return False
    return k.differs(claim.role, bases)


# -- one rule a kind -------------------------------------------------------------------------------------------------


def _number_holds(claim: Claim, k: Known) -> bool:
    if not k.shares(claim.about) or not _same_colour(claim, k) or (_denies_any(k, claim.about) and not claim.negated):
        return False
    if claim.lower in k.lowers:
        return True
    if claim.lower in QUANTIFIERS:
        low, high = QUANTIFIERS[claim.lower]
        return any(low <= n <= high for n in k.numbers)
    value = number_value(claim.text)
    return value in k.numbers and ("%" in claim.text) == ("%" in k.text)


def _colour_holds(claim: Claim, k: Known) -> bool:
    return claim.value in k.colours and k.shares(claim.about) and _denies_any(k, claim.about) == claim.negated


def _quote_holds(claim: Claim, k: Known) -> bool:
    said = squeezed(claim.value)
    return bool(said) and any(f" {said} " in f" {quote} " for quote in k.quotes)


def _direction_holds(claim: Claim, k: Known) -> bool:
    if claim.value not in k.directions or k.denied & k.stems or (claim.role is not None and claim.role.kind == "link"):
        return False
    return k.camera if claim.camera else not k.camera and k.is_mover(claim.before or claim.about)


def _camera_holds(claim: Claim, k: Known) -> bool:
    if claim.value == "aerial" and "aerial" in k.lowers:
        return True
    if not k.camera or not claim.camera:
        return False
    if claim.value == "move":
        return bool(k.moves - {"static"}) != claim.negated
    return claim.value in k.moves and not claim.negated


def _negation_holds(claim: Claim, k: Known) -> bool:
    if k.negated:
        if "almost" in k.lowers and "almost" not in claim.clause:
            return False
        if claim.lower in {"no", "without"}:
            return any(k.denies(word) for word in claim.about)
        rest = k.stems & claim.clause - {stem(n) for n in NEGATIONS}
        return bool(rest - WHOLE) or (k.whole and bool(rest))
    return "static" in k.moves and bool(claim.clause & {"move", "motion"}) and "camera" in claim.clause


def _denies_any(k: Known, about: frozenset[str]) -> bool:
    return any(k.denies(word) for word in about)


def _gender_holds(claim: Claim, k: Known) -> bool:
    return claim.value in k.genders


def _place_holds(claim: Claim, k: Known) -> bool:
    """A relation needs a statement with the same word; being in a stated setting or light needs none."""
    if claim.lower in k.lowers and k.shares(claim.clause - {stem(claim.lower)}):
        return True
    if claim.lower == "in" and claim.role is not None and k.gives(claim.role):
        return True
    around = k.statement.dimension in _AROUND or (k.whole and k.statement.dimension == "appearance")
    if not around or claim.lower not in {"in", "at", "on", "from", "to"}:
        return False
    return bool(claim.about & k.stems)


def _time_holds(claim: Claim, k: Known) -> bool:
    return claim.lower in k.lowers


def _degree_holds(claim: Claim, k: Known) -> bool:
    return claim.value in k.degrees and _same_colour(claim, k) and k.shares(claim.about)


def _same_colour(claim: Claim, k: Known) -> bool:
    """`much grey` needs a statement of grey, not one of much green."""
    colours = claim.about & _COLOUR_STEMS
    return not colours or bool(colours & k.stems)


def _name_holds(claim: Claim, k: Known) -> bool:
    return claim.lower in k.lowers or claim.value in k.stems


def _word_holds(claim: Claim, k: Known) -> bool:
    if k.denies(claim.value) != claim.negated or not entailing(claim.lower) & k.stems:
        return False
    return is_bound(claim, k) and _number_agrees(claim, k)


def is_bound(claim: Claim, k: Known) -> bool:
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


def _number_agrees(claim: Claim, k: Known) -> bool:
    """Whether a plural noun is matched by a statement of more than one; a statement's verb has no number."""
    predicate = {stem(w) for w in k.statement.predicate.split()}
    if not is_plural(claim.text) or claim.value == "word" or entailing(claim.lower) & predicate:
        return True
    plural_there = any(
        (is_plural(w) or (w.endswith(("ing", "ed")) and stem(w) != w)) and stem(w) == claim.value for w in k.content
    )
    return plural_there or any(n != 1 for n in k.numbers) or bool(k.lowers & QUANTIFIERS.keys())


@lru_cache(maxsize=1024)
def narrower(word: str) -> frozenset[str]:
    """Return the stems of listed words that `word` does not entail although they are near: its hyponyms."""
    found = {stem(w) for w in HYPONYMS.get(word, "").split()}
    return frozenset(found.union(*(narrower(w) for w in HYPONYMS.get(word, "").split())) if found else ())


_Rule = Callable[[Claim, Known], bool]
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
