"""A scene of solids: what stands where, the sun, and the camera at every frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from curation.worlds.scenes3d.solids import Solid

__all__ = ["FOCAL", "Scene", "look_at", "turned"]

F64 = npt.NDArray[np.float64]

FOCAL: Final = 1.25
"""Focal length in picture heights: 43.6 degrees from top to bottom."""


@dataclass(frozen=True, slots=True)
class Scene:
    """All there is. The camera stands `distance` from the scene's middle, `height` above the ground, and looks there.

    `rate` is per second: degrees for orbit, pan, tilt and roll, units of length for the others; a solid is about one
    unit wide. `sun` is the direction towards it.
    """

    seed: int
    frames: int
    fps: float
    aspect: float
    solids: tuple[Solid, ...] = ()
    floor: str = "checkered"
    tone: str = "grey"
    sun: tuple[float, float, float] = (-0.5, -0.75, -0.43)
    distance: float = 5.5
    height: float = 2.0
    move: str = "static"
    rate: float = 0.0

    @property
    def times(self) -> F64:
        """Seconds of the frames."""
        return np.arange(self.frames) / self.fps

    @property
    def seconds(self) -> float:
        """Seconds from the first frame to the last."""
        return (self.frames - 1) / self.fps

    def poses(self) -> F64:
        """Return the camera's poses (F, 4, 4), from its coordinates (right, down, away) to those of the world.

        A move goes as far to one side as to the other.
        """
        moved = self.rate * (self.times - self.seconds / 2)
        kind, _, way = self.move.partition(" ")
        sign = -1.0 if way in ("left", "out", "down") else 1.0
        return np.stack([self._pose(kind, sign * float(m)) for m in moved])

    def _pose(self, kind: str, moved: float) -> F64:
        target = np.array([0.0, -0.45, 0.0])
        eye = np.array([0.0, -self.height, -self.distance])
        if kind == "orbit":  # to the right: the camera goes right, and turns left to keep looking at the middle
            eye = turned(eye, 1, -np.radians(moved))
        pose = look_at(eye, target)
        right, _, away = pose[:3, 0].copy(), pose[:3, 1], pose[:3, 2].copy()
        if kind == "dolly":
            pose[:3, 3] += away * moved
        elif kind == "truck":
            pose[:3, 3] += right * moved
        elif kind == "pedestal":
            pose[1, 3] -= moved
        elif kind == "pan":
            pose[:3, :3] = turned(pose[:3, :3].T, 1, np.radians(moved)).T
        elif kind in ("tilt", "roll"):
            # In its own coordinates: up is about "right", clockwise about "away".
            turn = np.eye(3)
            c, s = np.cos(np.radians(moved)), np.sin(np.radians(moved))
            if kind == "tilt":
                turn[1:, 1:] = [[c, -s], [s, c]]
            else:
                turn[:2, :2] = [[c, -s], [s, c]]
            pose[:3, :3] = pose[:3, :3] @ turn
        return pose


def look_at(eye: F64, target: F64) -> F64:
    """Return the pose (4, 4) of a camera at `eye` that looks at `target`, upright."""
    away = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross([0.0, 1.0, 0.0], away)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2], pose[:3, 3] = right, np.cross(away, right), away, eye
    return pose


def turned(points: F64, axis: int, angle: float) -> F64:
    """Return vectors (..., 3) turned about the world's `axis`; about 1, from "away" to "right"."""
    c, s = np.cos(angle), np.sin(angle)
    one, other = (axis + 1) % 3, (axis + 2) % 3
    found = np.array(points, float)
    a, b = points[..., one], points[..., other]
    found[..., one], found[..., other] = a * c - b * s, a * s + b * c
    return found
