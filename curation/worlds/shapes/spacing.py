"""How near things may come to each other, so that a caption stays true of what is seen; and a choice among names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from curation.worlds.shapes.scene import Item, Poses

__all__ = ["fits", "gap_of", "pick"]

F64 = npt.NDArray[np.float64]

_SPACED, _APART = 1.3, 1.14
"""Least distance of alike things, and of things that do not overlap, in sums of their radii.

Corners reach up to 1.13 radii, and alike things have a gap between them that a small, soft picture still shows.
"""
_DEEPEST: Final = 0.35
_BARELY: Final = 0.82
_FREE_SHARE: Final = 0.65
"""Overlap at the deepest; what is allowed all the time; and the share of time without any, if it is deeper."""


def pick(rng: np.random.Generator, of: Sequence[str]) -> str:
    """Return one of them."""
    return of[int(rng.integers(len(of)))]


def gap_of(one: Poses, other: Poses) -> F64:
    """Return the distance of two things (F,), in sums of their radii."""
    return np.asarray(np.hypot(*(one.centre - other.centre).T) / (one.radius + other.radius))


def fits(gap: F64, one: Item, other: Item, occlusion: bool) -> bool:
    """Whether two things may keep these distances, as `gap_of` gives them."""
    if one.colour == other.colour:
        return bool(gap.min() > _SPACED)
    if not occlusion or gap.min() > _APART:
        return bool(gap.min() > _APART)
    deep = gap.min() > _DEEPEST and np.mean(gap > 1) >= _FREE_SHARE
    return bool(deep or gap.min() > _BARELY)
