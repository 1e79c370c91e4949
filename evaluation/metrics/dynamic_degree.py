"""Whether anything moves."""

from __future__ import annotations

from typing import Final

import numpy as np

from evaluation.flow import magnitude
from evaluation.metrics.base import Metric, Missing
from evaluation.view import View

__all__ = ["METRIC", "dynamic_degree"]

_TOP_SHARE: Final = 0.05
_PX_AT_256: Final = 6.0
_PAIRS_OF_16: Final = 4


def dynamic_degree(view: View) -> float | Missing:
    """Whether the video moves at all: 1 or 0; its mean over samples is the share of moving videos.

    A pair of neighbours at the profile's rate moves when the mean of its largest 5% of flow exceeds
    6 px x min(H, W) / 256; the video moves when at least a quarter of its N frames' pairs do, round(4 N / 16).
    Definition: VBench (Huang et al. 2024), its RAFT replaced by DIS flow, so figures are not VBench's own.
    """
    pairs = view.slow_pairs()
    if not pairs:
        return Missing("a single frame has no motion")
    limit = _PX_AT_256 * min(view.luma.shape[1:]) / 256
    moving = sum(_top_mean(magnitude(view.flow(a, b))) > limit for a, b in pairs)
    needed = max(1, round(_PAIRS_OF_16 * (len(pairs) + 1) / 16))
    return float(moving >= needed)


def _top_mean(lengths: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    flat = lengths.reshape(-1)
    count = max(1, int(flat.size * _TOP_SHARE))
    return float(np.partition(flat, flat.size - count)[-count:].mean())


METRIC: Final = Metric(
    "dynamic_degree", unit="1 moving, 0 still", better="higher", title="Dynamic degree", measure=dynamic_degree
)
