"""How much moves."""

from __future__ import annotations

from typing import Final

import numpy as np

from evaluation.flow import agree, magnitude
from evaluation.metrics.base import Metric, Missing
from evaluation.view import View

__all__ = ["METRIC", "motion"]

_REFERENCE_HEIGHT_PX: Final = 360  # the scale of the dataset's flow_mean_px_per_s


def motion(view: View) -> float | Missing:
    """Mean length of the optical flow, per second, on the scale of the clips table's `flow_mean_px_per_s`.

    DIS flow between neighbours at the profile's rate. Only flow that agrees forwards and backwards counts
    (Sundaram et al. 2010); the rest counts as 0, so that noise, flicker and cuts add little.
    More is better only up to the profile's upper reference, where the level ends.
    """
    pairs = view.slow_pairs()
    if not pairs:
        return Missing("a single frame has no motion")
    moved = []
    for first, second in pairs:
        forward, backward = view.flow(first, second), view.flow(second, first)
        length = np.where(agree(forward, backward), magnitude(forward), 0.0)
        moved.append(float(length.mean()) * view.fps / (second - first))
    return float(np.mean(moved)) * _REFERENCE_HEIGHT_PX / view.height_px


METRIC: Final = Metric("motion", unit="px/s at a height of 360 px", better="higher", title="Motion", measure=motion)
