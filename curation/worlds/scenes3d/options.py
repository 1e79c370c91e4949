"""What a world of solids may have: solids, colours, floors and camera moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from media.errors import UserError

__all__ = ["COLOURS", "FLOORS", "MOVES", "SOLIDS", "Options"]

Rgb8 = tuple[int, int, int]

SOLIDS: Final = ("sphere", "box", "cylinder", "cone")
COLOURS: Final[dict[str, Rgb8]] = {
    "red": (226, 40, 40), "orange": (248, 144, 32), "yellow": (244, 222, 50), "green": (46, 172, 66),
    "cyan": (56, 206, 218), "blue": (48, 84, 228), "purple": (148, 62, 196), "pink": (250, 136, 200),
}  # fmt: skip
FLOORS: Final = ("checkered", "tiled", "wooden", "sandy")
MOVES: Final = (
    "static", "orbit left", "orbit right", "dolly in", "dolly out", "truck left", "truck right", "pedestal up",
    "pedestal down", "pan left", "pan right", "tilt up", "tilt down", "roll left", "roll right",
)  # fmt: skip
"""How the camera may move. Orbit, dolly, truck and pedestal take it elsewhere; the others turn it on the spot."""

MOST: Final = 5


@dataclass(frozen=True, slots=True)
class Options:
    """What a scene may have; lists are of names above. Raises UserError for a value that cannot be.

    `count` is the least and the most solids, 1 to 5; each has another colour. `aspect` is the width over the height of
    the pictures that the scene is composed for.
    """

    count: Sequence[int] = (1, 4)
    solids: Sequence[str] = SOLIDS
    colours: Sequence[str] = tuple(COLOURS)
    floors: Sequence[str] = FLOORS
    moves: Sequence[str] = MOVES
    aspect: float = 1.0

    def __post_init__(self) -> None:
        known = {"solids": SOLIDS, "colours": tuple(COLOURS), "floors": FLOORS, "moves": MOVES}
        for name, values in known.items():
            object.__setattr__(self, name, _names(name, getattr(self, name), values))
        object.__setattr__(self, "count", _range(self.count))
        if self.count[0] > len(self.colours):
            raise UserError(f"count: {self.count[0]} solids need as many colours, not {len(self.colours)}")
        if not 0.2 <= self.aspect <= 5:
            raise UserError(f"aspect: {self.aspect}: a picture's width over its height, 0.2 to 5")


def _names(name: str, given: Any, known: tuple[str, ...]) -> tuple[str, ...]:
    asked = (given,) if isinstance(given, str) else tuple(dict.fromkeys(given))
    wrong = [value for value in asked if value not in known]
    if wrong or not asked:
        raise UserError(f"{name}: {', '.join(map(str, wrong)) or 'none'}; there are {', '.join(known)}")
    return asked


def _range(given: Any) -> tuple[int, int]:
    asked = (given, given) if isinstance(given, int) else tuple(given)
    if len(asked) != 2 or not 1 <= asked[0] <= asked[1] <= MOST:
        raise UserError(f"count: {given}; give the least and the most solids, from 1 to {MOST}")
    return int(asked[0]), int(asked[1])
