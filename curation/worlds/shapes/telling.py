"""What is true of a scene of shapes: its things, where they are and how much of them is seen, relations and events."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from curation.worlds.base import F32, Event, Thing, Truth
from curation.worlds.shapes.english import Relation, captions, graph, names
from curation.worlds.shapes.outlines import reach
from curation.worlds.shapes.rendering import layers
from curation.worlds.shapes.scene import Item, Scene

__all__ = ["tell"]

F64 = npt.NDArray[np.float64]

_GRID_PX: Final = 64
"""Shorter side of the picture on which `visible` is counted."""
_CLEAR: Final = 0.18
"""By how much one thing is left of another, or above it, in shorter sides, to be said so."""
_HIDES: Final = 0.94
"""A thing of which less than this is seen, and whose middle is in the picture, has something in front of it."""


def tell(scene: Scene) -> Truth:
    """Return the truth of a scene.

    Boxes are of a thing's whole outline, cut at the picture's border, also where others hide a part of it. `visible`
    is counted on a grid of 64 pixels.
    """
    visible, hides = _seen(scene)
    things = tuple(
        _thing(scene, item, name, visible[:, number])
        for number, (item, name) in enumerate(zip(scene.items, names(scene.items), strict=True))
    )
    relations, happened = _relations(scene, hides), _events(scene)
    return Truth(
        world="shapes",
        seed=scene.seed,
        frames=scene.frames,
        fps=scene.fps,
        captions=captions(scene, relations, happened),
        graph=graph(scene, relations, happened),
        things=things,
        camera=scene.camera,
        camera_path=scene.camera_path().astype(np.float32),
        events=happened,
        facts={
            "count": len(things), "background": scene.background, "shades": scene.shades, "axis": scene.axis,
            "light": scene.light, "camera_rate_per_s": scene.camera_rate, "aspect": scene.aspect,
            "relations": [(one, kind, other) for one, kind, other in relations],
        },
    )  # fmt: skip


def _thing(scene: Scene, item: Item, name: str, visible: F32) -> Thing:
    straight = item.motion == "moves"
    return Thing(
        name=name,
        colour=item.colour,
        boxes=_boxes(scene, item),
        visible=visible,
        direction=item.direction if straight else "still",
        speed_per_s=float(np.hypot(*item.velocity) / scene.sides[1]) if straight else 0.0,
        attributes={
            "shape": item.shape, "texture": item.texture, "size": item.size, "motion": item.motion,
            "pace": item.pace, "radius": item.radius, "angle": item.angle, "spin_per_s": item.spin_per_s,
            "grow_per_s": item.grow_per_s, "starts_to": item.direction, "centres": _centres(scene, item),
            "turns_to": item.recolour[1] if item.recolour else None,
        },
    )  # fmt: skip


def _centres(scene: Scene, item: Item) -> F32:
    """Return where its middle is in the picture, fractions, f32 (F, 2)."""
    poses = scene.seen_from_camera(item.poses(scene.times), scene.times)
    return np.asarray(poses.centre / scene.sides, np.float32)


def _boxes(scene: Scene, item: Item) -> F32:
    """Return left, top, right and bottom in every frame; NaN where it is not there, or outside of the picture."""
    poses = scene.seen_from_camera(item.poses(scene.times), scene.times)
    boxes = reach(item.shape, poses.angle) * poses.radius[:, None] + np.tile(poses.centre, 2)
    boxes /= np.tile(scene.sides, 2)
    outside = (boxes[:, :2] >= 1).any(1) | (boxes[:, 2:] <= 0).any(1)
    boxes = np.clip(boxes, 0, 1)
    frames = np.arange(scene.frames)
    boxes[outside | (frames < item.seen[0]) | (frames >= item.seen[1])] = np.nan
    return np.asarray(boxes, np.float32)


def _seen(scene: Scene) -> tuple[F32, set[tuple[int, int]]]:
    """Return the share of each thing that is seen, f32 (F, things), and which hides a part of which, some time."""
    height, width = (max(1, round(float(side) * _GRID_PX)) for side in scene.sides[::-1])
    visible = np.zeros((scene.frames, len(scene.items)), np.float32)
    hides: set[tuple[int, int]] = set()
    drawn = [layer for _, layer in layers(scene, (height, width), np.arange(scene.frames))]
    for frame in range(scene.frames):
        free = np.ones((height, width), np.float32)  # of what is in front
        alone: list[tuple[int, F32]] = []
        for number in reversed(range(len(drawn))):
            cut, whole = drawn[number].cut(frame, (height, width)), float(drawn[number].alpha[frame].sum())
            if cut is None or whole < 1e-3:
                continue
            own = np.zeros((height, width), np.float32)
            own[cut[0]] = drawn[number].alpha[frame][cut[1]]
            visible[frame, number] = (own * free).sum() / whole
            for front, other in alone:
                if (own * other).sum() > (1 - _HIDES) * whole:
                    hides.add((front, number))
            free *= 1 - own
            alone.append((number, own))
    return np.clip(visible, 0, 1), hides


def _relations(scene: Scene, hides: set[tuple[int, int]]) -> list[Relation]:
    """Return what holds between things that are alone of their kind: numbers and a preposition between them."""
    called = names(scene.items)
    single = [n for n, name in enumerate(called) if called.count(name) == 1 and not _comes_or_goes(scene, n)]
    found: list[Relation] = []
    for place, one in enumerate(single):
        for other in single[place + 1 :]:
            p, q = (_centres(scene, scene.items[n]) * scene.sides for n in (one, other))
            gap = q - p
            for axis, forwards, backwards in ((0, "left of", "right of"), (1, "above", "below")):
                # A diagonal is both, and is said as neither: people do not agree on it.
                clear = np.abs(gap[:, axis]) > 1.3 * np.abs(gap[:, 1 - axis])
                if clear.all() and gap[:, axis].min() > _CLEAR:
                    found.append((one, forwards, other))
                elif clear.all() and gap[:, axis].max() < -_CLEAR:
                    found.append((one, backwards, other))
    return found + sorted((front, "in front of", back) for front, back in hides if {front, back} <= set(single))


def _comes_or_goes(scene: Scene, number: int) -> bool:
    item = scene.items[number]
    return item.seen[0] > 0 or item.seen[1] < scene.frames


def _events(scene: Scene) -> tuple[Event, ...]:
    found = []
    for number, item in enumerate(scene.items):
        if 0 < item.seen[0] < scene.frames:
            found.append(Event(item.seen[0], "appears", (number,)))
        if 0 < item.seen[1] < scene.frames:
            found.append(Event(item.seen[1], "disappears", (number,)))
        if item.recolour is not None:
            found.append(Event(item.recolour[0], "changes colour", (number,), item.recolour[1]))
        found += [Event(frame, "bounces", (number,), edge) for frame, edge in item.bounces(scene.times)]
    if scene.collision is not None:
        found.append(Event(scene.collision, "collides", (len(scene.items) - 2, len(scene.items) - 1)))
    return tuple(sorted(found, key=lambda event: (event.frame, event.things)))
