"""How much one frame differs from the one before: the numbers that the cheap detectors share."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from curation.planes import Plane, View

__all__ = ["CHROMA_WEIGHT", "LEAST_CUT", "change_score", "histogram", "histogram_distance", "mean_difference"]

CHROMA_WEIGHT: Final = 1.5
"""Chroma spans fewer levels than luma; with this weight both count about equally on ordinary footage."""
LEAST_CUT: Final = 5.0
"""A smaller change score from one frame to the next is no hard cut, whatever else speaks for one."""


def mean_difference(a: Plane, b: Plane) -> float:
    """Return the mean absolute difference of two planes, in 8-bit levels."""
    return float(cv2.norm(a, b, cv2.NORM_L1)) / a.size


def change_score(before: View, after: View) -> float:
    """Return the content change between two frames, 0 to 255: luma and chroma differences, weighted.

    After PySceneDetect's ContentDetector, which averages the differences of hue, saturation and value; luma and
    the two chroma planes say the same of a YUV stream without a conversion. Known already, it is not computed again.
    """
    if after.change is not None:
        return after.change
    luma = mean_difference(before.y, after.y)
    chroma = (mean_difference(before.u, after.u) + mean_difference(before.v, after.v)) / 2
    return (luma + CHROMA_WEIGHT * chroma) / (1 + CHROMA_WEIGHT / 2)


def histogram(view: View) -> npt.NDArray[np.float32]:
    """Return the frame's colour histogram: 32 luma bins and 16 of each chroma, each part summing to 1."""
    parts = [
        cv2.calcHist([plane], [0], None, [bins], [0, 256]).ravel() / plane.size
        for plane, bins in ((view.y, 32), (view.u, 16), (view.v, 16))
    ]
    return np.concatenate(parts).astype(np.float32)


def histogram_distance(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Return half the L1 distance of two histograms, mean over their three parts: 0 the same, 1 disjoint."""
    return float(np.abs(a - b).sum()) / 6
