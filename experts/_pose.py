"""People by the two BlazePose networks, decoded here: anchors, alignment points, 33 keypoints, a mask.

Bazarevsky et al., "BlazePose: On-device Real-time Body Pose Tracking", 2020. The detector sees the whole picture at
224 px, then square tiles as high as a wide picture, then overlapping tiles of 0.6 of that. It finds a head, and with
it two alignment points: the middle of the hips, and a point whose distance and direction from there tell how large
the body is and how it leans. The square around that circle, turned upright, goes to the second network at 256 px,
which answers with 33 points, whether it sees a person at all, and which pixels are that person's. So do squares around
upright people far away, whom another detector proposes (see `_pedestrians`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from experts import weights
from experts._memo import FrameMemo, frozen
from experts._pedestrians import upright_people
from experts._quiet import quiet_stderr
from experts.base import Rgb

__all__ = ["KEYPOINTS", "LIMBS", "ROLES", "Person", "PoseModel", "Seen", "pose_model"]

ROLES: Final = ("person_detection", "pose")
"""The roles of the two networks in a profile."""

KEYPOINTS: Final = (
    "nose", "left eye inner", "left eye", "left eye outer", "right eye inner", "right eye", "right eye outer",
    "left ear", "right ear", "mouth left", "mouth right", "left shoulder", "right shoulder", "left elbow",
    "right elbow", "left wrist", "right wrist", "left pinky", "right pinky", "left index", "right index",
    "left thumb", "right thumb", "left hip", "right hip", "left knee", "right knee", "left ankle", "right ankle",
    "left heel", "right heel", "left foot index", "right foot index",
)  # fmt: skip
"""The points in their order; left and right are the person's own."""

LIMBS: Final = (
    (11, 12), (11, 13), (13, 15), (12, 14), (14, 16), (11, 23), (12, 24), (23, 24), (23, 25), (25, 27), (24, 26),
    (26, 28), (27, 31), (28, 32), (15, 19), (16, 20), (0, 2), (0, 5), (2, 7), (5, 8), (9, 10),
)  # fmt: skip
"""Pairs of keypoints that a line joins in a drawing of the skeleton."""

_Floats = npt.NDArray[np.float32]
_DETECTOR_SIDE: Final = 224
_POSE_SIDE: Final = 256
_MASK_SIDE: Final = 320  # longest side of a mask: finer than the network draws it
_FINE: Final = 0.6  # of the shorter side: the smaller tiles
_FINE_LEAST: Final = 128  # pixels: a smaller tile shows the detector nothing new
_LAYERS: Final = ((8, 2), (16, 2), (32, 6))  # stride in input pixels, anchors in each cell
_MIN_SCORE: Final = 0.65  # of the two networks' scores, multiplied; what was no person came to 0.6 at most
_MIN_POSE: Final = 0.5
_MIN_LEANING: Final = 0.9  # of a body turned by more than _LEANING: a pedal hanging down once came to 0.85
_LEANING: Final = math.pi / 3
_CLEAR_ANKLE: Final = 0.6
_MARGIN: Final = 1.25  # of the square over the circle, as the second network was trained
_OF_WINDOW: Final = 1.15  # the side of a body's square over the height of an upright person's window
_SAME_SQUARE: Final = 0.1  # distance over the side, up to which two squares are one
_SAME_NOSE: Final = 0.05  # distance of noses over the side, a third of a head
_TRUNK: Final = [0, 11, 12, 23, 24]
_SAME_BODY: Final = 0.1  # mean distance of the trunk's points over the side, up to which two bodies are one person


@dataclass(frozen=True, slots=True)
class Person:
    """One person in a picture.

    `box` is left, top, width, height of what is seen of them, as shares of the picture. `keypoints` is float32
    [33, 5]: x, y as shares of the picture (they may lie outside), z in picture widths (negative is nearer than the
    hips), visibility (seen, not hidden) and presence (within the picture), 0 to 1. `score` is 0 to 1. `full_body`
    says whether they are seen from head to feet.
    """

    box: tuple[float, float, float, float]
    keypoints: _Floats
    score: float
    full_body: bool = False

    @property
    def area(self) -> float:
        """Share of the picture that the box takes."""
        return self.box[2] * self.box[3]

    @property
    def visible(self) -> npt.NDArray[np.bool_]:
        """Which keypoints are seen: visible from 0.5, and in the picture. bool [33]."""
        inside: npt.NDArray[np.bool_] = (np.abs(self.keypoints[:, :2] - 0.5) <= 0.5).all(axis=1)
        return inside & (self.keypoints[:, 3] >= 0.5)


