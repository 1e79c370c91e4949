"""Stills that move: how fast they are rendered on one core, and how exactly they move as they were asked to.

Plain functions for `benchmarks.worlds`. The motion is measured on the pictures alone, by aligning each with the next
(Lucas-Kanade over the whole picture, OpenCV's `findTransformECC`), and held against what was asked for.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log, radians
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from curation.pseudo import MOTIONS, affines, parse, render
from curation.worlds.leaves import leaves
from media.frames import Rgb

__all__ = ["MOVES", "MotionError", "motion_errors", "pseudo_frames_per_s", "pseudo_motion_error_max_fraction", "stills"]

MOVES: Final = (*MOTIONS, "zoom_in+pan_left", "zoom_out+tilt_up", "roll_right+pan_right", "zoom_in+roll_left")

_SIZE: Final = (256, 256)
_MEGAPIXELS: Final = (1.0, 12.0)
_STEPS: Final = 1 << 16

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MotionError:
    """One video: its motion, the speed that was asked for, and how far off the measured motion is, as a share of it."""

    motion: str
    frames: int
    travel: float
    error: float


def stills(count: int, height: int = 720, width: int = 960) -> list[Rgb]:
    """Return pictures with the statistics of photographs (`curation.worlds.leaves`), (height, width, 3)."""
    return [leaves(seed, height, width) for seed in range(count)]


def pseudo_frames_per_s(quick: bool = False) -> float:
    """Return frames of 256 x 256 a second on one core, the least over motions and stills of 1 and 12 megapixels.

    A video of 48 frames each, all of its work but loading the still and encoding.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    slowest = np.inf
    try:
        for megapixels in _MEGAPIXELS[: 1 if quick else 2]:
            side = round((megapixels * 1e6) ** 0.5)
            still = np.asarray(cv2.resize(leaves(0, 256, 256), (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
            for motion in ("pan_left", "zoom_in", "roll_left", "zoom_in+pan_left"):
                path = affines(motion, 48)
                best = min(_seconds(still, path) for _ in range(2 if quick else 3))
                slowest = min(slowest, len(path) / best)
    finally:
        cv2.setNumThreads(threads)
    return float(slowest)


def _seconds(still: Rgb, path: Any) -> float:
    began = time.perf_counter()
    for _ in render(still, path, _SIZE):
        pass
    return time.perf_counter() - began


def pseudo_motion_error_max_fraction(quick: bool = False) -> float:
    """Return the largest error of `motion_errors`."""
    return max(one.error for one in motion_errors(stills(1 if quick else 3), MOVES))


def motion_errors(pictures: Sequence[Rgb], motions: Sequence[str]) -> list[MotionError]:
    """Return how far every motion over every picture is from what was asked for, slow and fast ones.

    The error of a video is the distance between where a corner of the first view is in the last frame, by what was
    measured and by what was asked for, as a share of how far it has gone; the corner where that is most. What is asked
    for is the pure motion of that name and speed, not the stored matrices.
    """
    found = []
    for number, picture in enumerate(pictures):
        for place, motion in enumerate(motions):
            frames, travel = ((9, 0.1), (17, 0.25), (33, 0.2))[(number + place) % 3]
            size = (192, 256)
            path = affines(
                motion, frames, travel=travel, roll_deg=60 * travel, aspect=picture.shape[1] / picture.shape[0]
            )
            shots = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in render(picture, path, size)]
            asked = _asked(motion, frames, travel, 60 * travel, size)
            measured = np.eye(3)
            for before, after in pairwise(shots):
                measured = _aligned(before, after) @ measured
            found.append(MotionError(motion, frames, travel, _error(measured, asked, size)))
    return found


def _asked(motion: str, frames: int, travel: float, roll_deg: float, size: tuple[int, int]) -> F64:
    """Return where the content goes in all: (3, 3), pixels from the view's centre.

    A zoom, a roll and a pan at once are one steady flow: the exponential of the sum of what each does in an instant.
    """
    rate, turn, shift = 0.0, 0.0, np.zeros(2)
    for move in parse(motion):
        if move.family == "zoom":
            rate -= log(1 - travel) * move.way[0]
        elif move.family == "roll":
            turn -= radians(roll_deg) * move.way[0]
        else:
            shift -= np.array(move.way) * travel / (1 - travel) * np.array(size[::-1])
    step = np.eye(3) + np.array([[rate, -turn, shift[0]], [turn, rate, shift[1]], [0, 0, 0]]) / _STEPS
    return np.asarray(np.linalg.matrix_power(step, _STEPS))


def _aligned(before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> F64:
    """Return the affine (3, 3) that brings a picture to the next, in pixels from the centre."""
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 60, 1e-7)
    start = np.eye(2, 3, dtype=np.float32)
    _, found = cv2.findTransformECC(before, after, start, cv2.MOTION_AFFINE, stop, None, 3)
    to_centre = np.eye(3)
    to_centre[:2, 2] = (np.array(before.shape[::-1]) - 1) / 2
    full = np.vstack([found, [0, 0, 1]])
    return np.asarray(np.linalg.inv(to_centre) @ full @ to_centre)


def _error(measured: F64, asked: F64, size: tuple[int, int]) -> float:
    corners = np.array([[x, y, 1] for x in (-0.5, 0.5) for y in (-0.5, 0.5)]) * [size[1], size[0], 1]
    goes, went = ((matrix @ corners.T)[:2] for matrix in (asked, measured))
    far = np.hypot(*(goes - corners.T[:2]))
    return float((np.hypot(*(went - goes)) / np.maximum(far, far.max() / 2)).max())
