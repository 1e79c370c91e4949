"""Events of a scene of shapes: a thing appears, goes, changes its colour, or two of them collide."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

import numpy as np

from curation.worlds.shapes.options import CLASHES, Options
from curation.worlds.shapes.outlines import reach
from curation.worlds.shapes.scene import Item, Scene
from curation.worlds.shapes.spacing import fits, gap_of, pick

__all__ = ["with_event"]

_LEAST_S: Final = 1.0
_RUN: Final = (0.14, 0.3)
"""How far things run before they collide, in shorter sides."""
_FLAT: Final = ("circle", "square", "ring", "cross")
"""Shapes that touch where they look as if they did: at the middle of their sides."""


def with_event(rng: np.random.Generator, scene: Scene, options: Options) -> Scene:
    """Return the scene with an event, if one is possible: of a thing that is one of its kind."""
    alike = Counter((item.shape, item.colour) for item in scene.items)
    single = [n for n, item in enumerate(scene.items) if alike[item.shape, item.colour] == 1]
    kinds = [(n, kind) for n in single for kind in ("appears", "disappears", "changes colour")]
    if len(single) >= 2 and scene.seconds >= _LEAST_S:
        kinds += [(n, "collides") for n in single for _ in (0, 1)]
    if not kinds:
        return scene
    number, kind = kinds[int(rng.integers(len(kinds)))]
    frame = int(rng.integers(scene.frames * 2 // 5, scene.frames * 3 // 5 + 1))
    if kind == "collides":
        return _collided(rng, scene, [scene.items[n] for n in single], options)
    item = scene.items[number]
    if kind == "changes colour":
        if (other := _free_colour(rng, scene, options)) is None:
            return scene
        changed = replace(item, recolour=(frame, other))
    else:
        changed = replace(item, seen=(frame, scene.frames) if kind == "appears" else (0, frame))
    return replace(scene, items=tuple(changed if one is item else one for one in scene.items))


def _free_colour(rng: np.random.Generator, scene: Scene, options: Options) -> str | None:
    taken = {item.colour for item in scene.items} | {c for shade in scene.shades for c in CLASHES.get(shade, ())}
    free = [colour for colour in options.colours if colour not in taken]
    return pick(rng, free) if free else None


def _collided(rng: np.random.Generator, scene: Scene, single: list[Item], options: Options) -> Scene:
    """Let two things run towards each other, touch side by side in one of the frames, and go back."""
    pair = [item for item in single if item.shape in _FLAT and item.motion not in ("grows", "shrinks")][:2]
    if len(pair) < 2:
        return scene
    others = [item for item in scene.items if item not in pair]
    frame = scene.frames // 2
    meets_s = frame / scene.fps
    left, right = (replace(item, angle=0.0, spin_per_s=0.0, walls=None, motion="collides", pace="") for item in pair)
    touch = reach(left.shape, np.zeros(1))[0, 2] * left.radius + reach(right.shape, np.zeros(1))[0, 2] * right.radius
    edge = max(left.radius, right.radius) * 1.05
    for _ in range(40):
        x, y = rng.uniform([2 * left.radius, edge], scene.sides - [2 * right.radius, edge])
        at = x - touch / 2, x + touch / 2
        run = min(float(rng.uniform(*_RUN)), at[0] - edge, float(scene.sides[0]) - edge - at[1])
        if run < _RUN[0]:
            continue
        speed = run / meets_s
        moved = [
            replace(item, start=(float(place - side * run), float(y)), velocity=(float(side * speed), 0.0),
                    direction=way, turns_at_s=meets_s)
            for item, place, side, way in zip((left, right), at, (1, -1), ("right", "left"), strict=True)
        ]  # fmt: skip
        poses = [item.poses(scene.times) for item in moved]
        apart = all(
            fits(gap_of(p, q), one, other, options.occlusion)
            for p, one in zip(poses, moved, strict=True)
            for other, q in ((other, other.poses(scene.times)) for other in others)
        )
        if apart:
            return replace(scene, items=(*others, *moved), collision=frame)
    return scene
