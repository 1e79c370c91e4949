"""What every synthetic world gives: a seeded specification, its pictures, and the whole truth of them.

    world = world_named("shapes")                          # curation.worlds
    scene = world.draw(seed, frames=16, fps=8.0)          # what happens; small, plain, can be pickled
    truth = world.truth(scene)                            # what can be said of it: objects, captions, graph, camera
    for picture in world.render(scene, (64, 64)): ...     # u8 (H, W, 3), one a frame, lazily
    maps = world.maps(scene, (64, 64))                    # masks, depth, flow, normals, as far as the world has them

A scene knows no pixels: the same scene can be rendered at any size. Places are fractions of the picture: x to the
right and y downwards, 0 to 1, so a truth holds for every size of the proportions that the scene is composed for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Captions", "Event", "Maps", "Thing", "Triple", "Truth", "World"]

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Captions:
    """A scene in words, at four densities; `structured` is by dimension, as `captions.structured` is."""

    label: str
    short: str
    dense: str
    structured: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Triple:
    """One edge of the scene graph, as a row of `captions.graph` has it."""

    subject: str
    predicate: str
    object: str
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens at a frame: appears, collides, changes colour ..."""

    frame: int
    kind: str
    things: tuple[int, ...]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing that is seen. Boxes are f32 (F, 4): left, top, right, bottom, fractions; NaN where nothing is seen.

    A box is of its whole outline, cut at the picture's border, also where others hide a part of it.
    """

    name: str
    colour: str
    boxes: F32
    visible: F32
    """Share of it that is seen in each frame: inside the picture, and behind nothing else; f32 (F,)."""

    direction: str = "still"
    """right | left | up | down, or two of them with a hyphen (up-left); still.

    As the picture has it, but over the world at rest: what the camera's own motion does to it is left out.
    """

    speed_per_s: float = 0.0
    """Picture heights per second."""

    attributes: Mapping[str, Any] = field(default_factory=dict)
    """What this world alone knows of it: shape, texture, size, spin ..."""


@dataclass(frozen=True, slots=True)
class Truth:
    """All that is true of a scene."""

    world: str
    seed: int
    frames: int
    fps: float
    captions: Captions
    graph: tuple[Triple, ...]
    things: tuple[Thing, ...]
    camera: str
    """The camera's motion, a value of `clips.camera_motion`."""

    camera_path: F32 | None = None
    """Affines (F, 2, 3), from the picture to the world at rest, as `curation.pseudo` has them; or poses (F, 4, 4)."""

    events: tuple[Event, ...] = ()
    joints: tuple[str, ...] = ()
    skeletons: F32 | None = None
    """f32 (F, people, joints, 2), fractions of the picture's height for both axes, so that lengths are true."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    """What this world alone knows: background, lighting, action ..."""


@dataclass(frozen=True, slots=True)
class Maps:
    """Per-pixel truth at one size; None where the world has none."""

    masks: npt.NDArray[np.uint8] | None = None
    """(F, H, W): 0 is background, i + 1 is things[i]."""

    depth: F32 | None = None
    """(F, H, W): distance from the camera; larger is farther."""

    flow: F32 | None = None
    """(F - 1, H, W, 2): where the point seen at a pixel is in the next frame, right and down, pixels."""

    normals: F32 | None = None
    """(F, H, W, 3): unit, in camera coordinates: right, down, away from the camera."""


class World(Protocol):
    """A world: a pure function of its seed and its options, at any size and length."""

    name: str

    def draw(self, seed: int, *, frames: int = 16, fps: float = 8.0, **options: Any) -> Any:
        """Return a scene. The same arguments give the same scene on every machine."""

    def truth(self, scene: Any) -> Truth:
        """Return what is true of the scene."""

    def render(self, scene: Any, size: tuple[int, int]) -> Iterator[U8]:
        """Yield its pictures, u8 (height, width, 3), one a frame; `size` is (height, width), pixels."""

    def maps(self, scene: Any, size: tuple[int, int]) -> Maps:
        """Return what is true of every pixel."""
