"""Text in the picture: what it says, where, how much of the picture, and whether it is laid over it or stands in it.

PP-OCRv6 small (detection and recognition) by rapidocr, on the keyframes at no more than 640 px. A line counts from a
recognition score of 0.6 and two letters or digits; it is stated from a mean score of 0.85 when it has three and was
read in two keyframes, from 0.9 when there is but one reading. The confidence is the mean score.

Lines of different keyframes are one when they read alike (similarity 0.75). Such a line is an overlay (titles,
subtitles, logos) when its box keeps its place while the picture around it changes by more than 6 grey levels; it is
scene text when it moves with the picture, or is there for part of the clip in different places; else unknown, as in
a picture that does not change.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa

from dataset.schema import Column
from experts import weights
from experts._torch import default_threads
from experts.base import ClipView, ModelRef, Needs, Resources, Rgb, Statement

__all__ = ["Text"]

_LINE: Final = pa.struct(
    [
        pa.field("text", pa.string()),
        pa.field("kind", pa.string(), metadata={"doc": "overlay | scene | unknown"}),
        pa.field("score", pa.float32(), metadata={"doc": "mean recognition score, 0 to 1"}),
        pa.field("frames", pa.list_(pa.int32()), metadata={"doc": "the keyframes it was read in"}),
        pa.field("left", pa.float32()),
        pa.field("top", pa.float32()),
        pa.field("width", pa.float32()),
        pa.field("height", pa.float32()),
    ]
)
_SIDE: Final = 640
_COUNTS: Final = 0.6
_ALIKE: Final = 0.75
_SAME_PLACE: Final = 0.7  # intersection over union
_CHANGES: Final = 6.0
_MOST: Final = 6
_SUBJECT: Final = {"overlay": "on-screen text", "scene": "text in the scene", "unknown": "text"}

_Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class _Reading:
    text: str
    score: float
    box: _Box  # left, top, width, height; shares of the picture


@dataclass(slots=True)
class _Line:
    """One line of text, as read in one or more keyframes; `at` are positions in the view."""

    readings: list[_Reading] = field(default_factory=list)
    at: list[int] = field(default_factory=list)

    @property
    def best(self) -> _Reading:
        return max(self.readings, key=lambda reading: reading.score)

    @property
    def score(self) -> float:
        return sum(reading.score for reading in self.readings) / len(self.readings)


class Text:
    """The reader."""

    name: ClassVar[str] = "text"
    version: ClassVar[str] = "2"
    needs: ClassVar[Needs] = "keyframes"
    roles: ClassVar[tuple[str, ...]] = ("text_detection", "text_recognition")
    resources: ClassVar[Resources] = Resources(cpus=1.0, memory_mb=700)
    columns: ClassVar[tuple[Column, ...]] = (
        Column(
            "text",
            pa.string(),
            "all lines, in reading order of where each was read best, one a line; empty without text",
        ),
        Column(
            "lines", pa.list_(_LINE), "each line: its best reading, kind, score, frames, box as shares of the picture"
        ),
        Column("text_area_fraction", pa.float32(), "share of the picture that text boxes take, mean over keyframes"),
        Column("overlay_area_fraction", pa.float32(), "the same, of overlay text alone"),
        Column("text_presence", pa.float32(), "share of keyframes with text"),
    )
    model: ModelRef | None

    def __init__(
        self, profile: str = "embedded", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        detection = weights.resolve("text_detection", profile, override)
        recognition = weights.resolve("text_recognition", profile, override)
        self.model = weights.joint(detection.ref, recognition.ref)
        self._reader = _reader(detection.path, recognition.path, threads or default_threads())

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the columns of each clip."""
        return [self._columns(view) for view in views]

    def _columns(self, view: ClipView) -> dict[str, Any]:
        read = [self._read(frame) for frame in view.frames]
        lines = sorted(_joined(read), key=lambda line: _place(line.best))
        kinds = [_kind(line, view.frames) for line in lines]
        frames = max(1, len(view.frames))
        areas = [sum(reading.box[2] * reading.box[3] for reading in line.readings) for line in lines]
        return {
            "text": "\n".join(line.best.text for line in lines),
            "lines": [_row(line, kind, view.indices) for line, kind in zip(lines, kinds, strict=True)],
            "text_area_fraction": min(1.0, sum(areas) / frames),
            "overlay_area_fraction": min(
                1.0, sum(area for area, kind in zip(areas, kinds, strict=True) if kind == "overlay") / frames
            ),
            "text_presence": sum(bool(readings) for readings in read) / frames,
        }

    def _read(self, frame: Rgb) -> list[_Reading]:
        small = _shrunk(frame)
        found = self._reader(small[..., ::-1])  # the library wants OpenCV's order of channels
        if found.boxes is None or found.txts is None:
            return []
        height, width = small.shape[:2]
        readings = []
        for corners, text, score in zip(found.boxes, found.txts, found.scores, strict=True):
            low, high = np.asarray(corners).min(axis=0), np.asarray(corners).max(axis=0)
            box = (low[0] / width, low[1] / height, (high[0] - low[0]) / width, (high[1] - low[1]) / height)
            if float(score) >= _COUNTS and _letters(text) >= 2:
                readings.append(_Reading(text.strip(), float(score), tuple(float(v) for v in box)))  # type: ignore[arg-type]
        return sorted(readings, key=_place)

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State what the surest lines read, at most six."""
        sure = [
            line
            for line in values["lines"]
            if _letters(line["text"]) >= 3 and line["score"] >= (0.85 if len(line["frames"]) > 1 else 0.9)
        ]
        sure.sort(key=lambda line: -line["width"] * line["height"] * len(line["frames"]))
        everywhere = len(view.indices)
        return [
            Statement(
                self.name,
                "text",
                _SUBJECT[line["kind"]],
                "reads",
                line["text"],
                round(line["score"], 3),
                view.first_frame if len(line["frames"]) == everywhere else min(line["frames"]),
                view.end_frame if len(line["frames"]) == everywhere else max(line["frames"]) + 1,
            )
            for line in sure[:_MOST]
        ]


def _reader(detection: Path, recognition: Path, threads: int) -> Any:
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,  # text that stands on its head is rare, and asking doubles the cost of a line
            "Det.limit_side_len": _SIDE,
            "Det.limit_type": "max",
            "Det.model_path": str(detection),
            "Rec.model_path": str(recognition),
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def _shrunk(frame: Rgb) -> Rgb:
    import cv2

    scale = min(1.0, _SIDE / max(frame.shape[:2]))
    if scale == 1.0:
        return np.ascontiguousarray(frame)
    size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
    small: Rgb = cv2.resize(np.ascontiguousarray(frame), size, interpolation=cv2.INTER_AREA)
    return small


def _letters(text: str) -> int:
    return len(re.findall(r"\w", text))


def _place(reading: _Reading) -> tuple[float, float]:
    """Return where a reading stands in reading order: by rows, and in a row from the left."""
    return round(reading.box[1], 2), reading.box[0]


def _joined(read: Sequence[Sequence[_Reading]]) -> list[_Line]:
    lines: list[_Line] = []
    for at, readings in enumerate(read):
        for reading in readings:
            free = [line for line in lines if at not in line.at and _alike(line.best.text, reading.text)]
            line = max(free, key=lambda line: _overlap(line.readings[-1].box, reading.box), default=None)
            if line is None:
                line = _Line()
                lines.append(line)
            line.readings.append(reading)
            line.at.append(at)
    return lines


def _alike(a: str, b: str) -> bool:
    return difflib.SequenceMatcher(None, a.casefold(), b.casefold()).ratio() >= _ALIKE


def _overlap(a: _Box, b: _Box) -> float:
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    high = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    inside = max(0.0, wide) * max(0.0, high)
    return inside / max(1e-9, a[2] * a[3] + b[2] * b[3] - inside)


def _kind(line: _Line, frames: Sequence[Rgb]) -> str:
    if len(line.at) < 2:
        return "unknown"
    first, last = line.at[0], line.at[-1]
    stays = all(_overlap(line.readings[0].box, reading.box) >= _SAME_PLACE for reading in line.readings)
    if not stays:
        return "scene"
    return "overlay" if _change_outside(frames[first], frames[last], line.readings[0].box) > _CHANGES else "unknown"


def _change_outside(a: Rgb, b: Rgb, box: _Box) -> float:
    """Return the mean absolute difference of two frames, 8-bit levels, outside the box."""
    if a.shape != b.shape:
        return 0.0
    difference = np.abs(a.astype(np.int16) - b.astype(np.int16)).mean(axis=2)
    height, width = difference.shape
    outside = np.ones((height, width), dtype=np.bool_)
    left, top = int(box[0] * width), int(box[1] * height)
    outside[top : int((box[1] + box[3]) * height) + 1, left : int((box[0] + box[2]) * width) + 1] = False
    return float(difference[outside].mean()) if outside.any() else 0.0


def _row(line: _Line, kind: str, indices: Sequence[int]) -> dict[str, Any]:
    left, top, width, height = line.best.box
    return {
        "text": line.best.text,
        "kind": kind,
        "score": line.score,
        "frames": [indices[at] for at in line.at],
        "left": left,
        "top": top,
        "width": width,
        "height": height,
    }
