"""Pipelines: stages wired into Ray, configs, the command line, the demo. The only folder that knows Ray.

Nothing is imported until it is asked for: `rushes --help` must answer at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.config import RunConfig, load_config
    from pipelines.run import run

__all__ = ["RunConfig", "load_config", "run"]


def __getattr__(name: str) -> Any:
    if name in ("RunConfig", "load_config"):
        return getattr(import_module("pipelines.config"), name)
    if name == "run":
        return import_module("pipelines.run").run
    raise AttributeError(f"module 'pipelines' has no attribute {name!r}")
