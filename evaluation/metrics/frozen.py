"""How many frames only repeat."""

from __future__ import annotations

from typing import Final

import numpy as np

from evaluation.metrics.base import Metric, Missing
from evaluation.view import View

__all__ = ["METRIC", "frozen"]

_BLOCK_PX: Final = 16
_SAME_LEVELS: Final = 0.5


def frozen(view: View) -> float | Missing:
    """Share of frames, at the video's own rate, that repeat the frame before.

    A frame repeats when no 16 x 16 px block mean of luma changes by more than half a level: compression
    leaves less than that in a held frame, and any living picture more somewhere. A definition of our own.
    """
    if len(view.luma) < 2:
        return Missing("a single frame cannot be frozen")
    rows, columns = (max(1, side // _BLOCK_PX) * _BLOCK_PX for side in view.luma.shape[1:])
    cut = view.luma[:, :rows, :columns].astype(np.float32)
    blocks = cut.reshape(len(cut), rows // _BLOCK_PX, _BLOCK_PX, columns // _BLOCK_PX, _BLOCK_PX).mean((2, 4))
    most = np.abs(np.diff(blocks, axis=0)).max(axis=(1, 2))
    return float((most <= _SAME_LEVELS).mean())


METRIC: Final = Metric("frozen", unit="share of frames", better="lower", title="Frozen frames", measure=frozen)
