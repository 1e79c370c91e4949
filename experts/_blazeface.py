"""Face detection by two BlazeFace networks, decoded here: anchors, boxes, landmarks, suppression.

Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019. The short-range network
sees the whole picture at 128 px and finds large faces; the full-range one sees it at 192 px, and again in two or
more overlapping square tiles when the picture is not square, and finds small ones. Both answer at anchors on a grid:
a centre, a size and six landmarks relative to the anchor, in input pixels, and one logit.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from experts import weights
from experts._memo import FrameMemo, frozen
from experts._quiet import quiet_stderr
from experts.base import Rgb

__all__ = ["LANDMARKS", "Face", "FaceDetector", "face_detector"]

LANDMARKS: Final = ("right eye", "left eye", "nose", "mouth", "right ear", "left ear")
"""The landmarks in their order; right and left are the person's own."""

_Floats = npt.NDArray[np.float32]
_OVERLAP: Final = 0.3  # intersection over union from which two answers are one face


@dataclass(frozen=True, slots=True)
class Face:
    """A face: box (left, top, width, height) and landmarks (x, y) as shares of the picture, and a score 0 to 1."""

    box: tuple[float, float, float, float]
    landmarks: tuple[tuple[float, float], ...]
    score: float

    @property
    def area(self) -> float:
        """Share of the picture."""
        return self.box[2] * self.box[3]


@dataclass(frozen=True, slots=True)
class _Grid:
    """The anchors of a network: for each (stride, anchors per cell), on an input of `side` pixels; its least score."""

    side: int
    layers: tuple[tuple[int, int], ...]
    min_score: float

    def centres(self) -> _Floats:
        """Return the anchors' centres [A, 2] as (x, y) in 0 to 1, row by row."""
        parts = []
        for stride, repeats in self.layers:
            cells = self.side // stride
            ticks = (np.arange(cells, dtype=np.float32) + 0.5) / cells
            x, y = np.meshgrid(ticks, ticks)
            parts.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), repeats, axis=0))
        return np.concatenate(parts)


_SHORT: Final = _Grid(128, ((8, 2), (16, 6)), 0.7)  # sees faces in textures and drawings up to 0.65
_FULL: Final = _Grid(192, ((4, 1),), 0.6)


@functools.lru_cache(maxsize=4)
def _shared(profile: str, override: tuple[tuple[str, str], ...], threads: int) -> FaceDetector:
    return FaceDetector(profile, dict(override), threads)


def face_detector(profile: str, override: Mapping[str, str | Path] | None, threads: int) -> FaceDetector:
    """Return the detector, one a process: the experts of faces, count and composition share what it found."""
    return _shared(profile, frozen(override), threads)


class FaceDetector:
    """Both networks. `detect` remembers the last few pictures."""

    def __init__(self, profile: str, override: Mapping[str, str | Path], threads: int) -> None:
        short = weights.resolve("faces", profile, override)
        full = weights.resolve("faces_small", profile, override)
        self.model = weights.joint(short.ref, full.ref)
        self._short, self._full = _Network(short.path, _SHORT, threads), _Network(full.path, _FULL, threads)
        self._memo: FrameMemo[tuple[Face, ...]] = FrameMemo()

    def detect(self, frame: Rgb) -> tuple[Face, ...]:
        """Return the faces of a picture that count, largest first."""
        return self._memo.get(frame, self._detect)

    def _detect(self, picture: Rgb) -> tuple[Face, ...]:
        answers = [self._short.answers(picture, (0, 0, picture.shape[1], picture.shape[0]))]
        answers += [self._full.answers(picture, region) for region in _regions(*picture.shape[:2])]
        merged = _suppress(np.concatenate(answers))
        faces = [_face(row) for row in merged if row[2] > 0 and row[3] > 0]
        return tuple(sorted(faces, key=lambda face: (-face.area, face.box)))


