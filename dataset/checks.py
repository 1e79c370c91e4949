"""Verification: every table, id, checksum, span, frame count and run of a dataset. It repairs nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from dataset.compaction import stored_rows
from dataset.root import Root, schema_of
from dataset.schema import CAPTION_LINT, KINDS, RIGHTS_BASES
from dataset.shards import row_hash, shard_frames
from media.errors import CorruptionError, MediaError

__all__ = ["PROBLEMS", "Problem", "verify"]

PROBLEMS: Final = {
    "damaged": "a part that cannot be read, or whose bytes fail their checksum",
    "wrong_schema": "a part that lacks a column of its table, or has it of another type",
    "missing_value": "a null where the contract allows none",
    "duplicate_id": "an id that a table has twice",
    "bad_id": "a clip's id that does not tell its source and span",
    "bad_span": "a span that is empty, or does not match the number of frames or the times",
    "bad_value": "a value outside its closed set",
    "orphan": "a row about a clip or a source that the dataset does not have",
    "unknown_run": "a row whose run left no record in runs/",
    "checksum": "media that does not have its hash, or a source that does not have its id",
    "undecodable": "media, or the source of a reference, that cannot be read or decoded",
    "frame_count": "media whose decoded frames are not as many, or not as large, as its row says",
    "removed": "rows of a removed source that are still stored; no reader sees them, `rushes compact` takes them out",
    "leftover": "an unfinished file of a writer that was killed, or is at work; no reader sees it",
}
"""What can be found, and what it means."""

_ID: Final = re.compile(r"(?P<video>.+):(?P<first>\d+)-(?P<end>\d+)(@\w+)?")
_HEAVY: Final = {"clips": {"keyframes", "affine"}, "shards": {"media"}}
_CLOSED: Final[dict[str, dict[str, set[str | None]]]] = {
    "videos": {
        "status": {"ok", "quarantined"},
        "media": {"video", "image"},
        "rights_basis": {*RIGHTS_BASES, None},
    },
    "clips": {"kind": {*KINDS}},
    "captions": {"outcome": {"ok", "repaired", "template", "blocked", "error"}},
    "duplicates": {"kind": {"exact", "near", "semantic"}},
    "shards": {"kind": {*KINDS}, "cut": {"copy", "exact", "reference", None}},
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: in which table, with which row or part, of which kind of `PROBLEMS`."""

    table: str
    id: str
    kind: str
    detail: str


@dataclass(slots=True)
class _Known:
    """Ids seen so far; None where a table is missing, and nothing can be an orphan of it."""

    videos: set[str]
    clips: set[str]
    runs: set[str]
    contents: dict[str, str] = field(default_factory=dict)


def verify(root: Root, *, media: bool = True, progress: Callable[[int, int], None] | None = None) -> list[Problem]:
    """Check every table of `root`, and return what is wrong, in the order of the tables and their parts.

    With `media`, keyframes are read, and the media of every shard, and the sources of references, are hashed and
    decoded, which takes as long as decoding it all does; without, only what the other columns say is checked.
    `progress` is called with the number of parts done, and of all.
    """
    known = _Known(_ids(root, "videos", "video_id"), _ids(root, "clips", "clip_id"), set())
    known.runs = {str(run["run_id"]) for run in root.runs()}
    tables = root.tables()
    total = sum(len(root.parts(table)) for table in tables)
    found: list[Problem] = [Problem("", name, "leftover", PROBLEMS["leftover"]) for name in root.leftovers()]
    done = 0
    for table in tables:
        seen: set[str] = set()
        for name in root.parts(table):
            found += _part(root, table, name, known, seen, media)
            done += 1
            if progress is not None:
                progress(done, total)
    return [*found, *_lint(root)]


def _lint(root: Root) -> Iterator[Problem]:
    """Say that the file which is made from all captions cannot be read; what is in it needs no check of its own."""
    if root.size(CAPTION_LINT) is None:
        return
    try:
        if gone := stored_rows(root, CAPTION_LINT):
            yield Problem("caption_lint", CAPTION_LINT, "removed", f"{gone} rows of removed sources")
        with root.storage(CAPTION_LINT), _open(root, CAPTION_LINT) as file:
            file.read()
    except CorruptionError as error:
        yield Problem("caption_lint", CAPTION_LINT, "damaged", str(error))


def _ids(root: Root, table: str, column: str) -> set[str]:
    """Return the ids of the parts that can be read; the others are reported when their turn comes."""
    found: set[str] = set()
    for name in root.parts(table):
        try:
            with root.storage(name):
                path = root.location(f"{table}/{name}")
                found |= set(pq.read_table(path, columns=[column], filesystem=root.filesystem).column(0).to_pylist())
        except CorruptionError:
            continue
    return found


def _part(root: Root, table: str, name: str, known: _Known, seen: set[str], media: bool) -> Iterator[Problem]:
    where = f"{table}/{name}"
    try:
        if gone := stored_rows(root, where):
            yield Problem(table, where, "removed", f"{gone} rows of removed sources; `rushes compact` takes them out")
        with root.storage(where), _open(root, where) as file:
            wrong = list(_schema(table, where, file.schema_arrow))
            yield from wrong
            if any(problem.kind == "wrong_schema" for problem in wrong):
                return
            weighty = _HEAVY.get(table.partition("/")[0], set())
            light = [column for column in file.schema_arrow.names if column not in weighty]
            heavy = [column for column in file.schema_arrow.names if column in weighty] if media else []
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group, columns=light).to_pylist()
                yield from _rows(table, rows, known, seen)
                # Reading checks the pages' own checksums, whatever is in them.
                for batch in file.iter_batches(64, [group], heavy) if heavy else ():
                    if "media" in heavy:
                        yield from _media(table, rows[: batch.num_rows], batch.column("media"), known.contents)
                        del rows[: batch.num_rows]
    except CorruptionError as error:
        yield Problem(table, where, "damaged", str(error))


