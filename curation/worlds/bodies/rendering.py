"""Figures as pictures and as maps: shaded capsules, covered by how much of a pixel lies inside, at any size.

A part is drawn in a window as large as it gets, for all frames at once: what it costs goes by its own pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
import numpy.typing as npt

from curation.worlds.base import F32, U8, Maps
from curation.worlds.bodies.backdrop import fit, ground_depth, paint, world_grid
from curation.worlds.bodies.parts import Part, parts_of
from curation.worlds.bodies.scene import Figure, Scene

__all__ = ["maps", "render"]

F64 = npt.NDArray[np.float64]

_BUDGET: Final = 1 << 21
"""Pixels of windows that are drawn at a time."""
_LIGHT: Final = np.array([-0.48, -0.6, -0.64], np.float32)
"""Towards the lamp: left, up and near."""
_DIM, _LIT = 0.62, 0.46
_SHADOW: Final = 0.3
_HAIR_RADIUS: Final = 1.12


@dataclass(frozen=True, slots=True)
class _Window:
    """A part in windows of S x S pixels, for some frames: corners (F, 2), x first, and what is in them (F, S, S)."""

    part: Part
    corner: npt.NDArray[np.int64]
    alpha: F32
    rgb: F32
    bulge: F32
    """How much nearer than its middle the surface is, pixels."""

    def cut(self, frame: int, size: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
        """Return where a frame's window lies in the picture, and in itself; None if it is outside."""
        x, y = (int(v) for v in self.corner[frame])
        wide = self.alpha.shape[1]
        left, right, top, bottom = max(0, x), min(size[1], x + wide), max(0, y), min(size[0], y + wide)
        if left >= right or top >= bottom:
            return None
        return (slice(top, bottom), slice(left, right)), (slice(top - y, bottom - y), slice(left - x, right - x))


def render(scene: Scene, size: tuple[int, int]) -> Iterator[U8]:
    """Yield the pictures, u8 (height, width, 3)."""
    parts = [(figure, part) for figure in scene.figures for part in parts_of(scene, figure)]
    scale, _ = fit(scene, size)
    step = max(1, int(_BUDGET / max(1.0, len(parts) * (0.3 * scale) ** 2)))
    still = paint(scene, size, 0) if scene.camera == "static" else None
    joints = [figure.joints(scene.times) for figure in scene.figures]
    for first in range(0, scene.frames, step):
        frames = np.arange(first, min(scene.frames, first + step))
        windows = [_drawn(scene, part, size, frames) for _, part in parts]
        for number, frame in enumerate(frames):
            picture = paint(scene, size, int(frame)) if still is None else still.copy()
            for figure, places in zip(scene.figures, joints, strict=True):
                _shade(scene, figure, places[frame], picture, int(frame))
            for window in windows:
                if (cut := window.cut(number, size)) is not None:
                    there, own = cut
                    under = picture[there]
                    under += window.alpha[number][own][..., None] * (window.rgb[number][own] - under)
            yield np.clip(picture + np.float32(0.5), 0, 255).astype(np.uint8)


def _in_pixels(scene: Scene, part: Part, size: tuple[int, int]) -> tuple[F64, F64, F64, F64]:
    scale, corner = fit(scene, size)
    return part.start * scale + corner, part.end * scale + corner, part.start_radius * scale, part.end_radius * scale


