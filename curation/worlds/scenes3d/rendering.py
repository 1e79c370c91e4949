"""Solids as pictures and as maps, by casting a ray for every sample: analytic, so exact at any size.

A solid is looked for only where its bounding sphere can be seen. Pictures have 2 x 2 samples to a pixel; maps have one,
in its middle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from curation.worlds.base import F32, U8, Maps
from curation.worlds.scenes3d.floor import floor_colours, sky_colours
from curation.worlds.scenes3d.options import COLOURS
from curation.worlds.scenes3d.scene import FOCAL, Scene
from curation.worlds.scenes3d.solids import Solid, hit, normals, shaded_out

__all__ = ["FAR", "Cast", "cast", "fit", "maps", "project", "render"]

F64 = npt.NDArray[np.float64]

FAR: Final = 1000.0
"""Depth of the sky, and of ground that is farther away."""
_SAMPLES: Final = 2
_AMBIENT, _SUN, _SHINE = 0.62, 0.52, 60.0
_SHADE: Final = 0.6
"""How bright ground in the shade is, against sunlit ground."""


@dataclass(frozen=True, slots=True)
class Cast:
    """What rays meet: `ids` (H, W), -1 sky, 0 ground, i + 1 solid i; `depth` (H, W) along the axis; the rays."""

    ids: npt.NDArray[np.int8]
    depth: F32
    rays: F32
    """(3, H, W) in the world; one unit along the optical axis."""
    eye: F64

    def points(self, where: tuple[slice, slice] | npt.NDArray[np.bool_]) -> F32:
        """Return the points that are met, (3, ...), in a window or where a mask is true."""
        rays = self.rays[:, *where] if isinstance(where, tuple) else self.rays[:, where]
        eye = self.eye.astype(np.float32).reshape(3, *([1] * (rays.ndim - 1)))
        return np.asarray(eye + rays * self.depth[where], np.float32)


def fit(scene: Scene, size: tuple[int, int]) -> tuple[float, F64]:
    """Return the focal length, pixels, and where the optical axis is (x, y): the scene is seen in the middle."""
    height, width = size
    return FOCAL * min(height, width / scene.aspect), np.array([width / 2, height / 2])


def project(scene: Scene, pose: F64, points: F64, size: tuple[int, int]) -> tuple[F64, F64]:
    """Return where points (..., 3) are in the picture, (..., 2) pixels, and their depth (...)."""
    own = (points - pose[:3, 3]) @ pose[:3, :3]
    focal, middle = fit(scene, size)
    depth = own[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(own[..., :2] / depth[..., None] * focal + middle), np.asarray(depth)


def cast(scene: Scene, pose: F64, size: tuple[int, int], samples: int = 1, only: int | None = None) -> Cast:
    """Cast `samples` x `samples` rays for each pixel; `only` leaves one solid, and no ground, to be met."""
    height, width = size[0] * samples, size[1] * samples
    focal, middle = fit(scene, size)
    x = ((np.arange(width) + 0.5) / samples - middle[0]) / focal
    y = ((np.arange(height) + 0.5) / samples - middle[1]) / focal
    turn = pose[:3, :3].astype(np.float32)
    across, down = x.astype(np.float32)[None, None, :], y.astype(np.float32)[None, :, None]
    rays = turn[:, 0, None, None] * across + (turn[:, 1, None, None] * down + turn[:, 2, None, None])
    eye = pose[:3, 3]
    ids, depth = np.full((height, width), -1, np.int8), np.full((height, width), FAR, np.float32)
    if only is None:
        with np.errstate(divide="ignore"):
            ground = np.float32(-eye[1]) / rays[1]
        under = (ground > 0) & (ground < FAR)
        ids[under] = 0
        np.copyto(depth, ground, where=under)
    for number, solid in enumerate(scene.solids):
        if only is not None and number != only:
            continue
        window = _window(scene, pose, solid, size, samples)
        if window is None:
            continue
        part = rays[:, *window]
        t = hit(solid, eye, part.reshape(3, -1)).reshape(part.shape[1:])
        front = t < depth[window]
        ids[window][front], depth[window][front] = number + 1, t[front]
    return Cast(ids, depth, rays, eye)


def _window(scene: Scene, pose: F64, solid: Solid, size: tuple[int, int], samples: int) -> tuple[slice, slice] | None:
    """Return the samples that can see a solid; None if none can."""
    place, depth = project(scene, pose, solid.middle, size)
    if depth < -solid.reach:
        return None
    if depth < 1.5 * solid.reach:
        return slice(0, size[0] * samples), slice(0, size[1] * samples)
    # A sphere's outline is stretched away from the middle of the picture, by at most one over the cosine.
    focal, middle = fit(scene, size)
    stretch = 1 + float(np.hypot(*(place - middle))) / focal
    reach = focal * solid.reach / np.sqrt(depth**2 - solid.reach**2) * stretch**2 + 1
    left, top = np.floor((place - reach) * samples).astype(int)
    right, bottom = np.ceil((place + reach) * samples).astype(int)
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, size[1] * samples), min(bottom, size[0] * samples)
    return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None


def render(scene: Scene, size: tuple[int, int]) -> Iterator[U8]:
    """Yield the pictures, u8 (height, width, 3)."""
    poses = scene.poses()
    if scene.move == "static":
        picture = _picture(scene, poses[0], size)
        for _ in poses:
            yield picture.copy()
        return
    for pose in poses:
        yield _picture(scene, pose, size)


def _picture(scene: Scene, pose: F64, size: tuple[int, int]) -> U8:
    seen = cast(scene, pose, size, _SAMPLES)
    colours = np.empty(seen.rays.shape, np.float32)
    sun = np.array(scene.sun) / np.linalg.norm(scene.sun)
    rows = _rows(seen.ids == -1)
    colours[:, rows] = sky_colours(seen.rays[:, rows])
    _paint_ground(scene, pose, size, seen, sun, colours)
    for number, solid in enumerate(scene.solids):
        window = _window(scene, pose, solid, size, _SAMPLES)
        if window is None:
            continue
        own = seen.ids[window] == number + 1
        points = seen.points(window)[:, own]
        colours[:, *window][:, own] = _lit(scene, solid, points, seen.rays[:, *window][:, own], sun)
    picture = np.empty((*size, 3), np.float32)
    for channel, full in enumerate(colours):
        rows_added = full[0::2] + full[1::2]
        picture[..., channel] = rows_added[:, 0::2] + rows_added[:, 1::2]
    return np.asarray(np.clip(picture * np.float32(0.25) + np.float32(0.5), 0, 255), np.uint8)


def _rows(mask: npt.NDArray[np.bool_]) -> slice:
    """Return the rows that hold all of a mask."""
    there = np.flatnonzero(mask.any(axis=1))
    return slice(int(there[0]), int(there[-1]) + 1) if len(there) else slice(0, 0)


def _paint_ground(scene: Scene, pose: F64, size: tuple[int, int], seen: Cast, sun: F64, colours: F32) -> None:
    """Paint the ground where it is seen, with the shadows on it."""
    rows = _rows(seen.ids == 0)
    if rows.start == rows.stop:
        return
    focal, _ = fit(scene, size)
    high = max(-float(seen.eye[1]), 0.1)
    rays, own = seen.rays[:, rows], seen.ids[rows] == 0
    depth = np.minimum(np.float32(high) / np.maximum(rays[1], np.float32(high / FAR)), np.float32(FAR))
    x, z = (np.float32(seen.eye[axis]) + rays[axis] * depth for axis in (0, 2))
    grain = depth * depth / np.float32(focal * _SAMPLES * high)
    paint = floor_colours(scene.floor, scene.tone, scene.seed, x, z, depth, grain)
    np.copyto(colours[:, rows], paint, where=own)
    for_shade = np.zeros(seen.ids.shape, bool)
    for solid in scene.solids:
        window = _shadow_window(scene, pose, solid, size, sun)
        if window is not None:
            points = seen.points(window)
            dark = shaded_out(solid, points.reshape(3, -1), sun).reshape(points.shape[1:])
            for_shade[window] |= dark & (seen.ids[window] == 0)
    colours[:, for_shade] *= np.float32(_SHADE)


def _shadow_window(
    scene: Scene, pose: F64, solid: Solid, size: tuple[int, int], sun: F64
) -> tuple[slice, slice] | None:
    """Return the samples in which the shadow of a solid may lie on the ground."""
    height, width = size[0] * _SAMPLES, size[1] * _SAMPLES
    middle = solid.middle - sun * (solid.middle[1] / sun[1])
    along = np.array([sun[0], 0.0, sun[2]])
    flat = float(np.linalg.norm(along))
    along = along / max(flat, 1e-9)
    across = np.array([along[2], 0.0, -along[0]]) * solid.reach
    along = along * solid.reach / abs(sun[1])
    corners = np.stack([middle + i * along + j * across for i in (-1, 1) for j in (-1, 1)])
    places, depth = project(scene, pose, corners, size)
    if depth.min() < 0.1:
        return slice(0, height), slice(0, width)
    left, top = np.maximum(np.floor(places.min(axis=0) * _SAMPLES).astype(int), 0)
    right, bottom = np.minimum(np.ceil(places.max(axis=0) * _SAMPLES).astype(int) + 1, (width, height))
    return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None


def _lit(scene: Scene, solid: Solid, points: F32, rays: F32, sun: F64) -> F32:
    """Return the colour of points (3, N) of a solid: the sun, the sky, what is mirrored of the sun, and shadows."""
    out, way = normals(solid, points), sun.astype(np.float32)
    facing = np.clip(way @ out, 0, None)
    for other in scene.solids:
        if other is not solid:
            facing[shaded_out(other, points, sun)] = 0
    light = _AMBIENT * (0.8 - 0.2 * out[1]) + _SUN * facing
    colour = np.array(COLOURS[solid.colour], np.float32)[:, None] * light
    if solid.kind != "box":
        half = way[:, None] - rays / np.sqrt((rays * rays).sum(axis=0))
        half /= np.sqrt((half * half).sum(axis=0))
        shine = np.where(facing > 0, np.clip((out * half).sum(axis=0), 0, 1) ** 40, 0)
        colour = colour + _SHINE * shine
    return np.asarray(colour, np.float32)


# -- truth of every pixel ----------------------------------------------------------------------------------------------


def maps(scene: Scene, size: tuple[int, int]) -> Maps:
    """Return masks, depth along the optical axis (`FAR` for the sky), exact flow, and normals (0 for the sky)."""
    poses = scene.poses()
    masks = np.empty((scene.frames, *size), np.uint8)
    depth = np.empty((scene.frames, *size), np.float32)
    flow = np.zeros((scene.frames - 1, *size, 2), np.float32)
    found = np.zeros((scene.frames, *size, 3), np.float32)
    at = np.stack(np.meshgrid(np.arange(size[1]) + 0.5, np.arange(size[0]) + 0.5), axis=-1)
    for frame, pose in enumerate(poses):
        seen = cast(scene, pose, size)
        masks[frame], depth[frame] = np.maximum(seen.ids, 0), seen.depth
        rays = np.moveaxis(seen.rays, 0, -1)
        points = seen.eye + rays.astype(np.float64) * seen.depth[..., None]
        world = np.zeros((*size, 3), np.float32)
        world[seen.ids == 0] = (0, -1, 0)
        for number, solid in enumerate(scene.solids):
            own = seen.ids == number + 1
            world[own] = normals(solid, points[own].T.astype(np.float32)).T
        found[frame] = world @ pose[:3, :3].astype(np.float32)
        if frame + 1 < scene.frames:
            # The sky is so far away that only a turn of the camera moves it.
            points[seen.ids == -1] = poses[frame + 1][:3, 3] + rays[seen.ids == -1]
            flow[frame] = project(scene, poses[frame + 1], points, size)[0] - at
    return Maps(masks=masks, depth=depth, flow=flow, normals=found)