def _open(root: Root, name: str) -> pq.ParquetFile:
    return pq.ParquetFile(root.location(name), filesystem=root.filesystem, page_checksum_verification=True)


def _schema(table: str, where: str, schema: pa.Schema) -> Iterator[Problem]:
    for column in schema_of(table):
        if column.name not in schema.names:
            # Nullable columns may be younger than the part.
            if not column.nullable:
                yield Problem(table, where, "wrong_schema", f"it lacks the column {column.name}")
        elif schema.field(column.name).type != column.type:
            has = schema.field(column.name).type
            yield Problem(table, where, "wrong_schema", f"column {column.name} is {has}, not {column.type}")


def _rows(table: str, rows: Sequence[Mapping[str, Any]], known: _Known, seen: set[str]) -> Iterator[Problem]:
    base = table.partition("/")[0]
    key = {"videos": "video_id", "grades": "sample_id", "removals": "source"}.get(base, "clip_id")
    needed = [field.name for field in schema_of(table) if not field.nullable and field.name not in _HEAVY.get(base, ())]
    for row in rows:
        name = str(row[key])
        for column in needed:
            if row[column] is None:
                yield Problem(table, name, "missing_value", f"{column} is null")
        if name in seen and base != "removals":
            yield Problem(table, name, "duplicate_id", f"{key} {name} is there more than once")
        seen.add(name)
        if row["run_id"] not in known.runs:
            yield Problem(table, name, "unknown_run", f"run {row['run_id']} left no record")
        for column, allowed in _CLOSED.get(base, {}).items():
            if row.get(column) not in allowed:
                closed = " | ".join(sorted(value for value in allowed if value))
                yield Problem(table, name, "bad_value", f"{column} is {row[column]!r}, not {closed}")
        if base in {"clips", "shards"}:
            yield from _span(table, row)
            if row["video_id"] not in known.videos:
                yield Problem(table, name, "orphan", f"there is no source {row['video_id']} in videos")
        if base not in {"videos", "clips", "grades", "removals"} and name not in known.clips:
            yield Problem(table, name, "orphan", f"there is no clip {name} in clips")


def _span(table: str, row: Mapping[str, Any]) -> Iterator[Problem]:
    name, first, end = str(row["clip_id"]), row["first_frame"], row["end_frame"]
    if None in (first, end, row["frames"]):
        return
    match = _ID.fullmatch(name)
    if not match or (match["video"], int(match["first"]), int(match["end"])) != (row["video_id"], first, end):
        yield Problem(table, name, "bad_id", f"its row says source {row['video_id']}, frames {first} to {end}")
    if row.get("out_frame") is not None and row["out_frame"] - row["in_frame"] != row["frames"]:
        inside = f"frames {row['in_frame']} to {row['out_frame']} of its media"
        yield Problem(table, name, "bad_span", f"{inside} are not {row['frames']}")
    if row.get("cut") == "reference" and (row["in_frame"], row["out_frame"]) != (first, end):
        yield Problem(table, name, "bad_span", f"it refers to frames {row['in_frame']} to {row['out_frame']}")
    if end <= first or row["frames"] < 1:
        yield Problem(table, name, "bad_span", f"frames {first} to {end}, {row['frames']} of them")
    elif table == "clips" and row["frames"] != end - first:
        yield Problem(table, name, "bad_span", f"frames {first} to {end} are not {row['frames']}")
    start_s, end_s = row.get("start_s"), row.get("end_s")
    if start_s is not None and end_s is not None and end_s <= start_s:
        yield Problem(table, name, "bad_span", f"it ends at {end_s:g} s and begins at {start_s:g} s")


def _media(
    table: str, rows: Sequence[Mapping[str, Any]], media: pa.Array, contents: dict[str, str]
) -> Iterator[Problem]:
    for light, value in zip(rows, media, strict=True):
        row = {**light, "media": value.as_py()}
        name, reference = str(row["clip_id"]), row.get("cut") == "reference"
        if (row["media"] is None) != reference:
            why = "it is a reference and has media" if reference else "media is null"
            yield Problem(table, name, "bad_value" if reference else "missing_value", why)
            continue
        if row_hash(row) != row["media_hash"]:
            yield Problem(table, name, "checksum", f"its media hashes to {row_hash(row)}, not {row['media_hash']}")
        try:
            if reference and _content(row["uri"], contents) != row["video_id"]:
                yield Problem(table, name, "checksum", f"{row['uri']} is no longer the source {row['video_id']}")
                continue
            shape = shard_frames({**row, "out_frame": None} if row.get("cut") == "exact" else row).shape[:3]
        except MediaError as error:
            yield Problem(table, name, "undecodable", str(error))
            continue
        says = (row["frames"], row["height_px"], row["width_px"])
        if shape != says:
            yield Problem(table, name, "frame_count", f"(frames, height, width) decode to {shape}, its row says {says}")


def _content(uri: str, known: dict[str, str]) -> str:
    """Return the id of what is at `uri`; every source is read once."""
    from media import content_id, local_copy

    if uri not in known:
        with local_copy(uri) as path:
            known[uri] = content_id(path)
    return known[uri]
