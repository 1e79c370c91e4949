"""One long video over many workers: spans that start at keyframes, scanned apart, put together as one pass.

A worker decodes its span and notes what depends on a frame and its surroundings alone, looking a little past both ends
to see them as a single pass would. What depends on all that came before - cuts, clips, the choice of keyframes - is
decided afterwards, over the noted frames of all spans in order. So the result is that of one pass, to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

import media
from curation.config import CurateConfig
from curation.detectors.change import LEAST_CUT
from curation.keyframes import Taker
from curation.measure.observer import Observer
from curation.planes import View
from curation.skimming import can_skim, skimmed_views, worth_decoding
from curation.splitting import candidates_every_s, sampling
from media import FrameIndex

__all__ = ["plan_spans", "scan"]

_CONTEXT_S: Final = 2.0
_CONTEXT_FRAMES: Final = 48
"""How far around a frame is looked, at least, to see it as one pass sees it."""
_SLIM: Final = frozenset({"cascade", "gradual", "threshold", "transnet"})
"""Detectors that need the small planes around great changes at most."""


def plan_spans(path: str | Path, span_s: float) -> list[tuple[int, int]]:
    """Return spans (first, end) of at least about `span_s` that cover the file at `path`, each beginning at a keyframe.

    One span, or none where the file cannot be read in parts (`FrameIndex.doubt`), is no use: scan it as a whole.
    """
    index = media.frame_index(path)
    if index.doubt:
        return []
    keys_s = (index.pts[index.keys] - index.pts[0]) * float(index.time_base)
    pieces = max(1, int(index.time_s(index.frames - 1) / span_s))
    targets = np.arange(1, pieces) * index.time_s(index.frames - 1) / pieces
    nearest = [int(index.keys[int(np.abs(keys_s - target).argmin())]) for target in targets]
    edges = sorted({0, *nearest, index.frames})
    return list(pairwise(edges))


def scan(
    path: str | Path, first: int, end: int, config: CurateConfig, *, wall_limit_s: float | None = None
) -> list[View]:
    """Return the frames `first` to `end` (half-open) of the file at `path`, noted and fit to travel.

    `media.SkimError` where the pictures are not those that the file's index promises, MediaError("timeout").
    """
    index = media.frame_index(path)
    skims = config.skims and can_skim(index)
    wanted = worth_decoding(index) if skims else np.ones(index.frames, np.bool_)
    around = _reach(index, first, end)
    views = skimmed_views(Path(path), index, *around, wanted=wanted, wall_limit_s=wall_limit_s)
    noted = _noted(views, first, config)
    return list(_sealed((view for view in noted if first <= view.index <= end), end, config))


def _reach(index: FrameIndex, first: int, end: int) -> tuple[int, int]:
    """Return the frames from `_CONTEXT_S` and `_CONTEXT_FRAMES` before the span to as much after it."""
    times_s = (index.pts - index.pts[0]) * float(index.time_base)
    before = int(np.searchsorted(times_s, times_s[first] - _CONTEXT_S))
    after = int(np.searchsorted(times_s, times_s[min(end, index.frames - 1)] + _CONTEXT_S, side="right"))
    return max(0, min(before, first - _CONTEXT_FRAMES)), min(index.frames, max(after, end + _CONTEXT_FRAMES))


def _noted(views: Iterable[View], first: int, config: CurateConfig) -> Iterator[View]:
    observer = Observer(*sampling(config))
    taker = Taker(config.keyframe_height_px, candidates_every_s(config))
    for view in views:
        view.noted = observer.observe(view)
        candidate = taker.take(view)
        if candidate is not None and view.index >= first:
            view.candidate = candidate.seal(config.keyframe_quality)
        yield view


def _sealed(views: Iterator[View], end: int, config: CurateConfig) -> Iterator[View]:
    """Seal every frame once the change to the next is known, which tells whether its planes may be asked for."""
    held: View | None = None
    for view in views:
        if held is not None:
            near = max(held.change or 0.0, view.change or 0.0) >= LEAST_CUT
            yield held.sealed(planes=near or config.detector not in _SLIM)
        held = view
    if held is not None and held.index < end:
        yield held.sealed(planes=True)
