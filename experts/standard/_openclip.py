"""Models of open_clip, one a process: pictures and texts as unit vectors of one space."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from experts._memo import frozen
from experts._torch import inference
from experts.base import Rgb
from experts.standard._batches import BatchMemo, in_batches
from experts.standard._load import folder_of, reading
from experts.standard._place import Place
from experts.torchvision import ready
from media.errors import ConfigError

__all__ = ["PICTURES", "OpenClip", "must_be", "open_clip_model"]

PICTURES: Final = 64
"""Pictures in one batch."""

_TEXTS: Final = 256
_CONFIG: Final = "open_clip_config.json"
_Floats = npt.NDArray[np.float32]


class OpenClip:
    """A model in the layout of open_clip on the hub: `open_clip_config.json`, `open_clip_model.safetensors`, and the
    tokenizer's files where it is not CLIP's own. Remembers the last pictures.

    `sigmoid` tells which loss trained it: False is CLIP (softmax over a batch), True is SigLIP (a sigmoid a pair),
    which has a bias beside the scale.
    """

    def __init__(self, role: str, profile: str, override: Mapping[str, str | Path], place: Place) -> None:
        found = folder_of(role, profile, override)
        with reading(role, found.path, "a model of open_clip"):
            ready()
            config = json.loads((found.path / _CONFIG).read_text("utf-8"))
            import open_clip

            precision = "bf16" if place.half else "fp32"
            self._model, _, self._prepare = open_clip.create_model_and_transforms(
                f"local-dir:{found.path}", precision=precision, device=place.device
            )
            self._model.eval()
            self._tokenize: Any = open_clip.get_tokenizer(f"local-dir:{found.path}")
        self.model, self._place = found.ref, place
        self.sigmoid = self._model.logit_bias is not None
        self.dim = int(config["model_cfg"]["embed_dim"])
        self._memo: BatchMemo[_Floats] = BatchMemo()

    @property
    def scale(self) -> float:
        """What a cosine is multiplied with before the softmax or sigmoid."""
        return float(self._model.logit_scale.exp().item())

    @property
    def bias(self) -> float:
        """What is added then; 0 for a CLIP."""
        return float(self._model.logit_bias.item()) if self.sigmoid else 0.0

    def pictures(self, frames: Sequence[Rgb]) -> _Floats:
        """Return [N, dim]: each picture as a unit vector."""
        if not frames:
            return np.zeros((0, self.dim), np.float32)
        return np.stack(self._memo.get(frames, lambda lacking: in_batches(lacking, PICTURES, self._look)))

    def texts(self, texts: Sequence[str]) -> _Floats:
        """Return [N, dim]: each text as a unit vector."""
        rows = in_batches(list(texts), _TEXTS, self._read)
        return np.stack(rows) if rows else np.zeros((0, self.dim), np.float32)

    def _look(self, frames: list[Rgb]) -> list[_Floats]:
        import torch
        from PIL import Image

        with inference(self._place.threads):
            batch = torch.stack([self._prepare(Image.fromarray(np.ascontiguousarray(frame))) for frame in frames])
            return _rows(self._model.encode_image(self._place.put(batch), normalize=False))

    def _read(self, texts: list[str]) -> list[_Floats]:
        with inference(self._place.threads):
            return _rows(self._model.encode_text(self._place.put(self._tokenize(texts)), normalize=False))


def _rows(features: Any) -> list[_Floats]:
    """Return unit vectors in float32: normalised here, since bfloat16 would leave them a percent off."""
    exact = features.float()
    unit: _Floats = (exact / exact.norm(dim=-1, keepdim=True).clamp_min(1e-9)).cpu().numpy()
    return list(unit)


@functools.lru_cache(maxsize=4)
def _shared(role: str, profile: str, override: tuple[tuple[str, str], ...], place: Place) -> OpenClip:
    return OpenClip(role, profile, dict(override), place)


def open_clip_model(role: str, profile: str, override: Mapping[str, str | Path] | None, place: Place) -> OpenClip:
    """Return the model of a role, one a process: the embedding and the aesthetic head ask the same."""
    own = {role: override[role]} if override and role in override else {}
    return _shared(role, profile, frozen(own), place)


def must_be(model: OpenClip, role: str, *, sigmoid: bool) -> None:
    """Raise ConfigError unless the model was trained by the loss that the expert's numbers are named after."""
    if model.sigmoid != sigmoid:
        is_one, other = ("a SigLIP", "siglip") if model.sigmoid else ("a CLIP", "clip")
        raise ConfigError(
            f"the model of {role!r}, {model.model.name}, is {is_one}: give it to the role {other!r}, "
            "whose columns and scores are named after it"
        )
