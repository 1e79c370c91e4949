"""`content`: a hard cut where one frame differs from the one before by more than a fixed score."""

from __future__ import annotations

from typing import ClassVar

from curation.detectors.base import Cut
from curation.detectors.change import change_score
from curation.planes import View

__all__ = ["Content"]


class Content:
    """A fixed threshold on the change score. Simple and blind to context: fast pans and flashes fool it."""

    name: ClassVar[str] = "content"

    def __init__(self, threshold: float = 24.0, min_shot_frames: int = 6) -> None:
        self._threshold = threshold
        self._min_shot = min_shot_frames
        self._before: View | None = None
        self._last_cut = -min_shot_frames
        self._next = 0

    @property
    def settled(self) -> int:
        """Every frame fed is decided at once."""
        return self._next

    def feed(self, view: View) -> list[Cut]:
        """Compare with the frame before."""
        before, self._before, self._next = self._before, view, view.index + 1
        if before is None:
            return []
        score = change_score(before, view)
        if score < self._threshold or view.index - self._last_cut < self._min_shot:
            return []
        self._last_cut = view.index
        confidence = min(1.0, score / (2 * self._threshold))
        return [Cut(view.index, view.index, view.time_s, "hard", confidence, self.name)]

    def finish(self) -> list[Cut]:
        """Nothing is left undecided."""
        return []
