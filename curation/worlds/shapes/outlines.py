"""The shapes: how far a place is from their border, and how far they reach. In radii; x to the right, y downwards."""

from __future__ import annotations

from math import cos, pi, sin
from typing import Final

import numpy as np
import numpy.typing as npt

from curation.worlds.base import F32

__all__ = ["distance", "reach"]

F64 = npt.NDArray[np.float64]

_CIRCLE, _SQUARE, _TRIANGLE = 0.92, 0.8, 0.56
_RING, _RING_WIDE = 0.7, 0.27
_DIAMOND: Final = (0.6, 1.0)
_CROSS: Final = (0.3, 0.95)
_NOTCH: Final = 0.42
"""Where a star's notches are, if its tips are at 1."""


def distance(shape: str, u: F32, v: F32) -> F32:
    """Return the signed distance to a shape's border, negative inside. It is exact near straight and round borders."""
    return np.asarray(_DISTANCES[shape](u, v), np.float32)


def reach(shape: str, angle: F64) -> F64:
    """Return the box of a shape turned by angles (F,): left, top, right, bottom from its centre, f64 (F, 4)."""
    if shape in _ROUND:
        far = np.full(len(angle), _ROUND[shape])
        return np.stack([-far, -far, far, far], axis=1)
    x, y = _CORNERS[shape].T
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    across, along = x * c - y * s, x * s + y * c
    return np.stack([across.min(1), along.min(1), across.max(1), along.max(1)], axis=1)


def _circle(u: F32, v: F32) -> F32:
    return np.asarray(np.hypot(u, v) - np.float32(_CIRCLE))


def _ring(u: F32, v: F32) -> F32:
    return np.asarray(np.abs(np.hypot(u, v) - np.float32(_RING)) - np.float32(_RING_WIDE))


def _square(u: F32, v: F32) -> F32:
    return np.asarray(np.maximum(np.abs(u), np.abs(v)) - np.float32(_SQUARE))


def _triangle(u: F32, v: F32) -> F32:
    side = np.maximum(np.abs(u) * np.float32(cos(pi / 6)) - v * np.float32(0.5), v)
    return np.asarray(side - np.float32(_TRIANGLE))


def _diamond(u: F32, v: F32) -> F32:
    a, b = _DIAMOND
    return np.asarray((np.abs(u) / np.float32(a) + np.abs(v) / np.float32(b) - 1) / np.float32(np.hypot(1 / a, 1 / b)))


def _cross(u: F32, v: F32) -> F32:
    thin, long = (np.float32(side) for side in _CROSS)
    a, b = np.abs(u), np.abs(v)
    return np.asarray(np.minimum(np.maximum(a - thin, b - long), np.maximum(b - thin, a - long)))


def _star(u: F32, v: F32) -> F32:
    fifth = np.float32(2 * pi / 5)
    turn = np.arctan2(u, -v)
    turn = np.abs(turn - fifth * np.round(turn / fifth))
    radius = np.hypot(u, v)
    along, off = radius * np.cos(turn), radius * np.sin(turn)
    # The side from a tip, at (1, 0), to the notch beside it.
    edge = np.array([_NOTCH * cos(pi / 5) - 1, _NOTCH * sin(pi / 5)])
    normal = (np.array([edge[1], -edge[0]]) / np.hypot(*edge)).astype(np.float32)
    return np.asarray((along - 1) * normal[0] + off * normal[1])


_DISTANCES: Final = {
    "circle": _circle, "ring": _ring, "square": _square, "triangle": _triangle, "diamond": _diamond, "cross": _cross,
    "star": _star,
}  # fmt: skip
_ROUND: Final = {"circle": _CIRCLE, "ring": _RING + _RING_WIDE}


def _corners(radius: float, count: int) -> F64:
    turns = np.arange(count) * 2 * pi / count
    return radius * np.stack([np.sin(turns), -np.cos(turns)], axis=1)


_CORNERS: Final[dict[str, F64]] = {
    "square": _SQUARE * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float),
    "triangle": _corners(2 * _TRIANGLE, 3),
    "star": _corners(1.0, 5),
    "diamond": np.array([[-_DIAMOND[0], 0], [0, -_DIAMOND[1]], [_DIAMOND[0], 0], [0, _DIAMOND[1]]]),
    "cross": np.array([[x * a, y * b] for a, b in (_CROSS, _CROSS[::-1]) for x in (-1, 1) for y in (-1, 1)]),
}
