"""A sample brought to the profile's scale, with the optical flow that several metrics share."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from evaluation.flow import Flow, dis_flow
from evaluation.sample import Frames, Sample

__all__ = ["View", "ViewSpec", "make_view", "spread"]

Luma = npt.NDArray[np.uint8]


class ViewSpec(BaseModel):
    """How every video is brought to one scale before anything is measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    short_side_px: int = Field(ge=32, description="short side after the resize: by area down, cubic up")
    window_s: float = Field(gt=0, description="at most this much is measured, from the middle of the video")
    fps: float = Field(gt=0, description="rate at which motion is measured; slower videos keep their own rate")
    pairs: int = Field(ge=1, description="frame pairs a motion metric looks at, spread evenly")
    stills: int = Field(ge=1, description="frames a still metric looks at, spread evenly")


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What metrics see. `luma` u8[N,h,w] is at the video's own `fps`; `stills` u8[K,h,w,3] are a few of its frames.

    `slow` holds the frame numbers of the sampling at the profile's rate, `slow_fps` their mean rate.
    """

    prompt: str | None
    luma: Luma
    stills: Frames
    fps: float
    slow: tuple[int, ...]
    slow_fps: float
    spec: ViewSpec
    _flows: dict[tuple[int, int], Flow] = field(default_factory=dict, repr=False)

    @property
    def height_px(self) -> int:
        """Height of the view."""
        return int(self.luma.shape[1])

    def flow(self, first: int, second: int) -> Flow:
        """Return DIS flow f32[h,w,2] from frame `first` to frame `second`, in pixels of the view; computed once."""
        pair = (first, second)
        if pair not in self._flows:
            self._flows[pair] = dis_flow(self.luma[first], self.luma[second])
        return self._flows[pair]

    def slow_pairs(self) -> list[tuple[int, int]]:
        """Neighbours in the slow sampling: at most `spec.pairs`, spread evenly."""
        return [(self.slow[i], self.slow[i + 1]) for i in spread(len(self.slow) - 1, self.spec.pairs)]

    def pairs(self) -> list[tuple[int, int]]:
        """Neighbours at the video's own rate: at most `spec.pairs`, spread evenly."""
        return [(i, i + 1) for i in spread(len(self.luma) - 1, self.spec.pairs)]


def spread(count: int, most: int) -> list[int]:
    """Return at most `most` of range(count), spread evenly and symmetrically."""
    if count <= most:
        return list(range(max(count, 0)))
    return [int((2 * i + 1) * count / (2 * most)) for i in range(most)]


def make_view(sample: Sample, spec: ViewSpec) -> View:
    """Cut the middle window out of `sample`, resize it, and choose the frames that metrics look at."""
    total = len(sample.frames)
    count = min(total, max(1, round(spec.window_s * sample.fps)))
    start = (total - count) // 2
    frames = sample.frames[start : start + count]
    size = _size(frames.shape[2], frames.shape[1], spec.short_side_px)
    luma = np.stack([_resize(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), size) for f in frames])
    stills = np.stack([_resize(frames[i], size) for i in spread(count, spec.stills)])
    step = max(1.0, sample.fps / spec.fps)
    slow = tuple(dict.fromkeys(min(count - 1, round(i * step)) for i in range(int((count - 1) / step + 1e-9) + 1)))
    slow_fps = sample.fps * (len(slow) - 1) / (slow[-1] - slow[0]) if len(slow) > 1 else sample.fps / step
    return View(sample.prompt, luma, stills, sample.fps, slow, slow_fps, spec)


def _size(width: int, height: int, short_side: int) -> tuple[int, int]:
    scale = short_side / min(width, height)
    return max(8, round(width * scale)), max(8, round(height * scale))


def _resize(picture: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    if picture.shape[1::-1] == size:
        return picture
    shrinking = size[0] < picture.shape[1]
    resized = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC)
    return np.asarray(resized, dtype=np.uint8)
