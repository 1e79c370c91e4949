"""The camera's own motion: a robust similarity fitted to the flow, and the name of what it does over a clip.

Conventions are the schema's. A camera that pans right makes the picture move left. Components of one pair are all
brought to picture heights per second, so that a pan, a zoom and a roll can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import atan2, degrees, hypot, log2, radians
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from curation.planes import Plane

__all__ = ["Camera", "classify", "fit_camera"]

_STRIDE: Final = 6
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
    before: Plane, field: npt.NDArray[np.float32], seconds: float
) -> tuple[Camera, npt.NDArray[np.float32]] | None:
    """Fit a similarity (4 parameters, RANSAC then least squares) to `field` where the picture has texture.

    Returns the camera and the flow (H, W, 2) that it alone would give, or None where no motion is shared by enough
    of the picture.
    """
    height, width = before.shape
    rows, columns = np.mgrid[_STRIDE // 2 : height : _STRIDE, _STRIDE // 2 : width : _STRIDE]
    texture = cv2.absdiff(cv2.dilate(before, np.ones((5, 5))), cv2.erode(before, np.ones((5, 5))))[rows, columns]
    chosen = texture > 12
    if int(chosen.sum()) < _MIN_POINTS:
        return None
    centre = np.array([(width - 1) / 2, (height - 1) / 2], np.float32)
    source = np.stack([columns[chosen], rows[chosen]], axis=1).astype(np.float32) - centre
    target = source + field[rows[chosen], columns[chosen]]
    tolerance = 0.25 + 0.05 * float(np.median(np.abs(target - source).sum(axis=1)))
    matrix, kept = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=tolerance, maxIters=200, confidence=0.99
    )
    if matrix is None or kept is None or float(kept.mean()) < _MIN_INLIERS:
        return None
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
    return camera, _model_flow(matrix, height, width)


def _model_flow(matrix: npt.NDArray[np.float64], height: int, width: int) -> npt.NDArray[np.float32]:
    x = np.arange(width, dtype=np.float32) - (width - 1) / 2
    y = (np.arange(height, dtype=np.float32) - (height - 1) / 2)[:, None]
    m = matrix.astype(np.float32)
    flow = np.empty((height, width, 2), np.float32)
    flow[..., 0] = (m[0, 0] - 1) * x + m[0, 1] * y + m[0, 2]
    flow[..., 1] = m[1, 0] * x + (m[1, 1] - 1) * y + m[1, 2]
    return flow


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

    The name is of the mean velocity. Where the pairs move but point different ways, so that the mean is small
    against their sizes, the camera is handheld; the share then is that of the pairs that move.
    """
    if not cameras:
        return None
    each = np.array([c.components for c in cameras])
    sizes = np.linalg.norm(each, axis=1)
    mean = each.mean(axis=0)
    if float(np.median(sizes)) < _STATIC:
        return "static", float((sizes < _STATIC).mean())
    if float(np.linalg.norm(mean)) < _COHERENT * float(sizes.mean()):
        return "handheld", float((sizes >= _STATIC).mean())
    name = _name(list(mean))
    return name, float(np.mean([_name(list(row)) == name for row in each]))
