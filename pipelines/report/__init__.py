"""The report: a whole run on one self-contained HTML page, which needs no network, no server and no script."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.report.model import Generated
    from pipelines.report.render import write_report

__all__ = ["Generated", "write_report"]

_HOMES = {"Generated": "model", "write_report": "render"}


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
