"""The camera of a small, clean picture: one similarity that carries the background of every frame to the next.

All pairs of frames together give one estimate, by least squares on brightness (Lucas and Kanade 1981), so that half a
pixel of motion under noise is enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, degrees, log2
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["SeenCamera", "read_camera"]

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

_TEXTURE: Final = 0.8
"""Levels of difference between neighbouring pixels, of the smoothed picture, below which a background tells nothing."""
_EXPLAINED: Final = 0.19
"""Share of the background's change that a motion explains at least; under white noise, none explains as much."""
_SHIFT, _ZOOM, _ROLL = 0.02, 0.035, 1.5
"""Least motion by the end that counts: shares of the picture, octaves, degrees."""
_LEVELS: Final = (0.5, 1.0)
_LARGEST_PX: Final = 128
_STEPS: Final = 5
_COARSE_PX: Final = 5.0


@dataclass(frozen=True, slots=True)
class SeenCamera:
    """How the camera moves: `step` (3, 3) carries a place of a frame to the next, in fractions of the picture."""

    motion: str
    """A value of `clips.camera_motion`."""

    confidence: float
    """0 where the background has no texture that would tell; else how much of its change the motion explains."""

    step: F64


def read_camera(frames: U8, things: npt.NDArray[np.bool_]) -> SeenCamera:
    """Return the camera's motion over a video, u8 (F, H, W, 3); `things` (F, H, W) says what is not background."""
    still = SeenCamera("static", 0.0, np.eye(3))
    if len(frames) < 2:
        return still
    scale = min(1.0, _LARGEST_PX / max(frames.shape[1:3]))
    size = _size(frames, scale)
    small = (cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames)
    grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in small]).astype(np.float32)
    kernel = np.ones((5, 5), np.uint8)
    free = np.stack([
        cv2.erode(cv2.resize((~mask).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST), kernel)
        for mask in things
    ]).astype(np.float32)  # fmt: skip
    grey = np.stack([_fine(one, seen) for one, seen in zip(grey, free, strict=True)])
    middle = len(frames) // 2
    if free[0].mean() < 0.1 or _texture(grey[middle], free[middle] > 0) < _TEXTURE:
        return still
    step, explained = np.eye(3), 0.0
    for level in _LEVELS:
        at = _size(frames, scale * level)
        some = [np.stack([cv2.resize(one, at, interpolation=cv2.INTER_AREA) for one in maps]) for maps in (grey, free)]
        step, explained = _aligned(some[0], some[1], step)
    if explained < _EXPLAINED:
        return still
    return SeenCamera(_named(step, len(frames) - 1, frames.shape[1:3]), explained, step)


def _size(frames: U8, scale: float) -> tuple[int, int]:
    """Return width and height at a scale, as OpenCV has them."""
    return max(16, round(frames.shape[2] * scale)), max(16, round(frames.shape[1] * scale))


def _fine(grey: F32, seen: F32) -> F32:
    """Return a picture less its coarse part: light and slow gradients do not go with what the camera sees."""
    weight = cv2.GaussianBlur(seen, (0, 0), _COARSE_PX)
    coarse = cv2.GaussianBlur(grey * seen, (0, 0), _COARSE_PX) / np.maximum(weight, 1e-3)
    return np.asarray((cv2.GaussianBlur(grey, (0, 0), 0.8) - coarse) * (seen > 0), np.float32)


def _texture(picture: F32, seen: npt.NDArray[np.bool_]) -> float:
    """Return the mean difference between neighbours, along the side where there is less: both are needed."""
    sides = [np.abs(np.diff(picture, axis=axis))[np.diff(seen.astype(np.int8), axis=axis) == 0] for axis in (0, 1)]
    return float(min(side.mean() for side in sides))


def _aligned(grey: F32, free: F32, step: F64) -> tuple[F64, float]:
    """Return the step, in fractions, refined on pictures (F, H, W), and how much of the change it explains.

    The slopes are those of the earlier frames, so they are taken once (Baker and Matthews 2004, inverse compositional).
    """
    _, height, width = grey.shape
    to_px = np.array([[width, 0, -0.5], [0, height, -0.5], [0, 0, 1.0]])
    x = (np.arange(width) - (width - 1) / 2).astype(np.float32)
    y = (np.arange(height) - (height - 1) / 2).astype(np.float32)[:, None]
    unit = np.float32(np.hypot(width, height) / 4)  # so that a turn counts as much as a shift
    before, weight = grey[:-1], free[:-1] * free[1:]
    dx, dy = np.zeros_like(before), np.zeros_like(before)
    dx[:, :, 1:-1] = (before[:, :, 2:] - before[:, :, :-2]) / 2
    dy[:, 1:-1] = (before[:, 2:] - before[:, :-2]) / 2
    dx, dy = dx * weight, dy * weight
    rows = np.stack([dx, dy, (dx * x + dy * y) / unit, (dy * x - dx * y) / unit]).reshape(4, -1)
    # Sums of products, on one thread: threads that wait for each other cost more than these do.
    normal = np.einsum("if,jf->ij", rows, rows).astype(np.float64)
    normal += 1e-6 * np.trace(normal) * np.eye(4)
    middle = np.array([[1, 0, (width - 1) / 2], [0, 1, (height - 1) / 2], [0, 0, 1.0]])
    now = to_px @ step @ np.linalg.inv(to_px)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    change = 0.0
    unmoved = float((((before - grey[1:]) * weight) ** 2).sum())
    for _ in range(_STEPS):
        after = np.stack([
            cv2.warpAffine(one, now[:2], (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
            for one in grey[1:]
        ])  # fmt: skip
        error = (after - before) * weight
        change = float((error**2).sum())
        shift = np.linalg.solve(normal, np.einsum("if,f->i", rows, error.ravel()).astype(np.float64))
        a, b = 1 + shift[2] / unit, shift[3] / unit
        small = np.array([[a, -b, shift[0]], [b, a, shift[1]], [0, 0, 1.0]])
        now = now @ middle @ np.linalg.inv(small) @ np.linalg.inv(middle)
        if np.abs(shift).max() < 3e-3:
            break
    return np.linalg.inv(to_px) @ now @ to_px, float(np.clip(1 - change / max(unmoved, 1e-9), 0, 1))


def _named(step: F64, count: int, size: tuple[int, ...]) -> str:
    """Return the class of `count` such steps."""
    height, width = size
    whole = np.linalg.matrix_power(step, count)
    moved = (whole @ np.array([0.5, 0.5, 1]))[:2] - 0.5
    zoom = log2(max(float(np.linalg.det(whole[:2, :2])), 1e-6)) / 2
    aspect = width / height
    turned = atan2(whole[1, 0] / aspect - whole[0, 1] * aspect, whole[0, 0] + whole[1, 1])
    roll = degrees(turned)
    strengths = {"pan": abs(moved[0]) / _SHIFT, "tilt": abs(moved[1]) / _SHIFT, "zoom": abs(zoom) / _ZOOM,
                 "roll": abs(roll) / _ROLL}  # fmt: skip
    kind = max(strengths, key=lambda name: strengths[name])
    if strengths[kind] < 1:
        return "static"
    # What the picture does, the camera does the other way; a picture that grows is a camera that zooms in.
    way = {"pan": "left" if moved[0] > 0 else "right", "tilt": "up" if moved[1] > 0 else "down",
           "zoom": "in" if zoom > 0 else "out", "roll": "left" if roll > 0 else "right"}  # fmt: skip
    return f"{kind} {way[kind]}"
