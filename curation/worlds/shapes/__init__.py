"""The world of shapes: one to six coloured things that move before a plain, graded or grained background."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from curation.worlds.base import U8, Maps, Truth
from curation.worlds.shapes.options import COLOURS, SHAPES, Options
from curation.worlds.shapes.rendering import maps, render
from curation.worlds.shapes.scene import Scene
from curation.worlds.shapes.staging import draw
from curation.worlds.shapes.telling import tell

__all__ = ["COLOURS", "SHAPES", "WORLD", "Options", "Scene"]


class Shapes:
    """The world; see `curation.worlds.base.World`, and `Options` for what `draw` takes."""

    name = "shapes"

    def draw(self, seed: int, *, frames: int = 16, fps: float = 8.0, **options: Any) -> Scene:
        """Return a scene. Raises TypeError for an option that is not there, ValueError for one that cannot be."""
        return draw(seed, frames, fps, Options(**options))

    def truth(self, scene: Scene) -> Truth:
        """Return what is true of the scene."""
        return tell(scene)

    def render(self, scene: Scene, size: tuple[int, int]) -> Iterator[U8]:
        """Yield its pictures, u8 (height, width, 3)."""
        return render(scene, size)

    def maps(self, scene: Scene, size: tuple[int, int]) -> Maps:
        """Return masks, depth (in layers) and flow."""
        return maps(scene, size)


WORLD: Final = Shapes()
