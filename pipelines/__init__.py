"""Pipelines: stages wired into Ray, configs, the command line, the demo. The only folder that knows Ray.

Nothing is imported until it is asked for: `rushes --help` must answer at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.config import RunConfig, load_config

__all__ = ["RunConfig", "load_config"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("pipelines.config"), name)
    raise AttributeError(f"module 'pipelines' has no attribute {name!r}")
