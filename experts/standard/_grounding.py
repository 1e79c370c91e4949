"""The two families of open-vocabulary detectors, as one question: which label is how likely in which box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from experts._torch import inference
from experts.base import Rgb
from experts.standard._load import image_processor, pretrained, reading
from experts.standard._pixels import normalised, picture_spec
from experts.standard._place import Place
from experts.weights import ModelFile
from media.errors import ConfigError

__all__ = ["GroundingDino", "Owl"]

_Floats = npt.NDArray[np.float32]
_TOKENS: Final = 250


class GroundingDino:
    """Grounding DINO: labels are phrases of one text, and a box is scored against every token of it."""

    counts_from: ClassVar[float] = 0.3

    def __init__(self, found: ModelFile, place: Place) -> None:
        self._network = pretrained("AutoModelForZeroShotObjectDetection", "detector", found, place)
        self._pictures = image_processor("detector", found)
        self._place = place
        with reading("detector", found.path, "a checkpoint with its tokenizer"):
            from transformers import AutoTokenizer

            self._tokenizer = AutoTokenizer.from_pretrained(found.path, local_files_only=True)

    def look(self, frames: Sequence[Rgb], labels: Sequence[str]) -> list[tuple[_Floats, _Floats]]:
        """Return, for each picture, scores [boxes, labels] and corners [boxes, 4] as shares of the picture."""
        tokens, spans = self._text(labels)
        prepared = self._pictures(images=list(frames))
        inputs = {**tokens, "pixel_values": prepared["pixel_values"], "pixel_mask": prepared["pixel_mask"]}
        with inference(self._place.threads):
            batch = {
                name: self._place.put(tensor.expand(len(frames), -1) if name in tokens else tensor)
                for name, tensor in inputs.items()
            }
            out = self._network(**batch)
            likely = out.logits.float().sigmoid().cpu().numpy()
            boxes = out.pred_boxes.float().cpu().numpy()
        scores = np.stack([likely[:, :, first:end].max(axis=2) for first, end in spans], axis=2)
        return [(score, _corners(box)) for score, box in zip(scores, boxes, strict=True)]

    def _text(self, labels: Sequence[str]) -> tuple[dict[str, Any], list[tuple[int, int]]]:
        """Return the tokens of `cat. dog.` and, for each label, its span of them."""
        pieces, at, characters = [], 0, []
        for label in labels:
            characters.append((at, at + len(label)))
            pieces.append(f"{label}.")
            at += len(label) + 2
        read = self._tokenizer(" ".join(pieces), return_tensors="pt", return_offsets_mapping=True)
        offsets = read.pop("offset_mapping")[0].tolist()
        if len(offsets) > _TOKENS:
            raise ConfigError(
                f"vocabulary: its subjects take {len(offsets)} tokens and the detector reads {_TOKENS}: list fewer"
            )
        spans: list[tuple[int, int]] = []
        for first, end in characters:
            inside = [at for at, (start, stop) in enumerate(offsets) if start < stop and start < end and stop > first]
            if not inside:
                raise ConfigError(f"vocabulary: the detector has no token for {labels[len(spans)]!r}")
            spans.append((inside[0], inside[-1] + 1))
        return dict(read), spans


class Owl:
    """OWLv2: every label is a query of its own, on a picture padded to a square."""

    counts_from: ClassVar[float] = 0.2

    def __init__(self, found: ModelFile, place: Place) -> None:
        self._network = pretrained("Owlv2ForObjectDetection", "detector", found, place)
        self._spec = picture_spec("detector", found.path)
        self._place = place
        with reading("detector", found.path, "a checkpoint with its tokenizer"):
            from transformers import AutoTokenizer

            self._tokenizer = AutoTokenizer.from_pretrained(found.path, local_files_only=True)
        self._longest = int(self._network.config.text_config.max_position_embeddings)

    def look(self, frames: Sequence[Rgb], labels: Sequence[str]) -> list[tuple[_Floats, _Floats]]:
        """Return, for each picture, scores [boxes, labels] and corners [boxes, 4] as shares of the picture."""
        read = self._tokenizer(
            [f"a photo of a {label}" for label in labels],
            padding="max_length",
            truncation=True,
            max_length=self._longest,
            return_tensors="pt",
        )
        pixels = normalised([_square(frame) for frame in frames], self._spec, self._spec.side, self._spec.side)
        with inference(self._place.threads):
            out = self._network(
                input_ids=self._place.put(read["input_ids"].repeat(len(frames), 1)),
                attention_mask=self._place.put(read["attention_mask"].repeat(len(frames), 1)),
                pixel_values=self._place.put(pixels),
            )
            likely = out.logits.float().sigmoid().cpu().numpy()
            boxes = out.pred_boxes.float().cpu().numpy()
        height, width = frames[0].shape[:2]
        grown = np.array([max(height, width) / width, max(height, width) / height] * 2, np.float32)
        return [(score, _corners(box) * grown) for score, box in zip(likely, boxes, strict=True)]


def _corners(boxes: _Floats) -> _Floats:
    """Return left, top, right, bottom of boxes given as centre and size: [boxes, 4]."""
    half = boxes[:, 2:] / 2
    corners: _Floats = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
    return corners


def _square(frame: Rgb) -> Rgb:
    """Return the picture in the upper left corner of a black square, as its processor pads it."""
    side = max(frame.shape[:2])
    square = np.zeros((side, side, 3), np.uint8)
    square[: frame.shape[0], : frame.shape[1]] = frame
    return square
