"""`histogram`: a hard cut where the colour histogram jumps."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from curation.detectors.base import Cut
from curation.detectors.change import histogram, histogram_distance
from curation.planes import View

__all__ = ["Histogram"]


class Histogram:
    """A threshold on the distance of colour histograms: blind to motion, and to cuts between like-coloured shots."""

    name: ClassVar[str] = "histogram"

    def __init__(self, threshold: float = 0.28, min_shot_frames: int = 6) -> None:
        self._threshold = threshold
        self._min_shot = min_shot_frames
        self._before: npt.NDArray[np.float32] | None = None
        self._last_cut = -min_shot_frames
        self._next = 0

    @property
    def settled(self) -> int:
        """Every frame fed is decided at once."""
        return self._next

    def feed(self, view: View) -> list[Cut]:
        """Compare with the frame before."""
        now = histogram(view)
        before, self._before, self._next = self._before, now, view.index + 1
        if before is None:
            return []
        distance = histogram_distance(before, now)
        if distance < self._threshold or view.index - self._last_cut < self._min_shot:
            return []
        self._last_cut = view.index
        confidence = min(1.0, distance / (2 * self._threshold))
        return [Cut(view.index, view.index, view.time_s, "hard", confidence, self.name)]

    def finish(self) -> list[Cut]:
        """Nothing is left undecided."""
        return []
