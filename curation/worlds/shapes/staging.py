"""A scene drawn from a seed: its looks, its motions, and places where nothing is lost from sight.

What is promised of every scene, so that its caption is true of what is seen: things of one colour never touch, a thing
is never hidden for long nor leaves the picture, and motion is large enough to be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, hypot, pi
from typing import Final

import numpy as np
import numpy.typing as npt

from curation.worlds.shapes.happenings import with_event
from curation.worlds.shapes.options import CLASHES, DIRECTIONS, SHADES, Options
from curation.worlds.shapes.scene import Item, Poses, Scene
from curation.worlds.shapes.spacing import fits, gap_of, pick
from media.errors import UserError

__all__ = ["draw"]

F64 = npt.NDArray[np.float64]

_SIZES: Final = {"small": (0.1, 0.125), "large": (0.165, 0.195)}
_SLOW_PER_S, _QUICK_PER_S = (0.1, 0.16), (0.28, 0.38)
_QUICK_FROM: Final = 0.2
_SPIN_PER_S: Final = (0.8, 1.5)
_OCTAVES: Final = (0.45, 0.75)
_CAMERA_PER_S: Final = {"pan": (0.07, 0.12), "tilt": (0.07, 0.12), "zoom": (0.14, 0.24), "roll": (6.0, 11.0)}
_CAMERA_MOST: Final = {"pan": 0.25, "tilt": 0.25, "zoom": 0.45, "roll": 35.0}
_LEAST_WAY, _LEAST_TURN, _LEAST_CAMERA_S = 0.06, 0.6, 0.3
"""Motion that is less than this is none: shorter sides, radians, seconds."""

_CANDIDATES: Final = 48
_LAYOUTS: Final = 12
_MEETING: Final = (0.4, 0.88)
"""How near things come where one shall hide a part of the other, in sums of their radii."""
_LOOKS: Final = 33
"""Instants at which things are held apart."""


@dataclass(frozen=True, slots=True)
class _Look:
    shape: str
    colour: str
    texture: str
    size: str


def draw(seed: int, frames: int, fps: float, options: Options) -> Scene:
    """Return the scene of a seed: the same on every machine. UserError without a frame, or without a rate."""
    if frames < 1 or not fps > 0 or seed < 0:
        raise UserError(f"shapes: {frames} frames at {fps} a second, seed {seed}: one is below its least")
    rng = np.random.default_rng([0x5AFE5, seed])
    scene = _stage(rng, Scene(seed, frames, fps, options.aspect), options)
    wanted = int(rng.integers(options.count[0], options.count[1] + 1))
    groups = _looks(rng, scene, options, wanted)
    best: list[Item] = []
    for layout in range(_LAYOUTS):
        # Where there is no room, they come smaller, and at last still.
        shrink = 0.94 ** max(0, layout - 2)
        items = _laid_out(rng, scene, options, groups, shrink, still=layout >= _LAYOUTS - 3)
        best = items if len(items) > len(best) else best
        if len(best) == wanted:
            break
    scene = replace(scene, items=tuple(best))
    if options.events and scene.camera == "static" and frames >= 8 and rng.random() < 0.35:
        scene = with_event(rng, scene, options)
    return scene


def _stage(rng: np.random.Generator, scene: Scene, options: Options) -> Scene:
    """Give the scene its background, light and camera."""
    background = pick(rng, options.backgrounds)
    camera, rate = "static", 0.0
    moving = [name for name in options.cameras if name != "static"] if options.camera else []
    may = moving and "noise" in options.backgrounds and scene.seconds >= _LEAST_CAMERA_S
    if may and ("static" not in options.cameras or rng.random() < 0.3):
        camera, background = pick(rng, moving), "noise"
        kind = camera.partition(" ")[0]
        rate = min(float(rng.uniform(*_CAMERA_PER_S[kind])), _CAMERA_MOST[kind] / scene.seconds)
    shades = tuple(SHADES)
    greys = ("light grey", "grey", "dark grey")
    shade = pick(rng, greys if background == "noise" else shades)
    ends: tuple[str, ...] = (shade,)
    if background == "gradient":
        # Of one kind, grey or not, so that what lies between has no third colour.
        kin = [s for s in shades if s != shade and (_is_grey(s) or _is_grey(shade))]
        ends = (shade, pick(rng, kin))
    light = "even"
    if options.lighting and background != "gradient" and shade not in ("black", "navy", "dark grey"):
        light = pick(rng, ("even", "even", "left", "right"))
    return replace(scene, background=background, shades=ends, axis=pick(rng, ("x", "y")), light=light,
                   camera=camera, camera_rate=rate)  # fmt: skip


def _is_grey(shade: str) -> bool:
    return shade.endswith("grey") or shade in ("white", "black")


def _looks(rng: np.random.Generator, scene: Scene, options: Options, wanted: int) -> list[tuple[_Look, int]]:
    """Return looks and how many things have each; a colour and shape tells each from the others."""
    clashing = {colour for shade in scene.shades for colour in CLASHES.get(shade, ())}
    colours = [c for c in options.colours if c not in clashing] or list(options.colours)
    order = [colours[int(i)] for i in rng.permutation(len(colours))]
    groups: list[tuple[_Look, int]] = []
    size = "small" if wanted > 3 else ""
    while (left := wanted - sum(number for _, number in groups)) > 0:
        colour = order[len(groups) % len(order)]
        taken = {look.shape for look, _ in groups if look.colour == colour}
        shapes = [shape for shape in options.shapes if shape not in taken]
        if not shapes:  # nothing is left that tells them apart: they are alike
            groups[-1] = groups[-1][0], groups[-1][1] + left
            break
        number = int(rng.integers(2, left + 1)) if options.groups and left > 1 and rng.random() < 0.4 else 1
        look = _Look(pick(rng, shapes), colour, pick(rng, options.textures), size or pick(rng, tuple(_SIZES)))
        groups.append((look, number))
    return groups


def _laid_out(
    rng: np.random.Generator,
    scene: Scene,
    options: Options,
    groups: Sequence[tuple[_Look, int]],
    shrink: float,
    *,
    still: bool,
) -> list[Item]:
    """Return the things at places that fit; fewer than asked for where there is no room."""
    items: list[Item] = []
    for look, number in groups:
        like = Item(look.shape, look.colour, look.texture, look.size, shrink * float(rng.uniform(*_SIZES[look.size])))
        like = like if still else _moving(rng, scene, options, like)
        for _ in range(number):
            angle = 0.0 if look.shape in ("circle", "ring") else float(rng.uniform(-0.25, 0.25))
            placed = _placed(rng, scene, options, replace(like, angle=angle), items)
            if placed is None:
                return items
            items.append(placed)
    return items


def _moving(rng: np.random.Generator, scene: Scene, options: Options, item: Item) -> Item:
    """Give a thing a motion that can be seen, or none."""
    motion = pick(rng, options.motions)
    seconds = scene.seconds
    if motion == "spins" and item.shape not in ("circle", "ring"):
        rate = float(rng.uniform(*_SPIN_PER_S)) * (1 if rng.random() < 0.5 else -1)
        return replace(item, motion=motion, spin_per_s=rate) if abs(rate) * seconds > _LEAST_TURN else item
    if motion in ("grows", "shrinks") and seconds > 0.5:
        octaves = float(rng.uniform(*_OCTAVES)) * min(1.0, seconds)
        sign = 1 if motion == "grows" else -1
        first = item.radius * 0.9 * 2 ** (-sign * octaves / 2)
        return replace(item, motion=motion, grow_per_s=sign * octaves / seconds, radius=first)
    if motion not in ("moves", "bounces") or seconds == 0:
        return item
    direction = pick(rng, tuple(DIRECTIONS))
    way = np.array(DIRECTIONS[direction], float)
    way /= hypot(*way)
    speed = float(rng.uniform(*(_QUICK_PER_S if motion == "bounces" or rng.random() < 0.5 else _SLOW_PER_S)))
    walls = None
    room = scene.sides - 2 * item.radius * 1.05
    if motion == "bounces":
        edge = item.radius * 1.02
        walls = (edge, edge, float(scene.sides[0] - edge), float(scene.sides[1] - edge))
    else:
        speed = min(speed, 0.97 * float((room / np.maximum(np.abs(way), 1e-9)).min()) / seconds)
    if speed * seconds < _LEAST_WAY:
        return item
    return replace(item, motion=motion, direction=direction, pace="quickly" if speed > _QUICK_FROM else "slowly",
                   velocity=(float(way[0] * speed), float(way[1] * speed)), walls=walls)  # fmt: skip


def _placed(
    rng: np.random.Generator, scene: Scene, options: Options, item: Item, others: Sequence[Item]
) -> Item | None:
    """Return the thing at a place where it is in the picture and apart from the others; None where none was found."""
    times = _instants(scene)
    free = replace(item, start=(0.0, 0.0), walls=None).poses(times)
    largest = float(free.radius.max()) * 1.04
    low, high = largest - free.centre.min(0), scene.sides - largest - free.centre.max(0)
    if item.walls is not None:
        low, high = np.array(item.walls[:2]), np.array(item.walls[2:])
    if (low > high).any():
        return None
    overlaps = options.occlusion and rng.random() < 0.35
    second: Item | None = None
    theirs = [other.poses(times) for other in others]
    starts = rng.uniform(low, high, (_CANDIDATES, 2))
    if overlaps and others:
        near = _meeting(rng, free, theirs[int(rng.integers(len(theirs)))])
        starts = np.concatenate([near[((near >= low) & (near <= high)).all(1)], starts])
    for start in starts:
        tried = replace(item, start=(float(start[0]), float(start[1])))
        if item.walls is not None and not tried.bounces(times):
            continue
        poses = tried.poses(times)
        if not _inside(scene, poses, times):
            continue
        gaps = [gap_of(poses, other) for other in theirs]
        fit = all(fits(gap, tried, other, options.occlusion) for gap, other in zip(gaps, others, strict=True))
        if fit and (not overlaps or any(gap.min() < 0.9 for gap in gaps)):
            return tried
        second = second or (tried if fit else None)
    return second


def _meeting(rng: np.random.Generator, free: Poses, other: Poses) -> F64:
    """Return places to start from, (n, 2), from which a thing meets another at some time; `free` starts at 0, 0."""
    when = rng.integers(0, len(free.radius), _CANDIDATES)
    turn, deep = rng.uniform(0, 2 * pi, _CANDIDATES), rng.uniform(*_MEETING, _CANDIDATES)
    off = (deep * (free.radius + other.radius)[when])[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return np.asarray(other.centre[when] + off - free.centre[when])


def _instants(scene: Scene) -> F64:
    return np.linspace(0, scene.seconds, min(scene.frames, max(_LOOKS, ceil(scene.seconds * 4))))


def _inside(scene: Scene, poses: Poses, times: F64) -> bool:
    """Whether it stays in the picture, whatever the camera does."""
    if scene.camera == "static":
        return True
    seen = scene.seen_from_camera(poses, times)
    edge = seen.radius[:, None] * 0.98
    return bool(((seen.centre > edge) & (seen.centre < scene.sides - edge)).all())
