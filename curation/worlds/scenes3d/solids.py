"""Solids that stand on the ground: where rays meet them, their normals, and their outlines.

Coordinates of the world are right, down and away; the ground is y = 0, and what stands on it has y < 0. A ray is an
origin (3,) and directions (3, N) of any length; distances are in lengths of the direction, inf where nothing is met.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from curation.worlds.base import F32

__all__ = ["Solid", "hit", "normals", "outline", "shaded_out"]

F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_RIM: Final = np.arange(96) * 2 * np.pi / 96


@dataclass(frozen=True, slots=True)
class Solid:
    """A solid. `radius` is that of a sphere, cylinder or cone, and half the width of a box; it stands at `place`."""

    kind: str
    colour: str
    place: tuple[float, float]
    """Where the middle of its base is: x and z."""
    radius: float
    height: float
    turn: float = 0.0
    """Radians about the vertical, of a box."""

    @property
    def middle(self) -> F64:
        """The middle of the solid."""
        return np.array([self.place[0], -self.height / 2, self.place[1]])

    @property
    def reach(self) -> float:
        """Radius of the sphere around its middle that holds it."""
        if self.kind == "sphere":
            return self.radius
        flat = self.radius * (np.sqrt(2) if self.kind == "box" else 1)
        return float(np.hypot(flat, self.height / 2))


def hit(solid: Solid, origin: F64 | F32, rays: F32) -> F32:
    """Return the distance (N,) at which each ray (3, N) enters the solid from outside; inf where it does not.

    `origin` is (3,) or, for a point to each ray, (3, N).
    """
    middle = solid.middle.astype(np.float32)
    ox, oy, oz = (np.asarray(o, np.float32) - m for o, m in zip(origin, middle, strict=True))
    dx, dy, dz = rays
    half = np.float32(solid.height / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        if solid.kind == "sphere":
            a, b, c = dx * dx + dy * dy + dz * dz, ox * dx + oy * dy + oz * dz, ox * ox + oy * oy + oz * oz
            return _ahead(_first_root(a, b, c - np.float32(solid.radius**2)))
        if solid.kind == "box":
            c, s = np.float32(np.cos(solid.turn)), np.float32(np.sin(solid.turn))
            return _slabs(
                (ox * c - oz * s, oy, ox * s + oz * c), (dx * c - dz * s, dy, dx * s + dz * c),
                (np.float32(solid.radius), half, np.float32(solid.radius)),
            )  # fmt: skip
        if solid.kind == "cylinder":
            a, b = dx * dx + dz * dz, ox * dx + oz * dz
            side = _first_root(a, b, ox * ox + oz * oz - np.float32(solid.radius**2))
            cap = (np.where(dy > 0, -half, half) - oy) / dy
            on_side = np.abs(oy + side * dy) <= half
            inside = np.square(ox + cap * dx) + np.square(oz + cap * dz) <= np.float32(solid.radius**2)
            return _ahead(np.fmin(np.where(on_side, side, np.inf), np.where(inside, cap, np.inf)))
        return _cone(solid, (ox, oy, oz), (dx, dy, dz))


def _cone(solid: Solid, start: tuple[F32, F32, F32], way: tuple[F32, F32, F32]) -> F32:
    """Meet a cone, whose radius grows with the depth below its tip, and its base."""
    (ox, oy, oz), (dx, dy, dz) = start, way
    half, k = np.float32(solid.height / 2), np.float32((solid.radius / solid.height) ** 2)
    ty = oy + half
    a, b, c = dx * dx + dz * dz - k * dy * dy, ox * dx + oz * dz - k * ty * dy, ox * ox + oz * oz - k * ty * ty
    root = np.sqrt(b * b - a * c)
    found = np.full(np.shape(dx), np.inf, np.float32)
    for t in ((-b - root) / a, (-b + root) / a):
        y = ty + t * dy
        found = np.fmin(found, np.where((y >= 0) & (y <= 2 * half) & (t > 0), t, np.inf))
    base = (half - oy) / dy
    inside = np.square(ox + base * dx) + np.square(oz + base * dz) <= np.float32(solid.radius**2)
    return _ahead(np.fmin(found, np.where(inside & (base > 0), base, np.inf)))


def _first_root(a: F32, b: F32, c: F32) -> F32:
    return np.asarray((-b - np.sqrt(b * b - a * c)) / a, np.float32)


def _slabs(start: tuple[F32, ...], way: tuple[F32, ...], half: tuple[np.float32, ...]) -> F32:
    near = far = None
    for o, d, h in zip(start, way, half, strict=True):
        one, other = (-h - o) / d, (h - o) / d
        low, high = np.minimum(one, other), np.maximum(one, other)
        near = low if near is None else np.maximum(near, low)
        far = high if far is None else np.minimum(far, high)
    assert near is not None
    assert far is not None
    return _ahead(np.where(near <= far, near, np.inf))


def _ahead(t: F32) -> F32:
    return np.where((t > 1e-4) & np.isfinite(t), t, np.inf).astype(np.float32)


def normals(solid: Solid, points: F32) -> F32:
    """Return the unit normals, outwards, (3, N), at points (3, N) on the surface."""
    x, y, z = points - solid.middle.astype(np.float32)[:, None]
    if solid.kind == "sphere":
        return np.asarray(np.stack([x, y, z]) / np.float32(solid.radius), np.float32)
    half = np.float32(solid.height / 2)
    if solid.kind == "box":
        c, s = np.float32(np.cos(solid.turn)), np.float32(np.sin(solid.turn))
        u, w = x * c - z * s, x * s + z * c
        shares = np.stack([u / solid.radius, y / half, w / solid.radius])
        face = np.abs(shares).argmax(axis=0)
        u, v, w = (np.where(face == i, np.sign(shares[i]), 0) for i in range(3))
        return np.stack([u * c + w * s, v, w * c - u * s]).astype(np.float32)
    round_ = np.maximum(np.hypot(x, z), 1e-6)
    rise = solid.radius / solid.height if solid.kind == "cone" else 0.0
    found = np.stack([x / round_, np.full_like(x, -rise), z / round_]) / np.float32(np.sqrt(1 + rise**2))
    flat = (np.abs(y) > half * 0.9995) & (round_ < solid.radius * 0.9995)
    flat &= (y > 0) if solid.kind == "cone" else True
    found[:, flat] = np.stack([np.zeros(flat.sum()), np.sign(y[flat]), np.zeros(flat.sum())])
    return found.astype(np.float32)


def shaded_out(solid: Solid, points: F32, sun: F64) -> Bools:
    """Return whether the solid keeps the sun off points (3, N); `sun` is the unit vector towards it."""
    way = sun.astype(np.float32)
    x, y, z = points - solid.middle.astype(np.float32)[:, None]
    along = x * way[0] + y * way[1] + z * way[2]
    apart = x * x + y * y + z * z - along * along
    dark = np.zeros(points.shape[1], bool)
    near = np.flatnonzero((apart < solid.reach**2) & (along < solid.reach))
    if len(near):
        rays = np.broadcast_to(way[:, None], (3, len(near)))
        dark[near] = np.isfinite(hit(solid, points[:, near] + 2e-3 * way[:, None], rays))
    return dark


def outline(solid: Solid, eye: F64) -> F64:
    """Return points (N, 3) of which the convex hull, seen from `eye`, is the solid's outline."""
    x, z = solid.place
    if solid.kind == "sphere":
        to = eye - solid.middle
        apart = float(np.linalg.norm(to))
        to = to / apart
        across = np.cross(to, [0.0, 1.0, 0.0])
        across /= max(float(np.linalg.norm(across)), 1e-9)
        up = np.cross(across, to)
        share = min(1.0, solid.radius / apart)  # of the circle where rays touch it
        ring = np.cos(_RIM)[:, None] * across + np.sin(_RIM)[:, None] * up
        return np.asarray(solid.middle + solid.radius * (share * to + np.sqrt(1 - share**2) * ring))
    if solid.kind == "box":
        c, s, r = np.cos(solid.turn), np.sin(solid.turn), solid.radius
        corners = np.array([[i, j] for i in (-r, r) for j in (-r, r)])
        flat = np.stack([corners[:, 0] * c + corners[:, 1] * s, corners[:, 1] * c - corners[:, 0] * s], axis=1)
        heights: tuple[float, ...] = (0.0, -solid.height)
    else:
        flat = np.stack([np.cos(_RIM), np.sin(_RIM)], axis=1) * solid.radius
        heights = (0.0, -solid.height) if solid.kind == "cylinder" else (0.0,)
    rims = [np.stack([flat[:, 0] + x, np.full(len(flat), h), flat[:, 1] + z], axis=1) for h in heights]
    tip = [np.array([[x, -solid.height, z]])] if solid.kind == "cone" else []
    return np.concatenate(rims + tip)
