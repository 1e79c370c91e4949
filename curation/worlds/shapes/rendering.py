"""Shapes as pictures and as maps: signed distances, covered by how much of a pixel lies inside, at any size.

A thing is drawn in a window as large as it gets, for all frames at once: what it costs goes by its own pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from curation.worlds.base import F32, U8, Maps
from curation.worlds.leaves import pink_noise
from curation.worlds.shapes.options import COLOURS, SHADES
from curation.worlds.shapes.outlines import distance
from curation.worlds.shapes.scene import Item, Poses, Scene

__all__ = ["layers", "maps", "render"]

F64 = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_BUDGET: Final = 1 << 20
"""Pixels of pictures that are drawn at a time."""
_NOISE, _TILES, _TILE_PX, _TILE_SIDES = 30.0, 8, 512, 2
"""Levels of the noise; how many tiles of it there are, their size, and how many shorter sides one covers."""
_DIM: Final = 0.66
"""How dark it is away from the light."""
_DARKER: Final = 0.6
"""Of a pattern, against its colour."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """A thing in windows of S x S pixels: their top left corners (F, 2), x first, may lie outside of the picture.

    `u` and `v` are places in its own coordinates, `alpha` the share of the pixel that it covers: f32 (F, S, S).
    """

    corner: Ints
    u: F32
    v: F32
    alpha: F32
    radius_px: F32

    def cut(self, frame: int, size: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
        """Return where the window of a frame lies in the picture, and in itself; None if it is outside."""
        x, y = self.corner[frame]
        wide = self.alpha.shape[1]
        left, right, top, bottom = max(0, x), min(size[1], x + wide), max(0, y), min(size[0], y + wide)
        if left >= right or top >= bottom:
            return None
        return (slice(top, bottom), slice(left, right)), (slice(top - y, bottom - y), slice(left - x, right - x))


def render(scene: Scene, size: tuple[int, int]) -> Iterator[U8]:
    """Yield the pictures, u8 (height, width, 3)."""
    step = max(1, _BUDGET // (size[0] * size[1]))
    for first in range(0, scene.frames, step):
        yield from _drawn(scene, size, np.arange(first, min(scene.frames, first + step)))


def layers(scene: Scene, size: tuple[int, int], frames: Ints) -> Iterator[tuple[Item, _Layer]]:
    """Yield the things, from back to front, as they lie in those frames."""
    for item in scene.items:
        yield item, _layer(scene, item, size, frames)


def _drawn(scene: Scene, size: tuple[int, int], frames: Ints) -> U8:
    pictures = _background(scene, size, frames)
    for item, layer in layers(scene, size, frames):
        paint = _paint(item, frames, layer)
        alpha = layer.alpha[..., None]
        for number in range(len(frames)):
            if (cut := layer.cut(number, size)) is not None:
                there, own = cut
                under = pictures[number][there]
                under += alpha[number][own] * (paint[number][own] - under)
    if scene.light != "even":
        across = (np.arange(size[1], dtype=np.float32) + 0.5) / size[1]
        pictures *= (1 - (1 - _DIM) * (across if scene.light == "left" else 1 - across))[:, None]
    return np.asarray(np.clip(pictures + np.float32(0.5), 0, 255), np.uint8)


def _in_picture(scene: Scene, item: Item, size: tuple[int, int], frames: Ints) -> Poses:
    """Return the poses in pixels; a picture of other proportions shows the scene in its middle."""
    times = frames / scene.fps
    poses = scene.seen_from_camera(item.poses(times), times)
    scale, shift = _fit(scene, size)
    return Poses(poses.centre * scale + shift, poses.radius * scale, poses.angle)


def _fit(scene: Scene, size: tuple[int, int]) -> tuple[float, F64]:
    """Return pixels in a shorter side, and where the scene's corner is."""
    wide = np.array([size[1], size[0]], float)
    scale = float((wide / scene.sides).min())
    return scale, (wide - scene.sides * scale) / 2


