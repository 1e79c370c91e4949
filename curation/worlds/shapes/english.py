"""A scene of shapes in English: names that tell its things apart, captions at four densities, and the scene graph.

Wordings vary with the seed; what is said does not. Alike things that do alike are said together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from curation.worlds.base import Captions, Event, Triple
from curation.worlds.shapes.scene import Item, Scene

__all__ = ["Relation", "captions", "graph", "names"]

Relation = tuple[int, str, int]
"""A thing, a preposition, another thing: numbers of items."""

_NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six")
_MOST_RELATIONS: Final = 2
_CAMERA: Final = {
    "static": ("stays", "still"), "pan left": ("pans", "left"), "pan right": ("pans", "right"),
    "tilt up": ("tilts", "up"), "tilt down": ("tilts", "down"), "zoom in": ("zooms", "in"),
    "zoom out": ("zooms", "out"), "roll left": ("rolls", "left"), "roll right": ("rolls", "right"),
}  # fmt: skip
_WAYS: Final = {
    "right": ("right", "to the right"), "left": ("left", "to the left"), "up": ("up", "upwards"),
    "down": ("down", "downwards"), "up-left": ("up and left", "up and to the left"),
    "up-right": ("up and right", "up and to the right"), "down-left": ("down and left", "down and to the left"),
    "down-right": ("down and right", "down and to the right"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Group:
    """Alike things, said together."""

    item: Item
    numbers: tuple[int, ...]

    @property
    def one(self) -> bool:
        return len(self.numbers) == 1

    @property
    def noun(self) -> str:
        return self.item.shape if self.one else _plural(self.item.shape)

    @property
    def looks(self) -> str:
        """Size, texture and colour; the size of a thing that grows or shrinks is left open."""
        size = "" if self.item.grow_per_s else self.item.size
        texture = "" if self.item.texture == "plain" else self.item.texture
        return " ".join(word for word in (size, texture, self.item.colour) if word)

    @property
    def name(self) -> str:
        return f"{self.item.colour} {self.noun}"

    def counted(self, words: str) -> str:
        """Return "a red circle" or "two red circles", for those words."""
        return f"{_article(words)} {words} {self.noun}" if self.one else f"{self.number} {words} {self.noun}"

    @property
    def number(self) -> str:
        return _NUMBERS[len(self.numbers)]

    def act(self, say: _Words, *, long: bool = True) -> tuple[str, str] | None:
        """Return verb and rest of what it does; None of what is still."""
        s, item = "s" if self.one else "", self.item
        if item.motion == "moves":
            return f"move{s}", " ".join((item.pace, _WAYS[item.direction][say.of(2) if long else 0]))
        if item.motion == "bounces":
            return f"bounce{s}", "off the edges"
        if item.motion == "spins":
            return f"rotate{s}", "clockwise" if item.spin_per_s > 0 else "anticlockwise"
        growing = {"grows": "growing", "shrinks": "shrinking"}
        return ("is" if self.one else "are", growing[item.motion]) if item.motion in growing else None


class _Words:
    """Chooses between wordings."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng([0xCA97, seed])

    def of(self, count: int) -> int:
        return int(self._rng.integers(count))

    def either(self, *ways: str) -> str:
        return ways[self.of(len(ways))]


def names(items: Sequence[Item]) -> list[str]:
    """Return a name for each thing, "red circle": alike things share theirs, others do not."""
    return [f"{item.colour} {item.shape}" for item in items]


def captions(scene: Scene, relations: Sequence[Relation], events: Sequence[Event]) -> Captions:
    """Return the scene in words, at four densities."""
    groups, say = _groups(scene.items), _Words(scene.seed)
    label = _joined([group.counted(group.item.colour) for group in groups])
    opening = _opening(scene, groups, say)
    doing = _doing(scene, groups, say)
    related = [_related(groups, relation, say) for relation in _chosen(relations)]
    happened = [text for event in events if (text := _happened(scene, groups, event, say))]
    camera = f"the camera {' '.join(_CAMERA[scene.camera])}"
    light = f"light comes from the {scene.light}" if scene.light != "even" else ""
    dense = [*opening, *doing, *related, *happened, *([light] if light else []), camera]
    structured = {
        "subject": label,
        "count": f"{_total(groups)} {'shape' if len(scene.items) == 1 else 'shapes'}",
        "appearance": _joined([group.counted(group.looks) for group in groups]),
        "action": "; ".join([*doing, *happened]),
        "setting": _background(scene),
        "camera": camera,
        "light": light,
    }
    return Captions(
        label,
        _sentence(_short(scene, groups, say)),
        " ".join(map(_sentence, dense)),
        {dimension: text for dimension, text in structured.items() if text},
    )


def _groups(items: Sequence[Item]) -> list[_Group]:
    found: dict[tuple[object, ...], list[int]] = {}
    for number, item in enumerate(items):
        alike = (item.shape, item.colour, item.motion, item.direction, item.spin_per_s > 0)
        found.setdefault(alike, []).append(number)
    return [_Group(items[numbers[0]], tuple(numbers)) for numbers in found.values()]


def _short(scene: Scene, groups: Sequence[_Group], say: _Words) -> str:
    """Return one short sentence: what one or two kinds do, or what there is; and the camera, if it moves."""
    if scene.camera != "static":
        there = _joined([group.counted(group.item.colour) for group in groups])
        return f"{there}, as the camera {' '.join(_CAMERA[scene.camera])}"
    if len(groups) > 2:
        return f"{_joined([g.counted(g.item.colour) for g in groups])} on {_background(scene)}"
    told = []
    for group in groups:
        act = group.act(say, long=False)
        told.append(f"{group.counted(group.item.colour)} {' '.join(act) if act else _stays(group)}")
    return say.either(" and ", " while ").join(told)