def _drawn(scene: Scene, part: Part, size: tuple[int, int], frames: npt.NDArray[np.int64]) -> _Window:
    start, end, low, high = (values[frames] for values in _in_pixels(scene, part, size))
    if part.face is not None:
        start_of_window, reach = end, high * 1.45
    else:
        start_of_window, reach = start, np.maximum(low, high)
    # Never so large that a figure which a broken bone takes far outside is drawn there.
    span = np.abs(end - start_of_window).max(axis=1) + 2 * reach
    window = min(ceil(float(span.max())) + 3, 4 * max(size))
    middle = (start_of_window + end) / 2
    corner = np.floor(middle - window / 2).astype(np.int64)
    steps = np.arange(window, dtype=np.float32)
    x = (steps + (corner[:, 0, None] + 0.5 - start_of_window[:, 0, None]).astype(np.float32))[:, None, :]
    y = (steps + (corner[:, 1, None] + 0.5 - start_of_window[:, 1, None]).astype(np.float32))[:, :, None]
    if part.face is not None:
        return _head(part, corner, x, y, end - start, high)
    ax, ay = (end - start).astype(np.float32).T[:, :, None, None]
    square = np.maximum(ax**2 + ay**2, 1e-6)
    along = np.clip((x * ax + y * ay) / square, 0, 1)
    off_x, off_y = x - along * ax, y - along * ay
    radius = low.astype(np.float32)[:, None, None] + along * (high - low).astype(np.float32)[:, None, None]
    alpha = np.clip(radius - np.hypot(off_x, off_y) + 0.5, 0, 1) * np.minimum(1, 2 * radius)
    share, bulge = _lit(off_x, off_y, radius)
    return _Window(part, corner, alpha, share[..., None] * np.array(part.rgb, np.float32), bulge)


def _lit(x: F32, y: F32, radius: F32) -> tuple[F32, F32]:
    """Return how bright a round surface is at an offset from its middle line, and how far it comes forward."""
    safe = np.maximum(radius, 1e-3)
    nx, ny = x / safe, y / safe
    nz = -np.sqrt(np.clip(1 - nx**2 - ny**2, 0, 1))
    light = nx * _LIGHT[0] + ny * _LIGHT[1] + nz * _LIGHT[2]
    return np.asarray(_DIM + _LIT * np.clip(light, 0, 1), np.float32), np.asarray(-nz * radius, np.float32)


def _head(part: Part, corner: npt.NDArray[np.int64], x: F32, y: F32, up: F64, radius: F64) -> _Window:
    """Paint a head: hair, face, eyes, and a nose where it is seen from the side."""
    wide = radius.astype(np.float32)[:, None, None]
    lean = np.arctan2(up[:, 0], -up[:, 1]).astype(np.float32)[:, None, None]
    c, s = np.cos(lean), np.sin(lean)
    u, v = (x * c + y * s) / wide, (y * c - x * s) / wide
    facing = {"front": 0, "right": 1, "left": -1}[part.face or "front"]
    ahead = u * facing

    def disc(cx: float, cy: float, r: float) -> F32:
        return np.asarray(np.clip((r - np.hypot(u - cx, v - cy)) * wide + 0.5, 0, 1), np.float32)

    face = disc(0, 0, 1)
    if facing:
        face = np.maximum(face, disc(0.98 * facing, 0.18, 0.16))
    hair_edge = (
        (-0.32 + 0.3 * u**2 - v) if not facing else np.maximum(-0.42 - v, -0.22 - ahead - 0.5 * np.maximum(v, 0))
    )
    hair = disc(0, -0.02, _HAIR_RADIUS) * np.clip(hair_edge * wide + 0.5, 0, 1)
    share, bulge = _lit(u, v, np.full_like(u, _HAIR_RADIUS))
    rgb = share[..., None] * np.array(part.rgb, np.float32)
    rgb += hair[..., None] * (share[..., None] * np.array(part.hair, np.float32) - rgb)
    dark = np.array([44, 36, 36], np.float32)
    eyes = [(-0.36, 0.02), (0.36, 0.02)] if not facing else [(0.6 * facing, 0.0)]
    for cx, cy in eyes:
        rgb += disc(cx, cy, 0.115)[..., None] * (dark - rgb)
    mouth = np.clip((0.26 - np.abs(u if not facing else ahead - 0.62)) * wide, 0, 1)
    mouth = mouth * np.clip((0.06 - np.abs(v - 0.46 + 0.35 * (u if not facing else 0 * u) ** 2)) * wide + 0.5, 0, 1)
    rgb += (0.7 * mouth)[..., None] * (np.array([120, 44, 44], np.float32) - rgb)
    return _Window(part, corner, np.maximum(face, hair), rgb, bulge * wide)


