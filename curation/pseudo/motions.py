"""What the camera can be made to do over a still, by name; names of several motions at once; easing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from media.errors import UserError

__all__ = ["DEPTH_MOTIONS", "EASINGS", "MOTIONS", "Easing", "Move", "eased", "parse"]

F64 = npt.NDArray[np.float64]

Family = Literal["pan", "zoom", "roll"]
Easing = Literal["linear", "smooth", "ease_in", "ease_out"]
EASINGS: Final[tuple[Easing, ...]] = get_args(Easing)
"""linear keeps its speed; smooth starts and ends at rest; ease_in starts at rest; ease_out ends at rest."""


@dataclass(frozen=True, slots=True)
class Move:
    """One motion: its family, its way (right and down, or 1 for in and right-turning), whether it needs depth."""

    name: str
    family: Family
    way: tuple[int, int]
    needs_depth: bool = False


_PANS: Final[Mapping[str, tuple[int, int]]] = {
    "pan_left": (-1, 0),
    "pan_right": (1, 0),
    "tilt_up": (0, -1),
    "tilt_down": (0, 1),
    "pan_up_left": (-1, -1),
    "pan_up_right": (1, -1),
    "pan_down_left": (-1, 1),
    "pan_down_right": (1, 1),
}
_TRUCKS: Final[Mapping[str, tuple[int, int]]] = {
    "truck_left": (-1, 0),
    "truck_right": (1, 0),
    "pedestal_up": (0, -1),
    "pedestal_down": (0, 1),
}
_MOVES: Final[dict[str, Move]] = {
    "zoom_in": Move("zoom_in", "zoom", (1, 1)),
    "zoom_out": Move("zoom_out", "zoom", (-1, -1)),
    **{name: Move(name, "pan", way) for name, way in _PANS.items()},
    "roll_left": Move("roll_left", "roll", (-1, -1)),
    "roll_right": Move("roll_right", "roll", (1, 1)),
    **{name: Move(name, "pan", way, needs_depth=True) for name, way in _TRUCKS.items()},
    "dolly_in": Move("dolly_in", "zoom", (1, 1), needs_depth=True),
    "dolly_out": Move("dolly_out", "zoom", (-1, -1), needs_depth=True),
}

MOTIONS: Final[tuple[str, ...]] = tuple(name for name, move in _MOVES.items() if not move.needs_depth)
"""What the camera can be made to do. Names are of the camera: in a pan to the left the picture moves right.

Two or more with a plus are done at once: `zoom_in+pan_left`.
"""

DEPTH_MOTIONS: Final[tuple[str, ...]] = tuple(name for name, move in _MOVES.items() if move.needs_depth)
"""Motions of a camera that changes its place, so that what is near moves more: they need a depth map."""


def parse(motion: str) -> tuple[Move, ...]:
    """Return the parts of a motion, `zoom_in+pan_left` for instance.

    Raises UserError, naming what is wrong, for an unknown part, for two that would undo or double each other, and for
    a mixture of those that need a depth map with others.
    """
    parts = [part.strip() for part in motion.split("+")]
    for part in parts:
        if part not in _MOVES:
            known = ", ".join((*MOTIONS, *DEPTH_MOTIONS))
            raise UserError(f"there is no motion {part!r}: one of {known}; several at once: zoom_in+pan_left")
    moves = tuple(_MOVES[part] for part in parts)
    axes = [axis for move in moves for axis in _axes(move)]
    if len(set(axes)) < len(axes):
        raise UserError(f"the motion {motion!r} moves one way twice: zooms, pans, tilts and rolls at most once each")
    if len({move.needs_depth for move in moves}) > 1:
        raise UserError(f"the motion {motion!r}: {', '.join(DEPTH_MOTIONS)} are mixed with each other only")
    return moves


def _axes(move: Move) -> list[str]:
    if move.family != "pan":
        return [move.family]
    return [axis for axis, way in zip(("across", "along"), move.way, strict=True) if way]


def eased(progress: F64, easing: Easing) -> F64:
    """Return progress (0 to 1) bent by the easing. Raises UserError for one that is not there."""
    if easing == "linear":
        return progress
    if easing == "smooth":
        return progress * progress * (3 - 2 * progress)
    if easing == "ease_in":
        return progress * progress
    if easing == "ease_out":
        return progress * (2 - progress)
    raise UserError(f"no easing is called {easing!r}: one of {', '.join(EASINGS)}")
