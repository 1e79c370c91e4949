"""The skeleton: the poses of people, found by BlazePose (see `_pose`), drawn as coloured limbs on black.

A limb is drawn when both of its ends are visible (0.5); each has its own hue, so that left and right, arms and legs
are told apart. The largest people are drawn last, over the others.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

import numpy as np

from experts._pose import LIMBS, ROLES, Person, pose_model
from experts._torch import default_threads
from experts.base import ClipView, Control, ModelRef, Resources, Rgb

__all__ = ["Skeleton", "draw"]

_VISIBLE: Final = 0.5
_COLOURS: Final = tuple(
    tuple(round(255 * part) for part in colorsys.hsv_to_rgb(i / len(LIMBS), 1.0, 1.0)) for i in range(len(LIMBS))
)


class Skeleton:
    """Poses as a control."""

    name: ClassVar[str] = "skeleton"
    version: ClassVar[str] = "2"
    roles: ClassVar[tuple[str, ...]] = ROLES
    resources: ClassVar[Resources] = Resources(cpus=1.0, memory_mb=300)
    model: ModelRef | None

    def __init__(
        self, profile: str = "embedded", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        self._pose = pose_model(profile, override, threads or default_threads())
        self.model = self._pose.model

    def control(self, view: ClipView) -> Control:
        """Return the skeletons of each frame: uint8 (F, H, W, 3), RGB on black."""
        drawn = [draw(self._pose.see(frame).people, frame.shape[1], frame.shape[0]) for frame in view.frames]
        return Control("skeleton", np.stack(drawn) if drawn else np.zeros((0, 0, 0, 3), np.uint8), 0, 255)


def draw(people: Sequence[Person], width: int, height: int) -> Rgb:
    """Return a picture of people's limbs: uint8 [height, width, 3]."""
    import cv2

    picture = np.zeros((height, width, 3), np.uint8)
    for person in reversed(people):
        thickness = max(1, round(max(person.box[2] * width, person.box[3] * height) / 60))
        points = person.keypoints[:, :2] * (width, height) - 0.5
        for (a, b), colour in zip(LIMBS, _COLOURS, strict=True):
            if min(person.keypoints[a, 3], person.keypoints[b, 3]) >= _VISIBLE:
                ends = [tuple(int(v) for v in np.rint(points[end])) for end in (a, b)]
                cv2.line(picture, ends[0], ends[1], colour, thickness, cv2.LINE_AA)
    return picture