def _shade(scene: Scene, figure: Figure, joints: F64, picture: F32, frame: int) -> None:
    """Darken the ground under a figure, softly; the higher it jumps, the less."""
    x, y = world_grid(scene, picture.shape[:2], frame)
    lift = max(0.0, (figure.place[1] - float(joints[:, 1].max())) / figure.stature)
    wide = figure.stature * (0.2 + 0.2 * lift)
    dx = np.square((x - joints[2, 0]) / wide)[None, :]
    dy = np.square((y - figure.place[1]) / (wide * 0.22))[:, None]
    picture *= (1 - _SHADOW / (1 + 3 * lift) * np.exp(-1.5 * (dx + dy)))[..., None]


# -- truth of every pixel ----------------------------------------------------------------------------------------------


def maps(scene: Scene, size: tuple[int, int]) -> Maps:
    """Return masks (whose part covers half of a pixel, the front one's), depth in heights and exact flow."""
    frames = np.arange(scene.frames)
    scale, _ = fit(scene, size)
    masks = np.zeros((scene.frames, *size), np.uint8)
    depth = np.empty((scene.frames, *size), np.float32)
    flow = _background_flow(scene, size)
    for frame in range(scene.frames):
        _, y = world_grid(scene, size, frame)
        depth[frame] = ground_depth(scene, y)[:, None]
    for number, figure in enumerate(scene.figures):
        base = float(ground_depth(scene, np.array([figure.place[1]], np.float32))[0])
        for part in parts_of(scene, figure):
            window = _drawn(scene, part, size, frames)
            ends = _in_pixels(scene, part, size)
            for frame in range(scene.frames):
                if (cut := window.cut(frame, size)) is None:
                    continue
                there, own = cut
                inside = window.alpha[frame][own] >= 0.5
                masks[frame][there][inside] = number + 1
                near = part.away[frame] - window.bulge[frame][own][inside] / scale
                depth[frame][there][inside] = base + near
                if frame < len(flow):
                    y_at, x_at = np.nonzero(inside)
                    at = np.stack([x_at + there[1].start, y_at + there[0].start], axis=1) + 0.5
                    flow[frame][there][inside] = _carried(ends, frame, at) - at
    return Maps(masks=masks, depth=depth, flow=flow)


def _carried(ends: tuple[F64, F64, F64, F64], frame: int, at: F64) -> F64:
    """Return where points of a part (N, 2) are in the next frame: it turns, and grows along and across by itself."""
    start, end, low, high = ends
    axes, lengths = [], []
    for number in (frame, frame + 1):
        bone = end[number] - start[number]
        length = float(np.hypot(*bone))
        lengths.append(length)
        axes.append(bone / length if length > 1e-6 else np.array([1.0, 0.0]))
    grows = lengths[1] / lengths[0] if min(lengths) > 1e-6 else 1.0
    thick = float((low[frame + 1] + high[frame + 1]) / max(low[frame] + high[frame], 1e-9))
    (ax, ay), (bx, by) = axes
    offset = at - start[frame]
    along, across = (offset @ np.array([ax, ay])) * grows, (offset @ np.array([-ay, ax])) * thick
    return np.asarray(start[frame + 1] + along[:, None] * np.array([bx, by]) + across[:, None] * np.array([-by, bx]))


def _background_flow(scene: Scene, size: tuple[int, int]) -> F32:
    flow = np.zeros((scene.frames - 1, *size, 2), np.float32)
    view, (scale, corner) = scene.camera_view(), fit(scene, size)
    for frame in range(scene.frames - 1):
        places = world_grid(scene, size, frame)
        for axis, pixels in ((0, np.arange(size[1]) + 0.5), (1, np.arange(size[0]) + 0.5)):
            middle, after = scene.middle[axis], frame + 1
            goes = (places[axis] - middle - view.offset[after, axis]) / view.scale[after] + middle
            moved = (goes * scale + corner[axis] - pixels).astype(np.float32)
            flow[frame, ..., axis] = moved[None, :] if axis == 0 else moved[:, None]
    return flow
