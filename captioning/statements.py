"""Statements: gathered from the experts' rows, merged where they agree, settled where they conflict.

A conflict is two statements that cannot both hold: two counts of one thing, two moves of one camera. It is settled by
weight, which is confidence times the share of the clip's frames seen, where experts that agree add up as independent
witnesses do; the losers are recorded, never silently forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from captioning.words import number_value, stem, tokens
from experts.base import DIMENSIONS, Dimension, Statement
from experts.motion import CAMERA_WORDS

__all__ = [
    "Conflict",
    "Settled",
    "as_statement",
    "by_dimension",
    "is_speed",
    "measured_camera",
    "settle",
    "statement_text",
    "statements_of",
]

MIN_CONFIDENCE: Final = 0.1
"""Statements under this are left out: a tagger's tail is noise, not evidence."""

UNSAFE: Final = 0.8
"""From this `nsfw_max` on a clip is not captioned: its outcome is `blocked`."""

_EXCLUSIVE: Final = frozenset({"count", "camera", "light", "setting"})
# Dimensions in which one subject has one value at a time.
_WHOLE: Final = frozenset({"scene", "picture", "image", "frame", "clip", "video", "shot", "photo"})


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two statements that cannot both hold, the one that was kept, and the two weights that decided."""

    kept: Statement
    lost: Statement
    kept_weight: float
    lost_weight: float

    def __str__(self) -> str:
        return (
            f"{self.lost.expert}: {statement_text(self.lost)} ({self.lost_weight:.2f}) lost to "
            f"{self.kept.expert}: {statement_text(self.kept)} ({self.kept_weight:.2f})"
        )


@dataclass(frozen=True, slots=True)
class Settled:
    """What holds of a clip, in the order of `DIMENSIONS` and then of weight, and what lost."""

    statements: tuple[Statement, ...]
    conflicts: tuple[Conflict, ...] = ()


def statement_text(statement: Statement) -> str:
    """Return the statement as one line of English: `<subject> <predicate> <value>`."""
    value = statement.value
    if statement.dimension == "text" and not value.startswith(('"', "“")):
        value = f'"{value}"'
    return " ".join(part for part in (statement.subject, statement.predicate, value) if part)


def as_statement(row: Mapping[str, Any]) -> Statement:
    """Return the statement held by one struct of an expert's `statements` column."""
    if row["dimension"] not in DIMENSIONS:
        raise ValueError(f"{row['dimension']!r} is no dimension of a caption; they are {', '.join(DIMENSIONS)}")
    dimension: Dimension = row["dimension"]
    return Statement(
        expert=str(row["expert"]),
        dimension=dimension,
        subject=str(row["subject"]),
        predicate=str(row["predicate"]),
        value=str(row["value"]),
        confidence=float(row["confidence"]),
        first_frame=int(row["first_frame"]),
        end_frame=int(row["end_frame"]),
    )


def statements_of(expert_rows: Iterable[Mapping[str, Any]], clip_row: Mapping[str, Any]) -> list[Statement]:
    """Return everything the experts' rows say of the clip in `clip_row`, in the rows' order.

    Rows of other clips are refused (`ValueError`): a caption is tied to its clip by id, never by position. Rows of
    experts that failed have nothing to say. Where no expert speaks of the camera, the clip's own measured
    `camera_motion` does, under the name `motion`.
    """
    clip_id = clip_row["clip_id"]
    found: list[Statement] = []
    for row in expert_rows:
        if row["clip_id"] != clip_id:
            raise ValueError(f"a row of {row['clip_id']} was given for the caption of {clip_id}")
        if row.get("error") is None:
            found += [as_statement(s) for s in row.get("statements") or ()]
            found += _unsafe(row, clip_row)
    if not any(_camera_move(s) for s in found):
        found += measured_camera(clip_row)
    return found


def _unsafe(row: Mapping[str, Any], clip_row: Mapping[str, Any]) -> list[Statement]:
    """Return what blocks a caption: an `nsfw_max` that its authors call certain."""
    score = row.get("nsfw_max")
    if score is None or score < UNSAFE:
        return []
    span = int(clip_row["first_frame"]), int(clip_row["end_frame"])
    return [Statement("nsfw", "quality", "picture", "is", "unsafe", float(score), *span)]


