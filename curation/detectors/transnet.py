"""`transnet`: TransNetV2 (Soucek and Lokoc 2020) over every frame; the most thorough and the slowest."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from curation.detectors.base import Cut, CutKind
from curation.detectors.thumbs import Thumbs
from curation.planes import View

__all__ = ["TransNet", "load_network", "require_network"]

_STEP: Final = 50
_MARGIN: Final = 25


def require_network() -> None:
    """Raise `MissingModelError` where the network's weights are not there. Loads nothing."""
    from experts import weights

    weights.resolve("shots")


@cache
def load_network() -> Any:
    """Return `experts.shots.TransNet`, one for the process; `MissingModelError` where its weights are not there."""
    from experts.shots import TransNet as Network

    return Network()


class TransNet:
    """Windows of 100 frames every 50, the middle 50 kept; a run of frames above the threshold is one boundary."""

    name: ClassVar[str] = "transnet"

    def __init__(self, threshold: float = 0.5) -> None:
        self._network = load_network()
        self._threshold = threshold
        self._thumbs = Thumbs(_STEP + 2 * _MARGIN)
        self._times: dict[int, float] = {}
        self._run: list[tuple[int, float]] = []
        self._judged = 0
        self._next = 0

    @property
    def settled(self) -> int:
        """Frames before the first that is not judged, or before a run still open."""
        return self._run[0][0] if self._run else self._judged

    def feed(self, view: View) -> list[Cut]:
        """Judge 50 frames whenever 25 more are there to judge them by."""
        self._thumbs.push(view)
        self._times[view.index] = view.time_s
        self._next = view.index + 1
        return self._judge(_STEP) if self._next - self._judged >= _STEP + _MARGIN else []

    def finish(self) -> list[Cut]:
        """Judge the rest; the last frame is repeated as its context."""
        cuts: list[Cut] = []
        while self._judged < self._next:
            cuts += self._judge(min(_STEP, self._next - self._judged))
        if self._run:
            cuts.append(self._close())
        return cuts

    def _judge(self, count: int) -> list[Cut]:
        first, frames = self._thumbs.frames(self._judged - _MARGIN, self._judged + count + _MARGIN)
        # Where the video begins or ends, its first or last frame stands in for the context.
        before = _MARGIN - (self._judged - first)
        after = _MARGIN + count + _MARGIN - before - len(frames)
        window = np.concatenate([frames[:1].repeat(before, 0), frames, frames[-1:].repeat(after, 0)])
        likely: npt.NDArray[np.float32] = self._network.window(window)[before:]
        cuts = []
        for index in range(self._judged, self._judged + count):
            probability = float(likely[index - first])
            if probability > self._threshold:
                self._run.append((index, probability))
            elif self._run:
                cuts.append(self._close())
        self._judged += count
        self._times = {i: t for i, t in self._times.items() if i >= self._judged - 2 * _STEP}
        return cuts

    def _close(self) -> Cut:
        """Turn the run into a boundary: the network marks the last frames before the next shot."""
        run, self._run = self._run, []
        first, last = run[0][0] + 1, run[-1][0] + 1
        score = max(probability for _, probability in run)
        kind: CutKind = "hard" if last - first < 2 else "dissolve"
        start = last if kind == "hard" else first
        return Cut(start, last, self._times.get(start, self._times[max(self._times)]), kind, score, self.name)
