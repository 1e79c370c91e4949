"""What a world of shapes is made of, and which of it a scene may have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from media.errors import UserError

__all__ = ["BACKGROUNDS", "CAMERAS", "COLOURS", "DIRECTIONS", "MOTIONS", "SHADES", "SHAPES", "TEXTURES", "Options"]

Rgb8 = tuple[int, int, int]

SHAPES: Final = ("circle", "square", "triangle", "star", "diamond", "cross", "ring")
COLOURS: Final[dict[str, Rgb8]] = {
    "red": (222, 38, 38), "orange": (245, 140, 28), "yellow": (240, 218, 46), "green": (44, 168, 62),
    "cyan": (54, 202, 214), "blue": (44, 78, 222), "purple": (142, 58, 190), "pink": (246, 132, 196),
}  # fmt: skip
TEXTURES: Final = ("plain", "striped", "checked", "dotted")
MOTIONS: Final = ("still", "moves", "bounces", "spins", "grows", "shrinks")
BACKGROUNDS: Final = ("plain", "gradient", "noise")
SHADES: Final[dict[str, Rgb8]] = {
    "white": (244, 244, 242), "light grey": (198, 198, 200), "grey": (132, 132, 134), "dark grey": (74, 74, 78),
    "black": (14, 14, 16), "beige": (232, 218, 190), "brown": (92, 68, 50), "navy": (26, 34, 74),
}  # fmt: skip
"""Colours of backgrounds: none of them is near one of a thing, but for what `CLASHES` names."""

CLASHES: Final = {"navy": ("blue", "purple"), "brown": ("red", "orange"), "beige": ("yellow",)}
"""Colours of things that a background of that shade leaves out, if there are others."""

DIRECTIONS: Final[dict[str, tuple[int, int]]] = {
    "right": (1, 0), "down-right": (1, 1), "down": (0, 1), "down-left": (-1, 1),
    "left": (-1, 0), "up-left": (-1, -1), "up": (0, -1), "up-right": (1, -1),
}  # fmt: skip
CAMERAS: Final = (
    "static", "pan left", "pan right", "tilt up", "tilt down", "zoom in", "zoom out", "roll left", "roll right",
)  # fmt: skip
MOST: Final = 6


@dataclass(frozen=True, slots=True)
class Options:
    """What a scene may have. The defaults are everything; narrow them for a curriculum, or say `simple`.

    Lists are of names above. `count` is the least and the most things, 1 to 6. `aspect` is the width over the height
    of the pictures that the scene is composed for. Raises UserError for a value that cannot be.
    """

    count: Sequence[int] = (1, 4)
    shapes: Sequence[str] = SHAPES
    colours: Sequence[str] = tuple(COLOURS)
    textures: Sequence[str] = TEXTURES
    motions: Sequence[str] = MOTIONS
    backgrounds: Sequence[str] = BACKGROUNDS
    cameras: Sequence[str] = CAMERAS
    camera: bool = True
    """Whether the camera may move; it does so over noise only, where its motion can be seen."""
    events: bool = True
    lighting: bool = True
    occlusion: bool = True
    groups: bool = True
    """Whether alike things may come together: "three red circles"."""
    simple: bool = False
    """One to three plain things that stay or move straight, before a plain background, and nothing else."""
    aspect: float = 1.0

    def __post_init__(self) -> None:
        known = {"shapes": SHAPES, "colours": COLOURS, "textures": TEXTURES, "motions": MOTIONS,
                 "backgrounds": BACKGROUNDS, "cameras": CAMERAS}  # fmt: skip
        for name, values in known.items():
            self._set(name, _names(name, getattr(self, name), tuple(values)))
        self._set("count", _range(self.count))
        if not 0.2 <= self.aspect <= 5:
            raise UserError(f"aspect: {self.aspect}: a picture's width over its height, 0.2 to 5")
        if self.simple:
            most = min(self.count[1], 3)
            self._set("count", (min(self.count[0], most), most))
            for name, value in {"textures": ("plain",), "backgrounds": ("plain",), "camera": False, "events": False,
                                "lighting": False, "occlusion": False}.items():  # fmt: skip
                self._set(name, value)
            self._set("motions", tuple(m for m in self.motions if m in ("still", "moves")) or ("still",))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


def _names(name: str, given: Any, known: tuple[str, ...]) -> tuple[str, ...]:
    asked = (given,) if isinstance(given, str) else tuple(given)
    wrong = [value for value in asked if value not in known]
    if wrong or not asked:
        raise UserError(f"{name}: {', '.join(map(str, wrong)) or 'none'}; there are {', '.join(known)}")
    return asked


def _range(given: Any) -> tuple[int, int]:
    asked = (given, given) if isinstance(given, int) else tuple(given)
    if len(asked) != 2 or not 1 <= asked[0] <= asked[1] <= MOST:
        raise UserError(f"count: {given}; give the least and the most things, from 1 to {MOST}")
    return int(asked[0]), int(asked[1])
