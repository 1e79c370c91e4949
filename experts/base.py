"""What an expert is: a model that looks at frames of a clip and says what is there.

An expert declares what it needs and what it gives, and has up to four faces: `measure` gives columns for
selection, `state` gives statements for captions, `control` gives a map per frame that conditions a generator,
`grade` gives a score for a video. This module holds the protocol and the values that pass through it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, get_args, runtime_checkable

import numpy as np
import numpy.typing as npt

from dataset.schema import Column

__all__ = [
    "DIMENSIONS",
    "ClipView",
    "Control",
    "ControlKind",
    "Controller",
    "Dimension",
    "Expert",
    "ModelRef",
    "Needs",
    "Resources",
    "Rgb",
    "Statement",
]

Rgb = npt.NDArray[np.uint8]
"""A picture: uint8, shape (H, W, 3), RGB."""

Dimension = Literal[
    "subject", "count", "appearance", "action", "setting", "text", "camera", "light", "style", "quality"
]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
"""The parts of a caption; each statement belongs to one."""

Needs: TypeAlias = Literal["keyframes", "frames", "row"]
"""What an expert looks at: the view's keyframes, frames that it reads itself, or the measured columns alone.

Keyframes are in the view. An expert of `frames` reads those it wants, at its own rate and size, by
`experts.frames.evenly(view, count, height)` or `pairs_of`; a view without keyframes is given to it too.
"""

ControlKind = Literal["edges", "skeleton", "flow", "mask", "depth"]
"""What the numbers of a control map mean."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing an expert says: `<subject> <predicate> <value>`, for instance `sign reads "STOP"`.

    `confidence` is 0 to 1. The span is in source frames, half-open.
    """

    expert: str
    dimension: Dimension
    subject: str
    predicate: str
    value: str
    confidence: float
    first_frame: int
    end_frame: int


@dataclass(frozen=True, slots=True)
class ClipView:
    """What an expert sees of one clip: some of its frames, and what has been measured of it.

    `frames[i]` is source frame `indices[i]`, seen at `times_s[i]`. `row` holds the clip's measured columns
    (may be empty: a generated video has none). Experts must cope with one frame and any picture shape.
    """

    clip_id: str
    frames: Sequence[Rgb]
    indices: Sequence[int]
    times_s: Sequence[float]
    first_frame: int
    end_frame: int
    row: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model as it is named in every row: its name, the first 12 hex digits of its weights' sha256, its licence."""

    name: str
    hash: str
    license: str


@dataclass(frozen=True, slots=True)
class Resources:
    """What one actor of an expert takes: CPU cores, share of a GPU, memory."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory_mb: int = 500


@dataclass(frozen=True, slots=True)
class Control:
    """A map per frame of a clip, in the order of its frames: what conditions a generator.

    `maps` is uint8 or float32, shape (F, H, W) or (F, H, W, C), as high and wide as the frames; every value lies
    from `low` to `high`. `drawn` is uint8 (F, H, W, 3): how to draw maps that are neither grey nor pictures.
    """

    kind: ControlKind
    maps: npt.NDArray[np.uint8] | npt.NDArray[np.float32]
    low: float
    high: float
    drawn: npt.NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        grey_or_rgb = self.maps.ndim == 3 or (self.maps.dtype == np.uint8 and self.maps.shape[3:] == (3,))
        if self.maps.dtype not in (np.uint8, np.float32) or self.maps.ndim not in (3, 4) or not self.low < self.high:
            raise ValueError(f"no control: {self.maps.dtype} {list(self.maps.shape)} from {self.low} to {self.high}")
        if not grey_or_rgb and (self.drawn is None or self.drawn.shape != (*self.maps.shape[:3], 3)):
            raise ValueError(f"maps {list(self.maps.shape)} need to be drawn as pictures of that size")

    def pictures(self) -> npt.NDArray[np.uint8]:
        """Return uint8 (F, H, W, 3) for the eye, and for a generator that is conditioned on pictures; read only."""
        if self.drawn is not None:
            return self.drawn
        if self.maps.ndim == 4:
            return self.maps.astype(np.uint8, copy=False)
        grey = self.maps
        if grey.dtype != np.uint8 or (self.low, self.high) != (0, 255):
            grey = ((grey - self.low) * (255 / (self.high - self.low))).astype(np.uint8)
        return np.broadcast_to(grey.astype(np.uint8, copy=False)[..., None], (*grey.shape, 3))


@runtime_checkable
class Controller(Protocol):
    """An expert with the face `control`. It may be an `Expert` too; if it is not, it measures nothing of a clip.

    The frames of a view are of one size. A view without frames gives maps of shape (0, 0, 0[, C]).
    """

    name: ClassVar[str]
    version: ClassVar[str]
    roles: ClassVar[tuple[str, ...]]
    resources: ClassVar[Resources]
    model: ModelRef | None

    def control(self, view: ClipView) -> Control:
        """Return a map for each frame of the view."""
        ...


@runtime_checkable
class Expert(Protocol):
    """The protocol. `measure` answers for a batch of clips, possibly from many videos, in their order.

    `roles` are the models it takes from the profile. Two more faces are optional: `grade(view, prompt)`, a score
    for a video and optionally its prompt, and that of a `Controller`.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    needs: ClassVar[Needs]
    roles: ClassVar[tuple[str, ...]]
    columns: ClassVar[tuple[Column, ...]]
    resources: ClassVar[Resources]
    model: ModelRef | None

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return, for each clip, a value for every one of `columns`."""
        ...

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """Return what can be said of the clip, given its own measured `values`; empty if nothing."""
        ...