@dataclass(frozen=True, slots=True)
class Seen:
    """The people of a picture, largest first, and how surely each pixel is one's: uint8 [h, w], 0 to 255.

    The mask is the picture shrunk to at most 320 px on its longer side.
    """

    people: tuple[Person, ...]
    mask: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Square:
    """A square of the picture: centre and side in pixels, turned clockwise by `angle` radians."""

    x: float
    y: float
    side: float
    angle: float = 0.0

    @classmethod
    def around(cls, hips: _Floats, end: _Floats) -> _Square:
        """Return the square of a body from its two alignment points, so that the body stands upright in it."""
        dx, dy = (end - hips).tolist()
        side = max(1.0, 2 * _MARGIN * math.hypot(dx, dy))
        return cls(float(hips[0]), float(hips[1]), side, math.atan2(dx, -dy))

    def apart(self, other: _Square) -> float:
        """Return the distance of two centres over the larger side."""
        return math.hypot(self.x - other.x, self.y - other.y) / max(self.side, other.side)

    def to_picture(self, points: _Floats) -> _Floats:
        """Return points [N, 2], given as shares of the square, in pixels of the picture."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        x, y = ((points - 0.5) * self.side).T
        return np.stack([self.x + cos * x - sin * y, self.y + sin * x + cos * y], axis=1)

    def matrix(self, pixels: int, scale: float = 1.0) -> npt.NDArray[np.float64]:
        """Return [2, 3]: pixels of the square drawn `pixels` wide -> pixels of the picture scaled by `scale`."""
        step = self.side * scale / pixels
        cos, sin = math.cos(self.angle) * step, math.sin(self.angle) * step
        half = (pixels - 1) / 2
        x, y = self.x * scale - 0.5, self.y * scale - 0.5
        return np.array([[cos, -sin, x - (cos - sin) * half], [sin, cos, y - (sin + cos) * half]])


@functools.lru_cache(maxsize=4)
def _shared(profile: str, override: tuple[tuple[str, str], ...], threads: int) -> PoseModel:
    return PoseModel(profile, dict(override), threads)


def pose_model(profile: str, override: Mapping[str, str | Path] | None, threads: int) -> PoseModel:
    """Return the model, one a process: the experts that look for people share what it found."""
    return _shared(profile, frozen(override), threads)


class PoseModel:
    """Both networks. `see` remembers the last few pictures."""

    def __init__(self, profile: str, override: Mapping[str, str | Path], threads: int) -> None:
        detector, pose = (weights.resolve(role, profile, override) for role in ROLES)
        self.model = weights.joint(detector.ref, pose.ref)
        self._detector = _Network(detector.path, threads)
        self._pose = _Network(pose.path, threads)
        self._anchors = _anchors()
        self._memo: FrameMemo[Seen] = FrameMemo(128)

    def see(self, frame: Rgb) -> Seen:
        """Return the people of a picture."""
        return self._memo.get(frame, self._see)

    def _see(self, picture: Rgb) -> Seen:
        height, width = picture.shape[:2]
        bodies: list[_Body] = []
        far = [(_Square(x, y, _OF_WINDOW * high), score, high) for x, y, high, score in upright_people(picture)]
        for square, score, high in [*((*near, None) for near in self._squares(picture)), *far]:
            body = self._body(picture, square, score)
            if body is not None and not any(_same(body, other) for other in bodies):
                bodies.append(replace(body, window=high))
        scale = min(1.0, _MASK_SIDE / max(height, width))
        mask = np.zeros((max(1, round(height * scale)), max(1, round(width * scale))), np.uint8)
        people = []
        for body in bodies:
            own = _drawn(body, mask.shape, scale)
            person = _person(body, own, width, height)
            if person is not None and _is_as_proposed(person, body.window, height) and not _covered(own, mask):
                np.maximum(mask, own, out=mask)
                people.append(person)
        return Seen(tuple(sorted(people, key=lambda person: (-person.area, person.box))), mask)

    def _squares(self, picture: Rgb) -> list[tuple[_Square, float]]:
        """Return where bodies may be by their heads, with the detector's scores, best first."""
        found: list[tuple[_Square, float]] = []
        for region in _regions(*picture.shape[:2]):
            seen = _cropped(picture, region, _DETECTOR_SIDE) / np.float32(127.5) - 1
            logits, raw = self._detector(seen, (len(self._anchors),), (len(self._anchors), 12))
            scores = _sigmoid(logits)
            for i in np.flatnonzero(scores >= _MIN_SCORE):
                points = self._anchors[i] + raw[i, 4:8].reshape(2, 2) / np.float32(_DETECTOR_SIDE)
                hips, end = region.to_picture(points)
                found.append((_Square.around(hips, end), float(scores[i])))
        kept: list[tuple[_Square, float]] = []
        for square, score in sorted(found, key=lambda entry: -entry[1]):
            if all(square.apart(other) > _SAME_SQUARE for other, _ in kept):
                kept.append((square, score))
        return kept

    def _body(self, picture: Rgb, square: _Square, detected: float) -> _Body | None:
        """Return the body in a square; None where the second network sees none.

        It answers with better alignment points than the detector's: where they differ much, it looks again there.
        """
        for last in (False, True):
            seen = _cropped(picture, square, _POSE_SIDE) / np.float32(255)
            score, raw, mask = self._pose(seen, (1,), (39, 5), (_POSE_SIDE, _POSE_SIDE))
            if score[0] < _MIN_POSE:
                return None
            places = square.to_picture(raw[:, :2] / np.float32(_POSE_SIDE))
            better = _Square.around(places[33], places[34])
            if last or (better.apart(square) < 0.05 and 0.9 < better.side / square.side < 1.1):
                break
            square = better
        upright = abs(math.remainder(square.angle, 2 * math.pi)) <= _LEANING
        if detected * float(score[0]) < (_MIN_SCORE if upright else _MIN_LEANING):
            return None
        points = np.concatenate(
            [places[:33], raw[:33, 2:3] * square.side / _POSE_SIDE, _sigmoid(raw[:33, 3:])], axis=1
        ).astype(np.float32)
        return _Body(square, points, _sigmoid(mask), detected * float(score[0]))


