"""Claims: every word of a text that says something which could be false, and what it is said of.

A text is read sentence by sentence and clause by clause. Words of the closed classes (numbers, colours, quotations,
directions, camera moves, negations, genders, places, times, degrees, names) are found by list; every other word that is
not a function word is an open claim. `about` holds the stems that the word is said of: the noun it stands before, or
else the words before it in its clause; `before` holds the latter, where who acts is looked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Final, Literal

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
    NUMBERS,
    PLACES,
    QUANTIFIERS,
    TIMES,
    Token,
    number_value,
    sentences,
    stem,
    tokens,
)

__all__ = ["CLOSED", "Claim", "ClaimKind", "Sentence", "claims_in", "find_claims", "read"]

ClaimKind = Literal[
    "number", "colour", "quote", "direction", "camera", "negation", "gender", "place", "time", "degree", "name", "word"
]
CLOSED: Final[frozenset[ClaimKind]] = frozenset(
    ("number", "colour", "quote", "direction", "camera", "negation", "gender", "place", "time", "degree", "name")
)
"""Kinds that are settled by rule alone; an embedding is never asked about them."""

_BREAKS: Final = frozenset({"while", "as", "but", "whereas", "and", "with"})
_CAMERA_NOUNS: Final = frozenset({"camera", "shot", "footage", "view", "lens", "viewpoint"})
_CAMERA_VERBS: Final = frozenset({"pan", "tilt", "zoom", "crane", "aerial", "handheld"})
# These are camera work wherever they stand; other moves only in a clause about a camera.


@dataclass(frozen=True, slots=True)
class Claim:
    """One word (or quotation) that claims something: `text[start:end]`, in the sentence `sentence`."""

    kind: ClaimKind
    text: str
    start: int
    end: int
    sentence: int
    value: str
    about: frozenset[str]
    before: frozenset[str]
    clause: frozenset[str]
    negated: bool
    camera: bool
    role: Role | None = None

    @property
    def lower(self) -> str:
        """The words in lower case."""
        return self.text.lower()


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence's span, its tokens, for each token the index of its clause, and the roles by the tokens' starts."""

    start: int
    end: int
    tokens: tuple[Token, ...]
    clauses: tuple[int, ...]
    roles: dict[int, Role]


def read(text: str) -> list[Sentence]:
    """Split `text` into sentences and clauses."""
    all_tokens = tokens(text)
    return [_sentence(start, end, [t for t in all_tokens if start <= t.start < end]) for start, end in sentences(text)]


def _sentence(start: int, end: int, inside: list[Token]) -> Sentence:
    clauses: list[int] = []
    clause = 0
    for i, token in enumerate(inside):
        if (token.kind == "mark" and token.text in ",:—–(") or (token.lower in _BREAKS and i):
            clause += 1
        clauses.append(clause)
    return Sentence(start, end, tuple(inside), tuple(clauses), roles(inside))


def find_claims(text: str) -> list[Claim]:
    """Return every claim of `text`, in order."""
    found: list[Claim] = []
    for n, (start, end) in enumerate(sentences(text)):
        inside = claims_in(text[start:end])
        found += inside if not n and not start else [
            replace(c, start=c.start + start, end=c.end + start, sentence=n) for c in inside
        ]  # fmt: skip
    return found


@lru_cache(maxsize=1024)
def claims_in(sentence: str) -> tuple[Claim, ...]:
    """Return the claims of one sentence; kept, as repair and completion read the same sentences many times."""
    return tuple(claim for s in read(sentence) for claim in _claims_of(s, 0))


