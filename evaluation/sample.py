"""What is graded: the frames of one video, its rate, and the prompt it should show."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from media.errors import UserError

__all__ = ["Frames", "Sample"]

Frames = npt.NDArray[np.uint8]
"""A video: uint8, shape (F, H, W, 3), RGB."""

_SMALLEST_PX = 8


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One video to grade. `prompt` is what was asked for, or the caption; None where there is neither.

    Raises UserError, naming the sample, when the frames are not uint8 (F, H, W, 3) or the rate is not positive.
    """

    sample_id: str
    prompt: str | None
    frames: Frames
    fps: float

    def __post_init__(self) -> None:
        shape = self.frames.shape
        if self.frames.dtype != np.uint8 or len(shape) != 4 or shape[-1] != 3:
            raise UserError(
                f"sample {self.sample_id}: frames must be uint8 of shape (frames, height, width, 3), "
                f"not {self.frames.dtype} of shape {shape}"
            )
        if shape[0] < 1 or min(shape[1:3]) < _SMALLEST_PX:
            raise UserError(f"sample {self.sample_id}: needs a frame of at least {_SMALLEST_PX} x {_SMALLEST_PX} px")
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise UserError(f"sample {self.sample_id}: fps must be positive, not {self.fps}")
