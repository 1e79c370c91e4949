"""Figures: the people of a picture, each by a face, by a body, or by both; for the experts that count and place them.

A face and a body are one figure when the face's centre lies within a face's width and height of the body's head.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from experts import _pose, weights
from experts._blazeface import Face, face_detector
from experts._memo import frozen
from experts._pose import Person, pose_model
from experts.base import Rgb

__all__ = ["ROLES", "Figure", "FigureFinder", "figure_finder", "paired", "stature"]

ROLES: Final = ("faces", "faces_small", *_pose.ROLES)
"""The roles of the networks in a profile."""

_FACE_OF_STATURE: Final = 0.08  # a face, brows to chin, is 0.6 of a head, and a standing person 7.5 heads
_HEAD: Final = slice(0, 11)
# Lengths as shares of stature, Drillis and Contini 1966: trunk, thighs, shins, upper arms, forearms.
_SEGMENTS: Final = (
    ((23, 25), 0.245), ((24, 26), 0.245), ((25, 27), 0.246), ((26, 28), 0.246),
    ((11, 13), 0.186), ((12, 14), 0.186), ((13, 15), 0.146), ((14, 16), 0.146), ((11, 23), 0.288), ((12, 24), 0.288),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """One person, seen by face, body or both.

    `face_height` is that of the face over the picture's, or what it would be by the body's stature; `x` is the middle
    of the face, or else of the body, and `y` the same, as shares of the picture. `score` is the better of the two.
    """

    face: Face | None
    person: Person | None
    face_height: float
    x: float
    y: float
    score: float

    @property
    def full_body(self) -> bool:
        """Whether head and feet are seen."""
        return self.person is not None and self.person.full_body


@functools.lru_cache(maxsize=4)
def _shared(profile: str, override: tuple[tuple[str, str], ...], threads: int) -> FigureFinder:
    return FigureFinder(profile, dict(override), threads)


def figure_finder(profile: str, override: Mapping[str, str | Path] | None, threads: int) -> FigureFinder:
    """Return the finder, one a process."""
    return _shared(profile, frozen(override), threads)


class FigureFinder:
    """The networks of faces and of bodies, shared with the experts of each."""

    def __init__(self, profile: str, override: Mapping[str, str | Path], threads: int) -> None:
        self.model = weights.joint(*(weights.resolve(role, profile, override).ref for role in ROLES))
        self._faces = face_detector(profile, override, threads)
        self._pose = pose_model(profile, override, threads)

    def find(self, frame: Rgb) -> tuple[Figure, ...]:
        """Return the figures of a picture, the largest face first."""
        return paired(self._faces.detect(frame), self._pose.see(frame).people, frame.shape[1] / frame.shape[0])


def paired(faces: Sequence[Face], people: Sequence[Person], aspect: float) -> tuple[Figure, ...]:
    """Return faces and bodies as figures, the largest face first; `aspect` is the picture's width over its height."""
    left = list(people)
    figures = []
    for face in faces:
        own = min(left, key=lambda person: _apart(face, person), default=None)
        if own is not None and _apart(face, own) < 1:
            left.remove(own)
        else:
            own = None
        x, y = face.box[0] + face.box[2] / 2, face.box[1] + face.box[3] / 2
        figures.append(Figure(face, own, face.box[3], x, y, max(face.score, own.score if own else 0.0)))
    for person in left:
        x, y = person.box[0] + person.box[2] / 2, person.box[1] + person.box[3] / 2
        figures.append(Figure(None, person, _FACE_OF_STATURE * stature(person, aspect), x, y, person.score))
    return tuple(sorted(figures, key=lambda figure: -figure.face_height))


def _apart(face: Face, person: Person) -> float:
    """Return how far a face's centre lies from a body's head, in faces, along the axis on which it is farther."""
    head = person.keypoints[_HEAD, :2].mean(axis=0)
    return max(abs(float(head[i]) - face.box[i] - face.box[2 + i] / 2) / max(1e-6, face.box[2 + i]) for i in range(2))


def stature(person: Person, aspect: float) -> float:
    """Return how tall a person would stand, over the picture's height, by the longest of the parts that are seen.

    A part that points at the camera looks shorter than it is, never longer: so the longest tells. At least the height
    of what is seen.
    """
    visible, points = person.visible, person.keypoints[:, :2]
    longest = person.box[3]
    for (a, b), share in _SEGMENTS:
        if visible[a] and visible[b]:
            dx, dy = (points[a] - points[b]).tolist()
            longest = max(longest, math.hypot(dx * aspect, dy) / share)
    return longest
