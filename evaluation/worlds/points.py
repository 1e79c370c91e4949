"""Points of a background, followed over a few frames, there and back again; and the camera that they tell of."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Tracks", "flat_camera", "follow"]

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_READ_HEIGHT: Final = 192
"""Smaller pictures are enlarged to about that."""
_POINTS: Final = 90
_GAP: Final = 4
_PAIRS: Final = 6
_RETURN_PX: Final = 0.35
"""How far from where it set out a point may come back to, pixels of the picture."""
_LEAST: Final = 12
_SHIFT, _ZOOM, _ROLL = 0.02, 0.04, 1.5
"""Least motion by the end that counts: heights, octaves, degrees."""


@dataclass(frozen=True, slots=True)
class Tracks:
    """Points in two frames each: numbers of the frames (N,), and places (N, 2) from the picture's middle.

    Places are in shorter sides of the picture.
    """

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    start: F64
    end: F64

    @property
    def per_frame(self) -> float:
        """How far a point moves in a frame: the median."""
        return float(np.median(np.hypot(*(self.end - self.start).T) / (self.second - self.first)))


def follow(frames: U8, free: Mask) -> Tracks | None:
    """Follow points of a video, u8 (F, H, W, 3), where `free` (F, H, W); None where there are hardly any."""
    height, width = frames.shape[1:3]
    scale = max(1, round(_READ_HEIGHT / min(height, width)))
    grey = [cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
            for frame in frames]  # fmt: skip
    gap, found = max(1, min(_GAP, len(frames) // 3)), []
    for first in range(0, len(frames) - gap, max(1, (len(frames) - gap) // _PAIRS)):
        open_ = cv2.erode(free[first].astype(np.uint8), np.ones((5, 5), np.uint8))
        mask = cv2.resize(open_, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
        points = cv2.goodFeaturesToTrack(grey[first], _POINTS, 0.02, 3 * scale, mask=mask)
        if points is None:
            continue
        there, seen = _through(grey[first : first + gap + 1], points)
        back, seen_back = _through(grey[first : first + gap + 1][::-1], there)
        good = seen & seen_back & (np.hypot(*(back - points)[:, 0].T) < _RETURN_PX * scale)
        pair = np.concatenate([points[good, 0], there[good, 0]], axis=1)
        found.append(np.column_stack([np.full(len(pair), first), np.full(len(pair), first + gap), pair]))
    rows = np.concatenate(found) if found else np.zeros((0, 6))
    if len(rows) < _LEAST:
        return None
    middle = np.array([width * scale / 2 - 0.5, height * scale / 2 - 0.5])
    unit = min(height, width) * scale
    places = (rows[:, 2:] - np.tile(middle, 2)) / unit
    return Tracks(rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64), places[:, :2], places[:, 2:])


def _through(grey: list[U8], points: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], Mask]:
    """Return where points (N, 1, 2) of the first picture are in the last, and which were seen all the way."""
    seen = np.ones(len(points), bool)
    for one, other in pairwise(grey):
        points, status, _ = cv2.calcOpticalFlowPyrLK(one, other, points, None, winSize=(21, 21), maxLevel=3)
        seen &= status[:, 0] > 0
    return points, seen


def flat_camera(tracks: Tracks | None, frames: int) -> tuple[str, float]:
    """Return the motion of a camera over a flat background, a value of `clips.camera_motion`, and how sure it is.

    The points of each pair of frames give one similarity, by RANSAC; confidence is the share of points that agree.
    """
    if tracks is None or frames < 2:
        return "static", 0.0
    steps, agree = [], []
    for first in np.unique(tracks.first):
        own = tracks.first == first
        if own.sum() < 4:
            continue
        cv2.setRNGSeed(0)
        start, end = tracks.start[own] * 1000, tracks.end[own] * 1000
        matrix, inliers = cv2.estimateAffinePartial2D(start, end, ransacReprojThreshold=3.0)
        if matrix is not None:
            gap = float(tracks.second[own][0] - first)
            zoom = np.log2(max(float(np.hypot(matrix[0, 0], matrix[1, 0])), 1e-6))
            roll = np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))
            steps.append(np.array([matrix[0, 2] / 1000, matrix[1, 2] / 1000, zoom, roll]) / gap)
            agree.append(float(inliers.mean()))
    if not steps:
        return "static", 0.0
    x, y, zoom, roll = np.median(steps, axis=0) * (frames - 1)
    # What the picture does, the camera does the other way; a picture that grows is a camera that zooms in.
    strengths = {
        ("pan left", "pan right"): x / _SHIFT, ("tilt up", "tilt down"): y / _SHIFT,
        ("zoom in", "zoom out"): zoom / _ZOOM, ("roll left", "roll right"): roll / _ROLL,
    }  # fmt: skip
    names, strength = max(strengths.items(), key=lambda item: abs(item[1]))
    return ("static" if abs(strength) < 1 else names[0] if strength > 0 else names[1]), float(np.mean(agree))
