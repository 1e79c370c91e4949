"""The contract between understanding and training: tables as Parquet, a catalogue in DuckDB, shards and their plan.

Nothing is imported until it is asked for: `import dataset` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataset.root import Root, open_root, schema_of
    from dataset.runs import Run, new_run

__all__ = ["Root", "Run", "new_run", "open_root", "schema_of"]

_HOMES = {
    "Root": "dataset.root",
    "Run": "dataset.runs",
    "new_run": "dataset.runs",
    "open_root": "dataset.root",
    "schema_of": "dataset.root",
}


def __getattr__(name: str) -> Any:
    if home := _HOMES.get(name):
        return getattr(import_module(home), name)
    raise AttributeError(f"module 'dataset' has no attribute {name!r}")
