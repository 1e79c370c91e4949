"""Compaction: the rows of removed sources leave the disk too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from dataset.parts import ROW_GROUP_BYTES, serialise
from dataset.root import Root
from dataset.schema import CAPTION_LINT
from dataset.shards import SHARD_ROW_GROUP_BYTES
from dataset.tombstones import REMOVALS, only_living
from media.errors import DatasetError

__all__ = ["Compacted", "compact", "stored_files", "stored_rows"]

_IDS = ("video_id", "clip_id", "sample_id")


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a compaction took out: rows by table, parts written anew and parts that went, and the bytes freed."""

    rows: dict[str, int]
    rewritten: int
    deleted: int
    bytes: int


def stored_files(root: Root) -> list[str]:
    """Return every file that may hold rows of a source: the parts of all tables, and the captions' lint."""
    files = [f"{table}/{name}" for table in root.tables() if table != REMOVALS for name in root.parts(table)]
    return files + ([CAPTION_LINT] if root.size(CAPTION_LINT) is not None else [])


def stored_rows(root: Root, file: str) -> int:
    """Return how many rows of removed sources the file `file`, a part or the captions' lint, still holds."""
    removed = root.removed()
    if not removed or file.startswith(f"{REMOVALS}/"):
        return 0
    with root.storage(file):
        content = pq.ParquetFile(root.location(file), filesystem=root.filesystem)
        columns = [name for name in _IDS if name in content.schema_arrow.names][:1]
        ids = content.read(columns)
    return int(len(ids) - len(only_living(_table(file), ids, removed)))


def compact(root: Root, *, progress: Callable[[int, int], None] | None = None) -> Compacted:
    """Write every part that holds rows of removed sources anew, without them. Tombstones stay, and keep them out.

    Each part is replaced whole, so a kill at any moment leaves a valid dataset, and the next compaction goes on.
    Parts without such rows are not touched. A part that changes while it is written anew is left: DatasetError.
    `progress` is called with parts done, and parts in all.
    """
    files = stored_files(root)
    rows: dict[str, int] = {}
    rewritten = deleted = freed = 0
    for done, file in enumerate(files, start=1):
        if gone := stored_rows(root, file):
            before = root.size(file) or 0
            stays = _rewrite(root, file)
            rows[_table(file)] = rows.get(_table(file), 0) + gone
            rewritten, deleted = rewritten + stays, deleted + (not stays)
            freed += before - ((root.size(file) or 0) if stays else 0)
        if progress is not None:
            progress(done, len(files))
    return Compacted(rows, rewritten, deleted, freed)


def _rewrite(root: Root, file: str) -> bool:
    """Leave what is living in `file`; return whether anything is. A file of which nothing is left goes.

    The last part of a table stays even so: an expert's columns and a selection's rules are known from it.
    """
    table = _table(file)
    with root.storage(file):
        before = root.filesystem.get_file_info(root.location(file))
        content = pq.ParquetFile(root.location(file), filesystem=root.filesystem).read()
    kept: pa.Table = only_living(table, content, root.removed())
    data = serialise(kept, row_group_bytes=SHARD_ROW_GROUP_BYTES if table.startswith("shards/") else ROW_GROUP_BYTES)
    with root.storage(file):
        now = root.filesystem.get_file_info(root.location(file))
    if (now.type, now.size, now.mtime_ns) != (before.type, before.size, before.mtime_ns):
        raise DatasetError(f"{root.uri}: {file} was written by another while it was compacted; run compact again")
    if len(kept) or (table != "caption_lint" and root.parts(table) == [file.rpartition("/")[2]]):
        root.write_bytes(file, data)
        return True
    with root.storage(file):
        root.filesystem.delete_file(root.location(file))
    return False


def _table(file: str) -> str:
    return file.rpartition("/")[0] or "caption_lint"
