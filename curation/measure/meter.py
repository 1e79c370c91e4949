"""The meter: fed every frame of the one pass, it answers for any span of frames afterwards.

Where clips begin and end is known only after shots are decided, so the meter keeps a few numbers per frame, and a
few more for each sampled frame (a look) and sampled pair of frames (a flow), until `forget` says that they are
no longer needed. Between a video's cuts that is a fraction of a megabyte, whatever the video's length.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from curation.measure.aggregate import aggregate
from curation.measure.flow import Flow
from curation.measure.observer import Look, Observer, Step
from curation.measure.texture import measure_sharpness
from curation.planes import Rgb, View, view_of_rgb

__all__ = ["Meter", "measure_frames"]

_LEAST_LOOKS = 2
"""To call one the sharpest, there must be another."""


class Meter:
    """Measures a video in one pass, frame by frame. One meter is for one video.

    `looks_per_s` and `pairs_per_s` as for `Observer`. A frame that was observed already is not observed again.
    """

    def __init__(self, looks_per_s: float = 1.0, pairs_per_s: float = 2.0) -> None:
        self._observer = Observer(looks_per_s, pairs_per_s)
        self._steps: list[Step] = []
        self._looks: list[Look] = []
        self._flows: list[Flow] = []

    def feed(self, view: View) -> None:
        """Take the next frame, in order."""
        noted = view.noted if view.noted is not None else self._observer.observe(view)
        if noted.step is not None:
            self._steps.append(noted.step)
        if noted.look is not None:
            self._looks.append(noted.look)
        self._flows += noted.flows

    def values(self, first: int, end: int) -> dict[str, Any]:
        """Return every column of `dataset.schema.MEASURES` for frames `first` to `end` (half-open).

        A value is None where the span holds nothing to measure it on: motion needs two frames.
        """
        return aggregate(
            [s for s in self._steps if first <= s.before and s.frame < end],
            [look for look in self._looks if first <= look.frame < end],
            [f for f in self._flows if first <= f.first and f.last < end],
        )

    def sharpest(self, first: int, end: int) -> int:
        """Return the sharpest of the frames looked at in `first` to `end`; `first` where there are not two."""
        looks = [look for look in self._looks if first <= look.frame < end]
        if len(looks) < _LEAST_LOOKS:
            return first
        return max(looks, key=lambda look: measure_sharpness(look.sharp).laplacian).frame if looks else first

    def forget(self, before: int) -> None:
        """Let go of what was measured of frames below `before`."""
        self._steps = [s for s in self._steps if s.frame >= before]
        self._looks = [look for look in self._looks if look.frame >= before]
        self._flows = [f for f in self._flows if f.first >= before]


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
