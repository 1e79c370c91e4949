"""Masks: of the people in each frame, or of the one thing that a point was set on, through the clip.

People's pixels are those of BlazePose (see `_pose`). A point on a person gives that person, found again in every frame
by where the flow says they went; a point on anything else is grown by its colours and edges, and followed from frame
to frame (see `_click`). A thing of one texture that stands out is cut well; one of many colours before a busy ground,
or one that passes behind another, may not be, and a cut between shots loses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from experts._click import carried, grown
from experts._pose import ROLES, pose_model
from experts._torch import default_threads
from experts.base import ClipView, Control, ModelRef, Resources, Rgb

__all__ = ["Mask"]

_LIKE: Final = 0.3  # intersection over union from which a person is the one who was followed


class Mask:
    """Masks as a control."""

    name: ClassVar[str] = "mask"
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
        """Return the people of each frame: uint8 (F, H, W), 255 on a person and 0 elsewhere."""
        return _control([_enlarged(self._pose.see(frame).mask, frame) for frame in view.frames])

    def mask_from_click(self, frame: Rgb, point: tuple[float, float]) -> npt.NDArray[np.uint8]:
        """Return the mask of what lies at `point`, (x, y) as shares of the picture: uint8 [H, W], 0 or 255.

        Raises ValueError for a point outside the picture.
        """
        if not (0 <= point[0] < 1 and 0 <= point[1] < 1):
            raise ValueError(f"point {point} lies outside the picture: x and y are shares of it, from 0 to 1")
        person = self._person(frame, point)
        return grown(frame, point) if person is None else person

    def control_from_click(self, view: ClipView, point: tuple[float, float], frame: int = 0) -> Control:
        """Return the mask of what lies at `point` of the view's frame number `frame`, in every frame of the view.

        Raises ValueError for a point outside the picture, IndexError for a frame that the view has not.
        """
        frames = list(view.frames)
        if not 0 <= frame < len(frames):
            raise IndexError(f"frame {frame} of a view of {len(frames)}")
        mask = self.mask_from_click(frames[frame], point)
        known = self._moved if self._person(frames[frame], point) is not None else None
        backwards = list(carried(mask, frames[frame::-1], known))
        return _control([*backwards[:0:-1], *carried(mask, frames[frame:], known)])

    def _person(self, frame: Rgb, point: tuple[float, float]) -> npt.NDArray[np.uint8] | None:
        """Return the mask of the smallest person at a point."""
        line, column = int(point[1] * frame.shape[0]), int(point[0] * frame.shape[1])
        there = [mask for mask in self._people(frame) if mask[line, column]]
        return min(there, key=np.count_nonzero) if there else None

    def _moved(self, frame: Rgb, mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8] | None:
        """Return the mask of the person who is most like `mask`; None where nobody is like it."""
        likeness, best = _LIKE, None
        for person in self._people(frame):
            both = float(((person & mask) > 0).sum()) / max(1.0, float(((person | mask) > 0).sum()))
            if both > likeness:
                likeness, best = both, person
        return best

    def _people(self, frame: Rgb) -> list[npt.NDArray[np.uint8]]:
        """Return the mask of each person at the size of the frame: what of all people's mask is in their box."""
        seen = self._pose.see(frame)
        whole = _enlarged(seen.mask, frame)
        height, width = whole.shape
        masks = []
        for person in seen.people:
            left, top, wide, high = person.box
            rows = slice(int(top * height), int(np.ceil((top + high) * height)))
            columns = slice(int(left * width), int(np.ceil((left + wide) * width)))
            masks.append(np.zeros_like(whole))
            masks[-1][rows, columns] = whole[rows, columns]
        return masks


def _control(masks: list[npt.NDArray[np.uint8]]) -> Control:
    return Control("mask", np.stack(masks) if masks else np.zeros((0, 0, 0), np.uint8), 0, 255)


def _enlarged(mask: npt.NDArray[np.uint8], frame: Rgb) -> npt.NDArray[np.uint8]:
    """Return a soft mask at the size of the frame, 0 or 255."""
    import cv2

    large = cv2.resize(mask, (frame.shape[1], frame.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.where(large >= 128, 255, 0).astype(np.uint8)
