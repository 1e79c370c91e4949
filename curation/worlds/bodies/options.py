"""What a world of bodies may have: actions, cameras, costumes and colours, and the ways to break a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from media.errors import UserError

__all__ = [
    "ACTIONS",
    "CAMERAS",
    "CLOTHES",
    "COSTUMES",
    "DAMAGES",
    "HAIR",
    "MOTLEY",
    "SIDES",
    "SKIN",
    "VESTS",
    "Options",
]

Rgb8 = tuple[int, int, int]

ACTIONS: Final = ("walk", "clap", "wave", "jump", "dance")
CAMERAS: Final = ("static", "pan left", "pan right", "zoom in", "zoom out")
SIDES: Final = ("left", "right")
COSTUMES: Final = ("motley", "plain")
"""Motley: every limb has its own colour, so that it can be told from the others; plain: a shirt and trousers."""

DAMAGES: Final = ("stretch", "bend", "vanish", "extra")
"""A bone that grows, a joint bent beyond its limit, a hand or forearm that melts away, and a third arm."""

MOTLEY: Final[dict[str, Rgb8]] = {
    "left upper arm": (40, 88, 226), "left forearm": (240, 212, 40), "left hand": (138, 214, 36),
    "right upper arm": (222, 38, 44), "right forearm": (48, 200, 216), "right hand": (138, 214, 36),
    "left thigh": (34, 166, 74), "left shank": (240, 70, 172),
    "right thigh": (136, 58, 206), "right shank": (244, 132, 26),
}  # fmt: skip
"""The colours of a motley suit: nine hues that are far apart."""

VESTS: Final[dict[str, Rgb8]] = {"white": (240, 240, 240), "grey": (136, 136, 140), "black": (38, 38, 42)}
"""What is worn over a motley suit: a colour without a hue, that is no limb's."""

CLOTHES: Final[dict[str, Rgb8]] = {
    "red": (206, 52, 50), "orange": (232, 138, 46), "yellow": (234, 204, 74), "green": (58, 150, 84),
    "blue": (52, 96, 196), "purple": (128, 74, 172), "white": (236, 236, 232), "black": (40, 40, 46),
}  # fmt: skip
SKIN: Final[tuple[Rgb8, ...]] = ((238, 190, 154), (214, 158, 118), (170, 120, 90), (124, 88, 68))
HAIR: Final[dict[str, Rgb8]] = {
    "black": (36, 32, 34), "brown": (92, 62, 44), "blond": (206, 176, 118), "grey": (158, 156, 154),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Options:
    """What a scene may have; lists are of names above. Raises UserError for a value that cannot be.

    `count` is the least and the most figures, 1 to 3. `damage` breaks the first figure on purpose, in one of these ways
    drawn at random: none by default. `side` is that of a wave, of the way a walk goes, and of what is broken.
    `aspect` is the width over the height of the pictures that the scene is composed for.
    """

    count: Sequence[int] = (1, 2)
    actions: Sequence[str] = ACTIONS
    cameras: Sequence[str] = CAMERAS
    costumes: Sequence[str] = ("motley",)
    sides: Sequence[str] = SIDES
    damage: Sequence[str] = ()
    aspect: float = 1.0

    def __post_init__(self) -> None:
        known = {"actions": ACTIONS, "cameras": CAMERAS, "costumes": COSTUMES, "sides": SIDES, "damage": DAMAGES}
        for name, values in known.items():
            object.__setattr__(self, name, _names(name, getattr(self, name), values, empty=name == "damage"))
        object.__setattr__(self, "count", _range(self.count))
        if not 0.2 <= self.aspect <= 5:
            raise UserError(f"aspect: {self.aspect}: a picture's width over its height, 0.2 to 5")


def _names(name: str, given: Any, known: tuple[str, ...], *, empty: bool) -> tuple[str, ...]:
    asked = (given,) if isinstance(given, str) else tuple(given or ())
    wrong = [value for value in asked if value not in known]
    if wrong or not (asked or empty):
        raise UserError(f"{name}: {', '.join(map(str, wrong)) or 'none'}; there are {', '.join(known)}")
    return asked


def _range(given: Any) -> tuple[int, int]:
    asked = (given, given) if isinstance(given, int) else tuple(given)
    if len(asked) != 2 or not 1 <= asked[0] <= asked[1] <= 3:
        raise UserError(f"count: {given}; give the least and the most figures, from 1 to 3")
    return int(asked[0]), int(asked[1])
