"""The tagger's model, one a process: the experts of tags and of alignment ask the same."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from experts import weights
from experts._imagenet import vocabulary
from experts._memo import FrameMemo, frozen
from experts._torch import inference
from experts.base import Rgb

__all__ = ["Tagger", "tagger"]

_Floats = npt.NDArray[np.float32]


class Tagger:
    """EfficientNet-Lite0 with its vocabulary. Remembers the last few pictures."""

    def __init__(self, profile: str, override: Mapping[str, str | Path], threads: int) -> None:
        from experts._efficientnet import EfficientNetLite0

        found = weights.resolve("tags", profile, override)
        self.vocabulary = vocabulary(weights.resolve("tag_names", profile, override).path)
        self.model = found.ref
        self._network = EfficientNetLite0.from_file(found.path)
        self._threads = threads
        self._memo: FrameMemo[_Floats] = FrameMemo()

    def probabilities(self, frames: Sequence[Rgb]) -> _Floats:
        """Return [N, 1000], a row of probabilities for each picture."""
        rows = np.zeros((len(frames), len(self.vocabulary.names)), np.float32)
        for row, frame in zip(rows, frames, strict=True):
            row[:] = self._memo.get(frame, self._look)
        return rows

    def embeddings(self, frames: Sequence[Rgb]) -> _Floats:
        """Return [N, 1280], a row of unit length for each picture: near for pictures of one scene."""
        from experts._efficientnet import prepare

        if not frames:
            return np.zeros((0, 1280), np.float32)
        with inference(self._threads):
            features = self._network.features(prepare(np.stack([_resize(frame) for frame in frames])))
            rows: _Floats = (features / features.norm(dim=1, keepdim=True)).numpy()
        return rows

    def _look(self, frame: Rgb) -> _Floats:
        from experts._efficientnet import prepare

        with inference(self._threads):
            logits = self._network(prepare(np.stack([_resize(frame), _resize(_centre(frame))]))).mean(dim=0)
            probabilities: _Floats = logits.softmax(dim=0).numpy()
        return probabilities


@functools.lru_cache(maxsize=4)
def _shared(profile: str, override: tuple[tuple[str, str], ...], threads: int) -> Tagger:
    return Tagger(profile, dict(override), threads)


def tagger(profile: str, override: Mapping[str, str | Path] | None, threads: int) -> Tagger:
    """Return the tagger of these settings, one a process."""
    return _shared(profile, frozen(override), threads)


def _centre(frame: Rgb) -> Rgb:
    height, width = frame.shape[:2]
    side = max(1, round(min(height, width) * 0.95))
    top, left = (height - side) // 2, (width - side) // 2
    return frame[top : top + side, left : left + side]


def _resize(frame: Rgb) -> Rgb:
    import cv2

    from experts._efficientnet import SIDE

    how = cv2.INTER_AREA if min(frame.shape[:2]) >= SIDE else cv2.INTER_LINEAR
    resized: Rgb = cv2.resize(np.ascontiguousarray(frame), (SIDE, SIDE), interpolation=how)
    return resized
