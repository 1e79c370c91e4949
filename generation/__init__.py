"""Generation: a checkpoint turned into video. Importing this package is cheap; its names bring torch when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from generation.sampling import Video, generate
    from generation.write import write_mp4

__all__ = ["Video", "generate", "write_mp4"]

_HOMES = {"Video": "generation.sampling", "generate": "generation.sampling", "write_mp4": "generation.write"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
