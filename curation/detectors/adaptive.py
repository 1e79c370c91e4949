"""`adaptive`: a hard cut where the change is great and stands out from the changes around it; needs no model."""

from __future__ import annotations

from collections import deque
from typing import ClassVar

from curation.detectors.base import Cut
from curation.detectors.change import change_score
from curation.detectors.fades import Fades
from curation.planes import View

__all__ = ["Adaptive"]


class Adaptive:
    """A threshold on the ratio of a frame's change to the mean change around it, and fades by luma.

    After PySceneDetect's AdaptiveDetector: the rolling mean keeps fast camera moves from being taken for cuts.
    """

    name: ClassVar[str] = "adaptive"

    def __init__(self, ratio: float = 3.0, min_change: float = 10.0, window: int = 2, min_shot_frames: int = 6) -> None:
        self._ratio = ratio
        self._min_change = min_change
        self._window = window
        self._min_shot = min_shot_frames
        self._changes: deque[tuple[int, float, float]] = deque(maxlen=2 * window + 1)
        self._before: View | None = None
        self._last_cut = -min_shot_frames
        self._fades = Fades()
        self._waiting: list[Cut] = []
        self._settled = 0

    @property
    def settled(self) -> int:
        """Frames whose neighbourhood has been seen, and that are in no open fade."""
        return min(self._settled, self._fades.settled)

    def feed(self, view: View) -> list[Cut]:
        """Judge the frame in the middle of the window."""
        faded = self._fades.feed(view)
        before, self._before = self._before, view
        if before is not None:
            self._changes.append((view.index, view.time_s, change_score(before, view)))
            if len(self._changes) == 2 * self._window + 1:
                self._judge(self._window)
        self._settled = max(0, view.index + 1 - self._window)
        return self._release(faded)

    def finish(self) -> list[Cut]:
        """Judge the last frames with the neighbours they have."""
        faded = self._fades.finish()
        first = self._window if len(self._changes) == 2 * self._window + 1 else 0
        for position in range(first + (first > 0), len(self._changes)):
            self._judge(position)
        self._settled = (self._before.index + 1) if self._before else 0
        return self._release(faded)

    def _judge(self, position: int) -> None:
        index, time_s, change = self._changes[position]
        around = [c for i, (_, _, c) in enumerate(self._changes) if i != position]
        mean = sum(around) / len(around) if around else 0.0
        ratio = change / max(mean, 1.0)
        if change < self._min_change or ratio < self._ratio or index - self._last_cut < self._min_shot:
            return
        self._last_cut = index
        confidence = min(1.0, ratio / (2 * self._ratio))
        self._waiting.append(Cut(index, index, time_s, "hard", confidence, self.name))

    def _release(self, faded: list[Cut]) -> list[Cut]:
        self._waiting = _merge(
            self._waiting, [Cut(c.frame, c.end_frame, c.time_s, c.kind, c.score, self.name) for c in faded]
        )
        ready = [c for c in self._waiting if c.frame < self.settled]
        self._waiting = [c for c in self._waiting if c.frame >= self.settled]
        return ready


def _merge(cuts: list[Cut], fades: list[Cut]) -> list[Cut]:
    """Return both in order, without the hard cuts that a fade covers."""
    kept = [c for c in cuts if not any(f.frame - 1 <= c.frame <= f.end_frame + 1 for f in fades)]
    return sorted(kept + fades, key=lambda c: c.frame)
