"""The world of bodies: one to three jointed figures that walk, clap, wave, jump or dance; whole, or broken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from curation.worlds.base import U8, Maps, Truth
from curation.worlds.bodies.anatomy import BONES, JOINTS, LIMITS
from curation.worlds.bodies.options import ACTIONS, DAMAGES, MOTLEY, Options
from curation.worlds.bodies.rendering import maps, render
from curation.worlds.bodies.scene import Scene
from curation.worlds.bodies.staging import draw
from curation.worlds.bodies.telling import tell

__all__ = ["ACTIONS", "BONES", "DAMAGES", "JOINTS", "LIMITS", "MOTLEY", "WORLD", "Options", "Scene"]


class Bodies:
    """The world; see `curation.worlds.base.World`, and `Options` for what `draw` takes."""

    name = "bodies"

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
        """Return masks, depth (heights of the picture) and flow."""
        return maps(scene, size)


WORLD: Final = Bodies()
