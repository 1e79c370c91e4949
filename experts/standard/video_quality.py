"""How good a video looks, by people's opinion: a head in the manner of DOVER over a video backbone.

Wu et al., "Exploring Video Quality Assessment on User Generated Contents from Aesthetic and Technical Perspectives"
(DOVER), ICCV 2023: two branches, each a small head over the features of a video network, and a weighted sum of their
standardised scores. DOVER's own backbones are not taken over; the heads sit here on the backbone of the role
`video_embedding`, and whoever has trained some gives them as the role `video_quality`: one file, safetensors, of

    <branch>.hidden.weight [64, dim]   <branch>.hidden.bias [64]      for the branches `technical` and `aesthetic`,
    <branch>.last.weight [1, 64]       <branch>.last.bias [1]         or for one of them; 64 may be any number
    <branch>.mean [1]                  <branch>.std [1]               of its scores on the training set
    <branch>.weight [1]                                               its share of the whole

A branch's score is the mean over the backbone's tokens of last(GELU(hidden(token))), less `mean`, over `std`; given
through a sigmoid. The whole is the sigmoid of the weighted mean of the standardised scores, and is the grade. There
is no such file on a hub: the expert works where its weights are given. Null where the frames cannot be had.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataset.schema import Column
from experts import weights
from experts.base import ClipView, ModelRef, Needs, Resources, Statement
from experts.standard._backbone import Backbone
from experts.standard._load import load_tensors
from experts.standard._place import place_of
from media.errors import ConfigError

__all__ = ["BRANCHES", "VideoQuality"]

BRANCHES: Final = ("technical", "aesthetic")
_PARTS: Final = ("hidden.weight", "hidden.bias", "last.weight", "last.bias", "mean", "std", "weight")
_Doubles = npt.NDArray[np.float64]


class VideoQuality:
    """The opinion score."""

    name: ClassVar[str] = "video_quality"
    version: ClassVar[str] = "1"
    needs: ClassVar[Needs] = "frames"
    roles: ClassVar[tuple[str, ...]] = ("video_embedding", "video_quality")
    resources: ClassVar[Resources] = Resources(cpus=1.0, gpus=0.1, memory_mb=2000)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("opinion_score", pa.float32(), "0 to 1: the branches together"),
        Column("opinion_technical", pa.float32(), "0 to 1: noise, blur, compression; null without that branch"),
        Column("opinion_aesthetic", pa.float32(), "0 to 1: content and composition; null without that branch"),
    )
    model: ModelRef | None

    def __init__(
        self, profile: str = "standard", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        place = place_of(self.name, threads)
        head = weights.resolve("video_quality", profile, override)
        self._backbone = Backbone("video_embedding", profile, override, place)
        self._heads = _heads(head.path, self._backbone.dim)
        self.model = weights.joint(self._backbone.model, head.ref)

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the columns of each clip."""
        return [self._columns(tokens) for tokens in self._backbone.tokens(views)]

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State nothing: opinion is for selection."""
        return []

    def grade(self, view: ClipView, prompt: str | None = None) -> float | None:
        """Return the score of a clip, 0 to 1; None where its frames cannot be had."""
        score: float | None = self.measure([view])[0]["opinion_score"]
        return score

    def _columns(self, tokens: npt.NDArray[np.float32] | None) -> dict[str, Any]:
        row: dict[str, Any] = {"opinion_score": None, **{f"opinion_{branch}": None for branch in BRANCHES}}
        if tokens is None:
            return row
        scores = {branch: _score(head, tokens.astype(np.float64)) for branch, head in self._heads.items()}
        shares = {branch: float(head["weight"].item()) for branch, head in self._heads.items()}
        whole = sum(shares[branch] * scores[branch] for branch in scores) / sum(shares.values())
        row |= {f"opinion_{branch}": _sigmoid(score) for branch, score in scores.items()}
        return row | {"opinion_score": _sigmoid(whole)}


def _heads(path: Path, dim: int) -> dict[str, dict[str, _Doubles]]:
    """Return the branches that a file holds. ConfigError names what is wrong with it."""
    tensors = {name: tensor.double().numpy() for name, tensor in load_tensors("video_quality", path).items()}
    heads: dict[str, dict[str, _Doubles]] = {}
    for branch in BRANCHES:
        head = {part: tensors.pop(f"{branch}.{part}") for part in _PARTS if f"{branch}.{part}" in tensors}
        if not head:
            continue
        if lacking := [part for part in _PARTS if part not in head]:
            raise ConfigError(f"{path}: the branch {branch!r} lacks {', '.join(lacking)}")
        if head["hidden.weight"].shape[1:] != (dim,):
            shape = list(head["hidden.weight"].shape)
            raise ConfigError(f"{path}: {branch}.hidden.weight is {shape}, and the backbone gives {dim} numbers")
        if not (head["std"] > 0).all() or not (head["weight"] > 0).all():
            raise ConfigError(f"{path}: {branch}.std and {branch}.weight must be above 0")
        heads[branch] = head
    if tensors or not heads:
        raise ConfigError(f"{path}: no quality head: it holds {', '.join(sorted(tensors)[:4]) or 'nothing'}")
    return heads


def _score(head: Mapping[str, _Doubles], tokens: _Doubles) -> float:
    import torch

    hidden = torch.from_numpy(tokens @ head["hidden.weight"].T + head["hidden.bias"])
    mean = (torch.nn.functional.gelu(hidden).numpy() @ head["last.weight"].T + head["last.bias"]).mean()
    return float((mean - head["mean"].item()) / head["std"].item())


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0
