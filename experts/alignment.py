"""How well pictures fit a text, without CLIP: ConSE, an alignment score from a tagger and a sentence embedding.

Norouzi et al., "Zero-Shot Learning by Convex Combination of Semantic Embeddings", ICLR 2014, equation 2: a picture is
the mean of the embeddings of its ten most probable class names, weighted by their probabilities. Here the names are
those of the tagger, the space is MiniLM's, and both sides are centred before the cosine: pictures on the mean of all
class names, texts on the mean of the fixed calibration set in `data/alignment_calibration.yaml`.

On 24 captioned pictures and clips of the footage (9 of them grey or medical), matched captions against the 552
mismatched: AUC 0.88; without centring 0.83. It knows what the thousand classes know: objects and animals, not actions,
numbers or styles. It is an alignment score and no CLIP score.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import yaml

from dataset.schema import Column
from experts import weights
from experts._tagger import tagger
from experts._torch import default_threads
from experts.base import ClipView, ModelRef, Needs, Resources, Statement
from experts.sentence import Sentence

__all__ = ["Alignment", "conse", "model_ref"]

_TOP: Final = 10
_CALIBRATION: Final = Path(__file__).parent / "data" / "alignment_calibration.yaml"
_Floats = npt.NDArray[np.float32]


class Alignment:
    """The alignment expert: an embedding of each clip in the space of sentences, and scores against texts."""

    name: ClassVar[str] = "alignment"
    version: ClassVar[str] = "2"
    needs: ClassVar[Needs] = "keyframes"
    roles: ClassVar[tuple[str, ...]] = ("tags", "tag_names", "sentence")
    resources: ClassVar[Resources] = Resources(cpus=1.0, memory_mb=700)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("conse", pa.list_(pa.float32()), "the clip in MiniLM's space: 384 numbers, centred, unit length"),
    )
    model: ModelRef | None

    def __init__(
        self, profile: str = "embedded", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        self._tagger = tagger(profile, override, threads or default_threads())
        self._sentence = Sentence(profile, override, threads)
        self.model = model_ref(profile, override)
        self._names = _kept(self._sentence, self._tagger.vocabulary.names)
        self._name_centre = self._names.mean(axis=0)
        calibration: dict[str, list[str]] = yaml.safe_load(_CALIBRATION.read_text("utf-8"))
        self._text_centre = _kept(self._sentence, calibration["texts"]).mean(axis=0)

    @classmethod
    def model_ref(cls, profile: str = "embedded", override: Mapping[str, str | Path] | None = None) -> ModelRef:
        """Return how rows name the models, without loading them."""
        return model_ref(profile, override)

    def pictures(self, views: Sequence[ClipView]) -> _Floats:
        """Return [N, 384]: each clip as a centred unit vector."""
        rows = [self._picture(view) for view in views]
        return np.stack(rows) if rows else np.zeros((0, self._names.shape[1]), np.float32)

    def texts(self, texts: Sequence[str]) -> _Floats:
        """Return [N, 384]: each text as a centred unit vector."""
        return _unit(self._sentence.embed(texts) - self._text_centre)

    def score(self, views: Sequence[ClipView], prompts: Sequence[str]) -> list[float]:
        """Return the score of each view with its own prompt, -1 to 1; about 0 when they have nothing in common."""
        if len(views) != len(prompts):
            raise ValueError(f"{len(views)} views but {len(prompts)} prompts: give one prompt per view")
        return [float(value) for value in (self.pictures(views) * self.texts(prompts)).sum(axis=1)]

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the embedding of each clip."""
        return [{"conse": [float(value) for value in self._picture(view)]} for view in views]

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State nothing: the tagger says what the embedding is made of."""
        return []

    def grade(self, view: ClipView, prompt: str | None = None) -> float | None:
        """Return the score of a clip with its prompt; None without a prompt, or without frames."""
        return self.score([view], [prompt])[0] if prompt and view.frames else None

    def _picture(self, view: ClipView) -> _Floats:
        mean = self._tagger.probabilities(view.frames).mean(axis=0)
        top = np.argsort(-mean, kind="stable")[:_TOP]
        weights = mean[top] / mean[top].sum()
        return _unit((weights[:, None] * self._names[top]).sum(axis=0) - self._name_centre)


def _unit(vectors: _Floats) -> _Floats:
    unit: _Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
    return unit


def _kept(sentence: Sentence, texts: Sequence[str]) -> _Floats:
    """Return the embeddings of texts that never change, kept under `home()/cache`: 1,000 names cost seconds."""
    key = hashlib.blake2b("\n".join((sentence.model.hash, *texts)).encode(), digest_size=12).hexdigest()
    path = weights.home() / "cache" / f"sentences-{key}.npy"
    if path.is_file():
        with contextlib.suppress(ValueError, OSError):  # damaged: made again below
            kept: _Floats = np.load(path)
            return kept
    vectors = sentence.embed(texts)
    with contextlib.suppress(OSError):  # a home that cannot be written to costs time, no more
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
            np.save(file, vectors)
        Path(file.name).replace(path)
    return vectors


def model_ref(profile: str = "embedded", override: Mapping[str, str | Path] | None = None) -> ModelRef:
    """Return how rows name the two models, without loading them; the hash is also of the class names between them."""
    tags, names, sentence = (weights.resolve(role, profile, override).ref for role in Alignment.roles)
    made = weights.joint(tags, names, sentence)
    return ModelRef(f"conse({tags.name}, {sentence.name})", made.hash, tags.license)


@functools.lru_cache(maxsize=2)
def _shared(profile: str) -> Alignment:
    return Alignment(profile)


def conse(views: Sequence[ClipView], prompts: Sequence[str], profile: str = "embedded") -> list[float]:
    """Return the ConSE score of each view with its own prompt; the models are loaded once a process."""
    return _shared(profile).score(views, prompts)
