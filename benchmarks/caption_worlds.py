"""Synthetic worlds of moving shapes, where every truth is known: the statements of one, drafts of captions, an oracle.

A world has groups of shapes, each with a colour, a size, and perhaps a motion; relations between single shapes; a
background; a camera. Experts state all of it, and a few things that are wrong but weigh less. A draft is written from
the truth with some facts corrupted. The oracle reads a text of the closed vocabulary into facts and holds each against
the truth; it shares no code with the checker. A text that has a word of no meaning here is a `ValueError`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from experts.base import Statement

__all__ = ["SPAN", "Fact", "Group", "World", "draft", "facts_of", "is_true", "make_world", "said", "statements_of"]

_T = TypeVar("_T")
Fact = tuple[str, ...]
"""What a text says: its sort, then what of what, as in `("colour", "circle", "red")`."""

SPAN: Final = (0, 48)
KINDS: Final = ("circle", "square", "triangle", "star", "cross", "ring", "hexagon")
COLOURS: Final = ("red", "green", "blue", "yellow", "purple", "orange", "white", "black", "grey", "pink")
SIZES: Final = ("small", "large")
DIRECTIONS: Final = ("left", "right", "up", "down")
SPEEDS: Final = ("slowly", "quickly")
NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six")
CAMERAS: Final = (
    ("stays", "still"), ("pans", "left"), ("pans", "right"), ("tilts", "up"), ("tilts", "down"),
    ("zooms", "in"), ("zooms", "out"),
)  # fmt: skip
_PLURAL: Final = {kind: kind + ("es" if kind.endswith("s") else "s") for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Group:
    """Alike shapes that move alike, or not at all; `x` and `y` are ranks of place, from the top left."""

    kind: str
    number: int
    colour: str
    size: str
    direction: str | None
    speed: str | None
    x: int
    y: int

    @property
    def noun(self) -> str:
        """The shapes' name, in the plural if there are several."""
        return self.kind if self.number == 1 else _PLURAL[self.kind]


@dataclass(frozen=True, slots=True)
class World:
    """All that is true of a clip; `relations` are those that are stated, of two groups of one shape each."""

    groups: tuple[Group, ...]
    relations: tuple[tuple[str, str, str], ...]
    background: str
    camera: tuple[str, str]
    camera_speed: str | None

    def group(self, kind: str) -> Group | None:
        """Return the group of that kind, if there is one."""
        return next((g for g in self.groups if g.kind == kind), None)


def make_world(seed: int) -> World:
    """Return the world of `seed`: one to six shapes."""
    rng = random.Random(f"world {seed}")
    wanted = rng.randint(1, 6)
    kinds, colours = rng.sample(KINDS, len(KINDS)), rng.sample(COLOURS, len(COLOURS))
    xs, ys = rng.sample(range(9), 7), rng.sample(range(9), 7)
    groups: list[Group] = []
    while wanted:
        number = min(wanted, rng.choice((1, 1, 1, 2, 3)))
        wanted -= number
        n = len(groups)
        direction = rng.choice((*DIRECTIONS, None))
        speed = rng.choice((*SPEEDS, None)) if direction else None
        groups.append(Group(kinds[n], number, colours[n], rng.choice(SIZES), direction, speed, xs[n], ys[n]))
    singles = [g for g in groups if g.number == 1]
    pairs = [(a, b) for a in singles for b in singles if a.kind < b.kind]
    relations = tuple(_relation(*pair, rng) for pair in rng.sample(pairs, min(len(pairs), 2)))
    camera = rng.choice(CAMERAS)
    camera_speed = rng.choice((*SPEEDS, None)) if camera[0] != "stays" else None
    return World(tuple(groups), relations, colours[-1], camera, camera_speed)


def _relation(a: Group, b: Group, rng: random.Random) -> tuple[str, str, str]:
    if rng.random() < 0.5:
        return (a.kind, "left of" if a.x < b.x else "right of", b.kind)
    return (a.kind, "above" if a.y < b.y else "below", b.kind)


