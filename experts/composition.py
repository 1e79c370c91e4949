"""The size of the shot and where its main face stands, from the largest face (see `_blazeface`).

Sizes by the height of the face box over that of the picture (brows to chin, about 0.6 of a head; a standing person
is 7.5 heads): extreme close-up from 0.55, close-up from 0.28, medium close-up from 0.15, medium shot from 0.08, wide
shot below. No face, no size. Places: thirds of the width by the face's centre. Confidence: the face's mean score
times the share of keyframes that agree, times 0.8 within 15% of a boundary between sizes. Stated from
0.75, as a face is: below it, parts of a motorcycle were once a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import pyarrow as pa

from dataset.schema import Column
from experts._blazeface import Face, face_detector
from experts._torch import default_threads
from experts.base import ClipView, ModelRef, Needs, Resources, Statement

__all__ = ["SHOT_SIZES", "Composition"]

SHOT_SIZES: Final = (
    (0.55, "extreme close-up"),
    (0.28, "close-up"),
    (0.15, "medium close-up"),
    (0.08, "medium shot"),
    (0.0, "wide shot"),
)
"""Least height of the face over the picture's, and the name."""

_SURE: Final = 0.75
_PLACES: Final = {"left": "on the left", "centre": "in the centre", "right": "on the right"}


class Composition:
    """Shot size and place of the main face."""

    name: ClassVar[str] = "composition"
    version: ClassVar[str] = "2"
    needs: ClassVar[Needs] = "keyframes"
    roles: ClassVar[tuple[str, ...]] = ("faces", "faces_small")
    resources: ClassVar[Resources] = Resources(cpus=1.0, memory_mb=250)
    columns: ClassVar[tuple[Column, ...]] = (
        Column(
            "shot_size",
            pa.string(),
            "extreme close-up | close-up | medium close-up | medium shot | wide shot; null without a face",
        ),
        Column("shot_size_confidence", pa.float32(), "score times agreement, less near a boundary"),
        Column("main_face_place", pa.string(), "left | centre | right third; null without a face"),
        Column("main_face_place_confidence", pa.float32(), "score times agreement"),
        Column("main_face_x_fraction", pa.float32(), "centre of the largest face, 0 left to 1 right, mean"),
        Column("main_face_y_fraction", pa.float32(), "centre of the largest face, 0 top to 1 bottom, mean"),
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
            rows.append(_columns([faces[0] for faces in found if faces], len(found)))
        return rows

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State the shot size, and where the face is."""
        said = []
        if (values["shot_size_confidence"] or 0.0) >= _SURE:
            said.append(("camera", "shot", "is a", values["shot_size"], values["shot_size_confidence"]))
        if (values["main_face_place_confidence"] or 0.0) >= _SURE:
            place = _PLACES[values["main_face_place"]]
            said.append(("appearance", "person", "is", place, values["main_face_place_confidence"]))
        return [
            Statement(
                self.name,
                "camera" if dimension == "camera" else "appearance",
                subject,
                predicate,
                value,
                round(confidence, 3),
                view.first_frame,
                view.end_frame,
            )
            for dimension, subject, predicate, value, confidence in said
        ]


def _columns(main: Sequence[Face], frames: int) -> dict[str, Any]:
    if not main:
        return dict.fromkeys(
            (
                "shot_size",
                "shot_size_confidence",
                "main_face_place",
                "main_face_place_confidence",
                "main_face_x_fraction",
                "main_face_y_fraction",
            )
        )
    score = sum(face.score for face in main) / len(main)
    xs = [face.box[0] + face.box[2] / 2 for face in main]
    ys = [face.box[1] + face.box[3] / 2 for face in main]
    heights = sorted(face.box[3] for face in main)
    height = heights[len(heights) // 2]
    size = _size(height)
    near = any(limit > 0 and abs(height / limit - 1) < 0.15 for limit, _ in SHOT_SIZES)
    agreement = sum(_size(face.box[3]) == size for face in main) / frames
    place, votes = Counter(_place(x) for x in xs).most_common(1)[0]
    return {
        "shot_size": size,
        "shot_size_confidence": score * agreement * (0.8 if near else 1.0),
        "main_face_place": place,
        "main_face_place_confidence": score * votes / frames,
        "main_face_x_fraction": sum(xs) / len(xs),
        "main_face_y_fraction": sum(ys) / len(ys),
    }


def _size(height: float) -> str:
    return next(name for limit, name in SHOT_SIZES if height >= limit)


def _place(x: float) -> str:
    return "left" if x < 1 / 3 else "right" if x > 2 / 3 else "centre"
