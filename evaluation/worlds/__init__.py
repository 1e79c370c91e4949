"""Reading truth back: what a video that claims to show a synthetic world really shows, told from its pixels alone."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaluation.worlds.agreement import Asked, AskedThing, agree, asked_of
    from evaluation.worlds.shapes import SeenShapes, SeenThing, read_shapes

__all__ = ["Asked", "AskedThing", "SeenShapes", "SeenThing", "agree", "asked_of", "read_shapes"]

_HOMES = {
    **dict.fromkeys(("Asked", "AskedThing", "agree", "asked_of"), "agreement"),
    **dict.fromkeys(("SeenShapes", "SeenThing", "read_shapes"), "shapes"),
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: a reader of one world does not load those of the others."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
