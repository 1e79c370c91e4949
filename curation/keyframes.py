"""Keyframes: a few JPEGs per clip, chosen from candidates kept in bounded memory while the clip's end is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from curation.phash import phash
from curation.planes import Planes, View, area, yuv_to_rgb

__all__ = ["Album", "Candidate", "Taker", "even_positions", "keyframe_columns"]

_CAPACITY: Final = 48


@dataclass(frozen=True, slots=True, eq=False)
class Sealed:
    """A keyframe as it is stored, and its perceptual hash."""

    jpeg: bytes
    phash: int


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A frame that may become a keyframe: its planes at keyframe size, or the sealed picture they give."""

    frame: int
    time_s: float
    planes: Planes | None
    bt709: bool
    sealed: Sealed | None = None

    @classmethod
    def of(cls, view: View, height_px: int) -> Candidate:
        """Take a frame whose full planes are still there, at `height_px` rows at most."""
        y, u, v = view.full()
        height = min(height_px, y.shape[0])
        width = max(1, round(y.shape[1] * height / y.shape[0]))
        half = max(1, (width + 1) // 2), max(1, (height + 1) // 2)
        planes = np.array(area(y, width, height)), np.array(area(u, *half)), np.array(area(v, *half))
        return cls(view.index, view.time_s, planes, view.bt709)

    def seal(self, quality: int) -> Candidate:
        """Return the candidate without its planes, as JPEG of `quality`: a tenth of the size."""
        return Candidate(self.frame, self.time_s, None, self.bt709, self.picture(quality))

    def picture(self, quality: int) -> Sealed:
        """Return the picture as JPEG, and its hash."""
        if self.sealed is not None:
            return self.sealed
        from media import jpeg

        assert self.planes is not None
        rgb = yuv_to_rgb(*self.planes, bt709=self.bt709)
        return Sealed(jpeg(rgb, quality=quality), phash(rgb))


class Taker:
    """Takes the first decoded frame in each cell of a grid of `interval_s`, at most `height_px` high."""

    def __init__(self, height_px: int, interval_s: float) -> None:
        self._height = height_px
        self._interval = interval_s
        self._cell = -1

    def take(self, view: View) -> Candidate | None:
        """See the next frame."""
        cell = int((view.time_s + 1e-9) / self._interval)
        if not view.seen or view.second or cell == self._cell:
            return None
        self._cell = cell
        return Candidate.of(view, self._height)


class Album:
    """Candidates of the shots that are still undecided: at most 48, the older ones thinned out evenly.

    They are those of a `Taker`, or those that came with the frames where somebody else saw them pass.
    """

    def __init__(self, height_px: int, interval_s: float) -> None:
        self._taker = Taker(height_px, interval_s)
        self._held: list[Candidate] = []

    def feed(self, view: View) -> None:
        """Take the next frame."""
        candidate = view.candidate if view.noted is not None else self._taker.take(view)
        if candidate is None:
            return
        self._held.append(candidate)
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

    def around(self, frame: int, end_frame: int) -> tuple[Candidate, Candidate] | None:
        """Return the candidates nearest to a boundary, before `frame` and from `end_frame` on; None if one lacks."""
        before = [c for c in self._held if c.frame < frame]
        after = [c for c in self._held if c.frame >= end_frame]
        return (before[-1], after[0]) if before and after else None

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


def keyframe_columns(chosen: Sequence[Candidate], quality: int) -> dict[str, Any]:
    """Return the columns `keyframes` and `phash`, of the one in the middle, of a row of `clips`."""
    pictures = [candidate.picture(quality) for candidate in chosen]
    rows = [
        {"frame": c.frame, "time_s": c.time_s, "jpeg": picture.jpeg, "phash": picture.phash}
        for c, picture in zip(chosen, pictures, strict=True)
    ]
    return {"keyframes": rows, "phash": pictures[len(pictures) // 2].phash if pictures else None}