def _layer(scene: Scene, item: Item, size: tuple[int, int], frames: Ints) -> _Layer:
    poses = _in_picture(scene, item, size, frames)
    window = ceil(2 * float(poses.radius.max())) + 3
    corner = np.floor(poses.centre - window / 2).astype(np.int64)
    offset = (corner + 0.5 - poses.centre).astype(np.float32)
    steps = np.arange(window, dtype=np.float32)
    dx = (steps + offset[:, 0, None])[:, None, :]
    dy = (steps + offset[:, 1, None])[:, :, None]
    radius = poses.radius.astype(np.float32)[:, None, None]
    c, s = (np.asarray(f(poses.angle), np.float32)[:, None, None] / radius for f in (np.cos, np.sin))
    u, v = dx * c + dy * s, dy * c - dx * s
    # A straight border covers a pixel that it crosses by its distance, within one pixel.
    alpha = np.clip(0.5 - distance(item.shape, u, v) * radius, 0, 1)
    there = (frames >= item.seen[0]) & (frames < item.seen[1])
    return _Layer(corner, u, v, alpha * there[:, None, None].astype(np.float32), radius[:, 0, 0])


def _paint(item: Item, frames: Ints, layer: _Layer) -> F32:
    """Return the colour of the thing, f32 (F, S, S, 3), levels, or (F, 1, 1, 3)."""
    rgb = np.tile(np.array(COLOURS[item.colour], np.float32), (len(frames), 1))
    if item.recolour is not None:
        rgb[frames >= item.recolour[0]] = COLOURS[item.recolour[1]]
    paint = rgb[:, None, None, :]
    if item.texture == "plain":
        return np.broadcast_to(paint, (*layer.u.shape, 3))
    share = 1 - (1 - _DARKER) * _pattern(item.texture, layer)
    return np.asarray(paint * share[..., None], np.float32)


def _pattern(texture: str, layer: _Layer) -> F32:
    """Return where a texture is dark, 0 to 1; its borders are a pixel wide, and it fades where it is too fine."""
    period = {"striped": 0.62, "checked": 1.0, "dotted": 0.72}[texture]
    turn = np.float32(2 * np.pi / period)
    # Levels that a wave of this period crosses in a pixel, at its steepest.
    sharp = (layer.radius_px * period / (2 * np.pi))[:, None, None]
    if texture == "striped":
        wave = np.sin(layer.u * turn)
    elif texture == "checked":
        wave = np.sin(layer.u * turn) * np.sin(layer.v * turn)
    else:
        wave = np.cos(layer.u * turn) + np.cos(layer.v * turn) - np.float32(0.85)
    return np.asarray(np.clip(0.5 + wave * np.maximum(sharp, 0.5), 0, 1), np.float32)


# -- backgrounds -----------------------------------------------------------------------------------------------------


def _background(scene: Scene, size: tuple[int, int], frames: Ints) -> F32:
    """Return the background, f32 (F, H, W, 3), levels."""
    ends = [np.array(SHADES[shade], np.float32) for shade in scene.shades]
    pictures = np.empty((len(frames), *size, 3), np.float32)
    pictures[:] = ends[0]
    if scene.background == "gradient":
        side = 1 if scene.axis == "x" else 0
        share = (np.arange(size[side], dtype=np.float32) + 0.5) / size[side]
        share = share[None, :, None] if side else share[:, None, None]
        pictures[:] = ends[0] + (ends[1] - ends[0]) * share
    elif scene.background == "noise":
        pictures += _noise(scene, size, frames)[..., None]
    return pictures


