"""A body: its joints, bones, proportions and limits, and where its joints are for given angles.

Angles are degrees. Those of limbs turn in one plane, that of the action: seen from the side, forwards is positive; seen
from the front, outwards. A shoulder or hip at 0 hangs down; an elbow, wrist or neck at 0 is straight, as is a knee; an
ankle at 90 holds the foot square to the shank. An elbow bends forwards or outwards, a knee backwards or inwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["ANGLES", "BONES", "JOINTS", "LIMITS", "Body", "bone_name", "limits_of", "place_joints"]

F64 = npt.NDArray[np.float64]
Angles = Mapping[str, F64]

JOINTS: Final = (
    "head", "neck", "pelvis",
    "left shoulder", "left elbow", "left wrist", "left hand", "right shoulder", "right elbow", "right wrist",
    "right hand", "left hip", "left knee", "left ankle", "left toe", "right hip", "right knee", "right ankle",
    "right toe",
)  # fmt: skip
"""Left and right are the person's own. "head" is its middle, "hand" and "toe" are tips."""

BONES: Final[dict[str, tuple[str, str]]] = {
    "neck": ("neck", "head"), "trunk": ("neck", "pelvis"),
    **{f"{side} {bone}": ((start if start in ("neck", "pelvis") else f"{side} {start}"), f"{side} {end}")
       for side in ("left", "right")
       for bone, start, end in (
           ("collar", "neck", "shoulder"), ("upper arm", "shoulder", "elbow"), ("forearm", "elbow", "wrist"),
           ("hand", "wrist", "hand"), ("haunch", "pelvis", "hip"), ("thigh", "hip", "knee"),
           ("shank", "knee", "ankle"), ("foot", "ankle", "toe"))},
}  # fmt: skip
"""Each bone's two joints."""

ANGLES: Final = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")

LIMITS: Final[dict[str, tuple[float, float]]] = {
    "neck": (-45.0, 45.0), "shoulder": (-60.0, 180.0), "elbow": (0.0, 150.0), "wrist": (-70.0, 70.0),
    "hip": (-35.0, 115.0), "knee": (0.0, 150.0), "ankle": (40.0, 135.0),
}  # fmt: skip
"""How far joints go, degrees, seen from the side. From the front an elbow may also bend inwards: see `limits_of`."""


def limits_of(view: str) -> dict[str, tuple[float, float]]:
    """Return the limits in a view, "side" or "front"."""
    return LIMITS if view == "side" else LIMITS | {"elbow": (-150.0, 150.0)}


@dataclass(frozen=True, slots=True)
class Body:
    """Proportions: lengths as shares of the stature, and `girth`, a factor on all thicknesses."""

    neck: float = 0.115
    trunk: float = 0.29
    collar: float = 0.112
    upper_arm: float = 0.165
    forearm: float = 0.145
    hand: float = 0.06
    haunch: float = 0.058
    thigh: float = 0.235
    shank: float = 0.225
    foot: float = 0.085
    girth: float = 1.0
    head: float = 0.072
    """Radius of the head."""

    def length(self, bone: str) -> float:
        """Return the length of a bone, with or without its side."""
        name = bone.removeprefix("left ").removeprefix("right ")
        return float(getattr(self, name.replace(" ", "_")))


def bone_name(start: str, end: str) -> str:
    """Return the name of the bone between two joints."""
    return next(name for name, ends in BONES.items() if ends == (start, end))


def place_joints(body: Body, angles: Angles, yaw_deg: float, scale: Mapping[str, F64] | None = None) -> F64:
    """Return the joints (F, 19, 3) of a body of stature 1, its pelvis at the origin: right, down, away.

    `angles` are (F,) by joint, "left elbow" ..., "neck" and "lean", that of the trunk. `yaw_deg` 0 faces the camera, 90
    the right border of the picture, -90 the left one. `scale` multiplies bones, by frame: a healthy body has none.
    """
    side_view = abs(yaw_deg) == 90
    frames = len(angles["lean"])
    points = {"pelvis": np.zeros((frames, 3))}  # person's left, down, forwards
    ahead = np.array([0.0, 0.0, 1.0]) if side_view else np.array([1.0, 0.0, 0.0])

    def reach(bone: str, turn: F64, outwards: float = 1.0) -> F64:
        length = body.length(bone) * (np.ones(frames) if scale is None else scale.get(bone, np.ones(frames)))
        along = np.sin(np.radians(turn))[:, None] * (ahead * outwards)
        down = np.cos(np.radians(turn))[:, None] * np.array([0.0, 1.0, 0.0])
        return np.asarray(length[:, None] * (along + down))

    lean = angles["lean"]
    points["neck"] = reach("trunk", 180 - lean)
    points["head"] = points["neck"] + reach("neck", 180 - lean - angles["neck"])
    for side, sign in (("left", 1.0), ("right", -1.0)):
        out = 1.0 if side_view else sign
        tilt = np.zeros(frames) if side_view else lean
        across = np.stack([np.cos(np.radians(tilt)), np.sin(np.radians(tilt)), np.zeros(frames)], axis=1) * sign
        points[f"{side} shoulder"] = points["neck"] + across * body.collar + reach("trunk", -lean) * 0.07
        points[f"{side} hip"] = points["pelvis"] + np.array([sign * body.haunch, 0.0, 0.0])
        turn = np.zeros(frames)
        for bone, joint, end in (
            ("upper arm", "shoulder", "elbow"),
            ("forearm", "elbow", "wrist"),
            ("hand", "wrist", "hand"),
        ):
            turn = turn + angles[f"{side} {joint}"]
            points[f"{side} {end}"] = points[f"{side} {joint}"] + reach(f"{side} {bone}", turn, out)
        turn = np.zeros(frames)
        for bone, joint, end, bend in (
            ("thigh", "hip", "knee", 1),
            ("shank", "knee", "ankle", -1),
            ("foot", "ankle", "toe", 1),
        ):
            turn = turn + bend * angles[f"{side} {joint}"]
            points[f"{side} {end}"] = points[f"{side} {joint}"] + reach(f"{side} {bone}", turn, out)
    found = np.stack([points[name] for name in JOINTS], axis=1)
    yaw = np.radians(yaw_deg)
    left, down, forwards = np.moveaxis(found, -1, 0)
    right, away = left * np.cos(yaw) + forwards * np.sin(yaw), left * np.sin(yaw) - forwards * np.cos(yaw)
    return np.stack([right, down, away], axis=-1)
