"""The frames of a file as the single pass sees them: most decoded, some left out, a few looked at twice.

Frames that no other is predicted from need not be decoded. They are left out where nothing seems to happen, judged by
the sizes of the packets alone; a mixture of its neighbours stands in for each. Wherever two decoded frames around such
a gap then differ by more than the motion around them explains, a boundary might lie in it, and it is decoded after all.

What is decoded is a function of the packets and of the pictures within a few frames, never of where the pass began.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

import media
from curation.detectors.change import LEAST_CUT, change_score
from curation.planes import View, view_between, view_of_frame
from media import FrameIndex

__all__ = ["can_skim", "pass_over", "skimmed_views", "whole_views", "worth_decoding"]

_RUN_S: Final = 0.12
"""In the first that many seconds of every second, every frame is decoded: what needs neighbours is measured there."""
T = TypeVar("T")

_BIG: Final = 2.5
_LONGEST_GROUP: Final = 300
"""Frames between keyframes up to which second looks are cheap; x264 makes 250 at most unless told otherwise."""
_NEIGHBOURS: Final = 12
_LOOK_AROUND: Final = 2
_PIECE: Final = 4096
_OUTSTANDING: Final = 1.5


def worth_decoding(index: FrameIndex) -> npt.NDArray[np.bool_]:
    """Return which frames to decode, by their packets: (frames,).

    All that others are predicted from; of the others those whose packet is more than two and a half times as large as
    usual around them, or that lie before a frame of which that is so, or before a keyframe: an encoder spends its
    bytes where the picture is new; and the first of every second.
    """
    wanted = ~index.droppable
    if wanted.all():
        return wanted
    anchors, loose = np.flatnonzero(wanted), np.flatnonzero(index.droppable)
    new = _outsized(index.sizes[anchors]) | np.isin(anchors, index.keys)
    wanted[loose[_outsized(index.sizes[loose])]] = True
    for number in np.flatnonzero(new[1:]) + 1:
        wanted[anchors[number - 1] : anchors[number]] = True
    times_s = (index.pts - index.pts[0]) * float(index.time_base)
    wanted[times_s % 1.0 < _RUN_S] = True
    return wanted


def _outsized(sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return which sizes are `_BIG` times the median of those around them."""
    width = min(2 * _NEIGHBOURS + 1, 2 * ((len(sizes) - 1) // 2) + 1)
    padded = np.pad(sizes, width // 2, mode="reflect") if len(sizes) > 1 else sizes
    around = np.lib.stride_tricks.sliding_window_view(padded, width)
    # Piece by piece, or a film's windows would take a hundred times the memory of its sizes.
    usual = [np.median(around[at : at + _PIECE], axis=1) for at in range(0, len(around), _PIECE)]
    outsized: npt.NDArray[np.bool_] = sizes > _BIG * np.concatenate(usual)
    return outsized


def pass_over(path: Path, skim: bool, run: Callable[[Iterator[View]], T], *, wall_limit_s: float | None = None) -> T:
    """Return what `run` makes of all frames of the file at `path`.

    A file is skimmed where that is asked for (`skim`) and can be trusted. Where the pictures are not what its index
    promises, `run` is called a second time, with every frame decoded.
    """
    if skim:
        index = media.frame_index(path)
        try:
            if can_skim(index):
                return run(skimmed_views(path, index, wall_limit_s=wall_limit_s))
        except media.SkimError:
            pass
    return run(whole_views(path, wall_limit_s=wall_limit_s))


def can_skim(index: FrameIndex) -> bool:
    """Return whether leaving frames out is possible and pays: a second look decodes from the keyframe before."""
    if index.doubt or not index.droppable.any():
        return False
    return int(np.diff(np.append(index.keys, index.frames)).max()) <= _LONGEST_GROUP


def whole_views(path: Path, *, wall_limit_s: float | None = None) -> Iterator[View]:
    """Yield every frame, decoded. The frame before is released when the next is asked for."""
    for frame in media.decode(path, analysis=True, wall_limit_s=wall_limit_s):
        view = view_of_frame(frame)
        yield view
        view.release()


def skimmed_views(
    path: Path,
    index: FrameIndex,
    first: int = 0,
    end: int | None = None,
    *,
    wanted: npt.NDArray[np.bool_] | None = None,
    wall_limit_s: float | None = None,
) -> Iterator[View]:
    """Yield the frames `first` to `end` (half-open), in order, one for each number; `media.SkimError` as for `skim`.

    `wanted` is `worth_decoding(index)`, if it is there already.
    """
    end = index.frames if end is None else end
    wanted = worth_decoding(index) if wanted is None else wanted.copy()
    wanted[[first, end - 1]] = True
    gaps: deque[_Gap] = deque()
    before: View | None = None
    for frame in media.skim(path, index, wanted, first, end, wall_limit_s=wall_limit_s):
        view = view_of_frame(frame)
        gaps.append(_Gap(before, view, change_score(before, view) if before is not None else 0.0))
        before = view
        if len(gaps) > 2 * _LOOK_AROUND + 1:
            gaps.popleft()
        if len(gaps) > _LOOK_AROUND:
            yield from _filled(gaps, len(gaps) - 1 - _LOOK_AROUND, path, index, wall_limit_s)
    for at in range(max(0, len(gaps) - _LOOK_AROUND), len(gaps)):
        yield from _filled(gaps, at, path, index, wall_limit_s)


@dataclass(frozen=True, slots=True, eq=False)
class _Gap:
    """A decoded frame, the one decoded before it, and the change from that one."""

    before: View | None
    view: View
    change: float

    @property
    def steps(self) -> int:
        return self.view.index - self.before.index if self.before is not None else 1

    @property
    def rate(self) -> float:
        return self.change / self.steps


def _filled(gaps: deque[_Gap], at: int, path: Path, index: FrameIndex, wall_limit_s: float | None) -> Iterator[View]:
    """Yield the frames of gap number `at`, and the one that ends it."""
    gap = gaps[at]
    if gap.before is None or gap.steps == 1:
        gap.view.change = gap.change if gap.before is not None else None
        inside: Iterator[View] = iter(())
    elif _suspicious(gaps, at):
        inside = _second_look(gap, path, index, wall_limit_s)
    else:
        gap.view.change = gap.rate
        inside = _stand_ins(gap, index)
    yield from inside
    yield gap.view
    gap.view.release()


def _suspicious(gaps: deque[_Gap], at: int) -> bool:
    """Return whether more happens in the gap than goes on around it: enough for a boundary."""
    gap = gaps[at]
    if gap.change < LEAST_CUT:
        return False
    around = [
        gaps[i].rate
        for i in range(max(0, at - _LOOK_AROUND), min(len(gaps), at + _LOOK_AROUND + 1))
        if i != at and gaps[i].before is not None
    ]
    usual = sum(around) / len(around) if around else 0.0
    return gap.change - (gap.steps - 1) * usual > _OUTSTANDING * usual


def _second_look(gap: _Gap, path: Path, index: FrameIndex, wall_limit_s: float | None) -> Iterator[View]:
    assert gap.before is not None
    before = gap.before
    everything = np.ones(index.frames, np.bool_)
    for frame in media.skim(path, index, everything, gap.before.index + 1, gap.view.index, wall_limit_s=wall_limit_s):
        view = view_of_frame(frame)
        view.second = True
        view.change = change_score(before, view)
        view.release()
        before = view
        yield view
    gap.view.change = change_score(before, gap.view)


def _stand_ins(gap: _Gap, index: FrameIndex) -> Iterator[View]:
    assert gap.before is not None
    for number in range(gap.before.index + 1, gap.view.index):
        time_s = index.time_s(number)
        view = view_between(gap.before, gap.view, number, time_s, index.time_s(number + 1) - time_s)
        view.change = gap.rate
        yield view
