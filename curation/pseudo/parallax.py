"""A camera that changes its place over a still: what is near moves more, by a depth map, and nothing is torn open.

Every frame is a backward warp: for each output pixel, the ray is followed from what is nearest to what is farthest, and
the first surface that it meets is what is seen (Policarpo, Oliveira and Comba, "Real-time relief mapping", 2005). So
every pixel has a colour, near things cover far ones, and there are no holes. Where the camera looks behind something,
the ray meets the slope between the two surfaces; the near side is grown by a few pixels first, so that what is drawn
out there is background.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from media.affine import FINE_BITS, Affines, averaged
from media.frames import Rgb

__all__ = ["PARALLAX", "nearness", "render_parallax"]

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

PARALLAX: Final = 0.6
"""How much farther than the middle of the scene the nearest goes, and how much less the farthest."""

_LAYERS: Final = 24
_HALVINGS: Final = 4
_GROWN: Final = 0.006  # of the longer side
_DENSITY: Final = 3.0  # samples of the still for each output pixel, along a side


def nearness(depth: npt.NDArray[np.float32 | np.float64 | np.uint8 | np.uint16]) -> F32:
    """Return a depth map (H, W), where larger is nearer, as 0 (farthest hundredth) to 1 (nearest), its near side grown.

    ValueError for another shape, or for values that are not finite.
    """
    levels = np.asarray(depth, np.float32)
    if levels.ndim != 2 or not levels.size or not np.isfinite(levels).all():
        raise ValueError("a depth map is (height, width), finite, larger is nearer")
    low, high = np.percentile(levels, (1, 99))
    if high - low <= 1e-6 * max(abs(float(high)), 1e-12):
        return np.full(levels.shape, 0.5, np.float32)
    scaled = np.clip((levels - low) / (high - low), 0, 1).astype(np.float32)
    reach = 2 * max(1, round(_GROWN * max(levels.shape))) + 1
    grown = cv2.dilate(scaled, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    return np.asarray(cv2.blur(grown, (3, 3)), np.float32)


def render_parallax(
    image: Rgb,
    depth: npt.NDArray[np.float32 | np.float64 | np.uint8 | np.uint16],
    path: Affines,
    size: tuple[int, int],
    *,
    parallax: float = PARALLAX,
    only: Sequence[int] | None = None,
) -> Iterator[Rgb]:
    """Yield one picture (*size, 3) for each matrix of `path`, or for those numbered `only`.

    `depth` (h, w), of any size, covers the still; larger is nearer, in any unit. The path is that of the middle of the
    scene, half-way between the nearest and the farthest; the nearest moves `1 + parallax` times as far from where it is
    half-way through the path, the farthest `1 - parallax` times. The path must have been made with that `parallax`.
    """
    path = np.asarray(path, np.float32)
    if not len(path):
        return
    near = nearness(depth)
    spans = np.abs(path[:, [0, 1], [0, 1]]).min(axis=0) * image.shape[1::-1] / np.array(size[::-1])
    still = averaged(image, np.maximum(spans.astype(np.float64), 1e-6), _DENSITY)
    middle = path[[0, -1]].astype(np.float64).mean(axis=0)
    grid = _grid(size)
    for number in range(len(path)) if only is None else only:
        matrix = path[number].astype(np.float64)
        base, way = grid @ matrix.T, parallax * (grid @ (matrix - middle).T)
        found = _first_hit(near, _Rays.over(near.shape, base, way))
        x, y = _Rays.over(still.shape, base, way).at(2 * found - 1)
        sampled = cv2.remap(still, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        yield np.asarray(cv2.convertScaleAbs(sampled, alpha=1 / 2**FINE_BITS), np.uint8)


@dataclass(frozen=True, slots=True)
class _Rays:
    """Where each output pixel looks, in pixels of one map (H, W): at the middle of the scene, and how that changes."""

    x: F32
    y: F32
    way_x: F32
    way_y: F32

    @classmethod
    def over(cls, shape: tuple[int, ...], base: F64, way: F64) -> _Rays:
        """Turn normalised places and ways (H, W, 2) into those of a map of that shape."""
        half = np.array([shape[1], shape[0]]) / 2
        places = ((base + 1) * half - 0.5).astype(np.float32)
        ways = (way * half).astype(np.float32)
        return cls(*(np.ascontiguousarray(part[..., axis]) for part in (places, ways) for axis in (0, 1)))

    def at(self, level: F32 | np.float32) -> tuple[F32, F32]:
        """Return the places (x, y) at a level from -1, the farthest, to 1, the nearest."""
        return self.x + level * self.way_x, self.y + level * self.way_y


def _first_hit(near: F32, rays: _Rays) -> F32:
    """Return, for each ray, the nearness (H, W) of the first surface that it meets, from 1 down to 0."""
    above = np.ones(rays.x.shape, np.float32)
    hit = np.zeros(rays.x.shape, np.float32)
    free = np.ones(rays.x.shape, np.bool_)
    for layer in np.linspace(1, 0, _LAYERS + 1, dtype=np.float32):
        meets = free & (_look(near, rays, layer) >= layer)
        hit[meets] = layer
        free &= ~meets
        above[free] = layer
    # Between the last layer above the surface and the first below it, halved until they meet.
    for _ in range(_HALVINGS):
        half = np.asarray((above + hit) / 2, np.float32)
        inside = _look(near, rays, half) >= half
        hit = np.where(inside, half, hit)
        above = np.where(inside, above, half)
    return np.asarray((above + hit) / 2, np.float32)


def _look(near: F32, rays: _Rays, level: F32 | np.float32) -> F32:
    x, y = rays.at(2 * level - np.float32(1))
    return np.asarray(cv2.remap(near, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _grid(size: tuple[int, int]) -> F64:
    """Return the normalised centres of the output's pixels with a one: (H, W, 3)."""
    y, x = ((np.arange(side) * 2 + 1) / side - 1 for side in size)
    return np.stack([*np.broadcast_arrays(x[None], y[:, None]), np.ones(size)], axis=-1)
