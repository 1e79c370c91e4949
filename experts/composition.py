"""The size of the shot and where its main person stands, by faces and bodies (see `_figures`).

Sizes by the height of the face box over that of the picture (brows to chin, about 0.6 of a head; a standing person
is 7.5 heads): extreme close-up from 0.55, close-up from 0.28, medium close-up from 0.15, medium shot from 0.08, wide
shot below, and wherever the person is seen from head to feet. Where no face is seen, its height is what the body's
stature makes it. No person, no size. The main person is the one with the largest face. Places: thirds of the width,
by the middle of the face, or else of the body. Confidence: the main people's mean score times the share of keyframes
that agree, times 0.8 within 15% of a boundary between sizes. Stated from 0.75, as a face is: below it, parts of a
motorcycle were once a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import pyarrow as pa

from dataset.schema import Column
from experts._figures import ROLES, Figure, figure_finder
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
    """Shot size and place of the main person."""

    name: ClassVar[str] = "composition"
    version: ClassVar[str] = "5"
    needs: ClassVar[Needs] = "keyframes"
    roles: ClassVar[tuple[str, ...]] = ROLES
    resources: ClassVar[Resources] = Resources(cpus=1.0, memory_mb=350)
    columns: ClassVar[tuple[Column, ...]] = (
        Column(
            "shot_size",
            pa.string(),
            "extreme close-up | close-up | medium close-up | medium shot | wide shot; null without a person",
        ),
        Column("shot_size_confidence", pa.float32(), "score times agreement, less near a boundary"),
        Column("main_person_alone", pa.bool_(), "whether no keyframe shows another person; null without one"),
        Column("main_person_place", pa.string(), "left | centre | right third; null without a person"),
        Column("main_person_place_confidence", pa.float32(), "score times agreement"),
        Column("main_person_x_fraction", pa.float32(), "their face, or else body, 0 left to 1 right, mean"),
        Column("main_person_y_fraction", pa.float32(), "their face, or else body, 0 top to 1 bottom, mean"),
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
            rows.append(_columns([figures for figures in found if figures], len(found)))
        return rows

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State the shot size, and where the main person is."""
        said = []
        if (values["shot_size_confidence"] or 0.0) >= _SURE:
            said.append(("camera", "shot", "is a", values["shot_size"], values["shot_size_confidence"]))
        if (values["main_person_place_confidence"] or 0.0) >= _SURE:
            place = _PLACES[values["main_person_place"]]
            who = "person" if values["main_person_alone"] else "largest person"
            said.append(("appearance", who, "is", place, values["main_person_place_confidence"]))
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


def _columns(found: Sequence[Sequence[Figure]], frames: int) -> dict[str, Any]:
    if not found:
        return {column.name: None for column in Composition.columns}
    main = [figures[0] for figures in found]
    score = sum(figure.score for figure in main) / len(main)
    middle = sorted(main, key=lambda figure: figure.face_height)[len(main) // 2]
    size = _size(middle)
    agreement = sum(_size(figure) == size for figure in main) / frames
    near = any(limit > 0 and abs(middle.face_height / limit - 1) < 0.15 for limit, _ in SHOT_SIZES)
    sure = 0.8 if near and not middle.full_body else 1.0
    place, places = Counter(_place(figure.x) for figure in main).most_common(1)[0]
    return {
        "shot_size": size,
        "shot_size_confidence": score * agreement * sure,
        "main_person_alone": max(map(len, found)) == 1,
        "main_person_place": place,
        "main_person_place_confidence": score * places / frames,
        "main_person_x_fraction": sum(figure.x for figure in main) / len(main),
        "main_person_y_fraction": sum(figure.y for figure in main) / len(main),
    }


def _size(figure: Figure) -> str:
    if figure.full_body:
        return SHOT_SIZES[-1][1]
    return next(name for limit, name in SHOT_SIZES if figure.face_height >= limit)


def _place(x: float) -> str:
    return "left" if x < 1 / 3 else "right" if x > 2 / 3 else "centre"
