"""Synthetic worlds: procedural videos whose every fact is known, and pictures with the statistics of photographs."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from curation.worlds.base import Captions, Event, Maps, Thing, Triple, Truth, World

__all__ = ["WORLDS", "Captions", "Event", "Maps", "Thing", "Triple", "Truth", "World", "world_named"]

WORLDS: Final = ("shapes", "bodies", "scenes3d")
"""The worlds there are, each in the module of its name, as `WORLD`."""


def world_named(name: str) -> World:
    """Return the world called `name`. Raises UserError, with the nearest name, for one that is not there."""
    from dataset.messages import nearest
    from media.errors import UserError

    if name not in WORLDS:
        near = nearest(name, WORLDS)
        hint = f"did you mean {near}?" if near else f"there are {', '.join(WORLDS)}"
        raise UserError(f"no world is called {name!r}; {hint}")
    world: World = import_module(f"curation.worlds.{name}").WORLD
    return world
