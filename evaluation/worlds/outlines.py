"""The shape of an outline: the ideal shape that looks most like it, of any size and turned any way.

Outlines are brought to one area around one middle and correlated with ideal shapes of that area, drawn at every angle,
a little slimmer and fuller, sharp and soft: so what is asked is the kind of shape, not who drew it or how well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from math import pi, sqrt
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["SHAPES", "likeness", "shape_of"]

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

SHAPES: Final = ("circle", "square", "triangle", "star", "diamond", "cross", "ring")

_GRID_PX: Final = 22
_RADIUS_PX: Final = 5.5
"""Radius of the circle that has the area of every outline."""
_SOFT_PX: Final = (0.55, 1.2, 1.9)
"""How soft ideal shapes are: from a large, sharp picture to a small, blurred one."""
_TURN_DEG: Final = 5.0
_FINE: Final = 8
_FOUND: Final = 0.25
"""Share of a pixel from which on it belongs to an outline."""
_LEAST: Final = 0.6
"""Correlation with the best ideal shape below which an outline is none of them."""


def shape_of(crops: Sequence[F32]) -> tuple[str, float]:
    """Return the shape that the crops together look most like, and the share of them that look so by themselves.

    A crop, f32 (h, w), says how much each pixel belongs to the thing: 0 to 1. "unknown" where none looks like any.
    """
    found = [likeness(crop) for crop in crops]
    alike = np.array([one for one in found if one is not None])
    if not len(alike) or float(alike.mean(0).max()) < _LEAST:
        return "unknown", 0.0
    best = int(alike.mean(0).argmax())
    return SHAPES[best], float((alike.argmax(1) == best).mean())


def likeness(crop: F32) -> F64 | None:
    """Return the correlation of a crop with the most alike of each of `SHAPES`, f64 (7,); None of an empty one."""
    share = np.clip(crop, 0, 1) * (crop > _FOUND)
    area = float(share.sum())
    if area < 8:
        return None
    y, x = np.indices(share.shape, dtype=np.float32)
    middle = np.array([(share * x).sum(), (share * y).sum()]) / area
    scale = sqrt(area / pi) / _RADIUS_PX
    centre = (_GRID_PX - 1) / 2
    to_crop = np.array([[scale, 0, middle[0] - scale * centre], [0, scale, middle[1] - scale * centre]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    if scale > 1.5:  # averaged first: else a large outline would be read at single pixels
        share = cv2.GaussianBlur(share, (0, 0), 0.4 * scale)
    brought = cv2.warpAffine(share.astype(np.float32), to_crop, (_GRID_PX, _GRID_PX), flags=flags)
    bank, numbers = _bank()
    alike = np.einsum("ij,j->i", bank, _normal(brought.ravel()))  # on one thread: too small a product to share
    return np.array([alike[numbers == number].max() for number in range(len(SHAPES))], np.float64)


def _normal(values: npt.NDArray[np.floating]) -> F32:
    values = values - values.mean(-1, keepdims=True)
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1e-9), np.float32)


@cache
def _bank() -> tuple[F32, npt.NDArray[np.int64]]:
    """Return ideal shapes, f32 (n, pixels), of zero mean and unit length, and the number of the shape of each."""
    drawn, numbers = [], []
    for number, shape in enumerate(SHAPES):
        for outline, period in _ideals(shape):
            for turn in np.arange(0, period, _TURN_DEG) if period else (0.0,):
                sharp = _filled(outline, np.radians(turn))
                drawn += [cv2.GaussianBlur(sharp, (0, 0), soft).ravel() for soft in _SOFT_PX]
                numbers += [number] * len(_SOFT_PX)
    return _normal(np.array(drawn)), np.array(numbers)


def _ideals(shape: str) -> Iterator[tuple[list[F64], float]]:
    """Yield outlines of a shape, slimmer and fuller, each with the angle after which it repeats, degrees; 0: always.

    An outline is polygons (n, 2); the second is a hole.
    """
    if shape == "circle":
        yield [_polygon(96)], 0
    elif shape == "ring":
        for hole in (0.3, 0.45, 0.6):
            yield [_polygon(96), hole * _polygon(96)], 0
    elif shape == "triangle":
        for tall in (0.9, 1.0, 1.15):
            yield [_polygon(3) * [1, tall]], 120 if tall == 1.0 else 360
    elif shape == "square":
        yield [_polygon(4)], 90
    elif shape == "diamond":
        for slim in (0.5, 0.6, 0.72):
            yield [_polygon(4) * [slim, 1]], 180
    elif shape == "star":
        for notch in (0.38, 0.46, 0.54):
            points = np.empty((10, 2))
            points[::2], points[1::2] = _polygon(5), -notch * np.roll(_polygon(5), 2, axis=0)
            yield [points], 72
    else:
        for arm in (0.24, 0.32, 0.4):
            corner = np.array([[arm, -1], [arm, -arm], [1, -arm], [1, arm], [arm, arm], [arm, 1]])
            yield [np.concatenate([corner, -corner])], 90


def _polygon(corners: int) -> F64:
    turns = np.arange(corners) * 2 * pi / corners
    return np.stack([np.sin(turns), -np.cos(turns)], axis=1)


def _filled(outline: list[F64], turn: float) -> F32:
    """Return the outline at its angle, of the area of all, f32 (grid, grid): its middle in the middle."""
    c, s = np.cos(turn), np.sin(turn)
    areas = [cv2.contourArea(part.astype(np.float32)) for part in outline]
    scale = _RADIUS_PX * sqrt(pi / (areas[0] - sum(areas[1:])))
    large = np.zeros((_GRID_PX * _FINE, _GRID_PX * _FINE), np.uint8)
    for value, part in zip((1, 0), outline, strict=False):
        turned = part @ np.array([[c, s], [-s, c]]) * scale
        points = (turned + _GRID_PX / 2) * _FINE - 0.5
        cv2.fillPoly(large, [np.rint(points * 16).astype(np.int32)], value, shift=4)
    ideal = cv2.resize(large.astype(np.float32), (_GRID_PX, _GRID_PX), interpolation=cv2.INTER_AREA)
    y, x = np.indices(ideal.shape, dtype=np.float32)
    off = np.array([(ideal * x).sum(), (ideal * y).sum()]) / ideal.sum() - (_GRID_PX - 1) / 2
    centred = np.array([[1, 0, -off[0]], [0, 1, -off[1]]])
    return np.asarray(cv2.warpAffine(ideal, centred, (_GRID_PX, _GRID_PX)), np.float32)
