"""Phrases: how a statement is said in English, as a noun phrase, as an adjunct, as a clause.

The template writes captions from these, and the embedded model may be held to them by its grammar. A phrase says what
its statement says and no more: `tests/captioning` holds every phrase of every dimension against the checker.
Statements that belong in one breath (several colours, a camera's move and its speed) make one phrase together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from captioning.english import AFTER_HEAD, ORDINALS, article, be, count_word, head, joined, numbered
from captioning.statements import by_dimension, is_speed
from captioning.words import is_plural, number_value, stem
from experts.base import Dimension, Statement

__all__ = ["Phrase", "phrases"]

HEDGED: Final = 0.35
"""A tag under this confidence is hedged: `what looks like a tabby cat`."""

WHOLE: Final = frozenset({"scene", "picture", "image", "frame", "clip", "video", "shot", "photo", "view", "footage"})
"""Subjects that stand for all there is to see."""

_VAGUE: Final = frozenset({"object", "thing", "subject", "item", "content", "it", ""})
_BEFORE: Final = frozenset(
    stem(w) for w in ("river", "sea", "lake", "ocean", "skyline", "mountain", "waterfall", "sky")
)
_ON: Final = frozenset(stem(w) for w in ("beach", "coast", "shore", "road", "bridge", "stage", "street", "court"))


@dataclass(frozen=True, slots=True)
class Phrase:
    """The ways to say some statements. `noun` may lead a caption, `adjunct` follow one, `clause` stands alone."""

    statements: tuple[Statement, ...]
    clause: str
    noun: str | None = None
    adjunct: str | None = None

    @property
    def dimension(self) -> Dimension:
        """The dimension that the statements share."""
        return self.statements[0].dimension


def phrases(statements: Iterable[Statement]) -> list[Phrase]:
    """Return the ways to say `statements`, in the order of the dimensions; every statement is in one phrase."""
    told = list(statements)
    said: list[Phrase] = []
    for dimension, group in by_dimension(told).items():
        say_all = _GROUPS.get(dimension)
        said += say_all(group) if say_all else [_SAYERS.get(dimension, _say_other)(s) for s in group]
    return _without_the_repeated(_without_the_counted([_introduced(p, told) for p in said]))


def _introduced(p: Phrase, told: Sequence[Statement]) -> Phrase:
    """Say `a person is on the right` where no other statement has spoken of one person before."""
    subject = p.statements[0].subject.strip()
    the = f"the {subject} "
    if p.dimension not in {"appearance", "action"} or subject.lower() in WHOLE or not p.clause.startswith(the):
        return p
    if subject.partition(" ")[0].endswith("est"):
        return p  # there is one largest person, however many there are
    if any(_speaks_of_one(s, stem(subject)) for s in told):
        return p
    introduced = article(subject)  # what takes no article, `sky`, keeps its `the`
    return p if introduced == subject else replace(p, clause=f"{introduced} {p.clause.removeprefix(the)}")


def _speaks_of_one(s: Statement, thing: str) -> bool:
    words = (*s.value.split(), *s.subject.split())
    many = any(n != 1 for word in words if (n := number_value(word)) is not None)
    return s.dimension in {"count", "subject", "setting"} and not many and thing in {stem(word) for word in words}


def _without_the_counted(said: Sequence[Phrase]) -> list[Phrase]:
    """Let `two cars` stand for `a car` too, and `one person` for `a person's face`."""
    counts = [p for p in said if p.dimension == "count" and p.noun is not None]
    merged: dict[int, list[Statement]] = {i: [] for i in range(len(counts))}
    kept: list[Phrase] = []
    for p in said:
        home = next((i for i, c in enumerate(counts) if p.dimension == "subject" and _is_counted(p, c)), None)
        if home is None:
            kept.append(p)
        else:
            merged[home] += p.statements
    return [replace(p, statements=(*p.statements, *merged[counts.index(p)])) if p in counts else p for p in kept]


def _is_counted(p: Phrase, count: Phrase) -> bool:
    number, _, thing = (count.noun or "").partition(" ")
    if _OWN_PART.fullmatch(p.statements[0].value):
        return number == "one" and thing == p.statements[0].subject
    return p.noun is not None and stem(p.noun.split()[-1]) == stem(thing.split()[-1])


def _without_the_repeated(said: Sequence[Phrase]) -> list[Phrase]:
    """Let `a man and a horse` stand for `a horse` too, and `two people on a bench` for `two people`."""
    kept = list(said)
    for p in said:
        if p.noun is None or p.dimension not in {"subject", "count"}:
            continue
        words = _said_by(p)
        home = next((q for q in kept if q.dimension == "subject" and p is not q and words < _said_by(q)), None)
        if home is not None and p in kept:
            kept.remove(p)
            kept[kept.index(home)] = replace(home, statements=(*home.statements, *p.statements))
    return kept


def _said_by(p: Phrase) -> frozenset[str]:
    return frozenset(stem(word) for word in (p.noun or "").split() if word not in {"a", "an", "the"})


_OWN_PART: Final = re.compile(r"(?:its|their) (\w+)")


def _clause(s: Statement) -> str:
    subject = s.subject.strip()
    words = subject.split(" ")
    determined = words[0].lower() in {"the", "a", "an", "some", "no", "what", "it", "most", "all"}
    counted = number_value(words[0]) is not None and words[0].lower() not in ORDINALS
    bare = determined or counted or (is_plural(head(words)[-1]) and subject != "colours")
    return " ".join(part for part in (subject if bare else f"the {subject}", s.predicate.strip(), s.value) if part)


def _say_other(s: Statement) -> Phrase:
    if s.subject.lower() == "scene" and s.predicate.lower() == "shows":
        first = s.value.partition(" ")[0].lower()
        if s.dimension == "action" and first.endswith("ing"):
            return Phrase((s,), f"the scene shows {s.value}")
        if s.dimension == "action" and first in {"a", "an", "the"}:
            return Phrase((s,), s.value)  # a clause of its own: `a fox chases a rabbit`
        return Phrase((s,), f"there {be(s.value)} {s.value}")
    return Phrase((s,), _clause(s))


# -- subject: kind, group and class of one thing are said in one noun ------------------------------------------------


def _say_subjects(group: Sequence[Statement]) -> list[Phrase]:
    things = [s for s in group if _is_naming(s)]
    chains: list[list[Statement]] = []
    for s in sorted(things, key=lambda s: s.predicate.lower() == "looks like"):
        chain = next((c for c in chains if _refines(c[-1], s)), None)
        if chain is None:
            chains.append([s])
        else:
            chain.append(s)
    return [_say_chain(c) for c in chains] + [_say_part(s) for s in group if s not in things]


def _say_part(s: Statement) -> Phrase:
    """`person shows their face` is `a person's face`; anything else is said as it is stated."""
    own = _OWN_PART.fullmatch(s.value)
    if own is None or s.predicate.lower() != "shows":
        return Phrase((s,), _clause(s))
    noun = f"{article(s.subject)}'s {own.group(1)}"
    return Phrase((s,), f"{noun} {be(noun)} visible", noun)


def _is_naming(s: Statement) -> bool:
    naming = s.predicate.lower() in {"looks like", "shows", "contains", "is", "includes", "is visible", "may be"}
    return naming and (s.predicate.lower() == "looks like" or s.subject.lower() in WHOLE | _VAGUE)


def _refines(broad: Statement, fine: Statement) -> bool:
    """Whether `fine` says more closely what `broad` names: `animal looks like cat` after `scene shows an animal`."""
    if fine.predicate.lower() != "looks like" or broad.expert != fine.expert:
        return False
    named = stem(broad.value.split()[-1])
    return named == stem(fine.subject) or (broad.predicate, broad.subject) == (fine.predicate, fine.subject)


def _say_chain(chain: Sequence[Statement]) -> Phrase:
    finest = chain[-1]
    noun = article(finest.value.split(",")[0].strip())
    looks = finest.predicate.lower() in {"looks like", "may be"}
    noun = f"what looks like {noun}" if looks and finest.confidence < HEDGED else noun
    return Phrase(tuple(chain), f"{noun} {be(noun)} visible", noun, f"with {noun}")


# -- appearance: the colours of the picture in one breath ------------------------------------------------------------

_SHARES: Final = ("is mostly", "has much", "has some")


def _say_appearance(group: Sequence[Statement]) -> list[Phrase]:
    colours = {p: [s for s in group if s.subject.lower() == "picture" and s.predicate == p] for p in _SHARES}
    told = [s for same in colours.values() for s in same]
    said = [_say_colours(colours)] if told else []
    return said + [_say_other(s) for s in group if s not in told]


def _say_colours(colours: dict[str, list[Statement]]) -> Phrase:
    mostly, much, some = (joined([s.value for s in colours[p]]) for p in _SHARES)
    extra = joined([part for part in (much and f"much {much}", some and f"some {some}") if part])
    if mostly:
        clause = f"the picture is mostly {mostly}" + (f", with {extra}" if extra else "")
        noun = f"a mostly {mostly} picture" + (f" with {extra}" if extra else "")
    else:
        clause, noun = f"the picture has {extra}", f"a picture with {extra}"
    return Phrase(tuple(s for same in colours.values() for s in same), clause, noun)


# -- count, text, setting, camera, light -----------------------------------------------------------------------------


def _say_count(s: Statement) -> Phrase:
    number, _, rest = s.value.strip().partition(" ")
    n = number_value(number)
    if n is None or n != int(n):
        return Phrase((s,), _clause(s))
    thing = numbered(rest or s.subject, int(n))
    if n == 0:
        return Phrase((s,), f"no {thing} are visible", None, f"with no {thing}")
    noun = f"{count_word(int(n))} {thing}"
    return Phrase((s,), f"{noun} {'is' if n == 1 else 'are'} visible", noun, f"with {noun}")


def _say_texts(group: Sequence[Statement]) -> list[Phrase]:
    by_subject: dict[str, list[Statement]] = {}
    for s in group:
        by_subject.setdefault(s.subject.lower(), []).append(s)
    return [_say_text(same) for same in by_subject.values()]


def _say_text(same: Sequence[Statement]) -> Phrase:
    quotes = ["".join(('"', s.value.strip().strip('"“”').replace('"', "'"), '"')) for s in same]
    subject = same[0].subject.strip()
    thing, _, place = subject.partition(" in ")
    if stem(thing.split()[-1]) == "text" or subject.lower() in WHOLE | _VAGUE:
        thing = thing if stem(thing.split()[-1]) == "text" else "text"
        where = f" in {place}" if place else ""
        where = where.replace(" in scene", " in the scene")
        first = f"the {thing} {quotes[0]}{where}"
        return Phrase(tuple(same), f"the {thing} {joined(quotes)} can be read{where}", first, f"with {first}")
    named = article(subject)
    reads = f"{named} that reads {quotes[0]}"
    return Phrase(tuple(same), f"{named} reads {joined(quotes)}", reads, f"with {reads}")


def _say_settings(group: Sequence[Statement]) -> list[Phrase]:
    named = [s for s in group if _is_naming(s) and s.predicate.lower() in {"shows", "looks like"}]
    said = []
    for p in _say_subjects(named):
        said.append(Phrase(p.statements, f"the scene shows {p.noun}", p.noun, _whereabouts(p)))
    return said + [_say_setting(s) for s in group if s not in named]


def _whereabouts(p: Phrase) -> str | None:
    """Return where the things of a scene are; before water, a skyline or a building they need not be in it."""
    finest, noun = p.statements[-1], p.noun or ""
    if finest.predicate.lower() != "shows":
        return p.adjunct
    if noun.partition(" ")[0] in AFTER_HEAD:
        return noun
    place = stem(head(noun.split())[-1])
    return p.adjunct if place in _BEFORE else f"{'on' if place in _ON else 'in'} {noun}"


def _say_setting(s: Statement) -> Phrase:
    place = article(s.value.split(",")[0].strip())
    if s.value.lower() in {"indoors", "outdoors"}:
        return Phrase((s,), f"the scene is {s.value}", None, s.value)
    if s.predicate.lower() in {"is", "is in", "takes place in"} and s.subject.lower() in WHOLE:
        return Phrase((s,), f"the scene is in {place}", None, f"in {place}")
    return Phrase((s,), _clause(s))


def _say_cameras(group: Sequence[Statement]) -> list[Phrase]:
    moves = [s for s in group if s.subject.lower() == "camera" and not is_speed(s)]
    speeds = [s for s in group if s.subject.lower() == "camera" and is_speed(s)]
    said: list[Phrase] = []
    if moves and speeds:
        clause = f"the camera {speeds[0].value} {moves[0].predicate} {moves[0].value}"
        said.append(Phrase((moves[0], speeds[0]), clause, None, f"as {clause}"))
        moves, speeds = moves[1:], speeds[1:]
    said += [Phrase((s,), _clause(s), None, f"as {_clause(s)}") for s in (*moves, *speeds)]
    return said + [_say_framing(s) for s in group if s.subject.lower() != "camera"]


def _say_framing(s: Statement) -> Phrase:
    about_shot = s.subject.lower() in {"shot", "framing", "shot size", "scene"}
    if about_shot and s.predicate.lower() in {"is", "is a", "is an"}:
        shot = s.value if stem(s.value.split()[-1]) in {"shot", "close-up", "view"} else f"{s.value} shot"
        return Phrase((s,), f"the shot is {article(shot)}", None, f"in {article(shot)}")
    return _say_other(s)


def _say_light(s: Statement) -> Phrase:
    clause = _clause(s)
    one_word = s.predicate.lower() in {"is", "are"} and len(s.value.split()) == 1
    if one_word and s.subject.lower() in {"light", "colours"}:
        return Phrase((s,), clause, None, f"in {s.value} {s.subject.lower()}")
    return Phrase((s,), clause)


_GROUPS: Final = {
    "subject": _say_subjects,
    "appearance": _say_appearance,
    "setting": _say_settings,
    "text": _say_texts,
    "camera": _say_cameras,
}
_SAYERS: Final = {"count": _say_count, "light": _say_light}
