"""One pass over a video: detectors, meter and keyframes fed together; clips come out as soon as they are certain."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

import media
from curation.clips import Span
from curation.config import CurateConfig
from curation.detectors import Cut, Detector
from curation.division import OpenShot
from curation.keyframes import Album, keyframe_columns
from curation.measure import Meter
from curation.planes import View

__all__ = ["Clocked", "Splitter", "candidates_every_s", "sampling", "split"]

_CANDIDATES_PER_MAX = 20
_LOOKS_AT_START = 8


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

    def edges(self, end: int) -> npt.NDArray[np.float64]:
        """Return when each frame begins, up to frame `end` at least; after the last frame, when it ends: float64.

        It may be the clock's own memory, for use before the next tick.
        """
        starts = np.frombuffer(self.starts, np.float64)
        return starts if end < self.frames else np.append(starts, self.end_s)


def sampling(config: CurateConfig) -> tuple[float, float]:
    """Return looks and pairs a second: every clip must hold a look, and some where its sharpest start is sought."""
    looks = max(config.looks_per_s, 1 / (0.9 * config.min_clip_s))
    if config.sharp_start_s:
        looks = max(looks, _LOOKS_AT_START / config.sharp_start_s)
    return looks, config.flow_pairs_per_s


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
        self._shot = OpenShot(0, 0, "start", config)
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
        if self.clock.frames > self._shot.start:
            self._close(self.clock.frames, self.clock.frames, "end")

    def _settle(self, cuts: Iterable[Cut]) -> None:
        for cut in cuts:
            stitched = self._same_scene(cut)
            self.cuts.append(replace(cut, stitched=stitched))
            if not stitched:
                self._close(cut.frame, cut.end_frame, cut.kind)

    def _same_scene(self, cut: Cut) -> bool:
        """Return whether the candidates for keyframes on either side of the cut are as alike as the config asks."""
        if not self._config.stitch_likeness:
            return False
        sides = self._album.around(cut.frame, cut.end_frame)
        if sides is None:
            return False
        from experts.pictures import embed_pictures

        # From the sealed picture: a worker may have sent nothing else.
        quality = self._config.keyframe_quality
        before, after = embed_pictures([media.decode_jpeg(side.picture(quality).jpeg) for side in sides])
        return float(before @ after) >= self._config.stitch_likeness

    def _close(self, end: int, resume: int, kind: str) -> None:
        """End the open shot at `end`; the next begins at `resume`."""
        shot, number = self._shot, self._shot.index
        if end > shot.start:
            for span in shot.close(self.clock.edges(end), end, kind):
                self._give(span)
            number += 1
        self._shot = OpenShot(number, max(shot.start, resume), kind, self._config)
        self._forget()

    def _give_leads(self) -> None:
        """Give clips from the front of a shot so long that its end cannot change them."""
        settled = min(self._detector.settled, self.clock.frames)
        first = self._shot.first
        if settled <= first or self.clock.starts[settled - 1] - self.clock.starts[first] <= self._config.max_clip_s:
            return
        for span in self._shot.early(self.clock.edges(settled - 1)[:settled]):
            self._give(span)
        if self._shot.first > first:
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
        edges = self.clock.edges(span.end)
        latest_s = min(edges[span.first] + self._config.sharp_start_s, edges[span.end] - self._config.min_clip_s)
        until = int(np.searchsorted(edges, latest_s, side="right"))
        return self._meter.sharpest(span.first, max(span.first + 1, min(until, span.end)))

    def _forget(self) -> None:
        self._meter.forget(self._shot.first)
        self._album.forget(self._shot.first)


def split(views: Iterable[View], splitter: Splitter) -> None:
    """Run the whole pass."""
    for view in views:
        splitter.feed(view)
    splitter.finish()
