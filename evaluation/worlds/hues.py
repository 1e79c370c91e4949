"""Pixels told apart by their hue: what shade and light do to a colour leaves its hue, and what is grey has none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["grain", "hue_labels", "hue_of", "smoothed"]

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

_GRAINY: Final = 3.0
"""Levels of noise from which on pictures are smoothed before they are looked at."""
_SIGMA_PX: Final = 0.9


def hue_of(rgb: tuple[int, int, int]) -> float:
    """Return the hue of a colour, degrees."""
    hue, _ = _hue_and_spread(np.array([[rgb]], np.float32))
    return float(hue[0, 0])


def hue_labels(pictures: F32, hues: Sequence[float], least_chroma: float, least_saturation: float) -> U8:
    """Return for each pixel of pictures (..., 3) the number of the nearest of `hues`, from 1; 0 is without a hue.

    Chroma is the largest less the smallest of red, green and blue, levels; saturation is its share of the largest.
    """
    hue, spread = _hue_and_spread(pictures)
    grid = np.arange(720, dtype=np.float32) / 2 + 0.25
    apart = np.abs((grid[:, None] - np.array(hues, np.float32) + 180) % 360 - 180)
    named = (apart.argmin(axis=1) + 1).astype(np.uint8)[np.minimum((hue * 2).astype(np.int64), 719)]
    coloured = (spread > least_chroma) & (spread > least_saturation * pictures.max(axis=-1))
    return np.where(coloured, named, 0).astype(np.uint8)


def _hue_and_spread(pictures: F32) -> tuple[F32, F32]:
    largest = pictures.max(axis=-1)
    spread = largest - pictures.min(axis=-1)
    safe = np.maximum(spread, 1e-6)
    r, g, b = np.moveaxis(pictures, -1, 0)
    sixth = np.where(largest == r, (g - b) / safe % 6, np.where(largest == g, (b - r) / safe + 2, (r - g) / safe + 4))
    return np.asarray(sixth * 60, np.float32), np.asarray(spread, np.float32)


def smoothed(frames: U8) -> F32:
    """Return a video, u8 (F, H, W, 3), as numbers: smoothed over about a pixel if it has coloured grain."""
    pictures = frames.astype(np.float32)
    if grain(pictures) <= _GRAINY:
        return pictures
    return np.stack([np.asarray(cv2.GaussianBlur(picture, (0, 0), _SIGMA_PX), np.float32) for picture in pictures])


def grain(pictures: F32) -> float:
    """Return the standard deviation of noise in each channel, levels: by how red less green changes."""
    some = pictures[:: max(1, len(pictures) // 3)]
    chroma = some[..., 0] - some[..., 1]
    if min(chroma.shape[1:]) < 2:
        return 0.0
    # The second differences of a smooth picture are 0; of white noise, their deviation is 2 sigma (along both sides).
    second = chroma[:, 1:, 1:] - chroma[:, :-1, 1:] - chroma[:, 1:, :-1] + chroma[:, :-1, :-1]
    return float(np.median(np.abs(second)) / 0.6745 / 2 / np.sqrt(2))