@dataclass(frozen=True, slots=True)
class _Body:
    """What the second network says of a square: points in pixels of the picture, and the mask in the square.

    `window` is the height in pixels of the window in which an outline was seen; None where it was a head.
    """

    square: _Square
    points: _Floats
    mask: _Floats
    score: float
    window: float | None = None


class _Network:
    """A network of one picture in, float32 [H, W, 3]. Its answers are told apart by how many numbers they have."""

    def __init__(self, path: Path, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with quiet_stderr():
            self._interpreter: Any = Interpreter(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = {int(np.prod(o["shape"])): o["index"] for o in self._interpreter.get_output_details()}

    def __call__(self, picture: _Floats, *shapes: tuple[int, ...]) -> list[_Floats]:
        """Return the answers with as many numbers as each of `shapes`, in that shape."""
        self._interpreter.set_tensor(self._input, picture[None].astype(np.float32))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(self._outputs[math.prod(shape)]).reshape(shape) for shape in shapes]


def _anchors() -> _Floats:
    """Return the anchors' centres [A, 2] as shares of the detector's input, row by row."""
    parts = []
    for stride, repeats in _LAYERS:
        ticks = (np.arange(_DETECTOR_SIDE // stride, dtype=np.float32) + 0.5) * stride / _DETECTOR_SIDE
        x, y = np.meshgrid(ticks, ticks)
        parts.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), repeats, axis=0))
    return np.concatenate(parts)


def _regions(height: int, width: int) -> Iterator[_Square]:
    """Yield where the detector looks: the whole picture; where it is long, tiles as high as it; smaller tiles."""
    short, long = min(height, width), max(height, width)
    yield _Square(width / 2, height / 2, float(long))
    if long >= 1.2 * short:
        yield from _tiles(height, width, short, short)
    if _FINE * short >= _FINE_LEAST:
        yield from _tiles(height, width, round(_FINE * short), 0.75 * round(_FINE * short))


def _tiles(height: int, width: int, side: int, step: float) -> Iterator[_Square]:
    """Yield squares that cover the picture, evenly, their centres at most `step` apart."""
    downs, acrosses = (
        np.linspace(side / 2, length - side / 2, 1 + math.ceil((length - side) / step)) for length in (height, width)
    )
    for y in downs.tolist():
        for x in acrosses.tolist():
            yield _Square(x, y, float(side))