def statements_of(world: World, seed: int) -> list[Statement]:
    """Return what experts say of `world`: all that is true, and a weaker wrong count, camera move and colour."""
    rng = random.Random(f"statements {seed}")
    told: list[tuple[str, str, str, str, str, float]] = []
    for g in world.groups:
        one = g.number == 1
        subject, be = g.noun, "is" if one else "are"
        told.append(("worlds", "count", "picture", "shows", f"{NUMBERS[g.number]} {g.noun}", 0.9))
        told.append(("worlds", "appearance", subject, be, g.colour, 0.95))
        told.append(("worlds", "appearance", subject, be, g.size, 0.9))
        if g.direction:
            told.append(("worlds", "action", subject, "moves" if one else "move", _motion(g), 0.9))
    told += [("worlds", "appearance", a, "is", f"{relation} the {b}", 0.85) for a, relation, b in world.relations]
    told.append(("worlds", "setting", "background", "is", world.background, 0.95))
    told.append(("motion", "camera", "camera", *world.camera, 0.9))
    if world.camera_speed:
        told.append(("motion", "camera", "camera", "moves", world.camera_speed, 0.8))
    g = rng.choice(world.groups)
    wrong = rng.choice([n for n in range(1, 7) if n != g.number])
    told.append(("tags", "count", "picture", "shows", _counted(g.kind, wrong), 0.3))
    told.append(("tags", "camera", "camera", *rng.choice([c for c in CAMERAS if c != world.camera]), 0.25))
    told.append(("tags", "appearance", g.noun, "is", rng.choice([c for c in COLOURS if c != g.colour]), 0.05))
    return [Statement(e, d, s, p, v, c, *SPAN) for e, d, s, p, v, c in told]  # type: ignore[arg-type]


def _motion(g: Group) -> str:
    return f"{g.direction} {g.speed}" if g.speed else f"{g.direction}"


def _counted(kind: str, number: int) -> str:
    return f"{NUMBERS[number]} {kind if number == 1 else _PLURAL[kind]}"


# -- drafts ----------------------------------------------------------------------------------------------------------


def draft(world: World, seed: int, *, corrupted: float = 0.4) -> str:
    """Return four to seven sentences; each says, with probability `corrupted`, something that is false."""
    rng = random.Random(f"draft {seed}")
    true, text = facts_of(world), []
    for _ in range(rng.randint(4, 7)):
        if rng.random() < corrupted:
            tries = (_sentence(_corrupted(world, rng), rng) for _ in range(50))
            text.append(next(s for s in tries if not true.issuperset(said(s))))
        else:
            text.append(_sentence(world, rng))
    return " ".join(dict.fromkeys(text))


def _corrupted(world: World, rng: random.Random) -> World:
    """Return `world` with one thing wrong."""
    g = rng.choice(world.groups)
    how = rng.choice(("colour", "number", "size", "direction", "speed", "swap", "added", "relation", "back", "camera"))
    if how == "swap" and len(world.groups) > 1:
        other = rng.choice([o for o in world.groups if o is not g])
        swapped = {g: replace(g, colour=other.colour, direction=other.direction, speed=other.speed),
                   other: replace(other, colour=g.colour, direction=g.direction, speed=g.speed)}  # fmt: skip
        return replace(world, groups=tuple(swapped.get(o, o) for o in world.groups))
    if how == "relation" and world.relations:
        return replace(world, relations=tuple((b, relation, a) for a, relation, b in world.relations))
    if how == "back":
        return replace(world, background=_other(COLOURS, world.background, rng))
    if how == "camera":
        return replace(world, camera=rng.choice([c for c in CAMERAS if c != world.camera]), camera_speed=None)
    changed = {
        "number": replace(g, number=_other(range(7), g.number, rng)),
        "size": replace(g, size=_other(SIZES, g.size, rng)),
        "direction": replace(g, direction=_other(DIRECTIONS, g.direction, rng)),
        "speed": replace(g, direction=g.direction or "left", speed=_other(SPEEDS, g.speed, rng)),
        "added": replace(g, kind=rng.choice([k for k in KINDS if world.group(k) is None])),
    }.get(how, replace(g, colour=_other(COLOURS, g.colour, rng)))
    groups = tuple(changed if o is g else o for o in world.groups)
    return replace(world, groups=(*world.groups, changed) if how == "added" else groups)


def _other(among: Iterable[_T], than: object, rng: random.Random) -> _T:
    return rng.choice([x for x in among if x != than])


