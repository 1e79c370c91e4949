"""Dense optical flow: how far each pixel moves to the next frame (DIS, Kroeger et al. 2016); no model.

Computed on luma at a height of at most 360 px, as the pass measures it, and scaled to the frame. `between` is signed
and in pixels of the frame; in the picture of it the direction is the hue (right is red, down is yellow-green) and the
distance is the saturation, full from 2% of the frame's longer side a frame on; what does not move is white.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from experts.base import ClipView, Control, ModelRef, Resources, Rgb

__all__ = ["Flow", "between", "draw"]

_HEIGHT: Final = 360
_LEAST: Final = 32  # the coarsest level of DIS still needs its patches
_FULL: Final = 0.02

Vectors = npt.NDArray[np.float32]
"""float32 [H, W, 2]: pixels to the right and down."""


class Flow:
    """Motion as a control."""

    name: ClassVar[str] = "flow"
    version: ClassVar[str] = "1"
    roles: ClassVar[tuple[str, ...]] = ()
    resources: ClassVar[Resources] = Resources(cpus=1.0, memory_mb=300)
    model: ModelRef | None = None

    def __init__(
        self, profile: str = "embedded", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        pass

    def control(self, view: ClipView) -> Control:
        """Return the flow of each frame to the next: float32 (F, H, W, 2), pixels; the last frame's is zero.

        Values lie within the frame's longer side, either way.
        """
        if not view.frames:
            return Control("flow", np.zeros((0, 0, 0, 2), np.float32), -1, 1, np.zeros((0, 0, 0, 3), np.uint8))
        height, width = view.frames[0].shape[:2]
        longest = float(max(height, width))
        maps = np.zeros((len(view.frames), height, width, 2), np.float32)
        for i, (frame, following) in enumerate(pairwise(view.frames)):
            maps[i] = between(frame, following).clip(-longest, longest)
        return Control("flow", maps, -longest, longest, np.stack([draw(vectors) for vectors in maps]))


def between(frame: Rgb, following: Rgb) -> Vectors:
    """Return how far each pixel of `frame` moves to be in `following`."""
    import cv2

    height, width = frame.shape[:2]
    size = max(_LEAST, round(width * min(1.0, _HEIGHT / height))), max(_LEAST, min(height, _HEIGHT))
    before, after = (_luma(picture, size) for picture in (frame, following))
    dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found = dis.calc(before, after, None)
    vectors: Vectors = cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, 2)
    return vectors * np.array([width / size[0], height / size[1]], np.float32)


def _luma(picture: Rgb, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    import cv2

    luma = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    found: npt.NDArray[np.uint8] = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    return found


def draw(vectors: Vectors) -> Rgb:
    """Return a flow as colours: uint8 [H, W, 3]."""
    import cv2

    distance, angle = cv2.cartToPolar(
        np.ascontiguousarray(vectors[..., 0]), np.ascontiguousarray(vectors[..., 1]), angleInDegrees=True
    )
    full = _FULL * max(vectors.shape[:2])
    hsv = np.stack([angle, np.minimum(1, distance / full), np.ones_like(angle)], axis=-1).astype(np.float32)
    picture: Rgb = np.rint(cv2.cvtColor(hsv.reshape(*angle.shape[:2], 3), cv2.COLOR_HSV2RGB) * 255).astype(np.uint8)
    return picture
