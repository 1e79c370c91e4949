"""How a picture pleases: LAION's aesthetic predictor, a head on CLIP ViT-L/14.

Schuhmann et al., "LAION-5B", 2022, and the improved predictor trained on SAC, Logos and AVA1: linear layers, with
nothing but dropout between them, on the unit vector of a picture; people's marks from 1 to 10. So the head is any file
of tensors whose names end in `weight` and `bias`, one pair a layer, in the order of the numbers in their names; the
first takes CLIP's numbers and the last gives one.

One mark a keyframe, pictures in batches of 64 by the same CLIP as the expert of that name. Nothing is stated: it is
for selection. The grade is the mean mark over 10, held to 0 to 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataset.schema import Column
from experts import weights
from experts.base import ClipView, ModelRef, Needs, Resources, Statement
from experts.standard._batches import by_clip
from experts.standard._load import load_tensors
from experts.standard._openclip import must_be, open_clip_model
from experts.standard._place import place_of
from media.errors import ConfigError

__all__ = ["Aesthetic", "linear_head"]

_Doubles = npt.NDArray[np.float64]


class Aesthetic:
    """The aesthetic mark."""

    name: ClassVar[str] = "aesthetic"
    version: ClassVar[str] = "1"
    needs: ClassVar[Needs] = "keyframes"
    roles: ClassVar[tuple[str, ...]] = ("clip", "aesthetic")
    resources: ClassVar[Resources] = Resources(cpus=1.0, gpus=0.1, memory_mb=3000)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("aesthetic_mean", pa.float32(), "mean of the keyframes' marks, from 1 to 10"),
        Column("aesthetic_min", pa.float32(), "the lowest mark of a keyframe"),
        Column("aesthetic_marks", pa.list_(pa.float32()), "the mark of each keyframe"),
    )
    model: ModelRef | None

    def __init__(
        self, profile: str = "standard", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        place = place_of(self.name, threads)
        head = weights.resolve("aesthetic", profile, override)
        self._clip = open_clip_model("clip", profile, override, place)
        must_be(self._clip, "clip", sigmoid=False)
        self._weight, self._bias = linear_head(head.path, load_tensors("aesthetic", head.path))
        if len(self._weight) != self._clip.dim:
            raise ConfigError(
                f"the head of 'aesthetic' at {head.path} takes {len(self._weight)} numbers and the model of 'clip', "
                f"{self._clip.model.name}, gives {self._clip.dim}: it was made for another CLIP"
            )
        self.model = weights.joint(self._clip.model, head.ref)

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the columns of each clip."""
        vectors = self._clip.pictures([frame for view in views for frame in view.frames])
        marks = (vectors.astype(np.float64) @ self._weight + self._bias).tolist()
        return [
            {
                "aesthetic_mean": float(np.mean(each)),
                "aesthetic_min": min(each),
                "aesthetic_marks": each,
            }
            for each in by_clip(views, marks)
        ]

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State nothing."""
        return []

    def grade(self, view: ClipView, prompt: str | None = None) -> float | None:
        """Return the mean mark over 10, 0 to 1; None without frames."""
        if not view.frames:
            return None
        return float(min(1.0, max(0.0, self.measure([view])[0]["aesthetic_mean"] / 10)))


def linear_head(path: Path, tensors: Mapping[str, Any]) -> tuple[_Doubles, float]:
    """Return the weights [dim] and the bias that a chain of linear layers amounts to. ConfigError for anything else."""
    layers: dict[tuple[int, ...], dict[str, _Doubles]] = {}
    for name, tensor in tensors.items():
        stem, _, kind = name.rpartition(".")
        layers.setdefault(tuple(int(n) for n in re.findall(r"\d+", stem)), {})[kind] = tensor.double().numpy()
    weight: _Doubles | None = None
    bias = np.zeros(0)
    for number in sorted(layers):
        layer = layers[number]
        if set(layer) != {"weight", "bias"} or layer["weight"].ndim != 2:
            raise ConfigError(f"{path}: no head of linear layers: layer {number or ''} has {', '.join(sorted(layer))}")
        if weight is not None and layer["weight"].shape[1] != len(weight):
            raise ConfigError(f"{path}: no head of linear layers: {layer['weight'].shape} after {weight.shape}")
        bias = layer["bias"] if weight is None else layer["weight"] @ bias + layer["bias"]
        weight = layer["weight"] if weight is None else layer["weight"] @ weight
    if weight is None or len(weight) != 1:
        raise ConfigError(f"{path}: no head: its last layer must give one number")
    return weight[0], float(bias[0])
