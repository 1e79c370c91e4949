"""What of a figure is drawn, from back to front: tapered capsules between joints, and the head."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from curation.worlds.bodies.anatomy import JOINTS
from curation.worlds.bodies.options import CLOTHES, HAIR, MOTLEY, SKIN, VESTS
from curation.worlds.bodies.scene import Figure, Scene

__all__ = ["Part", "parts_of"]

F64 = npt.NDArray[np.float64]

_SHOE: Final = (74, 70, 70)
_RADII: Final = {
    "upper arm": (0.035, 0.029), "forearm": (0.029, 0.023), "hand": (0.03, 0.029),
    "thigh": (0.05, 0.04), "shank": (0.04, 0.028), "foot": (0.026, 0.022),
}  # fmt: skip
"""Radii at both ends of limbs, statures."""
_CHEST: Final = {"front": (0.092, 0.074), "side": (0.078, 0.066)}
_NECK, _SHOULDERS, _HIPS = 0.03, 0.04, 0.062


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its ends (F, 2) and radii (F,), heights of the picture; `away` (F,), its depth against the pelvis.

    `face` is the view in which a head is painted; None for a capsule. `hair` is its second colour.
    """

    name: str
    start: F64
    end: F64
    start_radius: F64
    end_radius: F64
    rgb: tuple[int, int, int]
    away: F64
    face: str | None = None
    hair: tuple[int, int, int] = (0, 0, 0)


def parts_of(scene: Scene, figure: Figure) -> list[Part]:
    """Return the parts of a figure in the picture, those behind first."""
    joints = figure.joints(scene.times)
    return list(_Builder(scene, figure, joints).parts())


class _Builder:
    def __init__(self, scene: Scene, figure: Figure, joints: F64) -> None:
        self._scene, self._figure, self._joints = scene, figure, joints
        self._places = scene.seen(joints)
        self._unit = figure.stature * figure.body.girth / scene.camera_view().scale
        grown = np.zeros(scene.frames) if figure.damage is None else figure.damage.grown(scene.times)
        self._melted = (
            1 - grown if figure.damage is not None and figure.damage.kind == "vanish" else np.ones(scene.frames)
        )
        self._grown = grown

    def parts(self) -> Iterator[Part]:
        near, far = ("right", "left") if self._figure.yaw_deg > 0 else ("left", "right")
        if self._figure.view == "side":
            yield from self._arm(far)
            yield from self._leg(far)
            yield from self._trunk()
            yield from self._leg(near)
            yield self._head()
            yield from self._extra()
            yield from self._arm(near)
            return
        yield from self._trunk()
        for side in (far, near):
            yield from self._leg(side)
        yield self._head()
        yield from self._extra()
        for side in (far, near):
            yield from self._arm(side)

    def _colour(self, name: str) -> tuple[int, int, int]:
        figure = self._figure
        if figure.costume == "motley" and name in MOTLEY:
            return MOTLEY[name]
        bone = name.partition(" ")[2]
        if bone in ("hand", "") or name == "neck":
            return SKIN[figure.skin]
        if bone == "foot":
            return _SHOE
        tops = VESTS if figure.costume == "motley" else CLOTHES
        return CLOTHES[figure.bottom] if bone in ("thigh", "shank") else tops[figure.top]

    def _limb(self, name: str, start: str, end: str, radii: tuple[float, float]) -> Part:
        a, b = JOINTS.index(start), JOINTS.index(end)
        factors = self._shrunk(name)
        return Part(
            name, self._places[:, a], self._places[:, b], radii[0] * self._unit * factors[0],
            radii[1] * self._unit * factors[1], self._colour(name), (self._joints[:, a, 2] + self._joints[:, b, 2]) / 2,
        )  # fmt: skip

    def _shrunk(self, name: str) -> tuple[F64, F64]:
        """Return factors on the radii: what vanishes melts, from its far end on."""
        one = np.ones_like(self._melted)
        damage = self._figure.damage
        if damage is None or damage.kind != "vanish":
            return one, one
        side, _, bone = damage.part.partition(" ")
        gone = [f"{side} {b}" for b in (("forearm", "hand") if bone == "forearm" else ("hand",))]
        if name not in gone:
            return one, one
        return (np.sqrt(self._melted), self._melted) if name == gone[0] else (self._melted, self._melted)

    def _arm(self, side: str) -> Iterator[Part]:
        for bone, start, end in (
            ("upper arm", "shoulder", "elbow"),
            ("hand", "wrist", "hand"),
            ("forearm", "elbow", "wrist"),
        ):
            yield self._limb(f"{side} {bone}", f"{side} {start}", f"{side} {end}", _RADII[bone])

    def _leg(self, side: str) -> Iterator[Part]:
        for bone, start, end in (("thigh", "hip", "knee"), ("foot", "ankle", "toe"), ("shank", "knee", "ankle")):
            yield self._limb(f"{side} {bone}", f"{side} {start}", f"{side} {end}", _RADII[bone])

    def _trunk(self) -> Iterator[Part]:
        neck, pelvis = self._places[:, JOINTS.index("neck")], self._places[:, JOINTS.index("pelvis")]
        top = neck + (pelvis - neck) * 0.36
        zero = np.zeros(len(neck))
        chest = _CHEST[self._figure.view]
        yield self._limb("neck", "neck", "head", (_NECK, _NECK))
        hips = self._limb("hips", "left hip", "right hip", (_HIPS, _HIPS))
        figure = self._figure
        lower = CLOTHES[figure.bottom] if figure.costume == "plain" else self._colour("trunk lower")
        upper = self._colour("trunk upper")
        yield Part("hips", hips.start, hips.end, hips.start_radius, hips.end_radius, lower, zero)
        yield Part("chest", top, pelvis, chest[0] * self._unit, chest[1] * self._unit, upper, zero)
        ends = self._limb("collar", "left shoulder", "right shoulder", (_SHOULDERS, _SHOULDERS))
        yield Part("collar", ends.start, ends.end, ends.start_radius, ends.end_radius, upper, zero)

    def _head(self) -> Part:
        neck, head = (self._places[:, JOINTS.index(name)] for name in ("neck", "head"))
        figure = self._figure
        radius = figure.body.head * figure.stature / self._scene.camera_view().scale
        face = "front" if figure.view == "front" else ("right" if figure.yaw_deg > 0 else "left")
        return Part("head", neck, head, radius, radius, SKIN[figure.skin], np.zeros(len(neck)), face, HAIR[figure.hair])

    def _extra(self) -> Iterator[Part]:
        arm = self._figure.extra_arm(self._scene.times)
        if arm is None or self._figure.damage is None:
            return
        side = self._figure.damage.part.partition(" ")[0]
        places = self._scene.seen(arm)
        for bone, a, b in (("upper arm", 0, 1), ("hand", 2, 3), ("forearm", 1, 2)):
            low, high = _RADII[bone]
            width = self._unit * self._grown
            yield Part(f"extra {bone}", places[:, a], places[:, b], low * width, high * width,
                       self._colour(f"{side} {bone}"), arm[:, a, 2])  # fmt: skip
