"""What a clip shows and does, as one vector: VideoMAE or X-CLIP, through transformers.

Tong et al., "VideoMAE", 2022; Ni et al., "Expanding Language-Image Pretrained Models for General Video Recognition"
(X-CLIP), 2022. The checkpoint's config tells which, and how many frames it sees (16, 8): they are taken at even
distances over the whole clip, from the file again, and prepared as the checkpoint says. VideoMAE: the mean of the last
layer's tokens. X-CLIP: its video feature. Clips go through in batches of 4. Null where the frames cannot be had.

`features` is also what a Fréchet video distance is computed from: print the name of the model beside it. Nothing is
stated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataset.schema import Column
from experts.base import ClipView, ModelRef, Needs, Resources, Statement
from experts.standard._backbone import Backbone
from experts.standard._place import place_of

__all__ = ["VideoEmbedding"]

_Floats = npt.NDArray[np.float32]


class VideoEmbedding:
    """The vector of a clip."""

    name: ClassVar[str] = "video_embedding"
    version: ClassVar[str] = "1"
    needs: ClassVar[Needs] = "frames"
    roles: ClassVar[tuple[str, ...]] = ("video_embedding",)
    resources: ClassVar[Resources] = Resources(cpus=1.0, gpus=0.1, memory_mb=2000)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("video_embedding", pa.list_(pa.float32()), "the clip's vector, unit length; null without its frames"),
    )
    model: ModelRef | None

    def __init__(
        self, profile: str = "standard", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        self._backbone = Backbone("video_embedding", profile, override, place_of(self.name, threads))
        self.model = self._backbone.model

    def features(self, views: Sequence[ClipView]) -> list[_Floats | None]:
        """Return the vector [dim] of each clip, of whatever length; None where its frames cannot be had."""
        return [None if tokens is None else tokens.mean(axis=0) for tokens in self._backbone.tokens(views)]

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the columns of each clip."""
        return [{"video_embedding": None if row is None else _unit(row)} for row in self.features(views)]

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State nothing."""
        return []


def _unit(vector: _Floats) -> list[float]:
    return [float(value) for value in vector / max(float(np.linalg.norm(vector)), 1e-9)]
