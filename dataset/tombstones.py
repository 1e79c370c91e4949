"""Tombstones: which rows of a table are of a source that was removed, and so are there for no reader."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["REMOVALS", "living", "only_living"]

REMOVALS: Final = "removals"
"""The table of tombstones. It alone is never filtered by them."""

_ID_COLUMNS: Final = ("video_id", "clip_id", "sample_id")
"""What tells a row's source, the first of them that a table has: its id, or a clip's id, which begins with it."""


def living(table: str, schema: pa.Schema, removed: Collection[str]) -> pc.Expression | None:
    """Return the filter that leaves out the rows of sources `removed` (video ids); None where there is nothing to do.

    An id that tells no source, as that of a generated video, is left in.
    """
    column = next((name for name in _ID_COLUMNS if name in schema.names), None)
    if not removed or column is None or table == REMOVALS:
        return None
    field = pc.field(column)
    source = field if column == "video_id" else pc.list_element(pc.split_pattern(field, ":", max_splits=1), 0)
    return ~source.isin(pa.array(sorted(removed), pa.string()))


def only_living(table: str, rows: pa.Table, removed: Collection[str]) -> pa.Table:
    """Return those rows of `table`, or of some of its columns, that are of no source in `removed`."""
    kept = living(table, rows.schema, removed)
    return rows if kept is None else rows.filter(kept)
