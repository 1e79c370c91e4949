"""What was asked against what is seen: "four circles, not three", as numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from curation.worlds.base import Truth
from evaluation.worlds.shapes import SeenShapes, SeenThing

__all__ = ["Asked", "AskedThing", "agree", "asked_of", "matched"]

_NEAR: Final = 0.12
"""Share of the picture that a thing may be off from where it was asked for."""
_PACE: Final = (0.5, 2.0)
"""Share of the speed asked for that still is that speed; and what counts as none of it."""
_CLEAR: Final = 0.05


@dataclass(frozen=True, slots=True)
class AskedThing:
    """A thing that a prompt asks for; None is what it leaves open. `place` is x, y: fractions of the picture."""

    colour: str | None = None
    shape: str | None = None
    direction: str | None = None
    place: tuple[float, float] | None = None
    speed_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a prompt asks for. `relations` are (number of a thing, left of | right of | above | below, number)."""

    things: tuple[AskedThing, ...]
    camera: str | None = None
    """A value of `clips.camera_motion`; None leaves it open."""

    relations: tuple[tuple[int, str, int], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {**asdict(self), "things": [asdict(thing) for thing in self.things]}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Asked:
        """Return what `as_dict` gave, from JSON too."""
        things = [dict(thing) for thing in told["things"]]
        for thing in things:
            thing["place"] = tuple(thing["place"]) if thing.get("place") is not None else None
        relations = [(int(one), str(kind), int(other)) for one, kind, other in told.get("relations", ())]
        return cls(tuple(AskedThing(**thing) for thing in things), told.get("camera"), tuple(relations))


def asked_of(truth: Truth, *, places: bool = False) -> Asked:
    """Return what the caption of a scene of shapes says, so as to hold a video that was made from it against it.

    A caption says no places and no speeds in numbers; with `places` both are asked for too, as of a copy.
    """
    things = []
    for thing in truth.things:
        straight = thing.attributes["motion"] in ("moves", "still")
        centres = np.asarray(thing.attributes["centres"])[np.isfinite(thing.boxes[:, 0])]
        place = (float(np.median(centres[:, 0])), float(np.median(centres[:, 1]))) if places and len(centres) else None
        things.append(
            AskedThing(
                thing.colour,
                thing.attributes["shape"],
                thing.direction if straight else None,
                place,
                thing.speed_per_s if places and straight else None,
            )
        )
    relations = tuple((one, kind, other) for one, kind, other in truth.facts["relations"] if kind in _RELATIONS)
    return Asked(tuple(things), truth.camera, relations)


def agree(seen: SeenShapes, asked: Asked | Truth) -> dict[str, float]:
    """Return how far a video does what was asked, 0 to 1 by dimension; one that was left open is not there.

    count: whether there are as many things. colour: the share of the things asked for whose colour is there, each
    thing serving once. shape, direction, position, speed: the share whose match agrees in it, and has the colour, as
    that of another thing is not what was asked. relation: the share that holds. camera: whether it moves so. all: the
    least of them: whether nothing is wrong.
    """
    asked = asked_of(asked) if isinstance(asked, Truth) else asked
    pairs = matched(seen, asked)
    scores = {"count": float(seen.count == len(asked.things))}
    for name, (field, holds) in _HOLDS.items():
        both = zip(asked.things, pairs, strict=True)
        wanted = [(one, other) for one, other in both if getattr(one, field) is not None]
        if wanted:
            right = [other is not None and _coloured(one, other) and holds(one, other) for one, other in wanted]
            scores[name] = sum(right) / len(wanted)
    if asked.relations:
        held = [_related(pairs[one], kind, pairs[other]) for one, kind, other in asked.relations]
        scores["relation"] = sum(held) / len(held)
    if asked.camera is not None:
        scores["camera"] = float(seen.camera == asked.camera)
    return {**scores, "all": min(scores.values())}


def matched(seen: SeenShapes, asked: Asked) -> list[SeenThing | None]:
    """Return, for each thing asked for, the thing that is seen for it: those that agree most are paired first."""
    costs = sorted(
        (_cost(one, other), i, j) for i, one in enumerate(asked.things) for j, other in enumerate(seen.things)
    )
    pairs: dict[int, int] = {}
    for _, i, j in costs:
        if i not in pairs and j not in pairs.values():
            pairs[i] = j
    return [seen.things[pairs[i]] if i in pairs else None for i in range(len(asked.things))]


def _cost(one: AskedThing, other: SeenThing) -> float:
    cost = 4.0 * (not _coloured(one, other))
    cost += 2.0 * (one.shape is not None and one.shape != other.shape)
    cost += 1.0 * (one.direction is not None and one.direction != other.direction)
    # Far is worse than another shape, not than another colour: things of one colour are told apart by their places.
    return cost + (3.0 * min(_far(one, other), 1.0) if one.place is not None else 0.0)


def _far(one: AskedThing, other: SeenThing) -> float:
    assert one.place is not None
    return float(np.hypot(one.place[0] - other.place[0], one.place[1] - other.place[1]))


def _coloured(one: AskedThing, other: SeenThing) -> bool:
    return one.colour is None or one.colour == other.colour


def _paced(one: AskedThing, other: SeenThing) -> bool:
    assert one.speed_per_s is not None
    if one.speed_per_s < _CLEAR:
        return other.speed_per_s < _CLEAR
    return _PACE[0] <= other.speed_per_s / one.speed_per_s <= _PACE[1]


_HOLDS: Final[dict[str, tuple[str, Callable[[AskedThing, SeenThing], bool]]]] = {
    "colour": ("colour", _coloured),
    "shape": ("shape", lambda one, other: one.shape == other.shape),
    "direction": ("direction", lambda one, other: one.direction == other.direction),
    "position": ("place", lambda one, other: _far(one, other) <= _NEAR),
    "speed": ("speed_per_s", _paced),
}
_RELATIONS: Final = {"left of": (0, 1), "right of": (0, -1), "above": (1, 1), "below": (1, -1)}


def _related(one: SeenThing | None, kind: str, other: SeenThing | None) -> bool:
    if one is None or other is None:
        return False
    axis, sign = _RELATIONS[kind]
    return sign * (other.place[axis] - one.place[axis]) > _CLEAR
