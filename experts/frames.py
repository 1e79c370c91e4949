"""Frames of a clip beyond its keyframes, for experts of `frames`: read again from its file, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from experts.base import ClipView, Rgb

if TYPE_CHECKING:
    from media import Frame

__all__ = ["evenly", "pairs_of"]


def evenly(view: ClipView, count: int, height: int) -> list[Rgb] | None:
    """Return `count` frames at even distances over the whole clip, the first and the last among them.

    They are at most `height` pixels high. A clip of fewer frames gives some twice. None where its frames cannot be
    had: the view holds only some of them and there is no file to read them from.
    """
    frames = view.end_frame - view.first_frame
    wanted = np.linspace(0, max(0, frames - 1), count).round().astype(int)
    if _whole(view):
        small = {at: _at_most(view.frames[at], height) for at in wanted.tolist()}
        return [small[at] for at in wanted.tolist()]
    kept: dict[int, Rgb] = {}
    needed = set(wanted.tolist())
    with _reread(view) as found:
        if found is None:
            return None
        for frame in found:
            at = frame.index - view.first_frame
            if at in needed:
                kept[at] = frame.rgb(height)
    return [kept[at] for at in wanted]


def pairs_of(view: ClipView, per_s: float, height: int) -> Iterator[tuple[Rgb, Rgb, float]]:
    """Yield (frame, the next frame, seconds between them), at most `per_s` pairs a second.

    Frames are at most `height` pixels high. Nothing comes of a clip of one frame, or of one whose frames cannot be had.
    """
    due = -np.inf
    if _whole(view):
        for at in range(len(view.frames) - 1):
            if view.times_s[at] >= due:
                due = view.times_s[at] + 1 / per_s
                first, second = (_at_most(frame, height) for frame in view.frames[at : at + 2])
                yield first, second, view.times_s[at + 1] - view.times_s[at]
        return
    with _reread(view) as found:
        before: tuple[Rgb, float] | None = None
        for frame in found or ():
            if before is not None:
                yield before[0], frame.rgb(height), frame.time_s - before[1]
            before = None
            if frame.time_s >= due:
                due = frame.time_s + 1 / per_s
                before = (frame.rgb(height), frame.time_s)


def _at_most(frame: Rgb, height: int) -> Rgb:
    from media import resize

    return frame if frame.shape[0] <= height else resize(np.ascontiguousarray(frame), height)


def _whole(view: ClipView) -> bool:
    """Return whether the view holds every frame of its clip."""
    return len(view.indices) == view.end_frame - view.first_frame > 0


@contextmanager
def _reread(view: ClipView) -> Iterator[Iterator[Frame] | None]:
    uri = view.row.get("uri")
    if uri is None or view.row.get("kind") != "clip":
        yield None
        return
    from media import local_copy, read_span

    with local_copy(uri) as path:
        yield read_span(path, view.first_frame, view.end_frame)
