"""The camera's own motion: a robust similarity fitted to the flow, and the name of what it does over a clip.

Conventions are the schema's. A camera that pans right makes the picture move left. Components of one pair are all
brought to picture heights per second, so that a pan, a zoom and a roll can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import atan2, degrees, hypot, log2, radians
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from curation.planes import Plane, halve

__all__ = ["THIN", "Camera", "classify", "fit_camera"]

THIN: Final = slice(2, None, 4)
"""The rows and columns at which the flow is read: DIS interpolates between them anyway."""
_TEXTURE: Final = 12.0
_LEAST_TEXTURE: Final = 3.0
_MAX_POINTS: Final = 600
_ROUNDS: Final = 2
_OUTSIDE: Final = -1e4
_DAMPING: Final = 1e-3 * np.eye(4, dtype=np.float32)
_STILL_PX: Final = 0.3
_MIN_POINTS: Final = 24
_MIN_INLIERS: Final = 0.35
_STATIC: Final = 0.012
"""Heights per second under which a camera stands still: 4 px/s at 360 px."""
_COHERENT: Final = 0.55
_LN2: Final = 0.6931472


@dataclass(frozen=True, slots=True)
class Camera:
    """The camera's velocity during one pair of frames; `inliers` is the share of the picture that follows it.

    `dx`, `dy` are frame widths and heights per second to the right and downwards, `zoom` is log2 of the scale per
    second, positive inwards, `roll_deg` clockwise degrees per second; `aspect` is width over height.
    """

    dx: float
    dy: float
    zoom: float
    roll_deg: float
    inliers: float
    aspect: float

    @property
    def components(self) -> tuple[float, float, float, float]:
        """Pan, tilt, zoom and roll as heights per second: the last two as seen half-way to the corners."""
        reach = hypot(self.aspect, 1.0) / 4
        return self.dx * self.aspect, self.dy, self.zoom * _LN2 * reach, radians(self.roll_deg) * reach


def fit_camera(
    before: Plane,
    after: Plane,
    field: npt.NDArray[np.float32],
    seconds: float,
) -> tuple[Camera, npt.NDArray[np.float32]] | None:
    """Fit a similarity (4 parameters, RANSAC then least squares) to the flow where the picture has texture.

    `field` (h, w, 2) is the flow at every fourth row and column, `THIN`. Returns the camera and the flow (h, w, 2) that
    it alone would give, or None where no motion is shared by enough of the picture.
    """
    height, width = before.shape
    texture = cv2.morphologyEx(before, cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8))[THIN, THIN]
    chosen = texture > min(_TEXTURE, max(float(np.median(texture)), _LEAST_TEXTURE))
    if int(chosen.sum()) < _MIN_POINTS:
        return None
    points = _points(height, width)
    thin = max(1, int(chosen.sum()) // _MAX_POINTS)
    source = np.ascontiguousarray(points[chosen][::thin])
    target = np.ascontiguousarray(source + field[chosen][::thin])
    tolerance = 0.25 + 0.05 * float(np.median(np.abs(target - source).sum(axis=1)))
    matrix, kept = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=tolerance, maxIters=200, confidence=0.99
    )
    if matrix is None or kept is None or float(kept.mean()) < _MIN_INLIERS:
        return None
    # What the flow falls short of, it falls short of everywhere: what is left of it is taken from its own fit.
    linear = np.asarray(matrix[:, :2] - np.eye(2), np.float32)
    model = np.asarray(points @ linear.T + np.asarray(matrix[:, 2], np.float32), np.float32)
    apart = cv2.magnitude(*cv2.split(np.ascontiguousarray(field - model)))
    matrix = _refine(before, after, np.asarray(matrix, np.float64), apart <= 2 * tolerance)
    a, b = float(matrix[0, 0]), float(matrix[1, 0])
    scale = hypot(a, b)
    if not 0.25 < scale < 4:
        return None
    camera = Camera(
        dx=-float(matrix[0, 2]) / width / seconds,
        dy=-float(matrix[1, 2]) / height / seconds,
        zoom=log2(scale) / seconds,
        roll_deg=-degrees(atan2(b, a)) / seconds,
        inliers=float(kept.mean()),
        aspect=width / height,
    )
    return camera, model


@lru_cache(maxsize=8)
def _points(height: int, width: int) -> npt.NDArray[np.float32]:
    """Return where `THIN` samples a picture, from its centre: float32, (h, w, 2), x then y."""
    x, y = np.meshgrid(np.arange(width)[THIN] - (width - 1) / 2, np.arange(height)[THIN] - (height - 1) / 2)
    return np.stack([x, y], axis=-1).astype(np.float32)


def _refine(
    before: Plane, after: Plane, matrix: npt.NDArray[np.float64], follows: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Improve a similarity by aligning the pictures themselves: Lucas-Kanade over the whole of them, at half size.

    The flow is smoothed and so falls short of slow zooms and rolls by a tenth; this takes the error under 2%.
    Only those parts count whose flow `follows` (h, w) the matrix; of them, pixels that disagree weigh less (Cauchy).
    """
    corner = np.abs(matrix[:, :2] - np.eye(2)) @ np.array(before.shape[::-1]) / 2 + np.abs(matrix[:, 2])
    if min(before.shape) < 32 or corner.max() < _STILL_PX:
        return matrix
    first, second = halve(before).astype(np.float32), halve(after).astype(np.float32)
    height, width = first.shape
    x = np.broadcast_to(np.arange(width, dtype=np.float32) - (width - 1) / 2, first.shape)
    y = np.broadcast_to((np.arange(height, dtype=np.float32) - (height - 1) / 2)[:, None], first.shape)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    counts = cv2.resize(follows.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    found = matrix.copy()
    found[:, 2] /= 2
    for _ in range(_ROUNDS):
        shift = found[:, 2] + centre - found[:, :2] @ centre
        moved = cv2.warpAffine(
            second,
            np.hstack([found[:, :2], shift[:, None]]),
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=_OUTSIDE,
        )
        inside = counts & (cv2.erode(moved, np.ones((3, 3), np.uint8)) >= 0)
        share = float(inside.mean())
        if share < 0.15:
            return matrix
        gx, gy = (cv2.Sobel(moved, cv2.CV_32F, dx, 1 - dx, scale=1 / 8) for dx in (1, 0))
        error = first - moved
        spread = float(np.abs(error[inside]).mean()) + 0.5
        weight = inside / (1 + (error / (2.5 * spread)) ** 2)
        slopes = np.stack([gx * x + gy * y, gy * x - gx * y, gx, gy]).reshape(4, -1)
        weighted = slopes * weight.ravel()
        # Damped: a picture with slopes one way only says nothing of the other.
        step = np.linalg.solve(weighted @ slopes.T + _DAMPING, weighted @ error.ravel())
        found[0, 0] = found[1, 1] = found[0, 0] + step[0]
        found[1, 0] += step[1]
        found[0, 1] = -found[1, 0]
        found[:, 2] += step[2:]
    found[:, 2] *= 2
    return found if _near(found, matrix, width, height) else matrix


def _near(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], width: int, height: int) -> bool:
    """Return whether two similarities move every corner to within two pixels of each other, or a fifth of the way."""
    corners = np.array([[x, y, 1.0] for x in (-width, width) for y in (-height, height)]).T
    gone = np.abs(b @ corners - corners[:2]).max()
    return bool(np.abs((a - b) @ corners).max() < 2 + 0.2 * gone)


