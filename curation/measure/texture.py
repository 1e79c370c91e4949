"""Sharpness, noise and blockiness of one frame."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt
from typing import Final

import cv2
import numpy as np

from curation.planes import Plane, View, area

__all__ = ["Texture", "measure_texture"]

_REFERENCE_PX: Final = 360
_NOISE_MASK: Final = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


@dataclass(frozen=True, slots=True)
class Texture:
    """Sharpness at a height of 360 px; noise and blockiness in source pixels. See `measure_texture`."""

    laplacian: float
    tenengrad: float
    spatial_information: float
    noise_sigma: float
    blockiness: float


def measure_texture(view: View) -> Texture:
    """Measure one frame.

    `laplacian`: variance of the Laplacian of luma, 0 up, in squared levels (Pech-Pacheco 2000).
    `tenengrad`: mean squared Sobel gradient, 0 up, in squared levels (Tenenbaum 1970).
    `spatial_information`: standard deviation of the Sobel magnitude, 0 up, in levels (ITU-T P.910).
    All three at a height of 360 px, so that sources of any size compare; a smaller source is enlarged, and so is
    as soft as it would look.
    `noise_sigma`: standard deviation of the noise, 0 up, in levels, in source pixels (Immerkaer 1996).
    `blockiness`: mean step across the edges of 8x8 blocks over the mean step elsewhere; 1 is none.
    """
    luma = view.full()[0]
    plane = area(luma, max(1, round(view.width_px * _REFERENCE_PX / view.height_px)), _REFERENCE_PX)
    laplacian = cv2.Laplacian(plane, cv2.CV_16S)
    gx, gy = cv2.spatialGradient(plane)
    magnitude = cv2.magnitude(gx.astype(np.float32), gy.astype(np.float32))
    return Texture(
        laplacian=float(cv2.meanStdDev(laplacian)[1][0][0]) ** 2,
        tenengrad=(float(cv2.norm(gx, cv2.NORM_L2SQR)) + float(cv2.norm(gy, cv2.NORM_L2SQR))) / gx.size,
        spatial_information=float(magnitude.std(dtype=np.float64)),
        noise_sigma=_noise(_middle(luma, 360, 640)),
        blockiness=_blockiness(_middle(luma, 720, 1280)),
    )


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
