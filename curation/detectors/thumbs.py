"""The last frames as TransNetV2 wants to see them, made only when they are asked for."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from curation.planes import View

__all__ = ["Thumbs"]


class Thumbs:
    """The last `length` frames: small planes, 20 to 90 kB each."""

    def __init__(self, length: int) -> None:
        self._held: deque[View] = deque(maxlen=length)

    def push(self, view: View) -> None:
        """Keep the frame."""
        self._held.append(view)

    def frames(self, first: int, end: int) -> tuple[int, npt.NDArray[np.uint8]]:
        """Return the first frame number held within `first` to `end`, and the frames: uint8 (N, 27, 48, 3) RGB."""
        chosen = [view for view in self._held if first <= view.index < end]
        stack = np.stack([view.thumb for view in chosen]) if chosen else np.zeros((0, 27, 48, 3), np.uint8)
        return (chosen[0].index if chosen else first), stack
