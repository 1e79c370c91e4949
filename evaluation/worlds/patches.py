"""Figures in motley as patches: pixels named by the limb whose hue they have, figures' columns, and limbs' axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from curation.worlds.bodies import MOTLEY
from evaluation.worlds.hues import hue_labels, hue_of, smoothed

__all__ = ["HAND", "PARTS", "Patch", "figure_spans", "find_patches", "name_pixels", "patch_of", "silhouettes"]

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

PARTS: Final = tuple(name for name in MOTLEY if name != "right hand")
"""What has a hue of its own, by number from 1; both hands have the same."""
_HUES: Final = tuple(hue_of(MOTLEY[name]) for name in PARTS)
HAND: Final = PARTS.index("left hand") + 1
_CHROMA, _SATURATION = 48.0, 0.56
"""Least that is a limb's: skin, hair and backdrops have less."""
_READ_HEIGHT: Final = 256
"""Smaller pictures are enlarged to about that before they are read."""
_THIGHS: Final = tuple(number for number, name in enumerate(PARTS, 1) if name.endswith("thigh"))
_HIPS: Final = 0.04
"""Heights between a figure's thighs, at most."""
_LEAST: Final = 0.0006
"""Share of the picture that a figure's thighs cover at least."""
_SLENDER: Final = np.linspace(0, 60, 2401)
"""Lengths over radii, of bars with round ends, and how much longer than wide each is, by its variances."""
_RATIO: Final = (_SLENDER**3 / 6 + np.pi * _SLENDER**2 / 4 + 4 * _SLENDER / 3 + np.pi / 4) / (
    2 * _SLENDER / 3 + np.pi / 4
)


@dataclass(frozen=True, slots=True)
class Patch:
    """A limb's patch: its middle, axis, length between the middles of its round ends, radius and area; pixels."""

    middle: F64
    axis: F64
    length: float
    radius: float
    area: float
    pixels: F64

    @property
    def ends(self) -> tuple[F64, F64]:
        """Both ends of the middle line."""
        half = self.axis * self.length / 2
        return self.middle - half, self.middle + half


def name_pixels(frames: U8) -> U8:
    """Return the number of the part that each pixel shows (F, h, w), of the video enlarged; 0 is none."""
    scale = max(1, round(_READ_HEIGHT / min(frames.shape[1:3])))
    found = []
    for picture in smoothed(frames):
        large = picture if scale == 1 else cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        found.append(cv2.medianBlur(hue_labels(large, _HUES, _CHROMA, _SATURATION), 5))
    return np.stack(found)


def figure_spans(named: U8) -> list[tuple[int, int]]:
    """Return the columns that each figure takes, from left to right: those of its thighs, and of limbs near them."""
    limbs = (named > 0).sum(axis=0)
    seeds = _runs(np.isin(named, _THIGHS).sum(axis=0), _HIPS * named.shape[0])
    largest = max((size for _, _, size in seeds), default=0)
    seeds = [seed for seed in seeds if seed[2] >= max(0.3 * largest, _LEAST * named.size)]
    if not seeds:
        return []
    bounds = [0]
    for (_, end, _), (start, _, _) in pairwise(seeds):
        # Between two figures, where the fewest limbs are; of such columns, the one in the middle.
        between = limbs[end:start] if start > end else limbs[end : end + 1]
        emptiest = np.flatnonzero(between == between.min())
        bounds.append(end + int(emptiest[len(emptiest) // 2]))
    bounds.append(named.shape[1])
    found = []
    for left, right in pairwise(bounds):
        columns = np.flatnonzero(limbs[left:right] >= 2) + left
        found.append((int(columns[0]), int(columns[-1]) + 1))
    return found


def _runs(filled: npt.NDArray[np.int64], gap: float) -> list[tuple[int, int, int]]:
    """Return runs of columns that are filled, with no gap wider than `gap`: from, to, and how much is in them."""
    columns = np.flatnonzero(filled >= 2)
    if not len(columns):
        return []
    breaks = np.flatnonzero(np.diff(columns) > max(2.0, gap))
    starts, ends = columns[np.r_[0, breaks + 1]], columns[np.r_[breaks, len(columns) - 1]] + 1
    return [(int(a), int(b), int(filled[a:b].sum())) for a, b in zip(starts, ends, strict=True)]


def silhouettes(named: U8, spans: Sequence[tuple[int, int]]) -> U8:
    """Return where figures may be, u8 (h, w), 0 or 1: their limbs' boxes, and some more above, for the head."""
    found = np.zeros(named.shape, np.uint8)
    for left, right in spans:
        rows = np.flatnonzero((named[:, left:right] > 0).any(axis=1))
        high = int(rows[-1] - rows[0])
        found[max(0, int(rows[0]) - round(0.3 * high)) : int(rows[-1]) + round(0.12 * high), left:right] = 1
    return found


def find_patches(mask: Mask, left: int, least: float) -> list[Patch]:
    """Return the patches of a limb in a frame, the largest first."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    found = []
    for number in range(1, count):
        if stats[number, cv2.CC_STAT_AREA] < least:
            continue
        x, y, width, height = stats[number, :4]
        inside = np.argwhere(labels[y : y + height, x : x + width] == number)[:, ::-1]
        found.append(patch_of(inside + np.array([x + left, y], float) + 0.5))
    return sorted(found, key=lambda patch: -patch.area)


def patch_of(pixels: F64) -> Patch:
    """Measure a patch: the moments of a bar with round ends of radius r, l between their middles, give l and r."""
    middle = pixels.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov((pixels - middle).T) if len(pixels) > 2 else np.eye(2))
    across, along = max(float(values[0]), 1e-6), max(float(values[1]), 1e-6)
    slender = float(np.interp(along / across, _RATIO, _SLENDER))
    radius = float(np.sqrt(across * (2 * slender + np.pi) / (2 * slender / 3 + np.pi / 4)))
    length = slender * radius
    return Patch(middle, vectors[:, 1], length, radius, float(len(pixels)), pixels)
