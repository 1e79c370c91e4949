"""Patches of one colour, followed from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Patch", "Track", "follow", "patches_of"]

U8 = npt.NDArray[np.uint8]

_LEAST_AREA: Final = 0.002
"""Share of the picture below which a patch is dirt."""
_REACH: Final = 0.14
"""Heights that a thing may be off from where its way leads, from one frame to the next."""
_ALIKE: Final = (0.5, 2.0)
"""Share of its size that a thing may have after it has changed its colour."""


@dataclass(slots=True)
class Patch:
    """A patch: its colour's number, its middle, its area and box (left, top, width, height), pixels."""

    frame: int
    colour: int
    x: float
    y: float
    area: float
    box: tuple[int, int, int, int]
    hidden: bool = False
    """Whether a part of it may be hidden: it touches another colour, or the picture's border."""


@dataclass(slots=True)
class Track:
    """The patches of one thing, at most one a frame, in order."""

    patches: list[Patch] = field(default_factory=list)

    @property
    def last(self) -> Patch:
        """The latest patch."""
        return self.patches[-1]


def patches_of(frame: int, labels: U8) -> list[Patch]:
    """Return the patches of a labelled picture (H, W), 0 for background."""
    found = []
    height, width = labels.shape
    for colour in np.flatnonzero(np.bincount(labels.ravel(), minlength=2)[1:]) + 1:
        own = (labels == colour).astype(np.uint8)
        count, numbers, stats, centres = cv2.connectedComponentsWithStats(own, connectivity=8)
        for i in range(1, count):
            left, top, wide, high, area = (int(value) for value in stats[i])
            if area < _LEAST_AREA * labels.size or min(wide, high) < 3:
                continue
            rows = slice(max(0, top - 2), top + high + 2)
            columns = slice(max(0, left - 2), left + wide + 2)
            around = cv2.dilate((numbers[rows, columns] == i).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
            others = around & (labels[rows, columns] != 0) & (labels[rows, columns] != colour)
            # A fringe of mixed hues is around everything; a thing in front is more than that.
            touched = int(others.sum()) > 0.12 * area
            cut = left <= 0 or top <= 0 or left + wide >= width or top + high >= height
            x, y = (float(value) for value in centres[i])
            found.append(Patch(frame, int(colour), x, y, float(area), (left, top, wide, high), touched or cut))
    return found


def follow(found: Sequence[Sequence[Patch]], height: int, least: int) -> list[Track]:
    """Return the tracks of at least so many frames, pieced together where a thing was hidden for a while."""
    tracks: list[Track] = []
    for frame, patches in enumerate(found):
        open_ = [track for track in tracks if frame - track.last.frame <= 2]
        pairs = sorted(
            (cost, p, t)
            for p, patch in enumerate(patches)
            for t, track in enumerate(open_)
            if (cost := _cost(track, patch, frame, height)) is not None
        )
        patched: set[int] = set()
        gone: set[int] = set()
        for _, p, t in pairs:
            if p not in patched and t not in gone:
                patched.add(p)
                gone.add(t)
                open_[t].patches.append(patches[p])
        tracks += [Track([patch]) for p, patch in enumerate(patches) if p not in patched]
    return [track for track in _pieced(tracks, height) if len(track.patches) >= least]


def _cost(track: Track, patch: Patch, frame: int, height: int) -> float | None:
    """Return how far off a patch is, pixels, if it may be the same thing as the track's last."""
    last = track.last
    x, y = last.x, last.y
    if len(track.patches) > 1 and not last.hidden:
        before = track.patches[-2]
        ahead = (frame - last.frame) / (last.frame - before.frame)
        x, y = x + (x - before.x) * ahead, y + (y - before.y) * ahead
    apart = float(min(np.hypot(patch.x - x, patch.y - y), np.hypot(patch.x - last.x, patch.y - last.y)))
    if patch.colour == last.colour:
        return apart if apart < _REACH * height * (frame - last.frame) else None
    # Another colour at the same place and as large: it has turned.
    alike = _ALIKE[0] < patch.area / last.area < _ALIKE[1]
    near = 0.5 * float(np.sqrt(min(patch.area, last.area) / np.pi))
    return apart + height if alike and apart < near and frame - last.frame == 1 else None


def _pieced(tracks: list[Track], height: int) -> list[Track]:
    """Join a track that ends to one of its colour that begins later where its way leads; longest gaps last."""
    joined = sorted(tracks, key=lambda track: track.patches[0].frame)
    while True:
        best: tuple[float, Track, Track] | None = None
        for one in joined:
            for other in joined:
                gap = other.patches[0].frame - one.last.frame
                if one is other or gap < 1 or one.last.colour != other.patches[0].colour:
                    continue
                if min(len(one.patches), len(other.patches)) < 2:
                    continue
                apart = float(np.hypot(other.patches[0].x - one.last.x, other.patches[0].y - one.last.y))
                if apart < _REACH * height * min(gap, 4) and (best is None or apart < best[0]):
                    best = apart, one, other
        if best is None:
            return joined
        best[1].patches += best[2].patches
        joined.remove(best[2])
