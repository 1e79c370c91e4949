"""Models that look at frames and say what is there: one file an expert, one registry, one place that finds weights.

    experts.load(name) -> Expert                 an embedded expert with its model in memory
    experts.run(expert, views, run_id=...)       rows of the table experts/<name>
    experts.clip_views(clip_rows)                rows of the clips table -> what experts look at
    experts.schema(name)                         the Arrow schema of an expert's table
    experts.weights                              profiles, pull, status, resolve, footage

Nothing heavy is imported before a name is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from experts import weights
    from experts.base import DIMENSIONS, ClipView, Dimension, Expert, ModelRef, Needs, Resources, Rgb, Statement
    from experts.registry import EMBEDDED, clip_views, columns, expert_class, load, run, schema

__all__ = [
    "DIMENSIONS",
    "EMBEDDED",
    "ClipView",
    "Dimension",
    "Expert",
    "ModelRef",
    "Needs",
    "Resources",
    "Rgb",
    "Statement",
    "clip_views",
    "columns",
    "expert_class",
    "load",
    "run",
    "schema",
    "weights",
]

_REGISTRY: Final = {"EMBEDDED", "clip_views", "columns", "expert_class", "load", "run", "schema"}


def __getattr__(name: str) -> Any:
    if name == "weights":
        return importlib.import_module("experts.weights")
    if name in __all__:
        return getattr(importlib.import_module("experts.registry" if name in _REGISTRY else "experts.base"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