def _cropped(picture: Rgb, square: _Square, pixels: int) -> _Floats:
    """Return a square of the picture, upright, float32 [pixels, pixels, 3], 0 to 255; black outside the picture."""
    import cv2

    shrink = max(1.0, square.side / pixels / 1.5)  # sampled more coarsely than that, a picture shows false edges
    size = max(1, round(picture.shape[1] / shrink)), max(1, round(picture.shape[0] / shrink))
    small = np.ascontiguousarray(picture) if shrink == 1 else cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    found: _Floats = cv2.warpAffine(
        small, square.matrix(pixels, 1 / shrink), (pixels, pixels), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    ).astype(np.float32)
    return found


def _drawn(body: _Body, shape: Sequence[int], scale: float) -> npt.NDArray[np.uint8]:
    """Return a body's mask where it is in the picture, at `scale`: uint8 `shape`, 0 to 255."""
    import cv2

    drawn = cv2.warpAffine(
        body.mask, body.square.matrix(_POSE_SIDE, scale), (shape[1], shape[0]), flags=cv2.INTER_LINEAR
    )
    mask: npt.NDArray[np.uint8] = np.rint(drawn * 255).astype(np.uint8)
    return mask


def _same(a: _Body, b: _Body) -> bool:
    """Whether two bodies are one person: their noses lie together, or noses, shoulders and hips nearly do."""
    apart = np.linalg.norm(a.points[_TRUNK, :2] - b.points[_TRUNK, :2], axis=1) / min(a.square.side, b.square.side)
    return float(apart[0]) < _SAME_NOSE or float(apart.mean()) < _SAME_BODY


def _covered(own: npt.NDArray[np.uint8], others: npt.NDArray[np.uint8]) -> bool:
    """Whether a body lies for the most part on those that were found before it: then it is one of them again."""
    pixels = own >= 128
    return float((others[pixels] >= 128).sum()) > 0.5 * float(pixels.sum())


def _is_as_proposed(person: Person, window: float | None, height: int) -> bool:
    """Whether an outline from head to feet turned out to be one, and no higher than its window."""
    return window is None or (person.full_body and person.box[3] * height <= window)


def _person(body: _Body, mask: npt.NDArray[np.uint8], width: int, height: int) -> Person | None:
    """Return the person with the box of what is seen of them; None when nothing is."""
    keypoints = (body.points / np.array([width, height, width, 1, 1], np.float32)).astype(np.float32)
    person = Person((0.0, 0.0, 1.0, 1.0), keypoints, body.score)
    places = np.concatenate([keypoints[person.visible, :2], _corners(mask)])
    if len(places) == 0:
        return None
    (x0, y0), (x1, y1) = places.min(axis=0).tolist(), places.max(axis=0).tolist()
    whole = bool(person.visible[0]) and _on_its_feet(person, width / height)
    return replace(person, box=(x0, y0, x1 - x0, y1 - y0), full_body=whole)


def _on_its_feet(person: Person, aspect: float) -> bool:
    """Whether a foot is seen: a clear ankle, and a leg as long as the trunk above it.

    Where a body is cut off at the hips, the network folds its legs into what is left, and is not sure of them.
    """
    points = person.keypoints[:, :2] * (aspect, 1)
    trunk = float(np.linalg.norm(points[[11, 12]].mean(axis=0) - points[[23, 24]].mean(axis=0)))
    legs = np.linalg.norm(points[[23, 24]] - points[[27, 28]], axis=1)
    clear = person.visible[[27, 28]] & (person.keypoints[[27, 28], 3] >= _CLEAR_ANKLE)
    return bool((clear & (legs >= trunk)).any())


def _corners(mask: npt.NDArray[np.uint8]) -> _Floats:
    """Return two corners [2, 2] of a mask's larger parts, as shares of the picture; [0, 2] when it is empty."""
    import cv2

    count, _, parts, _ = cv2.connectedComponentsWithStats((mask >= 128).astype(np.uint8))
    if count < 2:
        return np.zeros((0, 2), np.float32)
    parts = parts[1:][parts[1:, 4] >= 0.1 * parts[1:, 4].sum()]
    low, high = parts[:, :2].min(axis=0), (parts[:, :2] + parts[:, 2:4]).max(axis=0)
    found: _Floats = (np.stack([low, high]) / np.array(mask.shape[::-1])).astype(np.float32)
    return found


def _sigmoid(x: npt.NDArray[Any]) -> _Floats:
    found: _Floats = (1 / (1 + np.exp(-np.clip(x, -60, 60)))).astype(np.float32)
    return found
