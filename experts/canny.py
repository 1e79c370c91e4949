"""Edges (Canny 1986), as ControlNet's first condition takes them: white lines on black, no model.

The thresholds of the gradient, 100 and 200 (L1 norm of the 3 x 3 Sobel derivatives of an 8-bit picture), are those
that ControlNet's authors publish (Zhang et al. 2023), on the picture as it is: a soft picture has few edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from experts.base import ClipView, Control, ModelRef, Resources, Rgb

__all__ = ["Canny", "edges"]


class Canny:
    """Edges as a control."""

    name: ClassVar[str] = "canny"
    version: ClassVar[str] = "1"
    roles: ClassVar[tuple[str, ...]] = ()
    resources: ClassVar[Resources] = Resources(cpus=0.5, memory_mb=150)
    model: ModelRef | None = None

    def __init__(
        self, profile: str = "embedded", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        pass

    def control(self, view: ClipView) -> Control:
        """Return the edges of each frame: uint8 (F, H, W), 0 or 255."""
        drawn = [edges(frame) for frame in view.frames]
        return Control("edges", np.stack(drawn) if drawn else np.zeros((0, 0, 0), np.uint8), 0, 255)


def edges(frame: Rgb, low: float = 100, high: float = 200) -> npt.NDArray[np.uint8]:
    """Return the edges of a picture: uint8 [H, W], 0 or 255."""
    import cv2

    luma = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)
    found: npt.NDArray[np.uint8] = cv2.Canny(luma, low, high)
    return found
