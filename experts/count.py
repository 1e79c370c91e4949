"""How many people show their faces, with the keyframes' agreement.

The count is the median over the keyframes; the agreement is the share of keyframes with exactly that count. Stated
from one face on and an agreement of 0.6, when the faces counted score 0.75 on average; the confidence is agreement
times mean score. It counts faces that are seen, not people who turn away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa

from dataset.schema import Column
from experts._blazeface import face_detector
from experts._torch import default_threads
from experts.base import ClipView, ModelRef, Needs, Resources, Statement

__all__ = ["Count", "number_word"]

_AGREE: Final = 0.6
_CLEAR: Final = 0.75
_WORDS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def number_word(number: int) -> str:
    """Return a number in words up to ten, in digits above."""
    return _WORDS[number] if 0 <= number < len(_WORDS) else str(number)


class Count:
    """The number of faces."""

    name: ClassVar[str] = "count"
    version: ClassVar[str] = "1"
    needs: ClassVar[Needs] = "keyframes"
    roles: ClassVar[tuple[str, ...]] = ("faces", "faces_small")
    resources: ClassVar[Resources] = Resources(cpus=1.0, memory_mb=250)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("face_count", pa.int32(), "median number of faces over the keyframes"),
        Column("face_count_agreement", pa.float32(), "share of keyframes with exactly that number"),
        Column("face_counts", pa.list_(pa.int32()), "the number in each keyframe"),
        Column("face_count_score", pa.float32(), "mean score of all faces; null without one"),
    )
    model: ModelRef | None

    def __init__(
        self, profile: str = "embedded", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        self._detector = face_detector(profile, override, threads or default_threads())
        self.model = self._detector.model

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the columns of each clip."""
        rows = []
        for view in views:
            found = [self._detector.detect(frame) for frame in view.frames]
            counts = [len(faces) for faces in found]
            scores = [face.score for faces in found for face in faces]
            median = sorted(counts)[len(counts) // 2] if counts else 0
            rows.append(
                {
                    "face_count": median,
                    "face_count_agreement": counts.count(median) / max(1, len(counts)),
                    "face_counts": counts,
                    "face_count_score": float(np.mean(scores)) if scores else None,
                }
            )
        return rows

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State the number of people whose faces are seen."""
        number, score, agreement = values["face_count"], values["face_count_score"], values["face_count_agreement"]
        if not number or score < _CLEAR or agreement < _AGREE:
            return []
        noun = "person" if number == 1 else "people"
        return [
            Statement(
                self.name,
                "count",
                "picture",
                "shows",
                f"{number_word(number)} {noun}",
                round(agreement * score, 3),
                view.first_frame,
                view.end_frame,
            )
        ]
