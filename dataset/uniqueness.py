"""Which tables are known to say one thing of each id, so that `wide` may join them as they are.

A table is parts, written by whoever; nothing keeps two of them from holding one clip. Grouping 10 million rows by their
id costs more than joining them, so it is done once, after a run has written, and noted with what the parts were then:
names, sizes and times. A part that is written later makes the note void, and `wide` groups that table again. Stores
tell times in whole seconds, so of a table that was written there a moment ago nothing is noted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final

import duckdb
import pyarrow.fs as pafs

from dataset.parts import is_part
from dataset.root import Root

__all__ = ["KEYS", "NOTE", "note_unique", "unique_tables"]

NOTE: Final = "unique.json"
"""The file of notes. Without it everything is as right, and slower."""

_SETTLED_S: Final = 3.0

KEYS: Final[Mapping[str, str]] = {
    "videos": "video_id", "captions": "clip_id", "experts": "clip_id", "selections": "clip_id",
}  # fmt: skip
"""The tables, or groups of them, that `wide` joins to clips, and by what."""


def note_unique(root: Root) -> dict[str, bool]:
    """Look through the tables that have changed since they were last looked through; return what is known of each."""
    noted, found = _noted(root), {}
    for table in _joined(root):
        parts = _parts(root, table)
        if not root.local and any(time.time() - written / 1e9 < _SETTLED_S for _, _, written in parts):
            continue
        stamp = _stamp(parts)
        known = noted.get(table, {})
        unique = known["unique"] if known.get("stamp") == stamp else _is_unique(root, table)
        found[table] = {"stamp": stamp, "unique": unique}
    if found != noted:
        root.write_bytes(NOTE, json.dumps(found, indent=1, sort_keys=True).encode() + b"\n")
    return {table: bool(known["unique"]) for table, known in found.items()}


def unique_tables(root: Root) -> frozenset[str]:
    """Return the tables that were noted to be unique and have not changed since.

    That is: no two of their ids have the same 64-bit hash of DuckDB's, so none occurs twice.
    """
    noted = _noted(root)
    named = (table for table, known in noted.items() if known.get("unique"))
    return frozenset(table for table in named if noted[table].get("stamp") == _stamp(_parts(root, table)))


def _noted(root: Root) -> dict[str, Any]:
    try:
        noted = json.loads(root.read_bytes(NOTE) or b"{}")
    except ValueError:
        return {}
    return noted if isinstance(noted, dict) else {}


def _joined(root: Root) -> Iterator[str]:
    for table in root.tables():
        if table.partition("/")[0] in KEYS:
            yield table


def _parts(root: Root, table: str) -> list[tuple[str, int, int]]:
    """Return name, size in bytes and time, nanoseconds, of each part; then the sources that are left out of them."""
    with root.storage(table):
        infos = root.filesystem.get_file_info(pafs.FileSelector(root.location(table), allow_not_found=True))
    parts = sorted((info.base_name, info.size, info.mtime_ns) for info in infos if is_part(info.base_name))
    return parts + [(video, 0, 0) for video in sorted(root.removed())]  # whose rows were not looked at


def _stamp(parts: list[tuple[str, int, int]]) -> str:
    # Hashes of ids are DuckDB's: another version may have others.
    return blake2b(repr((duckdb.__version__, parts)).encode(), digest_size=16).hexdigest()


def _is_unique(root: Root, table: str) -> bool:
    key = KEYS[table.partition("/")[0]]
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.register("rows", root.dataset(table))
        counted = connection.execute(f"SELECT count(*) = count(DISTINCT hash({key})) FROM rows").fetchone()
    return bool(counted and counted[0])
