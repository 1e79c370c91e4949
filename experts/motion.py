"""How the camera and the picture move, said from what the pass has measured; no model.

Camera. Stated with the measured agreement (the share of sampled pairs that show this motion) as its confidence, from
0.6. The words leave no doubt about the direction: a camera that "pans left" turns to the left, so that things on the
picture travel to the right.

Motion. Levels of the mean flow at a height of 360 px: below 1.5 px/s "almost nothing moves", to 12 "gently", to 60
"clearly", above "strongly"; when the camera moves, the flow left after its motion is taken out decides. Confidence
0.9 well inside a level, falling to 0.6 at its edge (a factor of 1.25 away).

Grade. How well the picture moves: amount times excess times steadiness. With f the mean flow in px/s, the camera's
motion in it, amount = log(f / 0.5) / log(12 / 0.5), from 0 to 1: nothing where the picture stands, all from where it
moves clearly; excess = min(1, 60 / f); steadiness = 1, less half the confidence of a camera that is handheld.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import pyarrow as pa

from dataset.schema import Column
from experts.base import ClipView, ModelRef, Needs, Resources, Statement

__all__ = ["CAMERA_WORDS", "CUTS_PX_PER_S", "LEVELS", "Motion"]

CAMERA_WORDS: Final[dict[str, tuple[str, str]]] = {
    "static": ("stays", "still"),
    "pan left": ("pans", "left"),
    "pan right": ("pans", "right"),
    "tilt up": ("tilts", "up"),
    "tilt down": ("tilts", "down"),
    "zoom in": ("zooms", "in"),
    "zoom out": ("zooms", "out"),
    "roll left": ("rolls", "left"),
    "roll right": ("rolls", "right"),
    "handheld": ("is", "handheld"),
}
"""Predicate and value for each value of the column camera_motion."""

CUTS_PX_PER_S: Final = (1.5, 12.0, 60.0)
"""Where a level of motion ends and the next begins, pixels a second at a height of 360 px."""

LEVELS: Final = ("none", "gentle", "clear", "strong")
"""The levels of motion, the least first: values of the column motion_level."""

_SAID: Final = {
    "none": "almost no motion",
    "gentle": "gentle motion",
    "clear": "clear motion",
    "strong": "strong motion",
}
_SURE: Final = 0.6
_STANDS: Final = 0.5  # px/s, of the grade
_, _MOVES, _RUSHES = CUTS_PX_PER_S
_MOVING: Final = frozenset(CAMERA_WORDS) - {"static"}


class Motion:
    """Camera and motion in words."""

    name: ClassVar[str] = "motion"
    version: ClassVar[str] = "1"
    needs: ClassVar[Needs] = "row"
    roles: ClassVar[tuple[str, ...]] = ()
    resources: ClassVar[Resources] = Resources(cpus=0.1, memory_mb=100)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("camera", pa.string(), "the camera's motion, as measured; null when it was not measured"),
        Column("camera_confidence", pa.float32(), "share of the sampled pairs that agree with it"),
        Column("camera_speed", pa.string(), "slow | moderate | fast; null when the camera stays still"),
        Column("motion_level", pa.string(), "none | gentle | clear | strong: how much things move"),
        Column("motion_px_per_s", pa.float32(), "the flow that decided the level, at a height of 360 px"),
    )
    model: ModelRef | None = None

    def __init__(
        self, profile: str = "embedded", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        pass

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the columns of each clip; nulls where nothing was measured, as of a generated video."""
        return [_columns(view.row) for view in views]

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State what the camera does, how fast, and how much moves."""
        said: list[Statement] = []
        camera, confidence = values["camera"], values["camera_confidence"]
        if camera in CAMERA_WORDS and (confidence or 0.0) >= _SURE:
            predicate, word = CAMERA_WORDS[camera]
            said.append(self._said(view, "camera", "camera", predicate, word, confidence))
            if values["camera_speed"] in ("slow", "fast"):
                adverb = {"slow": "slowly", "fast": "quickly"}[values["camera_speed"]]
                said.append(self._said(view, "camera", "camera", "moves", adverb, 0.8 * confidence))
        if values["motion_level"] is not None:
            sure = _level_confidence(values["motion_px_per_s"])
            said.append(self._said(view, "action", "scene", "shows", _SAID[values["motion_level"]], sure))
        return said

    def grade(self, view: ClipView, prompt: str | None = None) -> float | None:
        """Return how well the picture moves, 0 to 1 (see the module); None when it was not measured."""
        flow = view.row.get("flow_mean_px_per_s")
        if flow is None:
            return None
        amount = math.log(max(flow, _STANDS) / _STANDS) / math.log(_MOVES / _STANDS)
        shaken = (view.row.get("camera_confidence") or 0.0) if view.row.get("camera_motion") == "handheld" else 0.0
        return float(min(1.0, amount) * (_RUSHES / max(flow, _RUSHES)) * (1.0 - 0.5 * shaken))

    def _said(
        self, view: ClipView, dimension: Any, subject: str, predicate: str, value: str, confidence: float
    ) -> Statement:
        return Statement(
            self.name,
            dimension,
            subject,
            predicate,
            value,
            round(float(confidence), 3),
            view.first_frame,
            view.end_frame,
        )


def _columns(row: Mapping[str, Any]) -> dict[str, Any]:
    camera = row.get("camera_motion")
    flow, own = row.get("flow_mean_px_per_s"), row.get("object_motion_px_per_s")
    decides = own if camera in _MOVING and own is not None else flow
    return {
        "camera": camera,
        "camera_confidence": row.get("camera_confidence"),
        "camera_speed": _camera_speed(camera, row),
        "motion_level": None if decides is None else LEVELS[sum(decides >= cut for cut in CUTS_PX_PER_S)],
        "motion_px_per_s": decides,
    }


def _camera_speed(camera: str | None, row: Mapping[str, Any]) -> str | None:
    """Slow to fast: frame widths (heights) a second 0.08, 0.4; octaves of zoom 0.12, 0.6; degrees of roll 5, 25."""
    measured = {
        "pan": (row.get("camera_dx_fraction_per_s"), 0.08, 0.4),
        "tilt": (row.get("camera_dy_fraction_per_s"), 0.08, 0.4),
        "zoom": (row.get("camera_zoom_per_s"), 0.12, 0.6),
        "roll": (row.get("camera_roll_deg_per_s"), 5.0, 25.0),
    }
    speed, slow, fast = measured.get((camera or "").split(" ")[0], (None, 0.0, 0.0))
    if speed is None:
        return None
    return "slow" if abs(speed) < slow else "fast" if abs(speed) > fast else "moderate"


def _level_confidence(flow: float) -> float:
    away = min(abs(math.log(max(flow, 1e-3) / edge)) for edge in CUTS_PX_PER_S) / math.log(1.25)
    return 0.6 + 0.3 * min(1.0, away)
