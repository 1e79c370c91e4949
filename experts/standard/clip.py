"""Pictures and texts in one space: CLIP and SigLIP 2, by open_clip.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021; Tschannen et al.,
"SigLIP 2", 2025. Pictures go through in batches of 64, of all clips together, prepared as the checkpoint says.

**Embedding.** The mean of the keyframes' unit vectors, of unit length again.

**Tags.** Zero-shot over the vocabulary file. CLIP: a softmax over the phrases of a dimension of scale times cosine,
section 3.1.2 of the paper, with the mean over three templates as a phrase's vector. SigLIP: a sigmoid for each phrase
of scale times cosine plus bias. Means over the keyframes; the three most probable of each dimension are kept. Stated:
the best of a dimension from a mean probability of 0.6; its confidence is that probability.

**Grade.** CLIP score (Hessel et al., "CLIPScore", 2021, equation 1): w * max(cos, 0) with w = 2.5, averaged over the
frames after the clamp; 0 to 2.5. The paper's CLIP is ViT-B/32; which one it is here, every row says. It is called so
only here: a SigLIP's grade is the mean of its own sigmoid, and is no CLIP score. `score` keeps the raw cosine too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataset.schema import Column, struct_type
from experts import weights
from experts.base import ClipView, Dimension, ModelRef, Needs, Resources, Statement
from experts.standard._batches import by_clip
from experts.standard._openclip import must_be, open_clip_model
from experts.standard._place import place_of
from experts.standard._vocabulary import vocabulary

__all__ = ["WEIGHT", "Clip", "Score", "Siglip"]

WEIGHT: Final = 2.5
"""w of the CLIP score."""

_TEMPLATES: Final = ("{}.", "a photo of {}.", "a video of {}.")
_KEPT: Final = 3
_SURE: Final = 0.6
_SAID: Final = {"style": "looks like"}
_TAG: Final = struct_type(
    Column("dimension", pa.string(), "the part of a caption that the tag belongs to"),
    Column("tag", pa.string(), "the phrase of the vocabulary"),
    Column("probability", pa.float32(), "its mean probability over the keyframes"),
)
_Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Score:
    """How well a clip fits a text. `cosine` is the raw mean over the frames, -1 to 1; `score` is what is named."""

    score: float
    cosine: float


class _Joint:
    """What CLIP and SigLIP share."""

    name: ClassVar[str]
    role: ClassVar[str]
    sigmoid: ClassVar[bool]
    columns: ClassVar[tuple[Column, ...]]
    version: ClassVar[str] = "1"
    needs: ClassVar[Needs] = "keyframes"
    model: ModelRef | None

    def __init__(
        self, profile: str = "standard", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        place = place_of(self.name, threads)
        words = weights.resolve("vocabulary", profile, override)
        self._phrases = vocabulary(words.path)
        self._clip = open_clip_model(self.role, profile, override, place)
        must_be(self._clip, self.role, sigmoid=self.sigmoid)
        self.model = weights.joint(words.ref, self._clip.model)
        self._tags = {dimension: self._vectors(phrases) for dimension, phrases in self._phrases.items()}

    def embed(self, views: Sequence[ClipView]) -> list[_Floats]:
        """Return, for each clip, [frames, dim]: each frame as a unit vector."""
        rows = self._clip.pictures([frame for view in views for frame in view.frames])
        return [np.stack(part) if part else rows[:0] for part in by_clip(views, list(rows))]

    def texts(self, texts: Sequence[str]) -> _Floats:
        """Return [N, dim]: each text as a unit vector."""
        return self._clip.texts(texts)

    def score(self, views: Sequence[ClipView], prompts: Sequence[str]) -> list[Score]:
        """Return the score of each view, which must have frames, with its own prompt."""
        if len(views) != len(prompts):
            raise ValueError(f"{len(views)} views but {len(prompts)} prompts: give one prompt per view")
        cosines = [part @ text for part, text in zip(self.embed(views), self.texts(prompts), strict=True)]
        return [Score(float(self._fit(cosine).mean()), float(cosine.mean())) for cosine in cosines]

    def grade(self, view: ClipView, prompt: str | None = None) -> float | None:
        """Return the score of a clip with its prompt; None without a prompt, or without frames."""
        return self.score([view], [prompt])[0].score if prompt and view.frames else None

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the columns of each clip."""
        return [self._columns(rows) for rows in self.embed(views)]

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State the most probable phrase of each dimension, if sure enough."""
        best: dict[str, Mapping[str, Any]] = {}
        for tag in values[f"{self.name}_tags"]:
            best.setdefault(tag["dimension"], tag)
        return [
            Statement(
                self.name,
                cast(Dimension, dimension),
                "scene",
                _SAID.get(dimension, "shows"),
                tag["tag"],
                round(min(1.0, float(tag["probability"])), 3),
                view.first_frame,
                view.end_frame,
            )
            for dimension, tag in best.items()
            if tag["probability"] >= _SURE
        ]

    def _fit(self, cosine: _Floats) -> _Floats:
        raise NotImplementedError

    def _chances(self, cosines: _Floats) -> _Floats:
        raise NotImplementedError

    def _vectors(self, phrases: Sequence[str]) -> _Floats:
        """Return [phrases, dim]: the mean over the templates, of unit length."""
        each = self._clip.texts([template.format(phrase) for phrase in phrases for template in _TEMPLATES])
        return _unit(each.reshape(len(phrases), len(_TEMPLATES), -1).mean(axis=1))

    def _columns(self, rows: _Floats) -> dict[str, Any]:
        tags = []
        for dimension, vectors in self._tags.items():
            mean = self._chances(rows @ vectors.T).mean(axis=0)
            for at in np.argsort(-mean, kind="stable")[:_KEPT]:
                tag = self._phrases[dimension][at]
                tags.append({"dimension": dimension, "tag": tag, "probability": float(mean[at])})
        embedding = _unit(rows.mean(axis=0))
        return {f"{self.name}_embedding": [float(value) for value in embedding], f"{self.name}_tags": tags}


class Clip(_Joint):
    """CLIP ViT-L/14: the embedding, the tags, the CLIP score."""

    name: ClassVar[str] = "clip"
    role: ClassVar[str] = "clip"
    sigmoid: ClassVar[bool] = False
    roles: ClassVar[tuple[str, ...]] = ("vocabulary", "clip")
    resources: ClassVar[Resources] = Resources(cpus=1.0, gpus=0.1, memory_mb=3000)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("clip_embedding", pa.list_(pa.float32()), "mean of the keyframes' CLIP vectors, unit length"),
        Column("clip_tags", pa.list_(_TAG), "the three most probable phrases of each dimension of the vocabulary"),
    )

    def _fit(self, cosine: _Floats) -> _Floats:
        return cast(_Floats, WEIGHT * np.maximum(cosine, 0.0))

    def _chances(self, cosines: _Floats) -> _Floats:
        logits = self._clip.scale * cosines
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        return cast(_Floats, raised / raised.sum(axis=1, keepdims=True))


class Siglip(_Joint):
    """SigLIP 2: the embedding, the tags, its own fit with a text."""

    name: ClassVar[str] = "siglip"
    role: ClassVar[str] = "siglip"
    sigmoid: ClassVar[bool] = True
    roles: ClassVar[tuple[str, ...]] = ("vocabulary", "siglip")
    resources: ClassVar[Resources] = Resources(cpus=1.0, gpus=0.1, memory_mb=3000)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("siglip_embedding", pa.list_(pa.float32()), "mean of the keyframes' SigLIP vectors, unit length"),
        Column("siglip_tags", pa.list_(_TAG), "the three most probable phrases of each dimension of the vocabulary"),
    )

    def _fit(self, cosine: _Floats) -> _Floats:
        return self._chances(cosine)

    def _chances(self, cosines: _Floats) -> _Floats:
        return cast(_Floats, 1.0 / (1.0 + np.exp(-(self._clip.scale * cosines + self._clip.bias))))


def _unit(vectors: _Floats) -> _Floats:
    unit: _Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
    return unit
