"""The registry: experts by name, and the one way to run them over clips."""

from __future__ import annotations

import difflib
import importlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from dataset.schema import Column, expert_schema
from experts.base import ClipView, Expert, Rgb
from media.errors import ConfigError

__all__ = ["EMBEDDED", "clip_views", "columns", "expert_class", "load", "run", "schema"]

_CLASSES: Final[dict[str, str]] = {
    "tags": "experts.tags:Tags",
    "text": "experts.text:Text",
    "faces": "experts.faces:Faces",
    "count": "experts.count:Count",
    "composition": "experts.composition:Composition",
    "shots": "experts.shots:Shots",
    "nsfw": "experts.nsfw:Nsfw",
    "alignment": "experts.alignment:Alignment",
    "colour": "experts.colour:Colour",
    "light": "experts.light:Light",
    "motion": "experts.motion:Motion",
    "quality": "experts.quality:Quality",
}

EMBEDDED: Final[tuple[str, ...]] = tuple(_CLASSES)
"""The experts of the embedded profile: offline, on CPU cores."""


def expert_class(name: str) -> type[Any]:
    """Return an expert's class, with its declaration; no model is loaded. ConfigError for an unknown name."""
    if name not in _CLASSES:
        close = difflib.get_close_matches(name, _CLASSES, n=1)
        hint = f", did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"no expert {name!r}{hint} (known: {', '.join(_CLASSES)})")
    module, _, attribute = _CLASSES[name].partition(":")
    found: type[Any] = getattr(importlib.import_module(module), attribute)
    return found


def load(
    name: str,
    profile: str = "embedded",
    *,
    override: Mapping[str, str | Path] | None = None,
    threads: int | None = None,
) -> Expert:
    """Return an expert with its model in memory.

    `override` maps roles to local files (see `weights.resolve`); `threads` is how many cores it may use (default
    `$RUSHES_EXPERT_THREADS`, or 1). Raises MissingModelError when a model is not on this machine.
    """
    expert: Expert = expert_class(name)(profile, override, threads)
    return expert


def schema(expert: Expert | str) -> pa.Schema:
    """Return the Arrow schema of an expert's table."""
    return expert_schema(expert_class(expert).columns if isinstance(expert, str) else expert.columns)


def columns(name: str) -> tuple[Column, ...]:
    """Return the value columns that an expert declares, with their documents."""
    declared: tuple[Column, ...] = expert_class(name).columns
    return declared


def clip_views(clip_rows: Iterable[Mapping[str, Any]]) -> list[ClipView]:
    """Return what experts see of each row of the clips table: its keyframes decoded, and its measured columns."""
    from media import decode_jpeg

    views = []
    for row in clip_rows:
        keyframes = row.get("keyframes") or []
        frames: list[Rgb] = [decode_jpeg(keyframe["jpeg"]) for keyframe in keyframes]
        views.append(
            ClipView(
                clip_id=row["clip_id"],
                frames=frames,
                indices=[keyframe["frame"] for keyframe in keyframes],
                times_s=[keyframe["time_s"] for keyframe in keyframes],
                first_frame=row["first_frame"],
                end_frame=row["end_frame"],
                row={name: value for name, value in row.items() if name != "keyframes"},
            )
        )
    return views


def run(
    expert: Expert,
    views: Sequence[ClipView],
    *,
    run_id: str,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Return the rows of the table experts/<name>, one per view, in their order.

    An expert that fails on a clip gives that clip null values and the `error`; no exception leaves here.
    """
    rows = []
    for done, view in enumerate(views, start=1):
        rows.append(_row(expert, view, run_id))
        if progress is not None:
            progress(done, len(views))
    return rows


def _row(expert: Expert, view: ClipView, run_id: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "clip_id": view.clip_id,
        "version": expert.version,
        "model": expert.model.name if expert.model else None,
        "model_hash": expert.model.hash if expert.model else None,
        "statements": [],
        "error": None,
        "run_id": run_id,
        **{column.name: None for column in expert.columns},
    }
    try:
        if expert.needs == "keyframes" and not view.frames:
            raise ValueError("the clip has no keyframes")
        (values,) = expert.measure([view])
        statements = [_as_struct(statement) for statement in expert.state(view, values)]
        row.update({column.name: _finite(values[column.name]) for column in expert.columns})
        row["statements"] = statements
    except Exception as error:  # the clip is data: what went wrong with it is a value in its row
        row["error"] = f"{type(error).__name__}: {error}"
    return row


def _as_struct(statement: Any) -> dict[str, Any]:
    return {name: getattr(statement, name) for name in statement.__dataclass_fields__}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
