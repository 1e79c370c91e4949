"""The part of the picture that is picture: without black borders, and without a band of subtitles.

It is kept as numbers in the row, never burnt in; whatever depends on it is measured inside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
import numpy.typing as npt

from curation.measure.borders import Border

__all__ = ["Crop", "crop_of", "subtitle_band"]

_BOTTOM: Final = 0.35
"""Subtitles are looked for in this share of the picture, and their band is no higher than `_MAX_BAND` of it."""
_MAX_BAND: Final = 0.3
_RUN: Final = 0.12
_USUAL: Final = 0.5
_LEAST: Final = 0.3


@dataclass(frozen=True, slots=True)
class Crop:
    """A rectangle in a picture of `of` (height, width): upright source pixels, from the left top corner."""

    x: int
    y: int
    width: int
    height: int
    of: tuple[int, int]

    def inside(self, shape: tuple[int, ...]) -> tuple[slice, slice]:
        """Return the rows and columns of a plane of `shape` that lie within, one each at least."""
        rows = _part(self.y, self.height, shape[0] / self.of[0], shape[0])
        return rows, _part(self.x, self.width, shape[1] / self.of[1], shape[1])


def _part(first: int, length: int, scale: float, size: int) -> slice:
    start = min(ceil(first * scale - 1e-6), size - 1)
    return slice(start, max(start + 1, int((first + length) * scale + 1e-6)))


def crop_of(border: Border, band_px: int, size: tuple[int, int]) -> Crop:
    """Return what is left of a picture of `size` (height, width) without its borders and its subtitles.

    All of it, where less than 30% of a side would be left: that is no border but a dark scene.
    """
    height, width = size
    bottom = max(border.bottom, band_px)
    kept_width, kept_height = width - border.left - border.right, height - border.top - bottom
    if kept_width < _LEAST * width or kept_height < _LEAST * height:
        return Crop(0, 0, width, height, size)
    return Crop(border.left, border.top, kept_width, kept_height, size)


def subtitle_band(maps: Sequence[npt.NDArray[np.bool_]], cell: float, border: float = 0.0) -> float:
    """Return the height of the band of subtitles at the bottom, as a share of the picture; 0 where there is none.

    `maps` (rows, columns) are those of pairs of frames in which the picture moves: cells, `cell` of its height each,
    that hold edges and keep still. A row is one of subtitles if in half of them an eighth of its width keeps still in
    one piece. The row above the first of them goes too: letters reach into it. `border` is the share that is black
    border, whose edge keeps still as well.
    """
    if not maps:
        return 0.0
    rows, columns = maps[0].shape
    run = max(3, ceil(_RUN * columns))
    written = np.mean([_longest_runs(cells) >= run for cells in maps], axis=0) >= _USUAL
    if border:
        written[max(0, int((1 - border) / cell) - 1) :] = False
    low = np.flatnonzero(written[int(rows * (1 - _BOTTOM)) :])
    if not low.size:
        return 0.0
    top = int(rows * (1 - _BOTTOM)) + int(low[0]) - 1
    band = 1 - top * cell
    return band if band <= _MAX_BAND else 0.0


def _longest_runs(cells: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return the longest run of set cells in each row."""
    length = np.zeros(cells.shape[0], np.int64)
    longest = length.copy()
    for column in cells.T:
        length = (length + 1) * column
        longest = np.maximum(longest, length)
    return longest
