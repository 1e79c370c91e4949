"""Whether motion goes on evenly."""

from __future__ import annotations

from typing import Final

import numpy as np

from evaluation.flow import warp
from evaluation.metrics.base import Metric, Missing
from evaluation.view import View, spread

__all__ = ["METRIC", "smoothness"]


def smoothness(view: View) -> float | Missing:
    """How well each frame is foretold by its two neighbours: (255 - MAE) / 255 of an interpolated middle frame.

    The middle frame is the mean of both neighbours, each warped half way along the DIS flow between them.
    After VBench's motion smoothness (Huang et al. 2024), with flow warping for its learned interpolator (AMT,
    whose licence forbids commercial use), so figures are not VBench's own. A frozen video is perfectly smooth:
    read it beside `motion` and `frozen`.
    """
    if len(view.luma) < 3:
        return Missing("fewer than three frames")
    errors = []
    for i in spread(len(view.luma) - 2, view.spec.pairs):
        before, middle, after = (view.luma[i + k].astype(np.float32) for k in range(3))
        # Half of the flow that starts at the other end approximates the flow that starts at the middle.
        guess = 0.5 * (warp(before, 0.5 * view.flow(i + 2, i)) + warp(after, 0.5 * view.flow(i, i + 2)))
        errors.append(float(np.abs(guess - middle).mean()))
    return (255.0 - float(np.mean(errors))) / 255.0


METRIC: Final = Metric("smoothness", unit="0 to 1", better="higher", title="Motion smoothness", measure=smoothness)
