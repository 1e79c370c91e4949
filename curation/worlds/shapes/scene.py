"""What happens in a scene of shapes: things on their paths, and the camera over them.

Lengths are in units of the picture's shorter side, so that a circle is round and a diagonal is one at any proportions.
Things move over a world at rest; the camera moves over both.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
import numpy.typing as npt

__all__ = ["Item", "Poses", "Scene"]

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Poses:
    """Where a thing is: centre (F, 2), radius (F,), angle (F,), radians clockwise."""

    centre: F64
    radius: F64
    angle: F64


@dataclass(frozen=True, slots=True)
class Item:
    """A thing. It goes from `start` with `velocity`, per second; of the rest, what is None or 0 does not happen."""

    shape: str
    colour: str
    texture: str
    size: str
    radius: float
    start: tuple[float, float] = (0.5, 0.5)
    velocity: tuple[float, float] = (0.0, 0.0)
    motion: str = "still"
    direction: str = "still"
    pace: str = ""
    angle: float = 0.0
    spin_per_s: float = 0.0
    grow_per_s: float = 0.0
    """Octaves of its radius."""
    walls: tuple[float, float, float, float] | None = None
    """Left, top, right and bottom that its centre bounces off."""
    turns_at_s: float | None = None
    """When it turns back, because it collides."""
    seen: tuple[int, int] = (0, 1 << 30)
    """The frames in which it is there, half-open."""
    recolour: tuple[int, str] | None = None
    """From which frame on it has which other colour."""

    def poses(self, times: F64) -> Poses:
        """Return where it is in the world at rest at those seconds."""
        gone = times if self.turns_at_s is None else self.turns_at_s - np.abs(times - self.turns_at_s)
        centre = np.array(self.start) + gone[:, None] * np.array(self.velocity)
        if self.walls is not None:
            low, wide = np.array(self.walls[:2]), np.array(self.walls[2:]) - np.array(self.walls[:2])
            centre = low + wide - np.abs(np.mod(centre - low, 2 * wide) - wide)
        return Poses(centre, self.radius * np.exp2(self.grow_per_s * times), self.angle + self.spin_per_s * times)

    def bounces(self, times: F64) -> list[tuple[int, str]]:
        """Return the frames before which it has bounced off which edge."""
        if self.walls is None:
            return []
        free = np.array(self.start) + times[:, None] * np.array(self.velocity)
        low, high = np.array(self.walls[:2]), np.array(self.walls[2:])
        rooms = np.floor((free - low) / (high - low)).astype(int)
        edges = (("left", "right"), ("top", "bottom"))
        found = []
        for axis in (0, 1):
            for frame in np.flatnonzero(np.diff(rooms[:, axis])) + 1:
                border = max(rooms[frame - 1, axis], rooms[frame, axis])
                found.append((int(frame), edges[axis][int(border) % 2]))
        return sorted(found)


@dataclass(frozen=True, slots=True)
class Scene:
    """All that happens; `items` are from back to front.

    `camera_rate` is per second: sides of the picture, octaves, or degrees. `shades` are the background's one
    colour, or the two ends of a gradient, which goes from left to right or from top to bottom: `axis` x or y.
    """

    seed: int
    frames: int
    fps: float
    aspect: float
    items: tuple[Item, ...] = ()
    background: str = "plain"
    shades: tuple[str, ...] = ("grey",)
    axis: str = "x"
    light: str = "even"
    camera: str = "static"
    camera_rate: float = 0.0
    collision: int | None = None
    """The frame in which the last two things meet."""

    @property
    def times(self) -> F64:
        """Seconds of the frames."""
        return np.arange(self.frames) / self.fps

    @property
    def seconds(self) -> float:
        """Seconds from the first frame to the last."""
        return (self.frames - 1) / self.fps

    @property
    def sides(self) -> F64:
        """Width and height of the picture, in shorter sides."""
        return np.array([max(1.0, self.aspect), max(1.0, 1 / self.aspect)])

    def view(self, times: F64) -> tuple[F64, F64, F64]:
        """Return the camera's view of the world: scale (F,), turn (F,), radians clockwise, and offset (F, 2).

        Centred in time: a camera goes as far to one side as to the other, so things stay in the picture.
        """
        scale, turn, offset = np.ones(len(times)), np.zeros(len(times)), np.zeros((len(times), 2))
        moved = self.camera_rate * (times - self.seconds / 2)
        kind, _, way = self.camera.partition(" ")
        if kind == "pan":
            offset[:, 0] = moved * self.sides[0] * (1 if way == "right" else -1)
        elif kind == "tilt":
            offset[:, 1] = moved * self.sides[1] * (1 if way == "down" else -1)
        elif kind == "zoom":
            scale = np.exp2(-moved if way == "in" else moved)
        elif kind == "roll":
            turn = moved * pi / 180 * (1 if way == "right" else -1)
        return scale, turn, offset

    def seen_from_camera(self, poses: Poses, times: F64) -> Poses:
        """Return where things of the world are in the picture."""
        scale, turn, offset = self.view(times)
        middle = self.sides / 2
        x, y = ((poses.centre - middle - offset) / scale[:, None]).T
        c, s = np.cos(turn), np.sin(turn)
        centre = np.stack([x * c + y * s, y * c - x * s], axis=1) + middle
        return Poses(centre, poses.radius / scale, poses.angle - turn)

    def camera_path(self) -> F64:
        """Return (F, 2, 3) from the picture to the world at rest, in coordinates of -1 to 1 from edge to edge."""
        scale, turn, offset = self.view(self.times)
        c, s = scale * np.cos(turn), scale * np.sin(turn)
        aspect = self.sides[0] / self.sides[1]
        x, y = (2 * offset / self.sides).T
        return np.stack([np.stack([c, -s / aspect, x], axis=1), np.stack([s * aspect, c, y], axis=1)], axis=1)
