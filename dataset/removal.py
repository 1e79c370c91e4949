"""Taking a source out: a tombstone that every reader honours at once, and that keeps the source from coming back.

    remove(root, "https://host/film.mp4", run_id=...)     its video, and all that came of it, is seen by no reader
    blocked(root)                                         what ingest must not read again
    compact(root)                                         dataset.compaction: its bytes go too

A source is named by the address it was read from (`videos.uri`), by the one it was published at (`source_url`), by its
`video_id`, or, with all that is below it, by a folder: an address that ends in `/`. What is tied to a video goes with
it: clips, pseudo-videos, what experts said, captions, verdicts, shards. A copy of the same bytes has the same id, so
it goes too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from dataset.messages import nearest
from dataset.root import Root
from dataset.tombstones import REMOVALS, only_living
from media.errors import UserError

__all__ = ["Removed", "blocked", "remember_copy", "remove", "restore"]

_COPYING: Final = ("export", "train")
"""Commands that take something of the dataset elsewhere."""

_DESCRIBING: Final = ("README.md", "croissant.json")
_COPY: Final = "the same bytes as a source that was removed"


@dataclass(frozen=True, slots=True)
class Removed:
    """What one removal took out of sight: sources, and rows by table; and which tables now lean on what is gone."""

    source: str
    videos: tuple[str, ...]
    rows: dict[str, int]
    leaderless: dict[str, int]
    """By table of duplicates: clips that are left out for a representative that was removed."""

    copies: tuple[str, ...]
    """Where what no tombstone reaches may be: `export FOLDER`, `train FOLDER`, a card that was written."""


def remove(
    root: Root, source: str, *, run_id: str, reason: str | None = None, ahead: bool = False, dry: bool = False
) -> Removed:
    """Write the tombstone of `source`, and tell what is gone from sight. It can be taken back until `compact`.

    With `dry` nothing is written. Raises UserError, with the nearest address, if nothing of it is here, unless
    `ahead` says to keep it out before it comes.
    """
    asked, source = source, _written(root, source)
    found = _matching(root, source)
    if not found.num_rows and not ahead:
        if blocked(root)(source) or asked in root.removed():
            raise UserError(
                f"{root.uri}: {source} is removed already; `rushes remove {root.uri} --list` tells since when"
            )
        raise UserError(_nothing(root, source))
    ids = frozenset(found["video_id"].to_pylist())
    told = Removed(source, tuple(sorted(ids)), _rows(root, ids), _leaderless(root, ids), _copies(root))
    if not dry:
        _write(root, source, found.to_pylist() or [{"video_id": None, "uri": None}], reason, run_id)
    return told


def restore(root: Root, source: str) -> int:
    """Take every tombstone of `source` back; return how many sources can be seen again: 0 where they were compacted.

    Raises UserError if there is none.
    """
    rows = root.read(REMOVALS).to_pylist()
    named = {source, _absolute(source), _absolute(source) + "/"}
    mine = [row for row in rows if row["source"] in named]
    if not mine:
        there = sorted({row["source"] for row in rows})
        near = nearest(source, there)
        hint = f"did you mean {near}?" if near else f"removed are: {', '.join(there[:5]) or 'none'}"
        raise UserError(f"{root.uri}: nothing was removed as {source}; {hint}")
    ids = {row["video_id"] for row in mine} - {None}
    mine += [row for row in rows if row["video_id"] in ids and row["reason"] == _COPY]  # met since: they go with it
    for key in {_key(row["source"], row["run_id"]) for row in mine}:
        root.remove_part(REMOVALS, key)
    return len(set(root.read("videos", ["video_id"])["video_id"].to_pylist()) & ids)


def blocked(root: Root) -> Callable[..., bool]:
    """Return a function that says of addresses, of which some may be None, whether one was removed."""
    rows = root.read(REMOVALS, ["source", "uri"])
    exact = {*rows["source"].to_pylist(), *rows["uri"].to_pylist()} - {None}
    folders = tuple(address for address in exact if address.endswith("/"))

    def is_blocked(*addresses: str | None) -> bool:
        return any(a in exact or (folders and a.startswith(folders)) for a in addresses if a is not None)

    return is_blocked


def remember_copy(root: Root, uri: str, video_id: str, *, run_id: str) -> None:
    """Note that what lies at `uri` are the bytes of a removed source, so that they need not be read again."""
    _write(root, uri, [{"video_id": video_id, "uri": uri}], _COPY, run_id)


def _write(root: Root, source: str, found: Sequence[dict[str, Any]], reason: str | None, run_id: str) -> None:
    now = datetime.now(UTC)
    rows = [
        {"source": source, "video_id": row["video_id"], "uri": row["uri"], "reason": reason, "removed_at": now,
         "run_id": run_id}
        for row in found
    ]  # fmt: skip
    root.write_part(REMOVALS, rows, key=_key(source, run_id))


def _key(source: str, run_id: str) -> str:
    return f"{source} {run_id}"


def _absolute(source: str) -> str:
    if "://" in source:
        return source
    path = os.path.realpath(os.path.expanduser(source))
    return path + "/" if source.endswith("/") and not path.endswith("/") else path


def _written(root: Root, source: str) -> str:
    """Return the source as the tables write it: a local path is absolute there, and a folder ends in `/`."""
    if "://" in source or root.read("videos", ["uri"], _names(source)).num_rows:
        return source
    path = _absolute(source)
    return path + "/" if os.path.isdir(path) and not path.endswith("/") else path


def _names(source: str) -> pc.Expression:
    if source.endswith("/"):
        return pc.starts_with(pc.field("uri"), source) | pc.starts_with(pc.field("source_url"), source)
    return (pc.field("uri") == source) | (pc.field("source_url") == source) | (pc.field("video_id") == source)


def _matching(root: Root, source: str) -> pa.Table:
    """Return `video_id` and `uri` of the sources that are meant, and of those that hold the same bytes."""
    columns = ["video_id", "uri"]
    meant = root.read("videos", columns, _names(source))
    return root.read("videos", columns, pc.field("video_id").isin(meant["video_id"].combine_chunks().unique()))


def _nothing(root: Root, source: str) -> str:
    addresses = root.read("videos", ["uri", "source_url"])
    near = nearest(source, {*addresses["uri"].to_pylist(), *addresses["source_url"].to_pylist()} - {None})
    hint = f"did you mean {near}?" if near else "`rushes query D 'select uri, source_url from videos'` lists what is"
    return f"{root.uri}: nothing here is from {source}; {hint}. To keep it out before it comes, say --ahead"


def _rows(root: Root, ids: frozenset[str]) -> dict[str, int]:
    """Return how many rows of each table are of these sources."""
    found = {}
    for table in root.tables():
        if table == REMOVALS or not ids:
            continue
        schema = root.schema(table)
        columns = [name for name in ("video_id", "clip_id", "sample_id") if name in schema.names][:1]
        if columns:
            rows = root.read(table, columns)
            found[table] = rows.num_rows - only_living(table, rows, ids).num_rows
    return {table: count for table, count in found.items() if count}


def _leaderless(root: Root, ids: frozenset[str]) -> dict[str, int]:
    found = {}
    for name in root.names("duplicates"):
        rows = root.read(f"duplicates/{name}", ["clip_id", "representative_id"])
        rows = only_living(f"duplicates/{name}", rows, ids)
        leaders = rows.select(["representative_id"]).rename_columns(["clip_id"])
        found[f"duplicates/{name}"] = len(rows) - only_living(f"duplicates/{name}", leaders, ids).num_rows
    return {table: count for table, count in found.items() if count}


def _copies(root: Root) -> tuple[str, ...]:
    """Return what was made of the dataset, by runs that failed as well: they may have left a part of it."""
    made = (run for run in root.runs() if run.get("command") in _COPYING)
    written = [f"card {name}" for name in _DESCRIBING if root.size(name) is not None]
    return tuple(dict.fromkeys([*(f"{run['command']} {run['config'].get('out')}" for run in made), *written]))
