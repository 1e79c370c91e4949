"""Optical flow, where it can be believed, and the camera's share of it. Pure functions."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Flow", "Mask", "agree", "camera_model", "camera_residual", "dis_flow", "magnitude", "warp"]

Flow = npt.NDArray[np.float32]
"""Displacement in pixels, shape (H, W, 2), x then y."""
Mask = npt.NDArray[np.bool_]
Plane = npt.NDArray[np.float32]

_GRID_PX = 8
_FEWEST_POINTS = 32


def dis_flow(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> Flow:
    """Dense inverse search flow (Kroeger et al. 2016, fast preset) from `first` to `second`, both u8[H,W]."""
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    return np.asarray(estimator.calc(first, second, None), dtype=np.float32)


def magnitude(flow: Flow) -> Plane:
    """Length of each displacement, pixels."""
    return np.sqrt(_squared(flow))


def warp(picture: npt.NDArray[np.float32], flow: Flow) -> npt.NDArray[np.float32]:
    """Look `picture` up at x + flow(x): brings the second frame of a flow back onto the first."""
    grid = _grid(*flow.shape[:2])
    moved = cv2.remap(picture, grid + flow, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.float32)


def agree(forward: Flow, backward: Flow) -> Mask:
    """Where forward and backward flow cancel: Sundaram, Brox and Keutzer 2010, the occlusion test (their eq. 5).

    Noise, cuts and shuffled frames give flow of any length, but not flow that returns to where it began.
    """
    returned = warp(backward, forward)
    gap = _squared(forward + returned)
    return np.asarray(gap < 0.01 * (_squared(forward) + _squared(returned)) + 0.5, dtype=np.bool_)


def camera_model(flow: Flow, trusted: Mask) -> npt.NDArray[np.float64] | None:
    """Fit the 2x3 affine motion that most of the `trusted` flow follows (RANSAC, 1 px); None where too little is."""
    offset = _GRID_PX // 2
    points = _grid(*flow.shape[:2])[offset::_GRID_PX, offset::_GRID_PX].reshape(-1, 2)
    moves = flow[offset::_GRID_PX, offset::_GRID_PX].reshape(-1, 2)
    chosen = trusted[offset::_GRID_PX, offset::_GRID_PX].reshape(-1)
    if int(chosen.sum()) < _FEWEST_POINTS:
        return None
    model, _ = cv2.estimateAffine2D(points[chosen], points[chosen] + moves[chosen], ransacReprojThreshold=1.0)
    return None if model is None else np.asarray(model, dtype=np.float64)


def camera_residual(flow: Flow, model: npt.NDArray[np.float64]) -> tuple[Flow, Plane]:
    """Return the flow that `model` alone would give, and how far `flow` is from it, pixels."""
    change = (model - np.eye(2, 3)).astype(np.float32)
    camera = np.asarray(_grid(*flow.shape[:2]) @ change[:, :2].T + change[:, 2], dtype=np.float32)
    return camera, magnitude(flow - camera)


def _squared(flow: Flow) -> Plane:
    return np.asarray(flow[..., 0] * flow[..., 0] + flow[..., 1] * flow[..., 1], dtype=np.float32)


@lru_cache(maxsize=8)
def _grid(height: int, width: int) -> npt.NDArray[np.float32]:
    rows, columns = np.indices((height, width), dtype=np.float32)
    grid = np.stack([columns, rows], axis=-1)
    grid.setflags(write=False)
    return grid
