"""Actions as angles over time: periodic, smooth, within the joints' limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from curation.worlds.bodies.anatomy import Body

__all__ = ["RATES", "VIEWS", "Style", "angles_of"]

F64 = npt.NDArray[np.float64]

VIEWS: Final = {"walk": "side", "clap": "front", "wave": "front", "jump": "front", "dance": "front"}
RATES: Final = {"walk": (0.7, 1.0), "clap": (1.1, 1.7), "wave": (1.1, 1.6), "jump": (0.8, 1.0), "dance": (0.8, 1.1)}
"""Periods per second, least and most."""


@dataclass(frozen=True, slots=True)
class Style:
    """How one figure does its action: periods per second, where in the period it begins, and two traits, -1 to 1."""

    rate: float
    phase: float
    side: str = "right"
    traits: tuple[float, float] = (0.0, 0.0)


def angles_of(action: str, body: Body, style: Style, times: F64) -> tuple[dict[str, F64], F64]:
    """Return the angles (F,) of every joint at those seconds, degrees, and how high the feet are off the ground.

    The height is (F,), in statures. See `anatomy` for what the angles mean.
    """
    turn = 2 * np.pi * style.rate * times + style.phase
    zero = np.zeros_like(turn)
    angles = {"neck": zero, "lean": zero}
    for side in ("left", "right"):
        rest = {"shoulder": 8, "elbow": 6, "wrist": 0, "hip": 4, "knee": 4, "ankle": 62}
        angles |= {f"{side} {joint}": zero + angle for joint, angle in rest.items()}
    acted, height = _ACTIONS[action](body, style, turn)
    return angles | acted, height


def _walk(body: Body, style: Style, turn: F64) -> tuple[dict[str, F64], F64]:
    found = {"lean": 3 + 1.5 * np.sin(2 * turn), "neck": -2 - 1.5 * np.sin(2 * turn)}
    stride, swing = 24 + 4 * style.traits[0], 24 + 6 * style.traits[1]
    for side, own in (("left", turn), ("right", turn + np.pi)):
        found[f"{side} hip"] = 3 + stride * np.sin(own)
        found[f"{side} knee"] = 7 + 48 * ((1 + np.cos(own + 0.5)) / 2) ** 2
        found[f"{side} ankle"] = 92 - 12 * np.cos(own + 0.9)
        found[f"{side} shoulder"] = 2 - swing * np.sin(own)
        found[f"{side} elbow"] = 24 - 12 * np.sin(own)
        found[f"{side} wrist"] = 4 - 4 * np.sin(own)
    return found, np.zeros_like(turn)


def _clap(body: Body, style: Style, turn: F64) -> tuple[dict[str, F64], F64]:
    """Both hands meet before the chest; where they are gives the arms' angles, by the law of cosines."""
    high = body.trunk * (0.5 + 0.07 * style.traits[0])
    apart = 0.012 + (0.18 + 0.03 * style.traits[1]) * (1 - np.cos(turn)) / 2
    lower = body.forearm + body.hand
    aside, down = apart - body.collar, np.full_like(turn, high)
    reach = np.hypot(aside, down)
    flexion = np.degrees(
        np.arccos(np.clip((reach**2 - body.upper_arm**2 - lower**2) / (2 * body.upper_arm * lower), -1, 1))
    )
    inner = np.degrees(
        np.arctan2(lower * np.sin(np.radians(flexion)), body.upper_arm + lower * np.cos(np.radians(flexion)))
    )
    found = {"neck": 3 * np.sin(turn / 2), "lean": 1.2 * np.sin(turn / 2)}
    for side in ("left", "right"):
        found[f"{side} shoulder"] = np.degrees(np.arctan2(aside, down)) + inner
        found[f"{side} elbow"] = -flexion
    return found, np.zeros_like(turn)


def _wave(body: Body, style: Style, turn: F64) -> tuple[dict[str, F64], F64]:
    side = style.side
    found = {"lean": np.sin(turn / 2) * 1.5, "neck": (4 + 2 * np.sin(turn)) * (1 if side == "left" else -1)}
    found[f"{side} shoulder"] = 112 + 8 * style.traits[0] + 4 * np.sin(turn)
    found[f"{side} elbow"] = 40 + 6 * style.traits[1] + 30 * np.sin(turn)
    found[f"{side} wrist"] = 18 * np.sin(turn - 0.7)
    return found, np.zeros_like(turn)


def _jump(body: Body, style: Style, turn: F64) -> tuple[dict[str, F64], F64]:
    """A star jump: down with bent knees, then up with arms and legs spread."""
    up, down = np.maximum(np.sin(turn), 0) ** 2, np.maximum(-np.sin(turn), 0) ** 2
    found = {}
    for side in ("left", "right"):
        found[f"{side} hip"] = 5 + 34 * down + (22 + 5 * style.traits[1]) * up
        found[f"{side} knee"] = 6 + 62 * down
        found[f"{side} ankle"] = 62 + 14 * down - 14 * up
        found[f"{side} shoulder"] = 18 + 122 * ((1 + np.sin(turn)) / 2) ** 2
        found[f"{side} elbow"] = 8 + 16 * down
    return found, (0.17 + 0.03 * style.traits[0]) * up


def _dance(body: Body, style: Style, turn: F64) -> tuple[dict[str, F64], F64]:
    found = {"lean": (7 + 2 * style.traits[0]) * np.sin(turn), "neck": 9 * np.sin(turn + 0.6)}
    for side, own in (("left", turn), ("right", turn + np.pi)):
        found[f"{side} shoulder"] = 82 + (42 + 6 * style.traits[1]) * np.sin(own + 0.3)
        found[f"{side} elbow"] = 48 + 34 * np.sin(own + 1.2 + 0.4 * style.traits[0])
        found[f"{side} wrist"] = 14 * np.sin(own - 0.4)
        found[f"{side} hip"] = 16 + 11 * np.sin(own)
        found[f"{side} knee"] = 22 + 19 * np.sin(own)
        found[f"{side} ankle"] = 66 + 6 * np.sin(own)
    return found, np.zeros_like(turn)


_Acted = tuple[dict[str, F64], F64]
_ACTIONS: Final[dict[str, Callable[[Body, Style, F64], _Acted]]] = {
    "walk": _walk, "clap": _clap, "wave": _wave, "jump": _jump, "dance": _dance,
}  # fmt: skip