def measured_camera(clip_row: Mapping[str, Any], *, min_confidence: float = 0.5) -> list[Statement]:
    """Return the statement made by the clip's measured `camera_motion`, if the measure is sure enough; else nothing."""
    motion, confidence = clip_row.get("camera_motion"), clip_row.get("camera_confidence")
    if motion not in CAMERA_WORDS or confidence is None or confidence < min_confidence:
        return []
    predicate, value = CAMERA_WORDS[motion]
    first, end = int(clip_row["first_frame"]), int(clip_row["end_frame"])
    return [Statement("motion", "camera", "camera", predicate, value, float(confidence), first, end)]


def by_dimension(statements: Iterable[Statement]) -> dict[Dimension, list[Statement]]:
    """Group statements by dimension, in the order of `DIMENSIONS`; dimensions of which nothing is said are absent."""
    groups: dict[Dimension, list[Statement]] = {d: [] for d in DIMENSIONS}
    for statement in statements:
        groups[statement.dimension].append(statement)
    return {d: group for d, group in groups.items() if group}


def settle(
    statements: Sequence[Statement], *, span: tuple[int, int] | None = None, min_confidence: float = MIN_CONFIDENCE
) -> Settled:
    """Merge statements that agree, and let the weightiest of those that conflict stand.

    `span` is the clip's first and end frame; without it the statements' own outer span counts. Identical statements
    of several experts (or frames) become one whose confidence is `1 - prod(1 - c)` over the experts.
    """
    told = [s for s in statements if s.confidence >= min_confidence and s.value.strip()]
    if not told:
        return Settled(())
    first, end = span or (min(s.first_frame for s in told), max(s.end_frame for s in told))
    merged = _merge(told)
    weights = {s: s.confidence * _cover(s, first, end) for s in merged}
    order = sorted(merged, key=lambda s: (DIMENSIONS.index(s.dimension), -weights[s], statement_text(s)))
    kept: list[Statement] = []
    conflicts: list[Conflict] = []
    holders: dict[tuple[str, ...], Statement] = {}
    for s in order:
        slot = _slot(s)
        if slot is None or slot not in holders:
            kept.append(s)
            if slot is not None:
                holders[slot] = s
        else:
            conflicts.append(Conflict(holders[slot], s, weights[holders[slot]], weights[s]))
    return Settled(tuple(kept), tuple(conflicts))


def _merge(statements: Sequence[Statement]) -> list[Statement]:
    groups: dict[tuple[str, ...], list[Statement]] = {}
    for s in statements:
        key = (s.dimension, s.subject.lower(), s.predicate.lower(), s.value.strip().casefold())
        groups.setdefault(key, []).append(s)
    merged = []
    for group in groups.values():
        by_expert: dict[str, float] = {}
        for s in group:
            by_expert[s.expert] = max(by_expert.get(s.expert, 0.0), s.confidence)
        doubt = 1.0
        for confidence in by_expert.values():
            doubt *= 1.0 - min(confidence, 1.0)
        merged.append(
            replace(
                max(group, key=lambda s: s.confidence),
                confidence=1.0 - doubt,
                first_frame=min(s.first_frame for s in group),
                end_frame=max(s.end_frame for s in group),
            )
        )
    return merged


def _cover(s: Statement, first: int, end: int) -> float:
    seen = min(s.end_frame, end) - max(s.first_frame, first)
    return max(0.0, min(1.0, seen / max(1, end - first)))


def is_speed(s: Statement) -> bool:
    """Return whether a camera statement says how fast, not where: `camera moves slowly`."""
    return s.dimension == "camera" and s.value.lower().endswith("ly")


def _camera_move(s: Statement) -> bool:
    return s.dimension == "camera" and stem(s.subject) == "camera" and not is_speed(s)


def _slot(s: Statement) -> tuple[str, ...] | None:
    """Return what the statement fills and only one may fill, or None where many may stand side by side."""
    if s.dimension not in _EXCLUSIVE:
        return None
    subject = " ".join(stem(t.text) for t in tokens(s.subject))
    if s.dimension == "camera":
        return (s.dimension, subject, "speed" if is_speed(s) else "")
    if s.dimension == "count":
        counted = s.value if s.subject.lower() in _WHOLE else s.subject
        return (s.dimension, *(stem(t.text) for t in tokens(counted) if number_value(t.text) is None))
    return (s.dimension, "" if s.subject.lower() in _WHOLE else subject, s.predicate.lower())
