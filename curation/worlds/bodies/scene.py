"""A scene of bodies: figures that act on a ground, the camera over them, and where every joint is in the picture.

Lengths are in heights of the picture that the scene is composed for; x goes right, y down, z away.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from curation.worlds.bodies.actions import VIEWS, Style, angles_of
from curation.worlds.bodies.anatomy import BONES, JOINTS, Body, place_joints

__all__ = ["Damage", "Figure", "Scene", "View", "rise"]

F64 = npt.NDArray[np.float64]

_NO_SLIP_STEPS: Final = 48
"""Samples a second by which a walk's way is found from its feet."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What is broken: `part` is a bone ("left forearm") or a joint ("left knee"); `amount` a factor, or degrees.

    It begins at `start_s`, and is whole `lasts_s` later.
    """

    kind: str
    part: str
    amount: float
    start_s: float
    lasts_s: float

    def grown(self, times: F64) -> F64:
        """Return how far it has come at those seconds, 0 to 1."""
        return rise((times - self.start_s) / max(self.lasts_s, 1e-6))


_SWAY: Final = 0.65
"""How much of a walk's way is its standing foot's; the rest is an even pace."""


def rise(share: F64) -> F64:
    """Return a smooth step: 0 up to 0, 1 from 1 on."""
    t = np.clip(share, 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. `place` is where it stands at first: x, and y of the ground under it; `stature` in heights."""

    action: str
    body: Body
    style: Style
    stature: float
    place: tuple[float, float] = (0.5, 0.85)
    yaw_deg: float = 0.0
    walks: bool = False
    """Whether a walk goes anywhere, or is on the spot."""
    costume: str = "motley"
    top: str = "white"
    bottom: str = "blue"
    skin: int = 0
    hair: str = "brown"
    damage: Damage | None = None

    @property
    def view(self) -> str:
        """From where it is seen: "side" or "front"."""
        return VIEWS[self.action]

    def angles(self, times: F64) -> tuple[dict[str, F64], F64]:
        """Return the angles (F,) of its joints, and the height of its feet over the ground, in statures."""
        angles, height = angles_of(self.action, self.body, self.style, times)
        if self.damage is not None and self.damage.kind == "bend":
            grown = self.damage.grown(times)
            angles[self.damage.part] = angles[self.damage.part] * (1 - grown) + self.damage.amount * grown
        return angles, height

    def scales(self, times: F64) -> dict[str, F64]:
        """Return factors (F,) on the lengths of bones: none, if it is healthy."""
        if self.damage is None or self.damage.kind not in ("stretch", "vanish"):
            return {}
        factor = 1 + (self.damage.amount - 1) * self.damage.grown(times)
        side, _, bone = self.damage.part.partition(" ")
        gone = (bone, "hand") if self.damage.kind == "vanish" and bone == "forearm" else (bone,)
        return {f"{side} {name}": factor for name in gone}

    def joints(self, times: F64) -> F64:
        """Return its joints (F, 19, 3), in heights: where they are in the world."""
        own, height = self._own_joints(times)
        x = self.place[0] + self._way(times)
        low = own[:, [JOINTS.index(name) for name in _FEET], 1].max(axis=1) + _SOLE
        root = np.stack([x / self.stature, self.place[1] / self.stature - low - height, np.zeros_like(x)], axis=1)
        return np.asarray((own + root[:, None]) * self.stature)

    def extra_arm(self, times: F64) -> F64 | None:
        """Return shoulder, elbow, wrist and hand (F, 4, 3) of a third arm; None if it has none."""
        if self.damage is None or self.damage.kind != "extra":
            return None
        side = self.damage.part.partition(" ")[0]
        angles, _ = self.angles(times)
        for joint, angle in (("shoulder", self.damage.amount), ("elbow", 18.0), ("wrist", 5.0)):
            angles[f"{side} {joint}"] = angle + 7 * np.sin(2 * np.pi * self.style.rate * times)
        first = JOINTS.index(f"{side} shoulder")
        arm = place_joints(self.body, angles, self.yaw_deg)[:, first : first + 4] * self.stature
        anchor = self.joints(times)[:, first]
        arm = arm + (anchor - arm[:, 0])[:, None]
        return np.asarray(arm[:, :1] + (arm - arm[:, :1]) * self.damage.grown(times)[:, None, None])

    def _own_joints(self, times: F64) -> tuple[F64, F64]:
        angles, height = self.angles(times)
        return place_joints(self.body, angles, self.yaw_deg, self.scales(times)), height

    def _way(self, times: F64) -> F64:
        """Return how far it has come (F,): mostly so that the foot that stands, which goes back under it, stays there.

        In part it keeps the pace that this comes to: a body has weight.
        """
        if not self.walks:
            return np.zeros_like(times)
        healthy = replace(self, damage=None)
        fine = np.arange(0, float(times.max()) + 2 / _NO_SLIP_STEPS, 1 / _NO_SLIP_STEPS)
        own, _ = healthy._own_joints(fine)
        feet = own[:, [JOINTS.index("left ankle"), JOINTS.index("right ankle")]]
        ahead = np.sign(self.yaw_deg)
        step = np.maximum(-np.diff(feet[:, :, 0] * ahead, axis=0).min(axis=1), 0)
        period = max(1, round(_NO_SLIP_STEPS / self.style.rate))
        whole, _ = healthy._own_joints(np.arange(period + 1) / _NO_SLIP_STEPS)
        usual = np.diff(whole[:, [JOINTS.index("left ankle"), JOINTS.index("right ankle")], 0] * ahead, axis=0)
        pace = float(np.maximum(-usual.min(axis=1), 0).mean())
        gone = ahead * np.cumsum(np.concatenate([[0.0], _SWAY * step + (1 - _SWAY) * pace]))
        return np.asarray(np.interp(times, fine, gone) * self.stature)


