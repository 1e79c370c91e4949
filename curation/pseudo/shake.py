"""The shake of a camera that is held by hand: smooth, seeded, with the spectrum of hands."""

from __future__ import annotations

from math import pi
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["shaken"]

F64 = npt.NDArray[np.float64]

_LOW_HZ: Final = 0.25
_HIGH_HZ: Final = 9.0
_WAVES: Final = 28
_CORNER_HZ: Final = 2.5
"""Sway falls as 1/f; above this what arms and the camera's weight let through falls as 1/f^2."""
_ROLL: Final = 0.5
"""Roll, radians, for each picture height of displacement."""


def shaken(seed: int, frames: int, fps: float, amount: float) -> F64:
    """Return the displacement of the camera (F, 3): to the right and down in picture heights, and roll in radians.

    `amount` is its root mean square along each axis, picture heights: 0.003 is a steady hand, 0.015 a walk. The curve
    is a sum of sine waves in time, so that it is the same at any rate and length; what a rate could not show is left
    out of it.
    """
    rng = np.random.default_rng(seed)
    frequency = np.geomspace(_LOW_HZ, _HIGH_HZ, _WAVES) * rng.uniform(0.93, 1.07, _WAVES)
    power = 1 / (frequency * np.sqrt(1 + (frequency / _CORNER_HZ) ** 2))
    power *= amount * np.sqrt(2 / (power**2).sum())
    phase = rng.uniform(0, 2 * pi, (3, _WAVES))
    shown = frequency < 0.4 * fps
    time = np.arange(frames)[:, None, None] / fps
    waves = power * np.sin(2 * pi * frequency * time + phase)
    total: F64 = waves[:, :, shown].sum(axis=2)
    total[:, 2] *= _ROLL
    return total
