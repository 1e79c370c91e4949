"""People: where they stand, how they hold themselves, which pixels are theirs; BlazePose (see `_pose`).

A person counts from a score of 0.65, the product of the two networks' scores. Stated: that a person is visible, when
at least half of the keyframes have one, their mean best score is 0.75, and that score times the share of keyframes,
the confidence, is 0.5; and that they are seen from head to feet, when that holds of the largest person in half of the
keyframes. In the footage, people whose head and trunk are seen scored 0.68 to 0.98; what was none came to 0.6.

BlazePose's detector goes by the head; who walks far away, or turned away, is proposed by their outline and counts if
the second network sees them from head to feet. Pedestrians seen from above, 8 pictures, 50 people counted by hand: 37
found, none invented; missed were those half hidden and those below a seventh of the picture's height. Seated far away
or cut off above the shoulders, people are missed. What is drawn as a person, a rabbit on two legs, may be taken for one
(0.74: counted, not stated). A keyframe of 640 x 360 costs 250 ms of one core, and 20 to 30 ms more for each person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa

from dataset.schema import Column
from experts._pose import ROLES, Person, pose_model
from experts._torch import default_threads
from experts.base import ClipView, Dimension, ModelRef, Needs, Resources, Statement

__all__ = ["People"]

_PERSON: Final = pa.struct(
    [
        pa.field("frame", pa.int32()),
        pa.field("left", pa.float32()),
        pa.field("top", pa.float32()),
        pa.field("width", pa.float32()),
        pa.field("height", pa.float32()),
        pa.field("score", pa.float32()),
        pa.field("full_body", pa.bool_()),
        pa.field("keypoints", pa.list_(pa.float32())),
    ]
)
_CLEAR: Final = 0.75
_LEAST: Final = 0.5


class People:
    """People and their poses."""

    name: ClassVar[str] = "people"
    version: ClassVar[str] = "3"
    needs: ClassVar[Needs] = "keyframes"
    roles: ClassVar[tuple[str, ...]] = ROLES
    resources: ClassVar[Resources] = Resources(cpus=1.0, memory_mb=300)
    columns: ClassVar[tuple[Column, ...]] = (
        Column(
            "people",
            pa.list_(_PERSON),
            "every person of every keyframe, largest first: box as shares of the picture, score, whether head and feet "
            "are seen, and x, y, z, visibility, presence of 33 keypoints (BlazePose's order; x, y as shares of the "
            "picture, z in picture widths from the hips, negative is nearer)",
        ),
        Column("person_count_max", pa.int32(), "most people in one keyframe"),
        Column("person_area_fraction", pa.float32(), "share of the pixels that are people's, mean over the keyframes"),
        Column(
            "largest_person_fraction",
            pa.float32(),
            "height of what is seen of the largest person over the picture's, median over the keyframes with a person; "
            "null without one",
        ),
        Column("people_presence", pa.float32(), "share of keyframes with a person"),
        Column("full_body_presence", pa.float32(), "share of keyframes in which the largest person has head and feet"),
        Column("person_score", pa.float32(), "best score, mean over the keyframes with a person; null without one"),
    )
    model: ModelRef | None

    def __init__(
        self, profile: str = "embedded", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        self._pose = pose_model(profile, override, threads or default_threads())
        self.model = self._pose.model

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the columns of each clip."""
        return [self._columns(view) for view in views]

    def _columns(self, view: ClipView) -> dict[str, Any]:
        seen = [self._pose.see(frame) for frame in view.frames]
        with_people = [s.people for s in seen if s.people]
        heights = sorted(people[0].box[3] for people in with_people)
        best = [max(person.score for person in people) for people in with_people]
        frames = max(1, len(seen))
        return {
            "people": [_row(i, person) for i, s in zip(view.indices, seen, strict=True) for person in s.people],
            "person_count_max": max((len(s.people) for s in seen), default=0),
            "person_area_fraction": sum(float((s.mask >= 128).mean()) for s in seen) / frames,
            "largest_person_fraction": heights[len(heights) // 2] if heights else None,
            "people_presence": len(with_people) / frames,
            "full_body_presence": sum(people[0].full_body for people in with_people) / frames,
            "person_score": float(np.mean(best)) if best else None,
        }

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State that a person is visible, over which frames, and whether from head to feet."""
        score = values["person_score"]
        if score is None or score < _CLEAR or score * values["people_presence"] < _LEAST:
            return []
        said = [self._said(view, values, "subject", "scene", "shows", "a person", score * values["people_presence"])]
        if score * values["full_body_presence"] >= _LEAST:
            sure = score * values["full_body_presence"]
            who = "person" if values["person_count_max"] == 1 else "largest person"
            said.append(self._said(view, values, "appearance", who, "is seen", "from head to feet", sure))
        return said

    def _said(
        self,
        view: ClipView,
        values: Mapping[str, Any],
        dimension: Dimension,
        subject: str,
        predicate: str,
        value: str,
        confidence: float,
    ) -> Statement:
        frames = [person["frame"] for person in values["people"]]
        whole = values["people_presence"] == 1.0
        first, end = (view.first_frame, view.end_frame) if whole else (min(frames), max(frames) + 1)
        return Statement(self.name, dimension, subject, predicate, value, round(float(confidence), 3), first, end)


def _row(frame: int, person: Person) -> dict[str, Any]:
    left, top, width, height = person.box
    return {
        "frame": frame,
        "left": left,
        "top": top,
        "width": width,
        "height": height,
        "score": person.score,
        "full_body": person.full_body,
        "keypoints": person.keypoints.ravel().tolist(),
    }
