"""The contract between understanding and training: tables as Parquet, a catalogue in DuckDB, shards and their plan.

Nothing is imported until it is asked for: `import dataset` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataset.cards import write_card
    from dataset.catalogue import connect, query
    from dataset.checks import Problem, verify
    from dataset.columns import ColumnDoc, column_docs
    from dataset.compaction import Compacted, compact
    from dataset.plan import BucketRecipe, Plan, make_plan
    from dataset.removal import Removed, remove, restore
    from dataset.root import Root, open_root, schema_of
    from dataset.runs import Run, new_run
    from dataset.shards import ShardReader

__all__ = [
    "BucketRecipe",
    "ColumnDoc",
    "Compacted",
    "Plan",
    "Problem",
    "Removed",
    "Root",
    "Run",
    "ShardReader",
    "column_docs",
    "compact",
    "connect",
    "make_plan",
    "new_run",
    "open_root",
    "query",
    "remove",
    "restore",
    "schema_of",
    "verify",
    "write_card",
]

_HOMES = {
    "BucketRecipe": "dataset.plan",
    "Compacted": "dataset.compaction",
    "ColumnDoc": "dataset.columns",
    "Plan": "dataset.plan",
    "Problem": "dataset.checks",
    "Removed": "dataset.removal",
    "Root": "dataset.root",
    "Run": "dataset.runs",
    "ShardReader": "dataset.shards",
    "column_docs": "dataset.columns",
    "compact": "dataset.compaction",
    "connect": "dataset.catalogue",
    "make_plan": "dataset.plan",
    "new_run": "dataset.runs",
    "open_root": "dataset.root",
    "query": "dataset.catalogue",
    "remove": "dataset.removal",
    "restore": "dataset.removal",
    "schema_of": "dataset.root",
    "verify": "dataset.checks",
    "write_card": "dataset.cards",
}


def __getattr__(name: str) -> Any:
    if home := _HOMES.get(name):
        return getattr(import_module(home), name)
    raise AttributeError(f"module 'dataset' has no attribute {name!r}")
