"""Times in 0..1: where a sampler stops, and how they move to noise where there is more to destroy.

A larger picture, or a longer video, keeps more of its signal at the same noise level: neighbours repeat each other,
and their mean denoises them. So the times of training and of sampling are shifted by the number of tokens.
"""

from __future__ import annotations

import math
from typing import TypeVar

from torch import Tensor

__all__ = ["resolution_shift", "shifted", "times"]

Time = TypeVar("Time", float, Tensor)


def times(steps: int, shift: float = 1.0) -> list[float]:
    """Return steps + 1 instants from 1 to 0, evenly before the shift: `trailing`, so that the first is pure noise."""
    if steps < 1:
        raise ValueError("sampling needs at least one step")
    return [shifted(1.0 - i / steps, shift) for i in range(steps)] + [0.0]


def shifted(t: Time, alpha: float) -> Time:
    """Return alpha t / (1 + (alpha - 1) t) (Esser et al. 2024, eq. 23): 0 and 1 stay, alpha > 1 moves to noise."""
    if alpha == 1.0:
        return t
    return alpha * t / (1.0 + (alpha - 1.0) * t)


def resolution_shift(positions: int, frames: int) -> float:
    """Return alpha of a clip of `frames` latent frames with `positions` tokens each.

    Open-Sora 2.0's: a line through (256 tokens, 1) and (4096 tokens, 3), times the square root of the frames.
    """
    return (1.0 + (positions - 256) * 2.0 / (4096 - 256)) * math.sqrt(frames)
