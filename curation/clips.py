"""From cuts to shots, and from shots to clips: pure functions of frame numbers and timestamps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from math import ceil
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = [
    "LONG",
    "Shot",
    "Span",
    "divide",
    "lawful",
    "lead",
    "window_end",
    "window_start",
    "windows",
]

Times = Sequence[float] | npt.NDArray[np.float64]

LONG: Final = 4
"""A shot longer than this many maxima gives whole maxima from its front until no more than that is left. The rest
is divided evenly. So a camera that never cuts is clipped as it runs, in bounded memory."""


@dataclass(frozen=True, slots=True)
class Shot:
    """Frames `first` to `end` (half-open), and how they begin and end: start, end, or the kind of cut."""

    index: int
    first: int
    end: int
    cut_in: str
    cut_out: str


@dataclass(frozen=True, slots=True)
class Span:
    """A clip to be: frames `first` to `end` of one shot."""

    shot: int
    first: int
    end: int
    cut_in: str
    cut_out: str


def lead(times_s: Times, first: int, max_s: float) -> int | None:
    """Return the end of the piece that a long shot gives from its front, or None while the shot is not long.

    `times_s[i]` is when frame i begins, and its last element when the last frame known ends. Frames after that need
    not exist yet: the answer never changes when they come.
    """
    if times_s[-1] - times_s[first] <= LONG * max_s:
        return None
    return window_end(times_s, first, max_s)


def divide(times_s: Times, shot: Shot, min_s: float, max_s: float) -> list[Span]:
    """Return the clips of one shot, in order and disjoint, each of `min_s` to `max_s`.

    They cover the shot, unless it is shorter than `min_s` (then there is none) or a gap in the timestamps leaves a
    piece too short or a single frame too long. `times_s` as in `lead`, up to at least `shot.end`.
    """
    edges = [shot.first]
    while (end := lead(times_s[: shot.end + 1], edges[-1], max_s)) is not None:
        edges.append(end)
    edges += _even(times_s, edges[-1], shot.end, max_s)
    last = len(edges) - 2
    return [
        Span(
            shot.index,
            first,
            end,
            shot.cut_in if i == 0 else "split",
            shot.cut_out if i == last else "split",
        )
        for i, (first, end) in enumerate(pairwise(edges))
        if lawful(times_s, first, end, min_s, max_s)
    ]


def windows(times_s: Times, shot: Shot, min_s: float, max_s: float, stride_s: float, number: int = 0) -> list[Span]:
    """Return a clip of `max_s` every `stride_s` of one shot, from window `number` on, in order.

    The last may be shorter, if it is long enough; none begins after one that reaches the shot's end. `times_s` as in
    `lead`, up to at least `shot.end`.
    """
    spans: list[Span] = []
    for at in count(number):
        first = window_start(times_s, shot.first, at, stride_s)
        if first >= shot.end or (spans and spans[-1].end == shot.end):
            break
        if at > 0 and first == window_start(times_s, shot.first, at - 1, stride_s):
            continue  # a gap in the timestamps is longer than the stride
        end = min(shot.end, window_end(times_s, first, max_s))
        if lawful(times_s, first, end, min_s, max_s):
            cut_in = shot.cut_in if at == 0 else "split"
            spans.append(Span(shot.index, first, end, cut_in, shot.cut_out if end == shot.end else "split"))
    return spans


def window_start(times_s: Times, shot_first: int, number: int, stride_s: float) -> int:
    """Return the first frame of a shot's window of that number."""
    return int(np.searchsorted(times_s, times_s[shot_first] + number * stride_s - 1e-9, side="left"))


def window_end(times_s: Times, first: int, max_s: float) -> int:
    """Return where a window of `max_s` from frame `first` on ends; at least a frame later."""
    return max(first + 1, int(np.searchsorted(times_s, times_s[first] + max_s + 1e-9, side="right")) - 1)


def lawful(times_s: Times, first: int, end: int, min_s: float, max_s: float) -> bool:
    """Return whether frames `first` to `end` last between `min_s` and `max_s`."""
    return min_s - 1e-9 <= times_s[end] - times_s[first] <= max_s + 1e-9


def _even(times_s: Times, first: int, end: int, max_s: float) -> list[int]:
    """Return where the fewest even pieces of frames `first` to `end` end, none longer than `max_s`."""
    start, stop = float(times_s[first]), float(times_s[end])
    for pieces in range(max(1, ceil((stop - start) / max_s - 1e-9)), end - first + 1):
        targets = [start + (stop - start) * k / pieces for k in range(1, pieces)]
        inner = [int(np.abs(np.asarray(times_s[first : end + 1]) - t).argmin()) + first for t in targets]
        edges = [first, *inner, end]
        lengths = [float(times_s[b] - times_s[a]) for a, b in pairwise(edges)]
        if all(b > a for a, b in pairwise(edges)) and max(lengths) <= max_s + 1e-9:
            return edges[1:]
    return list(range(first + 1, end + 1))
