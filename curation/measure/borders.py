"""Black borders: letterbox, pillarbox, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from curation.planes import Plane, View

__all__ = ["Border", "Profile", "border_of", "profile"]

_BLACK: Final = 30
_MAX_SHARE: Final = 0.45


@dataclass(frozen=True, slots=True)
class Profile:
    """How bright each row and column of one frame gets: uint8 arrays of H and W; None when no side is dark."""

    sides: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]] | None


@dataclass(frozen=True, slots=True)
class Border:
    """Widths of the black borders in source pixels."""

    left: int
    top: int
    right: int
    bottom: int


def profile(view: View) -> Profile:
    """Return the frame's profile; the full plane is read only where the small one has a dark side."""
    small = view.y
    sides = (small[0], small[-1], small[:, 0], small[:, -1])
    if min(_brightness(side) for side in sides) > _BLACK:
        return Profile(None)
    luma = view.full()[0]
    return Profile((_bright_rows(luma), _bright_rows(luma.T)))


def _brightness(side: npt.NDArray[np.uint8]) -> float:
    return float(np.percentile(side, 98))


def _bright_rows(plane: Plane) -> npt.NDArray[np.uint8]:
    # A mean over runs of 8 keeps single noisy pixels of a black bar from counting as picture.
    width = max(1, plane.shape[1] // 8)
    runs = cv2.resize(np.ascontiguousarray(plane), (width, plane.shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(runs.max(axis=1), np.uint8)


def border_of(profiles: Sequence[Profile]) -> Border:
    """Return the borders that stay black in every one of a clip's frames.

    A frame that is black all over says nothing; where all are, there is no border.
    """
    known = [p.sides for p in profiles if p.sides is not None]
    if len(known) < len(profiles) or not known:
        return Border(0, 0, 0, 0)
    rows = np.max([rows for rows, _ in known], axis=0)
    columns = np.max([columns for _, columns in known], axis=0)
    top, bottom = _dark_ends(rows)
    left, right = _dark_ends(columns)
    return Border(left, top, right, bottom)


def _dark_ends(brightness: npt.NDArray[np.uint8]) -> tuple[int, int]:
    lit = np.flatnonzero(brightness > _BLACK)
    if not lit.size:
        return 0, 0
    first, last = int(lit[0]), int(brightness.size - 1 - lit[-1])
    return (0, 0) if (first + last) / brightness.size > 2 * _MAX_SHARE else (first, last)
