"""The ground and the sky: pale, with a texture that lies in the world and fades where it is finer than a pixel."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from curation.worlds.base import F32
from curation.worlds.leaves import pink_noise

__all__ = ["TONES", "floor_colours", "sky_colours"]

_TILE_PX: Final = 256
_TILE: Final = 4.0
"""Units of length that one tile of noise covers."""
_TILES: Final = 6
_SQUARE: Final = 0.9
_TILE_SIDE: Final = 0.7
_PLANK: Final = 0.42
_FOG: Final = 16.0

TONES: Final[dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]]] = {
    "grey": ((214, 214, 216), (134, 134, 140)), "warm": ((222, 214, 202), (148, 138, 124)),
    "cool": ((208, 214, 222), (126, 134, 148)), "dark": ((158, 158, 160), (84, 84, 90)),
}  # fmt: skip
"""The lighter and the darker colour of a floor."""
_SKY: Final = ((178, 194, 212), (228, 230, 232))


def sky_colours(rays: F32) -> F32:
    """Return the colour of the sky in directions (3, H, W), f32 (3, H, W), levels."""
    x, y, z = rays
    high = np.clip(-2.2 * y / np.sqrt(x * x + y * y + z * z), 0, 1)
    return np.stack([np.float32(low) + np.float32(top - low) * high for top, low in zip(*_SKY, strict=True)])


def floor_colours(floor: str, tone: str, seed: int, x: F32, z: F32, depth: F32, grain: F32) -> F32:
    """Return the colour of the ground at x and z (H, W), without light, f32 (3, H, W), levels.

    `depth` is how far it is, `grain` how large a sample is there, in units of length; both (H, W).
    """
    share, size = _pattern(floor, x, z, seed)
    share = np.float32(0.5) + (share - np.float32(0.5)) * np.clip(1.4 - grain / np.float32(size), 0, 1)
    strength = np.float32(15.0 if floor == "sandy" else 9.0)
    noise = _noise(x, z, seed) * np.clip(1.3 - 8 * grain, 0, 1) * strength
    fog = 1 - np.exp(-np.square(depth / np.float32(_FOG)))
    found = np.empty((3, *x.shape), np.float32)
    for channel, (light, dark, far) in enumerate(zip(*TONES[tone], _SKY[1], strict=True)):
        colour = np.float32(dark) + np.float32(light - dark) * share + noise
        found[channel] = colour + fog * (np.float32(far) - colour)
    return found


def _pattern(floor: str, x: F32, z: F32, seed: int) -> tuple[F32, float]:
    """Return how light the pattern is, 0 to 1, and how large it is."""
    if floor == "checkered":
        return ((np.floor(x / _SQUARE) + np.floor(z / _SQUARE)) % 2).astype(np.float32), _SQUARE
    if floor == "tiled":
        u, v = x / np.float32(_TILE_SIDE), z / np.float32(_TILE_SIDE)
        i, j = np.floor(u), np.floor(v)
        seam = np.maximum(np.abs(u - i - 0.5), np.abs(v - j - 0.5)) > 0.47
        return np.where(seam, 0.0, 0.35 + 0.65 * _hashed(i, j, seed)).astype(np.float32), _TILE_SIDE
    if floor == "wooden":
        row = np.floor(z / _PLANK)
        plank = np.floor(x / 2.2 + _hashed(row, row, seed))
        return (0.15 + 0.7 * _hashed(row, plank, seed + 1)).astype(np.float32), _PLANK
    return np.full_like(x, 0.6), 1e9


def _hashed(i: F32, j: F32, seed: int) -> F32:
    """Return a number, 0 to 1, for whole numbers i and j: the same on every machine."""
    mixed = (i.astype(np.int64) * 73856093 ^ j.astype(np.int64) * 19349663 ^ (seed + 1) * 83492791) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 15)) * 0x2C1B3C6D) & 0xFFFFFFFF
    return np.asarray(((mixed ^ (mixed >> 13)) & 0xFFFF) / np.float32(0xFFFF), np.float32)


def _noise(x: F32, z: F32, seed: int) -> F32:
    rng = np.random.default_rng([0x3D5E, seed])
    tile, shift = _tile(int(rng.integers(_TILES))), rng.uniform(0, 1, 2)
    scale, (right, away) = np.float32(_TILE_PX / _TILE), (shift * _TILE_PX).astype(np.float32)
    u, v = (_wrapped(values * scale + offset) for values, offset in ((x, right), (z, away)))
    return np.asarray(cv2.remap(tile, u, v, cv2.INTER_LINEAR), np.float32)


def _wrapped(values: F32) -> F32:
    side = np.float32(_TILE_PX)
    return np.asarray(values - np.floor(values / side) * side, np.float32)


@lru_cache(maxsize=_TILES)
def _tile(number: int) -> npt.NDArray[np.float32]:
    noise = np.clip(pink_noise(np.random.default_rng([0x3D5F, number]), _TILE_PX, _TILE_PX, 0.6), -2.5, 2.5)
    # One texel more than its period, for what lies between the last and the first.
    return np.asarray(np.pad(noise, ((0, 1), (0, 1)), mode="wrap"), np.float32)
