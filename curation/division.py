"""The open shot while it runs: which of its clips are certain already, and which come with its end."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curation.clips import Shot, Span, divide, lawful, lead, window_end, window_start, windows
from curation.config import CurateConfig

__all__ = ["OpenShot"]

Edges = npt.NDArray[np.float64]


class OpenShot:
    """A shot whose end is not known. `first` is the earliest frame that a clip still to come may begin with."""

    def __init__(self, index: int, first: int, cut_in: str, config: CurateConfig) -> None:
        self.index = index
        self.first = first
        self.start = first
        self._cut_in = cut_in
        self._min_s, self._max_s = config.min_clip_s, config.max_clip_s
        self._stride_s = (config.stride_s or config.max_clip_s) if config.division == "stride" else None
        self._number = 0
        self._covered = first

    def early(self, edges: Edges) -> list[Span]:
        """Return the clips from its front that no later frame can change; `edges` are those of the settled frames."""
        found = []
        while (span := self._even(edges) if self._stride_s is None else self._window(edges)) is not None:
            if lawful(edges, span.first, span.end, self._min_s, self._max_s):
                found.append(span)
        return found

    def close(self, edges: Edges, end: int, cut_out: str) -> list[Span]:
        """Return the remaining clips, where the shot ends before frame `end`."""
        if self._stride_s is None:
            return divide(edges, Shot(self.index, self.first, end, self._cut_in, cut_out), self._min_s, self._max_s)
        if self._covered == end:
            return []
        shot = Shot(self.index, self.start, end, self._cut_in, cut_out)
        return windows(edges, shot, self._min_s, self._max_s, self._stride_s, self._number)

    def _even(self, edges: Edges) -> Span | None:
        end = lead(edges, self.first, self._max_s) if len(edges) > self.first else None
        if end is None:
            return None
        span = Span(self.index, self.first, end, self._cut_in, "split")
        self.first, self._cut_in = end, "split"
        return span

    def _window(self, edges: Edges) -> Span | None:
        assert self._stride_s is not None
        known = len(edges) - 1
        if known <= self.first or edges[-1] <= edges[self.start] + self._number * self._stride_s + self._max_s + 1e-6:
            return None
        first = window_start(edges, self.start, self._number, self._stride_s)
        end = window_end(edges, first, self._max_s)
        if end >= known:
            return None
        cut_in = self._cut_in if self._number == 0 else "split"
        self.first = first
        while self.first == first:  # a gap in the timestamps may be longer than the stride
            self._number += 1
            self.first = window_start(edges, self.start, self._number, self._stride_s)
        self._covered = end
        return Span(self.index, first, end, cut_in, "split")
