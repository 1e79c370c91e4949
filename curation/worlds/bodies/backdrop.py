"""What stands behind the figures: sky and hills, a town, a room, or a studio; pale, so that figures stand out.

All of it lies in the world: it is where it is whatever the camera does. Textures are pink noise, so that a camera's
motion can be seen everywhere.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from curation.worlds.base import F32
from curation.worlds.bodies.scene import Scene
from curation.worlds.leaves import pink_noise

__all__ = ["BACKDROPS", "fit", "ground_depth", "paint", "world_grid"]

F64 = npt.NDArray[np.float64]

BACKDROPS: Final = ("meadow", "town", "room", "studio")
_TILE_PX: Final = 512
_TILES: Final = 6

_PALETTES: Final[dict[str, tuple[tuple[int, int, int], ...]]] = {
    "meadow": ((186, 204, 216), (226, 230, 230), (150, 160, 146), (172, 174, 152), (134, 140, 120)),
    "town": ((200, 206, 214), (232, 228, 222), (152, 154, 164), (168, 166, 166), (140, 138, 138)),
    "room": ((216, 210, 200), (224, 219, 210), (196, 189, 178), (176, 164, 148), (150, 138, 124)),
    "studio": ((196, 198, 204), (214, 215, 218), (196, 198, 204), (172, 173, 178), (138, 139, 146)),
}  # fmt: skip
"""Top and bottom of the wall or sky, what stands before it, and the ground, far and near."""


def fit(scene: Scene, size: tuple[int, int]) -> tuple[float, F64]:
    """Return pixels in a height of the scene, and where its corner is (x, y): it lies in the middle."""
    height, width = size
    scale = min(height, width / scene.aspect)
    return scale, np.array([(width - scene.aspect * scale) / 2, (height - scale) / 2])


def world_grid(scene: Scene, size: tuple[int, int], frame: int) -> tuple[F32, F32]:
    """Return where in the world the pixels of a frame look, x (W,) and y (H,), heights."""
    scale, corner = fit(scene, size)
    view = scene.camera_view()
    x = (np.arange(size[1]) + 0.5 - corner[0]) / scale
    y = (np.arange(size[0]) + 0.5 - corner[1]) / scale
    middle, zoom, offset = scene.middle, view.scale[frame], view.offset[frame]
    x, y = (x - middle[0]) * zoom + offset[0] + middle[0], (y - middle[1]) * zoom + offset[1] + middle[1]
    return x.astype(np.float32), y.astype(np.float32)


def ground_depth(scene: Scene, y: F32) -> F32:
    """Return how far the ground is at those heights; beyond the horizon, how far the wall is."""
    return np.asarray(0.5 / np.maximum(y - scene.horizon + 0.05, 0.05), np.float32)


def paint(scene: Scene, size: tuple[int, int], frame: int) -> F32:
    """Return the background of a frame, f32 (H, W, 3), levels."""
    x, y = world_grid(scene, size, frame)
    pixel = float(y[1] - y[0]) if len(y) > 1 else 0.01
    top, bottom, before, far, near = (np.array(rgb, np.float32) for rgb in _PALETTES[scene.backdrop])
    high = np.clip(y / scene.horizon, 0, 1)[:, None, None]
    picture = np.broadcast_to(top + (bottom - top) * high, (*size, 3)).copy()
    edge = _skyline(scene, x)
    if edge is not None:
        share = np.clip((y[:, None] - edge[None]) / pixel + 0.5, 0, 1)[..., None]
        picture += share * (before - picture)
    low = np.clip((y - scene.horizon) / max(1.05 - scene.horizon, 0.1), 0, 1)[:, None, None]
    ground = far + (near - far) * low
    share = np.clip((y - scene.horizon) / pixel + 0.5, 0, 1)[:, None, None]
    picture += share * (ground - picture)
    noise, strength = _noise(scene, x, y, size), 5 + 7 * share
    picture += noise[..., None] * strength
    if scene.backdrop == "room":
        picture -= 9 * _boards(x, y, scene, pixel)[..., None]
    return picture


def _skyline(scene: Scene, x: F32) -> F32 | None:
    """Return how high what stands on the horizon reaches (W,), heights; None where nothing does."""
    a, b, c = (float(trait) for trait in scene.traits)
    if scene.backdrop == "meadow":
        hills = 0.05 * np.sin(5.1 * x + 3 * a) + 0.03 * np.sin(9.7 * x + 5 * b) + 0.012 * np.sin(23 * x + 7 * c)
        return np.asarray(scene.horizon - 0.1 + hills, np.float32)
    if scene.backdrop == "town":
        block = np.floor(x * 7 + 3 * a)
        high = 0.5 + 0.5 * np.sin(block * 12.9898 + 78.233 * b)
        return np.asarray(scene.horizon - 0.08 - 0.2 * high, np.float32)
    return None


def _boards(x: F32, y: F32, scene: Scene, pixel: float) -> F32:
    """Return where a room's wall has panels' joints, and its floor its edge: 0 to 1 (H, W)."""
    wide = max(pixel, 0.006)
    joints = np.clip(1.5 - np.abs((x * 4 + 0.3) % 1 - 0.5) * 0.5 / wide, 0, 1)[None]
    wall = (y < scene.horizon - 0.03)[:, None]
    skirting = np.clip(1.5 - np.abs(y - scene.horizon + 0.03) / wide, 0, 1)[:, None]
    return np.asarray(np.maximum(joints * wall, skirting), np.float32)


def _noise(scene: Scene, x: F32, y: F32, size: tuple[int, int]) -> F32:
    rng = np.random.default_rng([0xB0D1, scene.seed])
    pixels, _ = fit(scene, size)
    side = min(_TILE_PX, max(16, round(pixels * 2)))
    tile = _tile(int(rng.integers(_TILES)), side)
    shift = rng.uniform(0, 1, 2)
    # One tile covers two heights; it has one texel more than its period.
    u = np.mod((x / 2 + shift[0]) * side, side).astype(np.float32)
    v = np.mod((y / 2 + shift[1]) * side, side).astype(np.float32)
    columns, rows = np.meshgrid(u, v)
    return np.asarray(cv2.remap(tile, columns, rows, cv2.INTER_LINEAR), np.float32)


@lru_cache(maxsize=2 * _TILES)
def _tile(number: int, side: int) -> F32:
    noise = np.clip(pink_noise(np.random.default_rng([0xB0D2, number]), _TILE_PX, _TILE_PX, 0.8), -2.5, 2.5)
    if side != _TILE_PX:
        noise = np.asarray(cv2.resize(noise, (side, side), interpolation=cv2.INTER_AREA), np.float32)
    noise = noise / max(float(noise.std()), 1e-6)
    return np.asarray(np.pad(noise, ((0, 1), (0, 1)), mode="wrap"), np.float32)
