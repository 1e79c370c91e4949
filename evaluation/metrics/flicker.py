"""Whether what stands still keeps its brightness."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from evaluation.flow import agree, camera_model, camera_residual, warp
from evaluation.metrics.base import Metric, Missing
from evaluation.view import View

__all__ = ["METRIC", "flicker"]

_BLOCK_PX: Final = 8
_STILL_PX: Final = 0.5
_FULL_BLOCK: Final = 0.75
_FEWEST_BLOCKS: Final = 0.05


def flicker(view: View) -> float | Missing:
    """Mean change of brightness, from one frame to the next, of the parts of the scene that stand still.

    Still is what follows the camera: flow that agrees both ways and lies within 0.5 px of one affine model of
    the pair. The next frame is brought back along that model, and 8 x 8 px block means are compared, so that
    neither a pan nor the resampling it needs is taken for flicker. After VBench's temporal flickering
    (Huang et al. 2024: mean absolute difference, static scenes only), with camera compensation added.
    Missing where under 5% of the picture stands still in most pairs.
    """
    changes, pairs = [], view.pairs()
    if not pairs:
        return Missing("a single frame cannot flicker")
    for first, second in pairs:
        forward = view.flow(first, second)
        trusted = agree(forward, view.flow(second, first))
        model = camera_model(forward, trusted)
        if model is None:
            continue
        camera, away = camera_residual(forward, model)
        here = view.luma[first].astype(np.float32)
        there = warp(view.luma[second].astype(np.float32), camera)
        still = _blocks(((away < _STILL_PX) & trusted & _inside(camera)).astype(np.float32)) >= _FULL_BLOCK
        if still.mean() >= _FEWEST_BLOCKS:
            changes.append(float(np.abs(_blocks(there) - _blocks(here))[still].mean()))
    if len(changes) * 2 < len(pairs):
        return Missing("nothing stands still for long enough to see flicker")
    return float(np.mean(changes))


def _blocks(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Means of 8 x 8 blocks; what does not fill a block is left out."""
    rows, columns = plane.shape[0] // _BLOCK_PX, plane.shape[1] // _BLOCK_PX
    cut = plane[: rows * _BLOCK_PX, : columns * _BLOCK_PX]
    return np.asarray(cut.reshape(rows, _BLOCK_PX, columns, _BLOCK_PX).mean((1, 3)), dtype=np.float32)


def _inside(camera: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Pixels that are still in the picture after the camera has moved."""
    height, width = camera.shape[:2]
    x = np.arange(width, dtype=np.float32) + camera[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + camera[..., 1]
    return np.asarray((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1), dtype=np.bool_)


METRIC: Final = Metric("flicker", unit="8-bit levels", better="lower", title="Flicker", measure=flicker)