def _regions(height: int, width: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield left, top, width, height: the whole picture, then square tiles along its longer side."""
    yield 0, 0, width, height
    side, long = min(height, width), max(height, width)
    if long < 1.2 * side:
        return
    tiles = -(-long // side) + (1 if long > 1.6 * side else 0)
    for start in np.linspace(0, long - side, max(2, tiles)).round().astype(int):
        yield (int(start), 0, side, side) if width >= height else (0, int(start), side, side)


class _Network:
    def __init__(self, path: Path, grid: _Grid, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with quiet_stderr():
            self._interpreter: Any = Interpreter(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        outputs = {int(detail["shape"][-1]): detail["index"] for detail in self._interpreter.get_output_details()}
        self._boxes, self._scores = outputs[16], outputs[1]
        self._grid, self._centres = grid, grid.centres()

    def answers(self, picture: Rgb, region: tuple[int, int, int, int]) -> _Floats:
        """Return [K, 17]: box (left, top, width, height), six landmarks (x, y), score; shares of the picture."""
        left, top, width, height = region
        letterboxed, scale, (pad_x, pad_y) = _letterbox(
            picture[top : top + height, left : left + width], self._grid.side
        )
        self._interpreter.set_tensor(self._input, letterboxed[None])
        self._interpreter.invoke()
        logits = self._interpreter.get_tensor(self._scores)[0, :, 0]
        scores = 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
        keep = scores >= self._grid.min_score
        raw = self._interpreter.get_tensor(self._boxes)[0][keep].reshape(-1, 8, 2)
        points = raw.copy()
        points[:, [0, 2, 3, 4, 5, 6, 7]] += self._centres[keep][:, None] * self._grid.side
        size = points[:, 1]
        points[:, 0] -= size / 2
        origin = np.array([left - pad_x / scale, top - pad_y / scale], np.float32)
        places = points[:, [0, 2, 3, 4, 5, 6, 7]] / scale + origin
        whole = np.array([picture.shape[1], picture.shape[0]], np.float32)
        places, sizes = places / whole, size / scale / whole
        return np.concatenate(
            [places[:, 0], sizes, places[:, 1:].reshape(len(places), 12), scores[keep][:, None]], axis=1
        ).astype(np.float32)


def _letterbox(picture: Rgb, side: int) -> tuple[_Floats, float, tuple[int, int]]:
    """Return the picture in -1 to 1 on a black square, its scale, and how far from the left and top it lies."""
    import cv2

    height, width = picture.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(np.ascontiguousarray(picture), size, interpolation=how)
    pad_x, pad_y = (side - size[0]) // 2, (side - size[1]) // 2
    square = np.zeros((side, side, 3), np.float32)
    square[pad_y : pad_y + size[1], pad_x : pad_x + size[0]] = small
    return square / 127.5 - 1, scale, (pad_x, pad_y)


def _suppress(rows: _Floats) -> list[_Floats]:
    """Blend answers that overlap, weighted by score (the paper's section 5), keeping the best score of each."""
    left = rows[np.argsort(-rows[:, 16], kind="stable")]
    merged = []
    while len(left):
        same = _overlaps(left[0], left)
        weight = left[same, 16:17]
        blended = (left[same] * weight).sum(axis=0) / weight.sum()
        blended[16] = left[0, 16]
        merged.append(blended)
        left = left[~same]
    return merged


def _overlaps(best: _Floats, rows: _Floats) -> npt.NDArray[np.bool_]:
    low = np.maximum(best[:2], rows[:, :2])
    high = np.minimum(best[:2] + best[2:4], rows[:, :2] + rows[:, 2:4])
    inside = np.clip(high - low, 0, None).prod(axis=1)
    areas = rows[:, 2:4].prod(axis=1)
    union = areas + best[2:4].prod() - inside
    smaller = np.minimum(areas, best[2:4].prod())
    same: npt.NDArray[np.bool_] = (inside > _OVERLAP * union) | (inside > 0.7 * smaller)
    same[0] = True  # the best is its own, even where its box is empty
    return same


def _face(row: _Floats) -> Face:
    x0, y0 = np.clip(row[:2], 0, 1)
    x1, y1 = np.clip(row[:2] + row[2:4], 0, 1)
    points = np.clip(row[4:16].reshape(6, 2), 0, 1)
    return Face(
        (float(x0), float(y0), float(x1 - x0), float(y1 - y0)),
        tuple((float(x), float(y)) for x, y in points),
        float(row[16]),
    )
