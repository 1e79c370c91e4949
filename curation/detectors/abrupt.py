"""Evidence for a hard cut, from the frames around it: cheap for every frame, a closer look only where it may be one.

The closer look asks three things that a cut cannot survive and a fast pan, a flash or a change of light can:
does the picture after look like the one before (whatever its brightness); can motion carry the one into the other;
does the picture come back within a few frames.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from curation.detectors.change import LEAST_CUT, change_score, histogram, histogram_distance, mean_difference
from curation.detectors.fades import likeness
from curation.planes import Plane, View, halve

__all__ = ["LOOKAHEAD", "Abrupt", "Evidence"]

LOOKAHEAD: Final = 4
"""Frames after the one judged that must have been seen: a flash is over by then."""
_MIN_RATIO: Final = 1.8


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a cut before frame `frame`.

    `change` is the change score, `ratio` that over the changes around it, `histogram` the distance of histograms,
    `likeness` the correlation with the frame before (the greatest of any that a flash or wipe leaves), `unmoved` the
    share of the difference that motion cannot explain. `probability` sums them up.
    """

    frame: int
    time_s: float
    change: float
    ratio: float
    histogram: float
    likeness: float
    unmoved: float

    @property
    def probability(self) -> float:
        """Return how probably this is a hard cut, 0 to 1: a logistic regression on spliced footage."""
        score = (
            _INTERCEPT
            + _RATIO * np.log(min(self.ratio, _RATIO_CAP))
            + _HISTOGRAM * self.histogram
            + _UNLIKENESS * np.log(1.02 - self.likeness)
            + _UNMOVED * self.unmoved
        )
        return float(1 / (1 + np.exp(-score)))


# A logistic regression on spliced footage and on sudden changes of light. Motion hardly occurs among the candidates
# there, so the weight of `unmoved` is set by hand: a difference that motion explains tells against a cut.
_INTERCEPT: Final = -1.46
_RATIO: Final = 2.34
_RATIO_CAP: Final = 8.0
_HISTOGRAM: Final = 0.68
_UNLIKENESS: Final = 3.94
_UNMOVED: Final = 2.0


class Abrupt:
    """Keeps the last frames and judges the one `LOOKAHEAD` back."""

    def __init__(self) -> None:
        self._views: deque[View] = deque(maxlen=2 * LOOKAHEAD + 2)
        self._changes: deque[float] = deque(maxlen=2 * LOOKAHEAD + 2)
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def feed(self, view: View) -> Evidence | None:
        """Take the next frame; return the evidence on the frame `LOOKAHEAD` before it, if it may begin a shot."""
        self._changes.append(change_score(self._views[-1], view) if self._views else 0.0)
        self._views.append(view)
        return self._judge(len(self._views) - 1 - LOOKAHEAD)

    def finish(self) -> list[Evidence]:
        """Return the evidence on the last frames, judged by what there is."""
        last = len(self._views) - 1
        found = [self._judge(at) for at in range(max(1, last - LOOKAHEAD + 1), last + 1)]
        return [e for e in found if e is not None]

    def _judge(self, at: int) -> Evidence | None:
        if at < 1:
            return None
        changes = list(self._changes)
        change = changes[at]
        if change < LEAST_CUT:
            return None
        around = [c for i, c in enumerate(changes) if i != at and i >= 1 and abs(i - at) <= 3]
        ratio = change / max(float(np.mean(around)) if around else 0.0, 1.0)
        if ratio < _MIN_RATIO or change < max(around, default=0.0):
            return None
        before, after = self._views[at - 1], self._views[at]
        return Evidence(
            frame=after.index,
            time_s=after.time_s,
            change=change,
            ratio=ratio,
            histogram=histogram_distance(histogram(before), histogram(after)),
            likeness=self._likeness(at),
            unmoved=self._unmoved(before.y, after.y),
        )

    def _likeness(self, at: int) -> float:
        """Return how like the frames before `at` those from `at` on are, a flash of a few frames passed over."""
        before = [self._views[i].tiny for i in range(max(0, at - 2), at)]
        after = [self._views[i].tiny for i in range(at, min(len(self._views), at + LOOKAHEAD + 1))]
        return max(likeness(a, b) for a in before for b in after)

    def _unmoved(self, before: Plane, after: Plane) -> float:
        """Return the share of the difference between two frames that the flow between them leaves, 0 to 1 and more."""
        while min(before.shape) >= 128:
            before, after = halve(before), halve(after)
        plain = mean_difference(before, after)
        if min(before.shape) < 16 or plain == 0:
            return 1.0
        self._dis.setFinestScale(1 if min(before.shape) >= 48 else 0)
        flow = np.asarray(self._dis.calc(before, after, None), np.float32)
        height, width = before.shape
        x = np.arange(width, dtype=np.float32) + flow[..., 0]
        y = np.arange(height, dtype=np.float32)[:, None] + flow[..., 1]
        carried = cv2.remap(after, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return mean_difference(before, np.asarray(carried, np.uint8)) / plain