_NAMES: Final = (
    ("pan left", "pan right"),
    ("tilt up", "tilt down"),
    ("zoom out", "zoom in"),
    ("roll left", "roll right"),
)


def _name(components: Sequence[float]) -> str:
    """Name the greatest component; static when all are small."""
    sizes = [abs(c) for c in components]
    if hypot(*sizes) < _STATIC:
        return "static"
    greatest = int(np.argmax(sizes))
    return _NAMES[greatest][int(components[greatest] > 0)]


def classify(cameras: Sequence[Camera]) -> tuple[str, float] | None:
    """Name what the camera does over a clip, and the share of its pairs that agree; None without pairs.

    The name is of the median velocity, by component. Where the pairs move but point different ways, so that it is
    small against their sizes, the camera is handheld; the share then is that of the pairs that move.
    """
    if not cameras:
        return None
    each = np.array([c.components for c in cameras])
    sizes = np.linalg.norm(each, axis=1)
    usual = np.median(each, axis=0)
    if float(np.median(sizes)) < _STATIC:
        return "static", float((sizes < _STATIC).mean())
    if float(np.linalg.norm(usual)) < _COHERENT * float(np.median(sizes)):
        return "handheld", float((sizes >= _STATIC).mean())
    name = _name(list(usual))
    return name, float(np.mean([_name(list(row)) == name for row in each]))
