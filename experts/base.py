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

__all__ = ["DIMENSIONS", "ClipView", "Dimension", "Expert", "ModelRef", "Needs", "Resources", "Rgb", "Statement"]

Rgb = npt.NDArray[np.uint8]
"""A picture: uint8, shape (H, W, 3), RGB."""

Dimension = Literal[
    "subject", "count", "appearance", "action", "setting", "text", "camera", "light", "style", "quality"
]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
"""The parts of a caption; each statement belongs to one."""

Needs: TypeAlias = Literal["keyframes", "frames", "row"]
"""What an expert looks at: the view's keyframes, every frame of the clip, or the measured columns alone."""


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


@runtime_checkable
class Expert(Protocol):
    """The protocol. `measure` answers for a batch of clips, possibly from many videos, in their order.

    `roles` are the models it takes from the profile. Two more methods are optional: `grade(view, prompt)`, a score
    for a video and optionally its prompt, and `control(view)`, a map per frame.
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
