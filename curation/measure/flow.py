"""Optical flow of sampled frame pairs, and what it says of motion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from curation.measure.camera import THIN, Camera, fit_camera
from curation.planes import Plane

__all__ = ["REFERENCE_PX", "SMALLEST_PX", "Flow", "FlowMeter"]

REFERENCE_PX: Final = 360
"""Speeds are given in pixels of a picture this high."""
SMALLEST_PX: Final = 16
"""A picture with a side shorter than this has no flow measured."""
_SHORTEST_S: Final = 0.055
_LONGEST_S: Final = 0.25
_TARGET_PX: Final = 4.0
_MOVING_PX_PER_S: Final = 6.0
_STILL_PX_PER_S: Final = 4.0
_EDGE: Final = 24.0
_CELL: Final = 8


@dataclass(frozen=True, slots=True)
class Flow:
    """What one pair of frames says. Speeds are in px/s at `REFERENCE_PX`.

    `flicker` is None where no part of the picture keeps still. `still_edges` is a bitmap of 8x8-pixel cells that
    hold an edge and do not move, packed, `cells` their number; `moves` says whether most of the picture does.
    """

    first: int
    last: int
    mean: float
    moving_fraction: float
    object_motion: float | None
    camera: Camera | None
    flicker: float | None
    still_edges: bytes
    cells: int
    moves: bool


class FlowMeter:
    """Dense inverse search flow (Kroeger et al. 2016, OpenCV's DIS) on the small luma planes.

    `baseline_s` is the time that the next pair should span: short where things move fast, longer where they are
    slow, so that the flow is a few pixels either way and its error small against it.
    """

    def __init__(self) -> None:
        # The finest scale is a quarter of the plane: half a millisecond at 320x180; a finer one costs four times that.
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self.baseline_s = _SHORTEST_S

    def field(self, before: Plane, after: Plane) -> npt.NDArray[np.float32]:
        """Return the flow (H, W, 2) in pixels, x then y, from `before` to `after`: at least 16 px either way."""
        self._dis.setFinestScale(2 if min(before.shape) >= 96 else 1 if min(before.shape) >= 48 else 0)
        return np.asarray(self._dis.calc(before, after, None), np.float32)

    def measure(self, first: int, last: int, planes: tuple[Plane, Plane, Plane], seconds: float) -> Flow:
        """Measure one pair: `planes` are those of frame `first`, of the frame after it, and of frame `last`."""
        before, following, after = planes
        field = np.ascontiguousarray(self.field(before, after)[THIN, THIN])
        per_s = REFERENCE_PX / before.shape[0] / seconds
        speed = cv2.magnitude(field[..., 0], field[..., 1])
        fast_px = float(np.percentile(speed, 75))
        self.baseline_s = min(max(_TARGET_PX / max(fast_px / seconds, 1e-3), _SHORTEST_S), _LONGEST_S)
        fit = fit_camera(before, after, field, seconds)
        left, model_speed = None, speed
        if fit is not None:
            model = fit[1]
            rest = field - model
            left = float(cv2.magnitude(rest[..., 0], rest[..., 1]).mean()) * per_s
            model_speed = cv2.magnitude(model[..., 0], model[..., 1])
        still = speed * per_s < _STILL_PX_PER_S
        moving = float((speed * per_s > _MOVING_PX_PER_S).mean())
        change = cv2.absdiff(before, following)[THIN, THIN][still]
        return Flow(
            first=first,
            last=last,
            mean=float(speed.mean()) * per_s,
            moving_fraction=moving,
            object_motion=left,
            camera=fit[0] if fit is not None else None,
            flicker=float(change.mean()) if still.mean() > 0.05 else None,
            still_edges=_still_edges(before, after, model_speed * per_s),
            cells=max(1, (before.shape[0] // _CELL) * (before.shape[1] // _CELL)),
            moves=moving > 0.5,
        )


def _still_edges(before: Plane, after: Plane, expected: npt.NDArray[np.float32]) -> bytes:
    """Return, packed, which cells of 8x8 px hold an edge and keep still where the camera's motion would move them.

    `expected` is the speed, in px/s, that the camera's motion gives: the middle of a zoom keeps still by itself.
    """
    rows, columns = before.shape[0] // _CELL, before.shape[1] // _CELL
    if rows == 0 or columns == 0:
        return b""
    size = (columns, rows)
    box = slice(0, rows * _CELL), slice(0, columns * _CELL)
    kernel = np.ones((3, 3), np.uint8)
    edges = cv2.morphologyEx(before[box], cv2.MORPH_GRADIENT, kernel)
    edge = cv2.resize(edges, size, interpolation=cv2.INTER_AREA)
    change = cv2.resize(cv2.absdiff(before[box], after[box]), size, interpolation=cv2.INTER_AREA)
    speed = cv2.resize(expected, size, interpolation=cv2.INTER_AREA)
    return np.packbits((edge > _EDGE) & (change <= 3) & (speed > _MOVING_PX_PER_S)).tobytes()