def _claims_of(s: Sentence, n: int) -> list[Claim]:
    found = []
    camera_before = False
    for i, token in enumerate(s.tokens):
        if token.kind == "mark":
            continue
        around = [j for j, c in enumerate(s.clauses) if c == s.clauses[i]]
        stems = frozenset(stem(s.tokens[j].text) for j in around if _has_content(s.tokens[j]))
        nouns = {t for t in stems if t not in GENERAL or t in _CAMERA_NOUNS} - _MOVE_STEMS - _DIRECTION_STEMS
        camera = bool(stems & _CAMERA_NOUNS) or _is_camera_work(s, around) or (camera_before and not nouns)
        kind = _kind(s, i, camera)
        if kind is None:
            continue
        about, before = _about(s, i, kind), _before(s, i) or _earlier(s, i)
        denied, value = _is_denied(s, [j for j in around if j < i]), _value(kind, token)
        role = s.roles.get(token.start)
        found.append(
            Claim(kind, token.text, token.start, token.end, n, value, about, before, stems, denied, camera, role)
        )
        camera_before = camera
    return found


def _is_camera_work(s: Sentence, around: list[int]) -> bool:
    """Whether a clause without a camera speaks of one: `a slow pan to the left`, but not `the boat tilts`."""
    for j in around:
        token = s.tokens[j]
        if _move(token) in _CAMERA_VERBS:
            return True
        is_manner = token.lower.endswith("ly") or token.lower in _SPEEDS or _move(token) is not None
        if _is_thing(token) and not is_manner and stem(token.text) not in _GENERAL_STEMS:
            return False
    return False


_SPEEDS: Final = frozenset({"slow", "fast", "quick", "gentle", "smooth"})


def _is_denied(s: Sentence, earlier: list[int]) -> bool:
    """Whether a negation stands before in the clause, and no preposition since: `no people on the shore`."""
    denied = False
    for j in earlier:
        lower = s.tokens[j].lower
        if lower in NEGATIONS or lower.endswith("n't"):
            denied = True
        elif lower in PLACES or lower in {"in", "at", "from", "to", "except"}:
            denied = False
    return denied


_MOVE_STEMS: Final = frozenset(stem(w) for w in MOVES)
_DIRECTION_STEMS: Final = frozenset(stem(w) for w in DIRECTIONS)


def _has_content(token: Token) -> bool:
    return token.kind == "word" and token.lower not in FUNCTION and token.lower not in _BREAKS


_GATHERINGS: Final = frozenset({"crowd", "group"})
# Numbers of what follows, `a crowd of people`; by themselves they are things.


def _kind(s: Sentence, i: int, camera: bool) -> ClaimKind | None:
    token, lower = s.tokens[i], s.tokens[i].lower
    if token.kind == "quote":
        return "quote"
    if lower in _GATHERINGS and not any(t.lower == "of" or _has_content(t) for t in s.tokens[i + 1 : i + 2]):
        return "word"
    if token.kind == "number" or lower in NUMBERS or lower in QUANTIFIERS or number_value(lower) is not None:
        return "number"
    if lower in NEGATIONS or lower.endswith("n't"):
        return "negation"
    for kind, words in _LISTS:
        if lower in words:
            return kind
    if lower in {"in", "out"} and i and _move(s.tokens[i - 1]) in {"zoom", "track", "move"} and camera:
        return "direction"
    if _move(token) is not None and (camera or _move(token) in _CAMERA_VERBS):
        return "camera"
    if lower in {"in", "at", "from", "to"}:
        return None if _leads_to_direction(s, i) else "place"
    if lower in FUNCTION or lower in _BREAKS or (stem(lower) in _GENERAL_STEMS):
        return None
    is_name = token.text[:1].isupper() and (token.start > s.start or (token.text.isupper() and len(token.text) > 1))
    return "name" if is_name else "word"


_LISTS: Final[tuple[tuple[ClaimKind, frozenset[str]], ...]] = (
    ("colour", frozenset(COLOURS)),
    ("gender", frozenset(GENDERED)),
    ("direction", frozenset(DIRECTIONS)),
    ("degree", frozenset(DEGREES)),
    ("time", TIMES),
    ("place", PLACES),
)
_GENERAL_STEMS: Final = frozenset(stem(w) for w in GENERAL)


