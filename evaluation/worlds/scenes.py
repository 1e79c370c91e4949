"""Readers of the world of solids, by classical vision: how many solids, their colours, and the camera's move in space.

Solids stand out from a pale floor by their hue. The camera is found by supposing: every move, at every rate, from
every distance, says where the points of the floor that are seen in one frame are in another; the one that comes nearest
to where they were tracked to is the camera's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from curation.worlds.scenes3d import COLOURS, FOCAL, MOVES, WORLD, Scene
from evaluation.worlds.damage import damaged
from evaluation.worlds.hues import hue_labels, hue_of, smoothed
from evaluation.worlds.points import Tracks, follow

__all__ = ["READERS", "SeenScene", "accuracy", "read_scene"]

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]

READERS: Final = ("count", "colours", "move")
"""What is read of a scene, each with an accuracy."""

_NAMES: Final = tuple(COLOURS)
_HUES: Final = tuple(hue_of(rgb) for rgb in COLOURS.values())
_CHROMA, _SATURATION = 34.0, 0.3
"""Least that is coloured: floors and sky have less."""
_LEAST_AREA: Final = 0.0006
"""Share of the picture below which a colour is none of a solid's."""
_SEEN: Final = 0.3
"""Share of the frames in which a solid is seen at least."""
_STILL: Final = 0.006
"""Heights by which the floor moves from the first frame to the last at least, if the camera does."""
_HORIZON: Final = 0.22
"""Share of the picture, from its top, in which no floor is looked for."""
_DISTANCES: Final = (4.2, 5.2, 6.2, 7.4)
_RATES: Final = np.geomspace(0.12, 2.2, 16)
"""Rates that are tried, in shares of those usual for the move: see `_usual`."""


@dataclass(frozen=True, slots=True)
class SeenScene:
    """What a video shows: `colours` of solids, the largest first; `move`, one of `curation.worlds.scenes3d.MOVES`.

    `move_confidence` is 0 to 1: how much better the move explains what is seen than any other.
    """

    colours: tuple[str, ...]
    move: str
    move_confidence: float

    @property
    def count(self) -> int:
        """How many solids there are."""
        return len(self.colours)


def read_scene(frames: U8, fps: float = 8.0) -> SeenScene:
    """Return what is seen in a video, u8 (F, H, W, 3) of any size. ValueError for another array."""
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise ValueError(f"a video is u8 (frames, height, width, 3), not {frames.dtype} {frames.shape}")
    named = np.stack([cv2.medianBlur(picture, 3)
                      for picture in hue_labels(smoothed(frames), _HUES, _CHROMA, _SATURATION)])  # fmt: skip
    areas = np.stack([_solid_area(named == number + 1) for number in range(len(_NAMES))])
    there = (areas >= _LEAST_AREA).mean(axis=1) >= _SEEN
    order = sorted(np.flatnonzero(there), key=lambda number: -areas[number].max())
    move, sure = _move(frames, named > 0)
    return SeenScene(tuple(_NAMES[number] for number in order), move, sure)


