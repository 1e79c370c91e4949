"""Optical flow of sampled frame pairs, and what it says of motion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from curation.measure.camera import THIN, Camera, fit_camera
from curation.measure.crop import Crop
from curation.planes import Plane, View

__all__ = ["CELL_PX", "REFERENCE_PX", "SMALLEST_PX", "Flow", "FlowMeter", "Motion", "Pair"]

REFERENCE_PX: Final = 360
"""Speeds are given in pixels of a picture this high."""
SMALLEST_PX: Final = 16
"""A picture with a side shorter than this has no flow measured."""
_SHORTEST_S: Final = 0.055
_LONGEST_S: Final = 0.25
_TARGET_PX: Final = 2.0
_MOVING_PX_PER_S: Final = 6.0
_STILL_PX_PER_S: Final = 4.0
_LEAST_STILL: Final = 0.05
_EDGE: Final = 24.0
CELL_PX: Final = 8
"""Side of the cells in which edges that keep still are looked for, in pixels of the small plane."""


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """What one pair says, at every fourth row and column of the small plane; speeds in px/s at `REFERENCE_PX`.

    `speed` (h, w) is the flow's size, `rest` that of what the camera's motion leaves of it (None where no camera was
    found), `change` (h, w) the absolute change from the first frame to the one after it, in levels (None where that
    was not decoded). `still_edges` are
    cells of 8x8 px that hold an edge and do not move where the camera's motion would move them; none in a picture that
    keeps still as a whole.
    """

    first: int
    last: int
    camera: Camera | None
    speed: npt.NDArray[np.float32]
    rest: npt.NDArray[np.float32] | None
    change: Plane | None
    still_edges: npt.NDArray[np.bool_] | None

    def inside(self, crop: Crop) -> Motion:
        """Measure the part of the picture within `crop`."""
        part = crop.inside(self.speed.shape)
        speed = self.speed[part]
        still = speed < _STILL_PX_PER_S
        flickers = bool(still.mean() > _LEAST_STILL)
        return Motion(
            mean=float(speed.mean()),
            moving_fraction=float((speed > _MOVING_PX_PER_S).mean()),
            object_motion=None if self.rest is None else float(self.rest[part].mean()),
            flicker=float(self.change[part][still].mean()) if self.change is not None and flickers else None,
        )


@dataclass(frozen=True, slots=True)
class Motion:
    """The motion within a crop. `flicker`, in levels, is None where nothing keeps still, or the next frame lacks."""

    mean: float
    moving_fraction: float
    object_motion: float | None
    flicker: float | None


class Pair:
    """A pair of frames to be: from its first frame on, it waits for the last.

    Its time is short where things move fast and long where they are slow, so that the flow is a few pixels either way,
    and its error small against it. How far things have gone is guessed from the difference of the pictures over their
    slopes; so the pair depends on its own frames alone.
    """

    def __init__(self, start: View) -> None:
        self.index = start.index
        self.time_s = start.time_s
        self.y = start.y
        self.following: Plane | None = None
        self._slope: float | None = None

    def complete(self, view: View) -> bool:
        """Take the next frame; return whether the pair ends with it."""
        if view.index == self.index + 1:
            self.following = view.y
        seconds = view.time_s - self.time_s
        if seconds + 1e-9 < _SHORTEST_S:
            return False
        return seconds + 1e-9 >= _LONGEST_S or self._gone_px(view.y) >= _TARGET_PX

    def _gone_px(self, now: Plane) -> float:
        y = self.y
        if self._slope is None:
            across = cv2.norm(y[:, 1:], y[:, :-1], cv2.NORM_L1) + cv2.norm(y[1:], y[:-1], cv2.NORM_L1)
            self._slope = float(across) / y.size
        return float(cv2.norm(y, now, cv2.NORM_L1)) / y.size / max(self._slope, 0.5)


class FlowMeter:
    """Dense inverse search flow (Kroeger et al. 2016, OpenCV's DIS) on the small luma planes."""

    def __init__(self) -> None:
        # The finest scale is a quarter of the plane: half a millisecond at 320x180; a finer one costs four times that.
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def field(self, before: Plane, after: Plane) -> npt.NDArray[np.float32]:
        """Return the flow (H, W, 2) in pixels, x then y, from `before` to `after`: at least 16 px either way."""
        self._dis.setFinestScale(2 if min(before.shape) >= 96 else 1 if min(before.shape) >= 48 else 0)
        return np.asarray(self._dis.calc(before, after, None), np.float32)

    def measure(self, pair: Pair, last: View) -> Flow:
        """Measure a pair that is complete with the frame `last`."""
        before, after = pair.y, last.y
        seconds = last.time_s - pair.time_s
        field = np.ascontiguousarray(self.field(before, after)[THIN, THIN])
        per_s = REFERENCE_PX / before.shape[0] / seconds
        speed = cv2.magnitude(field[..., 0], field[..., 1])
        fit = fit_camera(before, after, field, seconds)
        rest, model_speed = None, speed
        if fit is not None:
            rest = cv2.magnitude(*cv2.split(field - fit[1])) * per_s
            model_speed = cv2.magnitude(*cv2.split(fit[1]))
        moves = float((speed * per_s > _MOVING_PX_PER_S).mean()) > 0.5
        return Flow(
            first=pair.index,
            last=last.index,
            camera=fit[0] if fit is not None else None,
            speed=speed * per_s,
            rest=rest,
            change=None if pair.following is None else cv2.absdiff(before, pair.following)[THIN, THIN],
            still_edges=_still_edges(before, after, model_speed * per_s) if moves else None,
        )


def _still_edges(before: Plane, after: Plane, expected: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_] | None:
    """Return which cells of 8x8 px hold an edge and keep still where the camera's motion would move them.

    `expected` is the speed, in px/s, that the camera's motion gives: the middle of a zoom keeps still by itself.
    """
    rows, columns = before.shape[0] // CELL_PX, before.shape[1] // CELL_PX
    if rows == 0 or columns == 0:
        return None
    size = (columns, rows)
    box = slice(0, rows * CELL_PX), slice(0, columns * CELL_PX)
    kernel = np.ones((3, 3), np.uint8)
    edges = cv2.morphologyEx(before[box], cv2.MORPH_GRADIENT, kernel)
    edge = cv2.resize(edges, size, interpolation=cv2.INTER_AREA)
    change = cv2.resize(cv2.absdiff(before[box], after[box]), size, interpolation=cv2.INTER_AREA)
    speed = cv2.resize(expected, size, interpolation=cv2.INTER_AREA)
    kept: npt.NDArray[np.bool_] = (edge > _EDGE) & (change <= 3) & (speed > _MOVING_PX_PER_S)
    return kept
