"""Tagging: what part each word of a sentence plays, told by lists, by endings and by the words around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from captioning.words import (
    COLOURS,
    DEGREES,
    DIRECTIONS,
    FUNCTION,
    MOVES,
    NEGATIONS,
    NUMBERS,
    PLACES,
    QUANTIFIERS,
    Token,
    is_plural,
    number_value,
    stem,
)

__all__ = ["ADJECTIVES", "DETERMINERS", "HAVE", "PARTICIPLES", "SHOWS", "Tag", "tag_words"]

Tag = Literal["det", "mod", "adv", "link", "be", "and", "comma", "clause", "rel", "verb", "noun", "dir", "skip"]
"""det: an article or possessive. mod: stands before a noun. link: a preposition. clause: begins one. rel: `who`.
dir: a direction that is no modifier. skip: plays no part."""


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


DETERMINERS: Final = _listed("a an the this that these those its their his her another no")
HAVE: Final = _listed("has have had having")
PARTICIPLES: Final = _listed("worn held seen ridden driven thrown blown drawn built cut lit")
SHOWS: Final = _listed("shows show looks look features contains includes depicts captures seems appears")
"""Verbs of no claim: what is shown is there."""

ADJECTIVES: Final = _listed(
    "small large big tiny huge old young little tall short long wet dry dark bright soft warm cool cold hot high low "
    "new empty wooden narrow deep thick thin round heavy busy quiet"
)
_BE: Final = _listed("is are was were be been being")
_CLAUSES: Final = _listed("while as whereas but when where there")
_LINKS: Final = (PLACES - _listed("background foreground front")) | _listed(
    "in at from to with of by for like after before"
)
_ADVERBS: Final = _listed("uphill downhill fast together indoors outdoors forward again upwards downwards")
_COLLECTIVE: Final = _listed("crowd group bunch pair couple trio dozen dozens lots plenty")
_ALIKE: Final = _listed("fish sheep deer jellyfish")  # one or many
_VERBS: Final = frozenset(
    stem(w)
    for w in _listed(
        "wear hold carry stand sit lie walk run ride drive fly move turn stay remain look play speak talk eat drink "
        "dance swim jump work fill cover chase follow lead push pull throw catch kick hit pour cut chop cook bake saw "
        "paint write read type draw watch listen sing laugh smile wave clap point raise lift press feed buy sell serve "
        "shoot climb fall rise float drift spin wait arrive leave enter cross hang blow take put make open close touch "
        "hug kiss shake hide sleep bark graze explode burn shine flow break slide roll skate ski surf gather crowd "
        "approach pass land go come wash clean stir mix dig cheer crash gallop leap bow hammer board"
    )
)
_MODIFIERS: Final = frozenset((*COLOURS, *NUMBERS, *QUANTIFIERS, *ADJECTIVES))


def tag_words(tokens: Sequence[Token], predicate: frozenset[int] = frozenset()) -> list[Tag]:
    """Return a tag for each token of a sentence; `predicate` are starts of words known to be verbs."""
    tags: list[Tag] = []
    for i, token in enumerate(tokens):
        tags.append("verb" if token.start in predicate and token.lower not in _BE else _tag(tokens, i, tags))
    return tags


def _tag(tokens: Sequence[Token], i: int, tags: list[Tag]) -> Tag:
    token, lower = tokens[i], tokens[i].lower
    following = tokens[i + 1] if i + 1 < len(tokens) else None
    if token.kind == "mark":
        return "comma" if token.text in ",;:" else "skip"
    if token.kind == "quote":
        return "skip"
    if lower == "to" and i and tokens[i - 1].lower in {"next", "close"}:
        return "skip"
    if lower == "and" or lower == "or":
        return "and"
    for words, tag in _CLOSED:
        if lower in words:
            return tag
    if lower in {"left", "right"} and following is not None and following.lower == "of":
        return "link"
    if lower in {"in", "out"} and i and MOVES.get(tokens[i - 1].lower) in {"zoom", "track", "move"}:
        return "dir"
    if lower in DIRECTIONS:
        return "mod" if tags[-1:] == ["det"] and following is not None and _is_named(following) else "dir"
    if lower in _LINKS:
        return "link"
    if lower in _COLLECTIVE and (following is None or not _is_content(following)):
        return "noun"
    if lower in _MODIFIERS or number_value(lower) is not None:
        return "mod"
    if lower in DEGREES or lower in _ADVERBS or (lower.endswith("ly") and len(lower) > 4):
        return "adv"
    if not _is_content(token):
        return "skip"
    return "verb" if _is_verb(tokens, i, tags) else "noun"


_CLOSED: Final[tuple[tuple[frozenset[str], Tag], ...]] = (
    (frozenset({"who", "which"}), "rel"),
    (DETERMINERS, "det"),
    (_BE, "be"),
    (HAVE, "verb"),
    (_CLAUSES, "clause"),
)


def _is_content(token: Token) -> bool:
    return token.kind == "word" and token.lower not in FUNCTION and token.lower not in NEGATIONS


def _is_named(token: Token) -> bool:
    """Whether what follows `the left` is a thing, as in `the left hand`, and no verb."""
    return (
        _is_content(token) and token.lower not in MOVES and token.lower not in _LINKS and stem(token.text) not in _VERBS
    )


def _is_verb(tokens: Sequence[Token], i: int, tags: list[Tag]) -> bool:
    """Whether the content word at `i` acts, by the words around it."""
    lower, before = tokens[i].lower, tags[-1] if tags else None
    following = tokens[i + 1].lower if i + 1 < len(tokens) else ""
    if before in {"det", "link", "mod"} or following in _BE:
        return False
    if lower.endswith("ing") and len(lower) > 4 and stem(lower) != lower:
        return True
    previous = tokens[i - 1].lower if i else ""
    if before in {"be", "noun"} and (lower.endswith("ed") or lower in PARTICIPLES):
        return before == "be" or _ends_phrase(tokens, i)
    if i == 0 or before == "be":
        return False
    listed = stem(lower) in _VERBS or lower in MOVES
    if before in {"adv", "and", "comma", "dir", "rel"}:
        return listed and not is_plural(previous) and not following.endswith("ing")
    if before != "noun":
        return False
    if listed and is_plural(lower) and not is_plural(previous) and _has_determiner(tags):
        return True
    if not _ends_phrase(tokens, i):
        return False
    if listed and is_plural(lower):
        return True
    if is_plural(previous) or (listed and previous in _ALIKE):
        return not is_plural(lower)
    return is_plural(lower) and i + 1 < len(tokens) and tokens[i + 1].kind != "mark" and _has_determiner(tags)


def _has_determiner(tags: list[Tag]) -> bool:
    """Whether the noun phrase that the tags end with began with a determiner: what follows it is no further noun."""
    at = len(tags)
    while at and tags[at - 1] in {"mod", "noun", "and"}:
        at -= 1
    return bool(at) and tags[at - 1] == "det"


def _ends_phrase(tokens: Sequence[Token], i: int) -> bool:
    """Whether no noun follows right after: a determiner, a preposition, a number, or the end."""
    following = tokens[i + 1] if i + 1 < len(tokens) else None
    return following is None or not _is_content(following) or following.lower in _MODIFIERS or (
        following.lower in DIRECTIONS or following.lower.endswith("ly") or following.lower in _LINKS
        or following.lower in _ADVERBS or (is_plural(following.text) and not is_plural(tokens[i].text))
    )  # fmt: skip
