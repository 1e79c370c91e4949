"""Optical flow of sampled frame pairs, and what it says of motion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from curation.measure.camera import Camera, fit_camera
from curation.planes import Plane

__all__ = ["BASELINE_S", "REFERENCE_PX", "Flow", "FlowMeter"]

REFERENCE_PX: Final = 360
"""Speeds are given in pixels of a picture this high."""
BASELINE_S: Final = 0.055
"""Shortest time between the two frames of a pair: long enough that compression noise is small against motion."""
_MOVING_PX_PER_S: Final = 6.0
_STILL_PX: Final = 0.35
_EDGE: Final = 24.0
_GRID: Final = 8


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
    """Dense inverse search flow (Kroeger et al. 2016, OpenCV's DIS) on the small luma planes."""

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._dis.setFinestScale(1)

    def field(self, before: Plane, after: Plane) -> npt.NDArray[np.float32]:
        """Return the flow (H, W, 2) in pixels, x then y, from `before` to `after`."""
        if min(before.shape) < 16:
            return np.zeros((*before.shape, 2), np.float32)
        return np.asarray(self._dis.calc(before, after, None), np.float32)

    def measure(self, first: int, last: int, planes: tuple[Plane, Plane, Plane], seconds: float) -> Flow:
        """Measure one pair: `planes` are those of frame `first`, of the frame after it, and of frame `last`."""
        before, following, after = planes
        field = self.field(before, after)
        per_s = REFERENCE_PX / before.shape[0] / seconds
        speed = np.sqrt(field[..., 0] ** 2 + field[..., 1] ** 2)
        fit = fit_camera(before, field, seconds)
        left = None
        if fit is not None:
            _, model = fit
            rest = field - model
            left = float(np.sqrt(rest[..., 0] ** 2 + rest[..., 1] ** 2).mean()) * per_s
        still = speed < _STILL_PX
        moving = float((speed * per_s > _MOVING_PX_PER_S).mean())
        return Flow(
            first=first,
            last=last,
            mean=float(speed.mean()) * per_s,
            moving_fraction=moving,
            object_motion=left,
            camera=fit[0] if fit is not None else None,
            flicker=float(cv2.absdiff(before, following)[still].mean()) if still.mean() > 0.05 else None,
            still_edges=_still_edges(before, after),
            cells=max(1, (before.shape[0] // _GRID) * (before.shape[1] // _GRID)),
            moves=moving > 0.5,
        )


def _still_edges(before: Plane, after: Plane) -> bytes:
    """Return, packed, which cells of 8x8 px hold an edge and the same picture in both frames."""
    rows, columns = before.shape[0] // _GRID, before.shape[1] // _GRID
    if rows == 0 or columns == 0:
        return b""
    size = (columns, rows)
    box = slice(0, rows * _GRID), slice(0, columns * _GRID)
    edges = cv2.absdiff(cv2.dilate(before[box], np.ones((3, 3))), cv2.erode(before[box], np.ones((3, 3))))
    edge = cv2.resize(edges, size, interpolation=cv2.INTER_AREA)
    change = cv2.resize(cv2.absdiff(before[box], after[box]), size, interpolation=cv2.INTER_AREA)
    return np.packbits((edge > _EDGE) & (change <= 3)).tobytes()
