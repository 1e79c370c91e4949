"""How likely the clip is not safe for work: Yahoo's open_nsfw (ResNet-50-thin), one score a keyframe.

Input as the network was trained: 256 px bilinear, centre 224, BGR, minus the ImageNet mean. Its authors advise
0.8 as certain and below 0.2 as safe. A flag for selection, never a word of a caption: nothing is stated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataset.schema import Column
from experts import weights
from experts._torch import default_threads
from experts.base import ClipView, ModelRef, Needs, Resources, Rgb, Statement

__all__ = ["Nsfw"]

_MEAN_BGR: Final = np.array([104, 117, 123], np.float32)


class Nsfw:
    """The safety score."""

    name: ClassVar[str] = "nsfw"
    version: ClassVar[str] = "1"
    needs: ClassVar[Needs] = "keyframes"
    roles: ClassVar[tuple[str, ...]] = ("nsfw",)
    resources: ClassVar[Resources] = Resources(cpus=1.0, memory_mb=300)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("nsfw_max", pa.float32(), "highest score over the keyframes, 0 safe to 1"),
        Column("nsfw_mean", pa.float32(), "mean score over the keyframes"),
    )
    model: ModelRef | None

    def __init__(
        self, profile: str = "embedded", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        import onnxruntime

        found = weights.resolve("nsfw", profile, override)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or default_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(found.path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self.model = found.ref

    def scores(self, frames: Sequence[Rgb]) -> list[float]:
        """Return the score of each picture, 0 to 1."""
        return [float(self._session.run(None, {self._input: _prepare(frame)[None]})[0][0, 1]) for frame in frames]

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the columns of each clip."""
        rows = []
        for view in views:
            scores = self.scores(view.frames)
            rows.append({"nsfw_max": max(scores), "nsfw_mean": sum(scores) / len(scores)})
        return rows

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State nothing: the score is for selection."""
        return []


def _prepare(frame: Rgb) -> npt.NDArray[np.float32]:
    from PIL import Image

    # Pillow's bilinear filter widens as it shrinks, which is what the network was trained on; OpenCV's does not.
    square = Image.fromarray(np.ascontiguousarray(frame)).resize((256, 256), Image.Resampling.BILINEAR)
    centre = np.asarray(square.crop((16, 16, 240, 240)), np.float32)
    return np.ascontiguousarray(centre[..., ::-1] - _MEAN_BGR)
