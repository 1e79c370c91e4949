"""The world of solids: balls, boxes, cylinders and cones on a floor, in the sun, and a camera that moves in space."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from curation.worlds.base import U8, Maps, Truth
from curation.worlds.scenes3d.options import COLOURS, FLOORS, MOVES, SOLIDS, Options
from curation.worlds.scenes3d.rendering import FAR, maps, render
from curation.worlds.scenes3d.scene import FOCAL, Scene
from curation.worlds.scenes3d.staging import draw
from curation.worlds.scenes3d.telling import tell

__all__ = ["COLOURS", "FAR", "FLOORS", "FOCAL", "MOVES", "SOLIDS", "WORLD", "Options", "Scene"]


class Scenes3d:
    """The world; see `curation.worlds.base.World`, and `Options` for what `draw` takes."""

    name = "scenes3d"

    def draw(self, seed: int, *, frames: int = 16, fps: float = 8.0, **options: Any) -> Scene:
        """Return a scene. Raises TypeError for an option that is not there, UserError for one that cannot be."""
        return draw(seed, frames, fps, Options(**options))

    def truth(self, scene: Scene) -> Truth:
        """Return what is true of the scene."""
        return tell(scene)

    def render(self, scene: Scene, size: tuple[int, int]) -> Iterator[U8]:
        """Yield its pictures, u8 (height, width, 3)."""
        return render(scene, size)

    def maps(self, scene: Scene, size: tuple[int, int]) -> Maps:
        """Return masks, depth along the optical axis, flow and normals."""
        return maps(scene, size)


WORLD: Final = Scenes3d()
