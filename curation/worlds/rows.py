"""A synthetic clip as rows of the dataset: its source, its clip, what is true of it, and its captions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from curation.keyframes import Album, keyframe_columns
from curation.measure import Meter
from curation.planes import Rgb, view_of_rgb
from curation.worlds.address import Address
from curation.worlds.base import Thing, Truth
from dataset.schema import BASE_TABLES, Column, expert_schema, struct_type

__all__ = [
    "LICENSE",
    "SOURCE",
    "TRUTH_COLUMNS",
    "VERSION",
    "caption_row",
    "clip_row",
    "truth_row",
    "truth_schema",
    "video_row",
]

LICENSE: Final = "CC0-1.0"
SOURCE: Final = "rushes worlds"
VERSION: Final = "1"

_KEYFRAMES: Final = 3
_QUALITY: Final = 88
_KEYFRAME_HEIGHT_PX: Final = 360

_str, _i32, _f32 = pa.string(), pa.int32(), pa.float32()

_THING: Final = struct_type(
    Column("name", _str, "what it is, with what tells it from the others"),
    Column("colour", _str, "its colour"),
    Column("direction", _str, "right | left | up | down, or two of them with a hyphen; still"),
    Column("speed_per_s", _f32, "picture heights per second"),
    Column("boxes", pa.list_(pa.list_(_f32, 4)), "per frame: left, top, right, bottom, shares; NaN if unseen"),
    Column("visible", pa.list_(_f32), "per frame: the share of it that is seen"),
    Column("attributes", _str, "what else its world knows of it, JSON"),
)

_EVENT: Final = struct_type(
    Column("frame", _i32, "when it happens"),
    Column("kind", _str, "what happens: appears, collides, changes colour ..."),
    Column("things", pa.list_(_i32), "to which things: places in the list of them, from 0"),
    Column("detail", _str, "how"),
)

TRUTH_COLUMNS: Final = (
    Column("world", _str, "the world: shapes, bodies or scenes3d"),
    Column("seed", pa.int64(), "the seed that the scene was drawn from"),
    Column("label", _str, "the shortest caption: a few words"),
    Column("count", _i32, "number of things that are seen"),
    Column("colours", pa.list_(_str), "their colours, each once, in the order of the things"),
    Column("things", pa.list_(_THING), "every thing that is seen"),
    Column("camera", _str, "the camera's motion, a value of clips.camera_motion"),
    Column("camera_path", pa.list_(pa.list_(_f32)), "per frame: an affine 2x3 or a pose 4x4, row-major"),
    Column("events", pa.list_(_EVENT), "what happens, in order"),
    Column("joints", pa.list_(_str), "names of a skeleton's joints"),
    Column(
        "skeletons",
        pa.list_(pa.list_(_f32)),
        "per frame: x, y of every joint of every person, person by person; both in picture heights",
    ),
    Column("facts", _str, "what else the world knows of the scene, JSON"),
)
"""What is true of a synthetic clip: the value columns of `experts/truth`."""


def truth_schema() -> pa.Schema:
    """Return the schema of `experts/truth`."""
    return expert_schema(TRUTH_COLUMNS)


def video_row(address: Address, run_id: str) -> dict[str, Any]:
    """Return the row of `videos`; its id is that of the address."""
    row = _blank("videos")
    row.update(
        video_id=address.video_id,
        uri=address.uri,
        media="video",
        status="ok",
        width_px=address.size[1],
        height_px=address.size[0],
        rotation_deg=0,
        frames=address.frames,
        duration_s=address.frames / address.fps,
        fps=address.fps,
        variable_frame_rate=False,
        has_audio=False,
        cuts=[],
        source=SOURCE,
        license=LICENSE,
        rights_basis="own",
        run_id=run_id,
    )
    return row


def clip_row(address: Address, pictures: Sequence[Rgb], run_id: str, *, measure: bool) -> dict[str, Any]:
    """Return the row of `clips`, with keyframes; the measured columns are null without `measure`."""
    frames, fps = address.frames, address.fps
    meter, album = Meter(), Album(_KEYFRAME_HEIGHT_PX, frames / fps / 16)
    for index, rgb in enumerate(pictures):
        view = view_of_rgb(index, index / fps, 1 / fps, rgb)
        album.feed(view)
        if measure:
            meter.feed(view)
    row = _blank("clips")
    if measure:
        row.update(meter.values(0, frames))
    row.update(
        clip_id=address.clip_id,
        video_id=address.video_id,
        kind="synthetic",
        uri=address.uri,
        first_frame=0,
        end_frame=frames,
        start_s=0.0,
        end_s=frames / fps,
        duration_s=frames / fps,
        frames=frames,
        fps=fps,
        width_px=address.size[1],
        height_px=address.size[0],
        shot=0,
        cut_in="start",
        cut_out="end",
        **keyframe_columns(album.choose(0, frames, _KEYFRAMES), _QUALITY),
        run_id=run_id,
    )
    return row


def truth_row(address: Address, truth: Truth, run_id: str) -> dict[str, Any]:
    """Return the row of `experts/truth`."""
    return {
        "clip_id": address.clip_id,
        "version": VERSION,
        "model": None,
        "model_hash": None,
        "statements": _statements(truth),
        "error": None,
        "run_id": run_id,
        "world": truth.world,
        "seed": truth.seed,
        "label": truth.captions.label,
        "count": len(truth.things),
        "colours": list(dict.fromkeys(thing.colour for thing in truth.things)),
        "things": [_thing(thing) for thing in truth.things],
        "camera": truth.camera,
        "camera_path": _by_frame(truth.camera_path),
        "events": [
            {"frame": e.frame, "kind": e.kind, "things": list(e.things), "detail": e.detail} for e in truth.events
        ],
        "joints": list(truth.joints),
        "skeletons": _by_frame(truth.skeletons),
        "facts": _json(truth.facts),
    }


def caption_row(address: Address, truth: Truth, keyframes_hash: str | None, run_id: str) -> dict[str, Any]:
    """Return the row of `captions`: nothing was guessed, so its outcome is ok and its author the truth."""
    words = truth.captions
    row = _blank("captions")
    row.update(
        clip_id=address.clip_id,
        outcome="ok",
        keyframes_hash=keyframes_hash,
        short=words.short,
        medium=words.dense,
        dense=words.dense,
        structured=dict(words.structured),
        graph=[
            {"subject": t.subject, "predicate": t.predicate, "object": t.object, "attributes": list(t.attributes)}
            for t in truth.graph
        ],
        evidence=_evidence(truth),
        dropped=[],
        flags=[],
        conflicts=[],
        experts=["truth"],
        windows=[],
        backend="truth",
        tokens_in=0,
        tokens_out=0,
        wall_s=0.0,
        run_id=run_id,
    )
    return row


def _statements(truth: Truth) -> list[dict[str, Any]]:
    """Return what is true as statements: every edge of the scene graph, the camera, and every colour."""
    said = [_said(truth, "subject", t.subject, t.predicate, t.object) for t in truth.graph]
    said += [_said(truth, "appearance", thing.name, "is", thing.colour) for thing in truth.things if thing.colour]
    return [*said, _said(truth, "camera", "camera", "motion", truth.camera)]


def _said(truth: Truth, dimension: str, subject: str, predicate: str, value: str) -> dict[str, Any]:
    return {
        "expert": "truth",
        "dimension": dimension,
        "subject": subject,
        "predicate": predicate,
        "value": value,
        "confidence": 1.0,
        "first_frame": 0,
        "end_frame": truth.frames,
    }


def _evidence(truth: Truth) -> list[dict[str, Any]]:
    """Return the parts of the structured caption, each its own evidence."""
    return [
        {"span": text, "dimension": dimension, "expert": "truth", "statement": text, "score": 1.0}
        for dimension, text in truth.captions.structured.items()
    ]


def _thing(thing: Thing) -> dict[str, Any]:
    return {
        "name": thing.name,
        "colour": thing.colour,
        "direction": thing.direction,
        "speed_per_s": thing.speed_per_s,
        "boxes": np.asarray(thing.boxes, np.float32).tolist(),
        "visible": np.asarray(thing.visible, np.float32).tolist(),
        "attributes": _json(thing.attributes),
    }


def _by_frame(values: Any) -> list[list[float]] | None:
    return None if values is None else np.asarray(values, np.float32).reshape(len(values), -1).tolist()


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(dict(values), sort_keys=True, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return sorted(value) if isinstance(value, set | frozenset) else str(value)


def _blank(table: str) -> dict[str, Any]:
    return {column.name: None for column in BASE_TABLES[table]}
