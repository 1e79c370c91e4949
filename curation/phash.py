"""A 64-bit perceptual hash: near for pictures that look alike, whatever their size and compression."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from curation.planes import Rgb, area

__all__ = ["distance", "phash"]

_SIZE: Final = 32
_KEEP: Final = 8


def phash(rgb: Rgb) -> int:
    """Return the DCT hash of a picture (H, W, 3) as an unsigned 64-bit integer.

    The lowest 8x8 coefficients of the 32x32 luma's DCT, the constant left out of the median, one bit each: above
    the median or not (Zauner 2010, as in the pHash library). Bits run row by row, most significant first.
    """
    grey = area(np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8), _SIZE, _SIZE)
    low = cv2.dct(grey.astype(np.float32))[:_KEEP, :_KEEP].ravel()
    bits = low > np.median(low[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def distance(a: int, b: int) -> int:
    """Return the number of bits in which two hashes differ, 0 to 64; unrelated pictures differ in about 32."""
    return (a ^ b).bit_count()