def _solid_area(masks: npt.NDArray[np.bool_]) -> F64:
    """Return the share of each picture (F, H, W) that a colour covers, less lines a pixel wide: those are fringes."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return np.array([cv2.erode(mask.astype(np.uint8), cross, borderValue=1).mean() for mask in masks])


def _move(frames: U8, solids: npt.NDArray[np.bool_]) -> tuple[str, float]:
    if len(frames) < 3:
        return "static", 0.0
    floor = ~solids
    floor[:, : round(_HORIZON * frames.shape[1])] = False
    tracks = follow(frames, floor)
    if tracks is None:
        return "static", 0.0
    if tracks.per_frame * (len(frames) - 1) < _STILL:
        return "static", 1.0
    errors = {kind: min(_error(kind, d, len(frames), tracks) for d in _DISTANCES) for kind in _KINDS}
    order = sorted(errors, key=lambda kind: errors[kind][0])
    (best, name), (second, _) = errors[order[0]], errors[order[1]]
    return name, float(np.clip(1 - best / max(second, 1e-9), 0, 1))


_KINDS: Final = tuple(dict.fromkeys(move.partition(" ")[0] for move in MOVES if move != "static"))


def _error(kind: str, distance: float, frames: int, tracks: Tracks) -> tuple[float, str]:
    """Return how far off the best rate of a move is, heights: a robust mean; and the move with its way."""
    names = [move for move in MOVES if move.startswith(f"{kind} ")]
    tried = [(sign * rate, name) for sign, name in zip((-1, 1), _sorted(names), strict=True) for rate in _RATES]
    errors = [_off(kind, distance, frames, rate, tracks) for rate, _ in tried]
    best = int(np.argmin(errors))
    rate, name = tried[best]
    # Between its neighbours, finer.
    for step in (1.12, 1.04, 1.013):
        finer = [rate / step**2, rate / step, rate, rate * step, rate * step**2]
        errors = [_off(kind, distance, frames, r, tracks) for r in finer]
        rate = finer[int(np.argmin(errors))]
    return min(errors), name


def _sorted(names: list[str]) -> list[str]:
    """Return the two ways of a move, that against the axis first."""
    return sorted(names, key=lambda name: name.split()[1] in ("right", "in", "up"))


def _usual(kind: str) -> float:
    """Return what is moved in all, by a usual move: degrees, or units of length."""
    return {"orbit": 36.0, "dolly": 1.3, "truck": 0.9, "pedestal": 0.9, "pan": 11.0, "tilt": 8.5, "roll": 18.0}[kind]


def _off(kind: str, distance: float, frames: int, rate: float, tracks: Tracks) -> float:
    poses = _poses(kind, distance, frames, round(rate, 5))
    one, other = poses[tracks.first], poses[tracks.second]
    rays = np.concatenate([tracks.start / FOCAL, np.ones((len(tracks.start), 1))], axis=1)
    world = np.einsum("nij,nj->ni", one[:, :3, :3], rays)
    down = np.maximum(world[:, 1], 0.02)
    ground = one[:, :3, 3] + world * (-one[:, 1, 3] / down)[:, None]
    own = np.einsum("nij,ni->nj", other[:, :3, :3], ground - other[:, :3, 3])
    seen = own[:, :2] / np.maximum(own[:, 2:], 0.05) * FOCAL
    off = np.minimum(np.hypot(*(seen - tracks.end).T), 0.04)
    return float(off[world[:, 1] > 0.02].mean()) if (world[:, 1] > 0.02).sum() > 8 else 1.0


@lru_cache(maxsize=4096)
def _poses(kind: str, distance: float, frames: int, rate: float) -> F64:
    scene = Scene(0, frames, 1.0, 1.0, distance=distance, height=2.1)
    return replace(scene, move=f"{kind} right", rate=rate * _usual(kind) / max(1, frames - 1)).poses()


# -- how well --------------------------------------------------------------------------------------------------------


def accuracy(
    kind: str, n: int, damage: str = "clean", *, size: int = 64, frames: int = 16, seed: int = 0
) -> dict[str, float]:
    """Return the share of `n` scenes in which a reader of `READERS` is right; `damage` is one of `damage.DAMAGES`.

    `kind` may be "all". Scenes are those of the seeds from `seed` on, rendered `size` pixels high.
    """
    asked = READERS if kind == "all" else (kind,)
    if not set(asked) <= set(READERS):
        raise ValueError(f"there is no reader {kind!r}; there are {', '.join(READERS)}")
    right = dict.fromkeys(asked, 0)
    for number in range(seed, seed + n):
        scene = WORLD.draw(number, frames=frames)
        pictures = np.stack(list(WORLD.render(scene, (size, size))))
        seen = read_scene(damaged(pictures, damage, fps=scene.fps, seed=number), scene.fps)
        truth = {
            "count": len(scene.solids), "colours": {solid.colour for solid in scene.solids}, "move": scene.move,
        }  # fmt: skip
        read = {"count": seen.count, "colours": set(seen.colours), "move": seen.move}
        for name in asked:
            right[name] += read[name] == truth[name]
    return {name: count / n for name, count in right.items()}
