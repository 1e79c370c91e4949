"""Sampling weights that flatten how clips are spread over groups, along several axes at once.

With one axis, or several that are independent, a clip's weight is the product of n^-alpha over its groups, where n is
a group's number of clips. Real axes are not independent (a sport is strong motion), and the product then flattens too
much here and too little there. So the weights are raked (Deming and Stephan 1940): scaled until every group of every
axis has the share that n^(1 - alpha) gives it. All axes scale at once, each by its part, which settles even where no
weights have all the shares (Csiszár and Tusnády 1984); where some do, they are the ones nearest to equal, by relative
entropy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["balanced_weights", "bounded", "effective_number"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_ROUNDS: Final = 3000
_CLOSE: Final = 1e-8
_HALVINGS: Final = 80


def balanced_weights(axes: Sequence[I64], alpha: float, limit: float) -> F64:
    """Return a weight for each of N clips: mean 1, between 1 / `limit` and `limit`.

    Each of `axes` gives the clips' groups as int64 [N], -1 where a clip has none: that axis leaves it as it is. Where
    the shares contradict each other, or a bound is reached, they are met as nearly as can be.
    """
    if not len(axes) or not len(axes[0]):
        return np.ones(len(axes[0]) if len(axes) else 0)
    cells, cell, counts = np.unique(np.stack(axes, axis=1), axis=0, return_inverse=True, return_counts=True)
    plans = [_plan(groups, counts, alpha) for groups in cells.T if (groups >= 0).any()]
    weights = np.ones(len(cells))
    for _ in range(_ROUNDS):
        before = weights
        scale = np.ones(len(cells))
        for member, groups, wanted in plans:
            held = np.bincount(groups, (weights * counts)[member], len(wanted))
            scale[member] *= (wanted / held)[groups] ** (1 / len(plans))
        weights = np.clip(weights * scale, 1 / limit, limit)
        if np.abs(weights / before - 1).max() < _CLOSE:
            break
    return bounded(weights[cell.ravel()], limit)


def _plan(groups: I64, counts: I64, alpha: float) -> tuple[I64, I64, F64]:
    """Return the places of the cells that have a group, their groups numbered from 0, and what each shall weigh."""
    member = np.flatnonzero(groups >= 0)
    _, dense = np.unique(groups[member], return_inverse=True)
    clips = np.bincount(dense.ravel(), counts[member])
    wanted = clips ** (1 - alpha)
    return member, dense.ravel(), wanted * (clips.sum() / wanted.sum())


def bounded(weights: F64, limit: float) -> F64:
    """Return `weights`, above 0, scaled and cut off so that their mean is 1 and all are in [1 / limit, limit]."""
    if not len(weights):
        return weights
    # The mean of what is cut off rises with the scale, so halving the interval finds the scale.
    low, high = 1 / limit / float(weights.max()), limit / float(weights.min())
    for _ in range(_HALVINGS):
        scale = np.sqrt(low * high)
        if np.clip(weights * scale, 1 / limit, limit).mean() < 1:
            low = scale
        else:
            high = scale
    return np.asarray(np.clip(weights * np.sqrt(low * high), 1 / limit, limit))


def effective_number(held: F64) -> float:
    """Return how many equal groups would be as diverse: exp of the entropy of the shares (Hill 1973, order 1)."""
    shares = held[held > 0] / held.sum() if held.sum() > 0 else held[:0]
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0