def _leads_to_direction(s: Sentence, i: int) -> bool:
    following = next((t for t in s.tokens[i + 1 :] if t.lower not in _ARTICLES), None)
    return following is not None and following.lower in DIRECTIONS


_ARTICLES: Final = frozenset({"a", "an", "the", "its", "their"})


def _move(token: Token) -> str | None:
    return MOVES.get(token.lower)


def _value(kind: ClaimKind, token: Token) -> str:
    lower = token.lower
    tables = {"colour": COLOURS, "direction": DIRECTIONS, "camera": MOVES, "gender": GENDERED, "degree": DEGREES}
    if kind == "quote":
        return token.text[1:-1].strip()
    if kind == "number":
        n = number_value(lower)
        return lower if n is None else f"{n:g}"
    return tables.get(kind, {}).get(lower, lower if kind not in {"word", "name"} else stem(lower))


def _about(s: Sentence, i: int, kind: ClaimKind) -> frozenset[str]:
    """Return the stems that the word at `i` is said of."""
    start = i
    while kind == "place" and start + 1 < len(s.tokens) and s.tokens[start + 1].lower in _ARTICLES:
        start += 1
    after, colours = _noun_after(s, start)
    if colours and (kind == "degree" or (kind == "number" and not after)):
        after = colours
    if kind in {"word", "name", "camera", "direction"}:
        return frozenset(after) | _before(s, i) or _earlier(s, i)
    return frozenset(after) or _before(s, i) or _earlier(s, i)


def _before(s: Sentence, i: int) -> frozenset[str]:
    """Return the things named before `i` in its clause."""
    inside = (t for t, c in zip(s.tokens[:i], s.clauses[:i], strict=True) if c == s.clauses[i])
    return frozenset(stem(t.text) for t in inside if _is_thing(t))


def _earlier(s: Sentence, i: int) -> frozenset[str]:
    """Return the content of the nearest clause before that of `i` which has any."""
    for clause in range(s.clauses[i] - 1, -1, -1):
        inside = (t for t, c in zip(s.tokens, s.clauses, strict=True) if c == clause)
        found = frozenset(stem(t.text) for t in inside if _is_thing(t))
        if found:
            return found
    return frozenset()


def _is_modifier(token: Token) -> bool:
    lower = token.lower
    return lower in COLOURS or lower in NUMBERS or lower in QUANTIFIERS or lower in DEGREES or lower in NEGATIONS


def _is_thing(token: Token) -> bool:
    return _has_content(token) and not _is_modifier(token)


def _noun_after(s: Sentence, i: int) -> tuple[list[str], list[str]]:
    """Return the stems of the run of content words right after `i`, the noun phrase it stands in; and the colours.

    Other modifiers between, and a conjunction between two modifiers, are stepped over; the colours among them come
    second, for `some red`, where the colour is itself the thing.
    """
    found: list[str] = []
    colours: list[str] = []
    for previous, token in pairwise(s.tokens[i:]):
        if found and (not _has_content(token) or token.lower in DIRECTIONS or token.lower in PLACES):
            break
        if found or (_is_thing(token) and token.lower not in DIRECTIONS and token.lower not in PLACES):
            found.append(stem(token.text))
            if len(found) == 3:
                break
        elif _is_modifier(token):
            if token.lower in COLOURS and not colours and previous is s.tokens[i]:
                colours.append(stem(token.text))
        elif not _steps_over(s, previous, token):
            break
    return found, colours


def _steps_over(s: Sentence, previous: Token, token: Token) -> bool:
    """Whether `token` stands inside a noun phrase: `two of the cats`, `red and blue cars`."""
    if token.lower in {"and", "or"}:
        following = next((t for t in s.tokens if t.start > token.start), None)
        return following is not None and _is_modifier(following)
    return token.lower == "of" or (token.lower == "the" and previous.lower == "of")