def _sentence(w: World, rng: random.Random) -> str:
    g, h = rng.choice(w.groups), rng.choice(w.groups)
    ways = [_there(g, rng), _looks(g, rng), f"{_the(g)} {_be(g)} {g.colour}", f"the background is {w.background}"]
    ways += [f"{_a(g)} {_be(g)} seen on {_article(w.background)} background", _camera(w)]
    if g.direction:
        ways += [_moves(g, rng), f"{_a(g)} {'moves' if g.number == 1 else 'move'} {_to(g)}", f"{_moves(g, rng)}"]
        ways += [f"{_camera(w)} while {_moves(g, rng)}", f"{_a(g)} moving {_to(g)} {_be(g)} visible"]
    if h is not g:
        ways += [
            f"{_the(g)} {_be(g)} {g.colour}, and {_the(h)} {_be(h)} {h.colour}",
            f"{_a(g)} and {_a(h)} are visible",
        ]
        if g.direction and h.direction:
            ways += [f"{_moves(g, rng)} while {_moves(h, rng)}", f"{_moves(g, rng)}, and {_moves(h, rng)}"]
    ways += [_related(w, r, rng) for r in w.relations]
    text = rng.choice(ways)
    return text[:1].upper() + text[1:] + "."


def _be(g: Group) -> str:
    return "is" if g.number == 1 else "are"


def _the(g: Group) -> str:
    return f"the {g.noun if g.number == 1 else _PLURAL[g.kind]}"


def _a(g: Group) -> str:
    return f"{'a' if g.number == 1 else NUMBERS[g.number]} {g.size} {g.colour} {g.noun}"


def _article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _there(g: Group, rng: random.Random) -> str:
    return f"there {_be(g)} {_a(g)}" if rng.random() < 0.5 else f"{_a(g)} {_be(g)} visible"


def _looks(g: Group, rng: random.Random) -> str:
    first, second = rng.sample((g.size, g.colour), 2)
    return f"{_the(g)} {_be(g)} {first} and {second}"


def _to(g: Group) -> str:
    place = f"to the {g.direction}" if g.direction in {"left", "right"} else f"{g.direction}wards"
    return f"{g.speed} {place}" if g.speed else place


def _moves(g: Group, rng: random.Random) -> str:
    verb = "moves" if g.number == 1 else "move"
    named = f"the {g.colour} {g.noun}" if rng.random() < 0.5 else _the(g)
    ways = [f"{verb} {_motion(g)}", f"{verb} {_to(g)}"] + ([f"{g.speed} {verb} {g.direction}"] if g.speed else [])
    return f"{named} {rng.choice(ways)}"


def _camera(w: World) -> str:
    speed = f"{w.camera_speed} " if w.camera_speed else ""
    return f"the camera {speed}{w.camera[0]} {w.camera[1]}"


def _related(w: World, relation: tuple[str, str, str], rng: random.Random) -> str:
    a, where, b = relation
    if rng.random() < 0.4:
        a, where, b = b, _CONVERSE[where], a
    where = f"to the {where}" if where.endswith("of") and rng.random() < 0.5 else where
    one, other = w.group(a), w.group(b)
    if one and other and rng.random() < 0.5:
        return f"the {one.colour} {a} is {where} the {other.colour} {b}"
    return f"the {a} is {where} the {b}"


_CONVERSE: Final = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


# -- the oracle ------------------------------------------------------------------------------------------------------

_SINGULAR: Final = {plural: kind for kind, plural in _PLURAL.items()}
_TO: Final = {**{d: d for d in DIRECTIONS}, "upwards": "up", "downwards": "down", "leftwards": "left",
              "rightwards": "right"}  # fmt: skip
_MUTE: Final = frozenset(
    [
        "a",
        "an",
        "the",
        "there",
        "is",
        "are",
        "visible",
        "seen",
        "while",
        "as",
        "with",
        "to",
        "on",
        "in",
        "of",
        "it",
        "picture",
        "scene",
    ]
)
_CAMERA_MOVES: Final = {"pans": "pans", "tilts": "tilts", "zooms": "zooms", "stays": "stays", "still": "stays"}


