"""Sharpness, noise and blockiness of one frame."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt
from typing import Final

import cv2
import numpy as np

from curation.planes import Plane, area

__all__ = ["Sharpness", "measure_blockiness", "measure_noise", "measure_sharpness", "reference_luma"]

_REFERENCE_PX: Final = 360
_WIDEST: Final = 8
"""Heights: a picture that is wider is a strip, whose enlargement would have no end."""
_NOISE_MASK: Final = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


@dataclass(frozen=True, slots=True)
class Sharpness:
    """See `measure_sharpness`."""

    laplacian: float
    tenengrad: float
    spatial_information: float


def reference_luma(luma: Plane) -> Plane:
    """Return the luma at a height of 360 px, where sharpness is measured; of a strip, its middle."""
    height, width = luma.shape
    most = max(1, _WIDEST * height)
    first = max(0, width - most) // 2
    luma = luma[:, first : first + most]
    return area(luma, max(1, round(luma.shape[1] * _REFERENCE_PX / height)), _REFERENCE_PX)


def measure_sharpness(plane: Plane) -> Sharpness:
    """Measure luma that is, or is a part of, a picture 360 px high.

    So sources of any size compare; a smaller source is enlarged, and so is as soft as it would look.
    `laplacian`: variance of the Laplacian, 0 up, in squared levels (Pech-Pacheco 2000).
    `tenengrad`: mean squared Sobel gradient, 0 up, in squared levels (Tenenbaum 1970).
    `spatial_information`: standard deviation of the Sobel magnitude, 0 up, in levels (ITU-T P.910).
    """
    plane = np.ascontiguousarray(plane)
    laplacian = cv2.Laplacian(plane, cv2.CV_16S)
    gx, gy = cv2.spatialGradient(plane)
    tenengrad = (float(cv2.norm(gx, cv2.NORM_L2SQR)) + float(cv2.norm(gy, cv2.NORM_L2SQR))) / gx.size
    mean = float(cv2.mean(cv2.magnitude(gx.astype(np.float32), gy.astype(np.float32)))[0])
    return Sharpness(
        laplacian=float(cv2.meanStdDev(laplacian)[1][0][0]) ** 2,
        tenengrad=tenengrad,
        spatial_information=sqrt(max(0.0, tenengrad - mean * mean)),
    )


def measure_noise(luma: Plane) -> float:
    """Return the standard deviation of the noise, 0 up, in levels, in source pixels (Immerkaer 1996).

    Of the picture's middle, 640x360 px at most: black borders hardly reach it.
    """
    return _noise(_middle(luma, 360, 640))


def measure_blockiness(luma: Plane) -> float:
    """Return the mean step across the edges of 8x8 blocks over the mean step elsewhere; 1 is none.

    Of the picture's middle, 640x360 px at most: black borders hardly reach it.
    """
    return _blockiness(_middle(luma, 360, 640))


def _middle(plane: Plane, height: int, width: int) -> Plane:
    """Return the middle of the plane, at most that large, its corner on the grid of 8 px."""
    top = max(0, plane.shape[0] - height) // 2 // 8 * 8
    left = max(0, plane.shape[1] - width) // 2 // 8 * 8
    return plane[top : top + height, left : left + width]


def _noise(plane: Plane) -> float:
    if min(plane.shape) < 3:
        return 0.0
    response = cv2.filter2D(plane, cv2.CV_16S, _NOISE_MASK)[1:-1, 1:-1]
    total = float(cv2.norm(response, cv2.NORM_L1))
    return total * sqrt(pi / 2) / 6 / int(response.size)


def _blockiness(plane: Plane) -> float:
    ratios = []
    for first, second, axis in ((plane[:, 1:], plane[:, :-1], 0), (plane[1:], plane[:-1], 1)):
        if plane.shape[1 - axis] < 24:
            continue
        steps = cv2.reduce(cv2.absdiff(first, second), axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
        mean = steps / first.shape[axis]
        edge = np.arange(mean.size) % 8 == 7
        # The small constant keeps a flat picture, which has steps nowhere, at 1.
        ratios.append((float(mean[edge].mean()) + 0.05) / (float(mean[~edge].mean()) + 0.05))
    return float(np.mean(ratios)) if ratios else 1.0