_FEET = ("left ankle", "left toe", "right ankle", "right toe")
_SOLE = 0.022
"""Thickness of a foot below its joints, in statures."""


@dataclass(frozen=True, slots=True)
class View:
    """The camera at each frame: scale (F,), of the world per picture, and offset (F, 2) of its middle, heights."""

    scale: F64
    offset: F64


@dataclass(frozen=True, slots=True)
class Scene:
    """All that happens. `camera_rate` is per second: heights, or octaves. Figures are from back to front."""

    seed: int
    frames: int
    fps: float
    aspect: float
    figures: tuple[Figure, ...] = ()
    camera: str = "static"
    camera_rate: float = 0.0
    backdrop: str = "meadow"
    horizon: float = 0.6
    traits: tuple[float, ...] = field(default=(0.0, 0.0, 0.0))

    @property
    def times(self) -> F64:
        """Seconds of the frames."""
        return np.arange(self.frames) / self.fps

    @property
    def seconds(self) -> float:
        """Seconds from the first frame to the last."""
        return (self.frames - 1) / self.fps

    @property
    def middle(self) -> F64:
        """The middle of the picture."""
        return np.array([self.aspect / 2, 0.5])

    def camera_view(self) -> View:
        """Return where the camera looks; it goes as far to one side as to the other."""
        scale, offset = np.ones(self.frames), np.zeros((self.frames, 2))
        moved = self.camera_rate * (self.times - self.seconds / 2)
        kind, _, way = self.camera.partition(" ")
        if kind == "pan":
            offset[:, 0] = moved * (1 if way == "right" else -1)
        elif kind == "zoom":
            scale = np.exp2(-moved if way == "in" else moved)
        return View(scale, offset)

    def camera_path(self) -> F64:
        """Return (F, 2, 3) from the picture to the world at rest, in coordinates of -1 to 1 from edge to edge."""
        view = self.camera_view()
        zero = np.zeros(self.frames)
        x, y = (view.offset / self.middle).T
        return np.stack([np.stack([view.scale, zero, x], axis=1), np.stack([zero, view.scale, y], axis=1)], axis=1)

    def seen(self, points: F64) -> F64:
        """Return where points (F, N, 2 or more) of the world are in the picture: (F, N, 2), heights."""
        view = self.camera_view()
        return np.asarray(
            (points[..., :2] - self.middle - view.offset[:, None]) / view.scale[:, None, None] + self.middle
        )

    def skeletons(self) -> F64:
        """Return every figure's joints in the picture, (F, figures, 19, 2), heights."""
        return np.stack([self.seen(figure.joints(self.times)) for figure in self.figures], axis=1)

    def lengths(self) -> dict[str, F64]:
        """Return every bone's true length, (F, figures), heights of the world: constant, but for what is broken."""
        points = np.stack([figure.joints(self.times) for figure in self.figures], axis=1)
        ends = {name: (JOINTS.index(start), JOINTS.index(end)) for name, (start, end) in BONES.items()}
        return {name: np.linalg.norm(points[:, :, b] - points[:, :, a], axis=-1) for name, (a, b) in ends.items()}
