"""Keyframes: a few JPEGs per clip, chosen from candidates kept in bounded memory while the clip's end is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from curation.planes import Plane, Rgb, View, area, yuv_to_rgb

__all__ = ["Album", "Candidate", "even_positions", "keyframe_rows"]

_CAPACITY: Final = 48


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A frame that may become a keyframe: its planes at keyframe size, not yet converted or compressed."""

    frame: int
    time_s: float
    planes: tuple[Plane, Plane, Plane]
    bt709: bool

    def rgb(self) -> Rgb:
        """Return the picture (H, W, 3)."""
        return yuv_to_rgb(*self.planes, bt709=self.bt709)


class Album:
    """Candidates of the shots that are still undecided: at most 48, the older ones thinned out evenly."""

    def __init__(self, height_px: int, interval_s: float) -> None:
        self._height = height_px
        self._interval = interval_s
        self._cell = -1
        self._held: list[Candidate] = []

    def feed(self, view: View) -> None:
        """Keep the frame if it is the first decoded one in its cell of the grid of intervals."""
        cell = int((view.time_s + 1e-9) / self._interval)
        if not view.seen or view.second or cell == self._cell:
            return
        self._cell = cell
        y, u, v = view.full()
        height = min(self._height, y.shape[0])
        width = max(1, round(y.shape[1] * height / y.shape[0]))
        half = max(1, (width + 1) // 2), max(1, (height + 1) // 2)
        planes = tuple(np.array(p) for p in (area(y, width, height), area(u, *half), area(v, *half)))
        self._held.append(Candidate(view.index, view.time_s, (planes[0], planes[1], planes[2]), view.bt709))
        if len(self._held) > _CAPACITY:
            self._thin()

    def _thin(self) -> None:
        """Let go of that older candidate whose neighbours are nearest to each other; the newest half stays dense."""
        held = self._held
        gaps = [held[k + 1].time_s - held[k - 1].time_s for k in range(1, _CAPACITY // 2)]
        del held[1 + gaps.index(min(gaps))]

    def forget(self, before: int) -> None:
        """Let go of the candidates of frames below `before`."""
        self._held = [c for c in self._held if c.frame >= before]

    def choose(self, first: int, end: int, count: int) -> list[Candidate]:
        """Return up to `count` candidates of frames `first` to `end`, at even positions, in order."""
        inside = [c for c in self._held if first <= c.frame < end]
        chosen = {
            min(inside, key=lambda c: (abs(c.frame - target), c.frame)).frame
            for target in even_positions(first, end, count)
            if inside
        }
        return [c for c in inside if c.frame in chosen]


def even_positions(first: int, end: int, count: int) -> list[int]:
    """Return the frames in the middles of `count` equal parts of `first` to `end`, without repeats."""
    return sorted({first + int((end - first) * (2 * k + 1) / (2 * count)) for k in range(count)})


def keyframe_rows(chosen: Sequence[Candidate], quality: int) -> list[dict[str, Any]]:
    """Return the candidates as elements of the column `clips.keyframes`."""
    from media import jpeg

    return [{"frame": c.frame, "time_s": c.time_s, "jpeg": jpeg(c.rgb(), quality=quality)} for c in chosen]
