"""One pass over a video: detectors, meter and keyframes fed together; clips come out as soon as they are certain."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.clips import LONG, Shot, Span, divide, lawful, lead
from curation.config import CurateConfig
from curation.detectors import Cut, Detector
from curation.keyframes import Album, keyframe_columns
from curation.measure import Meter
from curation.planes import View

__all__ = ["Clocked", "Splitter", "candidates_every_s", "sampling", "split"]

_CANDIDATES_PER_MAX = 20


@dataclass(slots=True)
class Clocked:
    """When each frame begins: 8 bytes a frame; and how even that is."""

    starts: array[float]
    end_s: float = 0.0
    shortest_s: float = float("inf")
    longest_s: float = 0.0
    decoded: int = 0

    @property
    def frames(self) -> int:
        """Return the number of frames seen."""
        return len(self.starts)

    @property
    def variable(self) -> bool:
        """Return whether frame durations differ by more than 10%."""
        return self.longest_s > 1.1 * self.shortest_s

    def tick(self, view: View) -> None:
        """Note the next frame. A last frame without a duration lasts as long as the one before it."""
        if self.starts:
            gap = view.time_s - self.starts[-1]
            self.shortest_s, self.longest_s = min(self.shortest_s, gap), max(self.longest_s, gap)
        self.starts.append(view.time_s)
        self.decoded += view.seen
        usual = self.starts[-1] - self.starts[-2] if len(self.starts) > 1 else 0.0
        self.end_s = view.time_s + (view.duration_s or usual)

    def edges(self) -> npt.NDArray[np.float64]:
        """Return when each frame begins and, last, when the last one ends: float64, (frames + 1,)."""
        return np.append(np.asarray(self.starts, np.float64), self.end_s)


def sampling(config: CurateConfig) -> tuple[float, float]:
    """Return looks and pairs a second: every clip must hold a look, however short clips may be."""
    return max(config.looks_per_s, 1 / (0.9 * config.min_clip_s)), config.flow_pairs_per_s


def candidates_every_s(config: CurateConfig) -> float:
    """Return the time between candidates for keyframes: every clip must hold some."""
    return min(config.min_clip_s / 2, config.max_clip_s / _CANDIDATES_PER_MAX)


class Splitter:
    """Feeds every frame to the detector, the meter and the album, and turns settled frames into clips.

    `emit(span, values)` is called for each clip, in order, with its measured columns, keyframes and hash. What is
    kept in memory is that of the shots not yet settled.
    """

    def __init__(self, detector: Detector, config: CurateConfig, emit: Callable[[Span, dict[str, Any]], None]) -> None:
        self._detector = detector
        self._config = config
        self._emit = emit
        self._meter = Meter(*sampling(config))
        self._album = Album(config.keyframe_height_px, candidates_every_s(config))
        self._first = 0
        self._shot = 0
        self._cut_in = "start"
        self.cuts: list[Cut] = []
        self.clock = Clocked(array("d"))

    def feed(self, view: View) -> None:
        """Take the next frame; its full planes are released."""
        self.clock.tick(view)
        self._meter.feed(view)
        self._album.feed(view)
        self._settle(self._detector.feed(view))
        view.release()
        self._give_leads()

    def finish(self) -> None:
        """Take the end of the video."""
        self._settle(self._detector.finish())
        if self.clock.frames > self._first:
            self._close(self.clock.frames, self.clock.frames, "end")

    def _settle(self, cuts: Iterable[Cut]) -> None:
        for cut in cuts:
            self.cuts.append(cut)
            self._close(cut.frame, cut.end_frame, cut.kind)

    def _close(self, end: int, resume: int, kind: str) -> None:
        """End the open shot at `end`; the next begins at `resume`."""
        if end > self._first:
            shot = Shot(self._shot, self._first, end, self._cut_in, kind)
            for span in divide(self.clock.edges(), shot, self._config.min_clip_s, self._config.max_clip_s):
                self._give(span)
            self._shot += 1
        self._first, self._cut_in = max(self._first, resume), kind
        self._forget()

    def _give_leads(self) -> None:
        """Give clips from the front of a shot so long that its end cannot change them."""
        settled = min(self._detector.settled, self.clock.frames)
        if settled <= self._first or self.clock.starts[settled - 1] - self.clock.starts[self._first] <= (
            LONG * self._config.max_clip_s
        ):
            return
        edges = np.asarray(self.clock.starts[:settled], np.float64)
        end = lead(edges, self._first, self._config.max_clip_s)
        if end is not None:
            if lawful(edges, self._first, end, self._config.min_clip_s, self._config.max_clip_s):
                self._give(Span(self._shot, self._first, end, self._cut_in, "split"))
            self._first, self._cut_in = end, "split"
            self._forget()

    def _give(self, span: Span) -> None:
        start = self._start_of(span)
        span = Span(span.shot, start, span.end, span.cut_in, span.cut_out)
        values = self._meter.values(span.first, span.end)
        chosen = self._album.choose(span.first, span.end, self._config.keyframes)
        values |= keyframe_columns(chosen, self._config.keyframe_quality)
        self._emit(span, values)

    def _start_of(self, span: Span) -> int:
        """Return the first frame: the shot's, or the sharpest near it if the config asks and enough is left."""
        if not self._config.sharp_start_s or span.cut_in == "split":
            return span.first
        edges = self.clock.edges()
        latest_s = min(edges[span.first] + self._config.sharp_start_s, edges[span.end] - self._config.min_clip_s)
        until = int(np.searchsorted(edges, latest_s, side="right"))
        return self._meter.sharpest(span.first, max(span.first + 1, min(until, span.end)))

    def _forget(self) -> None:
        self._meter.forget(self._first)
        self._album.forget(self._first)


def split(views: Iterable[View], splitter: Splitter) -> None:
    """Run the whole pass."""
    for view in views:
        splitter.feed(view)
    splitter.finish()
