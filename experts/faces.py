"""Faces: where they are, how large, how sure; BlazeFace, short and full range (see `_blazeface`).

A face counts from a score of 0.7 (0.6 by the network of small faces). Stated: that a face is visible, when at least
half of the keyframes have one, its mean best score is 0.75, and that score times the share of keyframes with a face,
the confidence, is 0.5. In photographs and frames of the footage, real faces of 50 px and more scored 0.78 to 0.96,
and a cyclist's of 30 px 0.6; below 30 px (a twelfth of a keyframe's height) faces are missed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import pyarrow as pa

from dataset.schema import Column
from experts._blazeface import Face, face_detector
from experts._torch import default_threads
from experts.base import ClipView, ModelRef, Needs, Resources, Statement

__all__ = ["Faces"]

_BOX: Final = pa.struct(
    [
        pa.field("frame", pa.int32()),
        pa.field("left", pa.float32()),
        pa.field("top", pa.float32()),
        pa.field("width", pa.float32()),
        pa.field("height", pa.float32()),
        pa.field("score", pa.float32()),
        pa.field("landmarks", pa.list_(pa.float32())),
    ]
)
_CLEAR: Final = 0.75
_LEAST: Final = 0.5


class Faces:
    """Faces and their places."""

    name: ClassVar[str] = "faces"
    version: ClassVar[str] = "2"
    needs: ClassVar[Needs] = "keyframes"
    roles: ClassVar[tuple[str, ...]] = ("faces", "faces_small")
    resources: ClassVar[Resources] = Resources(cpus=1.0, memory_mb=250)
    columns: ClassVar[tuple[Column, ...]] = (
        Column(
            "faces",
            pa.list_(_BOX),
            "every face of every keyframe: box as shares of the picture, score, and x, y "
            "of right eye, left eye, nose, mouth, right ear, left ear",
        ),
        Column("face_count_max", pa.int32(), "most faces in one keyframe"),
        Column("face_area_fraction", pa.float32(), "share of the picture that faces take, mean over the keyframes"),
        Column(
            "largest_face_fraction",
            pa.float32(),
            "height of the largest face over the picture's, median over the keyframes with a face; null without one",
        ),
        Column("face_presence", pa.float32(), "share of keyframes with a face"),
        Column("face_score", pa.float32(), "best score, mean over the keyframes with a face; null without one"),
    )
    model: ModelRef | None

    def __init__(
        self, profile: str = "embedded", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        self._detector = face_detector(profile, override, threads or default_threads())
        self.model = self._detector.model

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the columns of each clip."""
        return [self._columns(view) for view in views]

    def _columns(self, view: ClipView) -> dict[str, Any]:
        found = [self._detector.detect(frame) for frame in view.frames]
        with_face = [faces for faces in found if faces]
        heights = sorted(max(face.box[3] for face in faces) for faces in with_face)
        return {
            "faces": [_row(index, face) for index, faces in zip(view.indices, found, strict=True) for face in faces],
            "face_count_max": max((len(faces) for faces in found), default=0),
            "face_area_fraction": sum(face.area for faces in found for face in faces) / max(1, len(found)),
            "largest_face_fraction": heights[len(heights) // 2] if heights else None,
            "face_presence": len(with_face) / max(1, len(found)),
            "face_score": sum(max(face.score for face in faces) for faces in with_face) / len(with_face)
            if with_face
            else None,
        }

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State that a person's face is visible, and over which frames."""
        presence, score = values["face_presence"], values["face_score"]
        if presence < 0.5 or score < _CLEAR or score * presence < _LEAST:
            return []
        frames = [face["frame"] for face in values["faces"]]
        whole = presence == 1.0
        return [
            Statement(
                self.name,
                "subject",
                "person",
                "shows",
                "their face",
                round(score * presence, 3),
                view.first_frame if whole else min(frames),
                view.end_frame if whole else max(frames) + 1,
            )
        ]


def _row(frame: int, face: Face) -> dict[str, Any]:
    left, top, width, height = face.box
    return {
        "frame": frame,
        "left": left,
        "top": top,
        "width": width,
        "height": height,
        "score": face.score,
        "landmarks": [value for point in face.landmarks for value in point],
    }