def _opening(scene: Scene, groups: Sequence[_Group], say: _Words) -> list[str]:
    """Return what there is, and on what."""
    listed, plural = [group.counted(group.looks) for group in groups], len(scene.items) > 1
    are = "are" if plural else "is"
    background = _background(scene)
    there = say.either(
        f"there {are} {_joined(listed)} on {background}",
        f"the {say.either('picture', 'scene', 'video', 'clip')} shows {_joined(listed)} on {background}",
    )
    many = len(groups) > 1 and say.of(2)
    graded = [f"the background goes from {_graded(scene)}"] if scene.background == "gradient" else []
    if scene.background == "plain" and say.of(4) == 0:
        there = f"there {are} {_joined(listed)}"
        graded = [f"the background is {scene.shades[0]}"]
    return [there, *graded, *([f"there are {_total(groups)} shapes"] if many else [])]


def _doing(scene: Scene, groups: Sequence[_Group], say: _Words) -> list[str]:
    """Return what each group does, moving or still."""
    still = [group for group in groups if group.act(say) is None and group.item.motion == "still"]
    told = []
    for group in groups:
        act = group.act(say)
        if act is not None:
            verb, rest = act
            pace, _, way = rest.partition(" ")
            if group.item.motion == "moves" and say.of(3) == 0:
                told.append(f"the {group.name} {pace} {verb} {way}")
            else:
                told.append(f"the {group.name} {' '.join(act)}")
    if scene.frames > 1 and still:
        if len(still) > 1 and say.of(2):
            told.append(f"{_joined([f'the {group.name}' for group in still])} stay still")
        else:
            told += [f"the {group.name} {_stays(group)}" for group in still]
    return told


def _stays(group: _Group) -> str:
    return "stays still" if group.one else "stay still"


def _chosen(relations: Sequence[Relation]) -> list[Relation]:
    """Return the relations worth saying: who is in front first, and no thing in all of them."""
    order = sorted(relations, key=lambda relation: relation[1] != "in front of")
    return order[:_MOST_RELATIONS]


def _related(groups: Sequence[_Group], relation: Relation, say: _Words) -> str:
    turned = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
    one, kind, other = relation
    if kind in turned and say.of(3) == 0:
        one, kind, other = other, turned[kind], one
    kind = f"to the {kind}" if kind.endswith(" of") and kind != "in front of" and say.of(2) else kind
    return f"the {_of(groups, one).name} is {kind} the {_of(groups, other).name}"


def _happened(scene: Scene, groups: Sequence[_Group], event: Event, say: _Words) -> str:
    the = f"the {_of(groups, event.things[0]).name}"
    if event.kind == "changes colour":
        return f"{the} turns {event.detail}"
    if event.kind == "collides":
        return f"{the} collides with the {_of(groups, event.things[1]).name}"
    return f"{the} {event.kind}" if event.kind in ("appears", "disappears") else ""


def _background(scene: Scene) -> str:
    words = {"plain": scene.shades[0], "noise": f"noisy {scene.shades[0]}", "gradient": "graded"}[scene.background]
    return f"{_article(words)} {words} background"


def _graded(scene: Scene) -> str:
    """Return from what to what a gradient goes."""
    one, other = scene.shades
    start, end = ("left", "right") if scene.axis == "x" else ("top", "bottom")
    return f"{one} at the {start} to {other} at the {end}"


def graph(scene: Scene, relations: Sequence[Relation], events: Sequence[Event]) -> tuple[Triple, ...]:
    """Return the scene graph: what is shown, how it looks, what it does, how it lies to others, the background."""
    groups, plain = _groups(scene.items), _Words(0)
    found = [Triple("picture", "shows", f"{_total(groups)} {'shape' if len(scene.items) == 1 else 'shapes'}")]
    for group in groups:
        be = "is" if group.one else "are"
        item = group.item
        looks = tuple(group.looks.split())
        found.append(Triple("picture", "shows", f"{group.number} {group.name}", looks))
        found += [Triple(group.name, be, word) for word in looks]
        if item.motion == "collides":
            continue
        act = group.act(plain)
        found.append(Triple(group.name, *(act if act is not None else ("stays" if group.one else "stay", "still"))))
    for one, kind, other in relations:
        found.append(Triple(_of(groups, one).name, "is", f"{kind} the {_of(groups, other).name}"))
    for event in events:
        name = _of(groups, event.things[0]).name
        rest = {"changes colour": ("turns", event.detail), "bounces": ("bounces", f"off the {event.detail} edge")}
        if event.kind == "collides":
            found.append(Triple(name, "collides", f"with the {_of(groups, event.things[1]).name}"))
        else:
            found.append(Triple(name, *rest.get(event.kind, (event.kind, ""))))
    if scene.background != "gradient":
        found.append(Triple("background", "is", scene.shades[0]))
        on = f"on the {scene.shades[0]} background"
        found += [Triple(group.name, "is" if group.one else "are", on) for group in groups]
    else:
        found.append(Triple("background", "goes from", _graded(scene)))
    if scene.background != "plain":
        found.append(Triple("background", "is", "noisy" if scene.background == "noise" else "graded"))
    return (*found, *([Triple("light", "comes from", f"the {scene.light}")] if scene.light != "even" else []))


def _of(groups: Sequence[_Group], number: int) -> _Group:
    return next(group for group in groups if number in group.numbers)


def _total(groups: Sequence[_Group]) -> str:
    return _NUMBERS[sum(len(group.numbers) for group in groups)]


def _plural(shape: str) -> str:
    return f"{shape}es" if shape.endswith("s") else f"{shape}s"


def _article(words: str) -> str:
    return "an" if words[0] in "aeiou" else "a"


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