class _Reader:
    """Reads one sentence, word by word, into facts."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.subjects: list[str] = []
        self.last: list[str] = []
        self.waiting: list[tuple[str, str]] = []
        self.relation: str | None = None
        self.verb_seen = True
        self.joined = False

    def read(self, words: list[str]) -> list[Fact]:
        for i, word in enumerate(words):
            rest = words[i + 1 :]
            if word in _SINGULAR or word in KINDS or word in {"background", "camera"}:
                self.noun(word)
            elif word in NUMBERS:
                self.waiting.append(("count", word))
            elif word in SIZES or word in COLOURS:
                self.modifier("size" if word in SIZES else "colour", word, rest)
            elif word in {"left", "right"} and rest[:1] == ["of"]:
                self.relate(f"{word} of")
            elif word in {"above", "below"}:
                self.relate(word)
            elif word in _TO or (word in {"in", "out"} and self.subjects == ["camera"]):
                self.say("direction", _TO.get(word, word))
            elif word in SPEEDS:
                self.say("speed", word)
            elif word in {"move", "moves", "moving"}:
                self.subjects = self.last or self.subjects if word == "moving" else self.subjects
                self.verb()
            elif word in _CAMERA_MOVES:
                self.verb()
                self.say("camera", _CAMERA_MOVES[word])
            elif word in {"and", ","}:
                self.joined = word == "and" and not self.verb_seen
            elif word in _MUTE:
                self.verb_seen = self.verb_seen or word in {"is", "are"}
            else:
                raise ValueError(f"the oracle knows no {word!r} in {' '.join(words)!r}")
        self.facts += [("dangling", word) for _, word in self.waiting]
        self.facts += [("dangling", self.relation)] if self.relation else []
        return self.facts

    def noun(self, word: str) -> None:
        kind = _SINGULAR.get(word, word)
        if kind in KINDS:
            self.facts.append(("several" if word in _SINGULAR else "exists", kind))
        for sort, value in self.waiting:
            self.facts.append((sort, kind, value))
        if self.relation:
            self.facts += [_canonical(subject, self.relation, kind) for subject in self.subjects or ["nothing"]]
        elif self.joined:
            self.subjects = [*self.subjects, kind]
        else:
            self.subjects = [kind]
            self.verb_seen = False
        self.last, self.waiting, self.relation, self.joined = [kind], [], None, False

    def modifier(self, sort: str, word: str, rest: list[str]) -> None:
        """Keep a modifier for the noun that it stands before; else it is said of the subject."""
        for following in rest:
            if following in SIZES or following in COLOURS or following in NUMBERS:
                continue
            if following in KINDS or following in _SINGULAR or following == "background":
                self.waiting.append((sort, word))
                return
            break
        self.say(sort, word)

    def relate(self, relation: str) -> None:
        self.verb()
        self.relation = relation

    def verb(self) -> None:
        self.verb_seen = True

    def say(self, sort: str, value: str) -> None:
        self.facts += [(sort, subject, value) for subject in self.subjects or ["nothing"]]


def _canonical(a: str, relation: str, b: str) -> Fact:
    return (
        ("relation", b, _CONVERSE[relation], a) if relation in {"right of", "below"} else ("relation", a, relation, b)
    )


def said(text: str) -> list[Fact]:
    """Return every fact that `text` says, true or not. ValueError for a word of no meaning here."""
    sentences = [s for s in re.split(r"[.;!?]", text.lower()) if s.strip()]
    return [fact for s in sentences for fact in _Reader().read(re.findall(r"[a-z]+(?:-[a-z]+)*|,|\d+", s))]


def facts_of(world: World) -> set[Fact]:
    """Return all that is true of `world` and may be said."""
    true: set[Fact] = {("colour", "background", world.background), ("camera", "camera", world.camera[0])}
    if world.camera[0] != "stays":
        true.add(("direction", "camera", world.camera[1]))
    if world.camera_speed:
        true.add(("speed", "camera", world.camera_speed))
    for g in world.groups:
        true |= {("count", g.kind, NUMBERS[g.number]), ("exists", g.kind)}
        true |= {("several", g.kind)} if g.number > 1 else set()
        true |= {("colour", g.kind, g.colour), ("size", g.kind, g.size)}
        true |= {("direction", g.kind, g.direction)} if g.direction else set()
        true |= {("speed", g.kind, g.speed)} if g.speed else set()
    return true | {_canonical(*relation) for relation in world.relations}


def is_true(fact: Fact, world: World) -> bool:
    """Whether `fact` holds in `world`, and was stated of it."""
    return fact in facts_of(world)
