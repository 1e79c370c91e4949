"""The meter: fed every frame of the one pass, it answers for any span of frames afterwards.

Where clips begin and end is known only after shots are decided, so the meter keeps a few numbers per frame, and a
few more for each sampled frame (a look) and sampled pair of frames (a flow), until `forget` says that they are
no longer needed. Between a video's cuts that is a fraction of a megabyte, whatever the video's length.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2

from curation.measure.aggregate import aggregate
from curation.measure.borders import Profile, profile
from curation.measure.flow import SMALLEST_PX, Flow, FlowMeter
from curation.measure.light import Light, measure_light
from curation.measure.texture import Texture, measure_texture
from curation.planes import Rgb, View, view_of_rgb

__all__ = ["Look", "Meter", "Step", "measure_frames"]

_FROZEN_LEVELS: Final = 2


@dataclass(frozen=True, slots=True)
class Step:
    """From one frame to the next: `frame` is the later one. `deviation` is that of the luma difference, in levels."""

    frame: int
    deviation: float
    frozen: bool


@dataclass(frozen=True, slots=True)
class Look:
    """One sampled frame."""

    frame: int
    texture: Texture
    light: Light
    profile: Profile


class Meter:
    """Measures a video in one pass, frame by frame. One meter is for one video.

    `looks_per_s` frames are looked at for sharpness, noise, light and borders; of `pairs_per_s` pairs the flow is
    measured. Both on a grid of seconds from the first frame, so that the same video always gives the same values.
    """

    def __init__(self, looks_per_s: float = 1.0, pairs_per_s: float = 3.0) -> None:
        self._look_s = 1 / looks_per_s
        self._pair_s = 1 / pairs_per_s
        self._next_look_s = 0.0
        self._next_pair_s = 0.0
        self._flow = FlowMeter()
        self._before: View | None = None
        self._pair: list[View] = []
        self._steps: list[Step] = []
        self._looks: list[Look] = []
        self._flows: list[Flow] = []

    def feed(self, view: View) -> None:
        """Take the next frame, in order."""
        if self._before is not None:
            self._steps.append(_step(self._before, view))
        if view.time_s + 1e-9 >= self._next_look_s:
            self._next_look_s = _after(view.time_s, self._look_s)
            self._looks.append(Look(view.index, measure_texture(view), measure_light(view), profile(view)))
        self._feed_pair(view)
        self._before = view

    def _feed_pair(self, view: View) -> None:
        if self._pair:
            self._pair.append(view)
            start = self._pair[0]
            seconds = view.time_s - start.time_s
            if seconds + 1e-9 >= self._flow.baseline_s:
                following = self._pair[1]
                self._pair = []
                planes = (start.y, following.y, view.y)
                self._flows.append(self._flow.measure(start.index, view.index, planes, seconds))
        if min(view.y.shape) < SMALLEST_PX:
            return
        if not self._pair and view.time_s + 1e-9 >= self._next_pair_s:
            self._next_pair_s = _after(view.time_s, self._pair_s)
            self._pair = [view]

    def values(self, first: int, end: int) -> dict[str, Any]:
        """Return every column of `dataset.schema.MEASURES` for frames `first` to `end` (half-open).

        A value is None where the span holds nothing to measure it on: motion needs two frames.
        """
        return aggregate(
            [s for s in self._steps if first < s.frame < end],
            [look for look in self._looks if first <= look.frame < end],
            [f for f in self._flows if first <= f.first and f.last < end],
        )

    def sharpest(self, first: int, end: int) -> int:
        """Return the sharpest of the frames looked at in `first` to `end`; `first` where there is none."""
        looks = [look for look in self._looks if first <= look.frame < end]
        return max(looks, key=lambda look: look.texture.laplacian).frame if looks else first

    def forget(self, before: int) -> None:
        """Let go of what was measured of frames below `before`."""
        self._steps = [s for s in self._steps if s.frame >= before]
        self._looks = [look for look in self._looks if look.frame >= before]
        self._flows = [f for f in self._flows if f.first >= before]


def _after(time_s: float, interval_s: float) -> float:
    """Return the first point of the grid after `time_s`."""
    return (int((time_s + 1e-9) / interval_s) + 1) * interval_s


def _step(before: View, after: View) -> Step:
    size = before.y.size
    square = float(cv2.norm(before.y, after.y, cv2.NORM_L2SQR)) / size
    mean = float(cv2.mean(after.y)[0]) - float(cv2.mean(before.y)[0])
    frozen = float(cv2.norm(before.y, after.y, cv2.NORM_INF)) <= _FROZEN_LEVELS
    return Step(after.index, max(0.0, square - mean * mean) ** 0.5, frozen)


def measure_frames(frames: Iterable[Rgb] | Sequence[Rgb], fps: float) -> dict[str, Any]:
    """Return every column of `dataset.schema.MEASURES` for a video held as RGB frames (H, W, 3).

    For pseudo-videos and generated ones: the same meter as for files. Frames may be lazy; one is held at a time.
    """
    meter = Meter()
    count = 0
    for index, rgb in enumerate(frames):
        meter.feed(view_of_rgb(index, index / fps, 1 / fps, rgb))
        count += 1
    return meter.values(0, count)
