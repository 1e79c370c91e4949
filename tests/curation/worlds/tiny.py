"""The smallest world there is: one square that moves to the right. It is what the contract asks for and no more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from curation.worlds.base import Captions, Event, Maps, Thing, Triple, Truth, World
from tests.curation.pictures import Rgb

__all__ = ["WORLD"]

_COLOURS: Final = {"red": (220, 30, 30), "blue": (30, 60, 220), "green": (30, 200, 60)}


@dataclass(frozen=True)
class Scene:
    """What happens."""

    seed: int
    frames: int
    fps: float
    colour: str
    y: float


class Tiny:
    """A world of one square."""

    name = "tiny"

    def draw(self, seed: int, *, frames: int = 16, fps: float = 8.0, colour: str | None = None) -> Scene:
        rng = np.random.default_rng(seed)
        named = colour or sorted(_COLOURS)[int(rng.integers(3))]
        if named not in _COLOURS:
            raise TypeError(f"there is no colour {named!r}")
        return Scene(seed, frames, fps, named, float(rng.uniform(0.2, 0.6)))

    def truth(self, scene: Any) -> Truth:
        left = np.linspace(0.1, 0.7, scene.frames, dtype=np.float32)
        top = np.full_like(left, scene.y)
        square = f"{scene.colour} square"
        return Truth(
            world="tiny",
            seed=scene.seed,
            frames=scene.frames,
            fps=scene.fps,
            captions=Captions(
                square,
                f"A {square} moves right.",
                f"A {square} moves to the right. The camera stays still.",
                {"subject": f"one {square}", "action": "it moves right", "camera": "the camera stays still"},
            ),
            graph=(Triple("square", "moves", "right", (scene.colour,)),),
            things=(
                Thing(
                    "square",
                    scene.colour,
                    np.stack([left, top, left + 0.2, top + 0.2], axis=1),
                    np.ones(scene.frames, np.float32),
                    "right",
                    0.6 * scene.fps / max(1, scene.frames - 1),
                    {"size": np.float32(0.2), "corners": np.arange(4)},
                ),
            ),
            camera="static",
            camera_path=np.tile(np.eye(2, 3, dtype=np.float32), (scene.frames, 1, 1)),
            events=(Event(0, "appears", (0,)),),
            facts={"background": "grey"},
        )

    def render(self, scene: Any, size: tuple[int, int]) -> Iterator[Rgb]:
        height, width = size
        for box in self.truth(scene).things[0].boxes:
            picture = np.full((height, width, 3), 110, np.uint8)
            left, top, right, bottom = np.round(box * np.array([width, height, width, height])).astype(int)
            picture[top:bottom, left:right] = _COLOURS[scene.colour]
            yield picture

    def maps(self, scene: Any, size: tuple[int, int]) -> Maps:
        return Maps()


WORLD: World = Tiny()
