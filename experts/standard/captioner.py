"""Frames in words: a vision-language model of the Qwen-VL class, in this process or behind a server.

Bai et al., "Qwen2.5-VL Technical Report", 2025. At most 8 keyframes, at even distances and at most 672 px on their
longer side, go into one question (`_words.PROMPT`), greedily answered with at most 256 tokens. The role's model is a
folder, as `save_pretrained` writes it, run through transformers clip by clip; or the address of any OpenAI-compatible
server, which batches by itself and is asked for eight clips at once (`server: http://HOST:8000/v1` in a profile).

What it says becomes claims, each with a confidence: the geometric mean of its tokens' probabilities, at most 0.95;
0.6 where a server does not tell them. Claims are stated from 0.5, over the whole clip. They are free words: captions
are held against them by the checker, and they are held against nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

import numpy as np
import pyarrow as pa

from dataset.schema import Column, struct_type
from experts import weights
from experts.base import ClipView, ModelRef, Needs, Resources, Rgb, Statement
from experts.standard._place import place_of
from experts.standard._words import PROMPT, Answer, claims

__all__ = ["Captioner"]

_FRAMES: Final = 8
_SIDE: Final = 672
_TOKENS: Final = 256
_SURE: Final = 0.5
_CLAIM: Final = struct_type(
    Column("dimension", pa.string(), "the part of a caption that it belongs to"),
    Column("subject", pa.string(), "of what"),
    Column("predicate", pa.string(), "what is said of it"),
    Column("value", pa.string(), "the rest of the sentence"),
    Column("confidence", pa.float32(), "0 to 1, from the probabilities of its tokens"),
)


class _Speaker(Protocol):
    name: str

    def answer(self, questions: Sequence[tuple[Sequence[Rgb], str]]) -> list[Answer]:
        """Answer questions about pictures."""
        ...


class Captioner:
    """Words."""

    name: ClassVar[str] = "captioner"
    version: ClassVar[str] = "2"
    needs: ClassVar[Needs] = "keyframes"
    roles: ClassVar[tuple[str, ...]] = ("captioner",)
    resources: ClassVar[Resources] = Resources(cpus=1.0, gpus=1.0, memory_mb=6000)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("vlm_text", pa.string(), "the model's answer, as it came"),
        Column("vlm_claims", pa.list_(_CLAIM), "what it claims, a row each"),
        Column("vlm_confidence", pa.float32(), "mean confidence of the claims; null without one"),
    )
    model: ModelRef | None

    def __init__(
        self, profile: str = "standard", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        found = weights.resolve("captioner", profile, override)
        self._speaker: _Speaker
        if found.server is not None:
            from experts.standard._server import ChatServer

            self._speaker = ChatServer(found.server, found.ref.name or None, _TOKENS)
            self.model = served_ref(self._speaker.name, found.ref.license)
        else:
            from experts.standard._vlm import VisionLanguageModel

            place = place_of(self.name, threads)
            self._speaker = VisionLanguageModel("captioner", profile, override, place, _TOKENS)
            self.model = found.ref

    @classmethod
    def model_ref(cls, profile: str, override: Mapping[str, str | Path] | None = None) -> ModelRef:
        """Return how rows name the model, without loading it."""
        found = weights.resolve("captioner", profile, override)
        return found.ref if found.server is None else served_ref(found.ref.name, found.ref.license)

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the columns of each clip."""
        questions = []
        for view in views:
            frames = [_shrunk(view.frames[at]) for at in _spread(len(view.frames))]
            questions.append((frames, PROMPT.format(count=len(frames))))
        return [_columns(answer) for answer in self._speaker.answer(questions)] if questions else []

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State the claims that the model was sure enough of."""
        return [
            Statement(
                self.name,
                claim["dimension"],
                claim["subject"],
                claim["predicate"],
                claim["value"],
                round(float(claim["confidence"]), 3),
                view.first_frame,
                view.end_frame,
            )
            for claim in values["vlm_claims"]
            if round(float(claim["confidence"]), 3) >= _SURE
        ]


def served_ref(name: str, licence: str) -> ModelRef:
    """Return how rows name a model behind a server: its weights cannot be hashed, so the hash is of its name there."""
    return ModelRef(name, hashlib.sha256(f"served:{name}".encode()).hexdigest()[:12], licence)


def _spread(count: int) -> list[int]:
    """Return at most 8 positions among `count`, at even distances."""
    return sorted({int(at) for at in np.linspace(0, count - 1, min(count, _FRAMES)).round()}) if count else []


def _shrunk(frame: Rgb) -> Rgb:
    """Return a picture at most 672 px on its longer side, and with no side 200 times the other: the model's limits."""
    import cv2

    height, width = frame.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    least = -(-max(height, width) // 100)
    size = max(round(width * scale), min(width, least), 4), max(round(height * scale), min(height, least), 4)
    if size == (width, height):
        return np.ascontiguousarray(frame)
    small: Rgb = cv2.resize(np.ascontiguousarray(frame), size, interpolation=cv2.INTER_AREA)
    return small


def _columns(answer: Answer) -> dict[str, Any]:
    found = claims(answer)
    sure = [claim["confidence"] for claim in found]
    return {
        "vlm_text": answer.text.strip(),
        "vlm_claims": found,
        "vlm_confidence": float(np.mean(sure)) if sure else None,
    }