def _noise(scene: Scene, size: tuple[int, int], frames: Ints) -> F32:
    """Return the noise that lies in the world, f32 (F, H, W) or (1, H, W), levels: sampled where the camera looks."""
    rng = np.random.default_rng([0x6EA1, scene.seed])
    scale, shift = _fit(scene, size)
    side = min(_TILE_PX, max(8, round(scale) * _TILE_SIDES))
    tile = _tile(int(rng.integers(_TILES)), side)
    origin = rng.uniform(0, side, 2)
    times = frames / scene.fps if scene.camera != "static" else np.zeros(1)
    px = (np.arange(size[1]) + 0.5 - shift[0]) / scale - scene.sides[0] / 2
    py = (np.arange(size[0]) + 0.5 - shift[1]) / scale - scene.sides[1] / 2
    zooms, turns, offsets = scene.view(times)
    per_side = side / _TILE_SIDES
    found = np.empty((len(times), *size), np.float32)
    for number, (zoom, turn, offset) in enumerate(zip(zooms, turns, offsets, strict=True)):
        c, s = zoom * np.cos(turn), zoom * np.sin(turn)
        x = (c * px[None, :] - s * py[:, None] + offset[0]) * per_side + origin[0]
        y = (s * px[None, :] + c * py[:, None] + offset[1]) * per_side + origin[1]
        # The tile has one texel more than its period, for what lies between the last and the first.
        x, y = np.mod(x, side).astype(np.float32), np.mod(y, side).astype(np.float32)
        found[number] = cv2.remap(tile, x, y, cv2.INTER_LINEAR)
    return found


@lru_cache(maxsize=2 * _TILES)
def _tile(number: int, side: int) -> F32:
    noise = pink_noise(np.random.default_rng([0x711E, number]), _TILE_PX, _TILE_PX)
    if side != _TILE_PX:
        noise = np.asarray(cv2.resize(noise, (side, side), interpolation=cv2.INTER_AREA), np.float32)
    noise = np.clip(noise / max(float(noise.std()), 1e-6), -2, 2) * np.float32(_NOISE)
    return np.asarray(np.pad(noise, ((0, 1), (0, 1)), mode="wrap"), np.float32)


# -- truth of every pixel ----------------------------------------------------------------------------------------------


def maps(scene: Scene, size: tuple[int, int]) -> Maps:
    """Return masks (the front thing that covers half of a pixel), depth in layers (0 is the front) and exact flow."""
    frames = np.arange(scene.frames)
    masks = np.zeros((scene.frames, *size), np.uint8)
    flow = _background_flow(scene, size)
    for number, (item, layer) in enumerate(layers(scene, size, frames)):
        after = _in_picture(scene, item, size, frames[1:])
        for frame in range(scene.frames):
            if (cut := layer.cut(frame, size)) is None:
                continue
            there, own = cut
            inside = layer.alpha[frame][own] >= 0.5
            masks[frame][there][inside] = number + 1
            if frame < len(flow):
                goes = _carried(after, frame, layer.u[frame][own][inside], layer.v[frame][own][inside])
                y, x = np.nonzero(inside)
                at = np.stack([x + there[1].start, y + there[0].start], axis=1) + 0.5
                flow[frame][there][inside] = goes - at
    depth = np.where(masks == 0, len(scene.items), len(scene.items) - masks.astype(np.float32))
    return Maps(masks=masks, depth=depth.astype(np.float32), flow=flow)


def _carried(poses: Poses, frame: int, u: F32, v: F32) -> F64:
    """Return where points of a thing are, pixels (N, 2)."""
    c, s = np.cos(poses.angle[frame]), np.sin(poses.angle[frame])
    return np.asarray(np.stack([u * c - v * s, u * s + v * c], axis=1) * poses.radius[frame] + poses.centre[frame])


def _background_flow(scene: Scene, size: tuple[int, int]) -> F32:
    """Return where the points of the world that are seen at every pixel go: f32 (F - 1, H, W, 2), pixels."""
    flow = np.zeros((scene.frames - 1, *size, 2), np.float32)
    if scene.camera == "static":
        return flow
    scale, shift = _fit(scene, size)
    at = np.stack(np.meshgrid(np.arange(size[1]) + 0.5, np.arange(size[0]) + 0.5), axis=-1)
    centred = (at - shift) / scale - scene.sides / 2
    zooms, turns, offsets = scene.view(scene.times)
    for frame in range(scene.frames - 1):
        turned = centred @ _turn(turns[frame]).T * zooms[frame] + offsets[frame] - offsets[frame + 1]
        goes = turned @ _turn(-turns[frame + 1]).T / zooms[frame + 1]
        flow[frame] = (goes + scene.sides / 2) * scale + shift - at
    return flow


def _turn(angle: float) -> F64:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])
