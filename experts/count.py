"""How many people there are, with the keyframes' agreement: by their faces and by their bodies (see `_figures`).

The count is the median over the keyframes; the agreement is the share of keyframes with exactly that count. Stated
from one person on and an agreement of 0.6, when the people counted score 0.75 on average and the confidence, agreement
times mean score, is 0.5. Who shows neither face nor head and trunk is not counted: see `faces` and `people` for what is
found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa

from dataset.schema import Column
from experts._figures import ROLES, figure_finder
from experts._torch import default_threads
from experts.base import ClipView, ModelRef, Needs, Resources, Statement

__all__ = ["Count", "number_word"]

_AGREE: Final = 0.6
_CLEAR: Final = 0.75
_LEAST: Final = 0.5
_WORDS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def number_word(number: int) -> str:
    """Return a number in words up to ten, in digits above."""
    return _WORDS[number] if 0 <= number < len(_WORDS) else str(number)


class Count:
    """The number of people, and of faces."""

    name: ClassVar[str] = "count"
    version: ClassVar[str] = "4"
    needs: ClassVar[Needs] = "keyframes"
    roles: ClassVar[tuple[str, ...]] = ROLES
    resources: ClassVar[Resources] = Resources(cpus=1.0, memory_mb=350)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("person_count", pa.int32(), "median number of people over the keyframes, by face or body"),
        Column("person_count_agreement", pa.float32(), "share of keyframes with exactly that number"),
        Column("person_counts", pa.list_(pa.int32()), "the number in each keyframe"),
        Column("person_count_score", pa.float32(), "mean score of all people; null without one"),
        Column("face_count", pa.int32(), "median number of faces over the keyframes"),
        Column("face_count_agreement", pa.float32(), "share of keyframes with exactly that number"),
        Column("face_counts", pa.list_(pa.int32()), "the number in each keyframe"),
        Column("face_count_score", pa.float32(), "mean score of all faces; null without one"),
    )
    model: ModelRef | None

    def __init__(
        self, profile: str = "embedded", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        self._finder = figure_finder(profile, override, threads or default_threads())
        self.model = self._finder.model

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the columns of each clip."""
        rows = []
        for view in views:
            found = [self._finder.find(frame) for frame in view.frames]
            people = [[figure.score for figure in figures] for figures in found]
            faces = [[figure.face.score for figure in figures if figure.face is not None] for figures in found]
            rows.append({**_counted("person", people), **_counted("face", faces)})
        return rows

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State the number of people who are seen."""
        number, score = values["person_count"], values["person_count_score"]
        agreement = values["person_count_agreement"]
        if not number or score < _CLEAR or agreement < _AGREE or agreement * score < _LEAST:
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


def _counted(what: str, scores: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Return the columns of one kind of thing, from the scores of those in each keyframe."""
    counts = [len(frame) for frame in scores]
    median = sorted(counts)[len(counts) // 2] if counts else 0
    found = [score for frame in scores for score in frame]
    return {
        f"{what}_count": median,
        f"{what}_count_agreement": counts.count(median) / max(1, len(counts)),
        f"{what}_counts": counts,
        f"{what}_count_score": float(np.mean(found)) if found else None,
    }
