"""Models that look at frames and say what is there: one file an expert, one registry, one place that finds weights.

    experts.names(profile)                       the experts of a profile
    experts.load(name, profile) -> Expert        an expert with its model in memory
    experts.model_of(name, profile)              how its rows name its model, without loading it
    experts.load_control(name, profile)          an expert that draws a map for every frame
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
    from experts.base import (
        DIMENSIONS,
        ClipView,
        Control,
        Controller,
        Dimension,
        Expert,
        ModelRef,
        Needs,
        Resources,
        Rgb,
        Statement,
    )
    from experts.registry import (
        CONTROLS,
        EMBEDDED,
        STANDARD,
        clip_views,
        columns,
        error_row,
        expert_class,
        load,
        load_control,
        model_of,
        names,
        needs_gpu,
        require_gpu,
        resources,
        run,
        schema,
    )

__all__ = [
    "CONTROLS",
    "DIMENSIONS",
    "EMBEDDED",
    "STANDARD",
    "ClipView",
    "Control",
    "Controller",
    "Dimension",
    "Expert",
    "ModelRef",
    "Needs",
    "Resources",
    "Rgb",
    "Statement",
    "clip_views",
    "columns",
    "error_row",
    "expert_class",
    "load",
    "load_control",
    "model_of",
    "names",
    "needs_gpu",
    "require_gpu",
    "resources",
    "run",
    "schema",
    "weights",
]

_REGISTRY: Final = {
    "CONTROLS", "EMBEDDED", "STANDARD", "clip_views", "columns", "error_row", "expert_class", "load", "load_control",
    "model_of", "names", "needs_gpu", "require_gpu", "resources", "run", "schema",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "weights":
        return importlib.import_module("experts.weights")
    if name in __all__:
        return getattr(importlib.import_module("experts.registry" if name in _REGISTRY else "experts.base"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
