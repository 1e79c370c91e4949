"""How often the readers of the world of shapes are right, on scenes whose truth is known: clean and damaged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from curation.worlds.base import Thing, Truth
from curation.worlds.shapes import WORLD
from evaluation.worlds.agreement import asked_of, matched
from evaluation.worlds.damage import damaged
from evaluation.worlds.shapes import SeenShapes, SeenThing, read_shapes

__all__ = ["READERS", "Tally", "accuracy", "score"]

READERS: Final = ("count", "colour", "shape", "position", "direction", "speed", "camera")

_CLEARLY: Final = 0.6
"""A thing is asked about where more than this share of it is seen, in most of the frames that it is there."""
_WHOLLY, _HALF = 0.98, 0.5
"""Direction and speed are asked of things of which nothing is hidden in at least half of the frames."""
_OFF: Final = 0.03
"""Shares of the picture that a place may be off."""
_SPEED_OFF: Final = (0.1, 0.02)
"""Share of a speed, and heights a second, that it may be off."""


@dataclass(slots=True)
class Tally:
    """Right answers and questions, by reader."""

    right: dict[str, int] = field(default_factory=lambda: dict.fromkeys(READERS, 0))
    asked: dict[str, int] = field(default_factory=lambda: dict.fromkeys(READERS, 0))

    def note(self, reader: str, right: bool) -> None:
        """Count one answer."""
        self.asked[reader] += 1
        self.right[reader] += right

    def shares(self) -> dict[str, float]:
        """Return the share of right answers of each reader that was asked."""
        return {reader: self.right[reader] / n for reader, n in self.asked.items() if n}


def accuracy(
    count: int,
    damage: str = "clean",
    *,
    seed: int = 0,
    frames: int = 16,
    fps: float = 8.0,
    size: tuple[int, int] = (64, 64),
    options: Mapping[str, Any] | None = None,
) -> Tally:
    """Return the tally over the scenes of `count` seeds, with `damage` (of `damage.DAMAGES`) done to their pictures."""
    tally = Tally()
    for number in range(seed, seed + count):
        scene = WORLD.draw(number, frames=frames, fps=fps, **(options or {}))
        pictures = np.stack(list(WORLD.render(scene, size)))
        seen = read_shapes(damaged(pictures, damage, fps=fps, seed=number), fps)
        score(tally, seen, WORLD.truth(scene))
    return tally


def score(tally: Tally, seen: SeenShapes, truth: Truth) -> None:
    """Count what a reading of a scene's pictures gets right. What is asked of which things is said above."""
    clear = [_clearly_seen(thing) for thing in truth.things]
    if all(clear):
        tally.note("count", seen.count == len(truth.things))
    if truth.frames > 1:
        tally.note("camera", seen.camera == truth.camera)
    pairs = matched(seen, asked_of(truth, places=True))
    for thing, found, asked in zip(truth.things, pairs, clear, strict=True):
        if not asked:
            continue
        tally.note("colour", found is not None and found.colour == thing.colour)
        tally.note("shape", found is not None and found.shape == thing.attributes["shape"])
        tally.note("position", found is not None and _placed(found, thing))
        straight = thing.attributes["motion"] in ("moves", "still")
        if straight and truth.frames > 1 and (thing.visible >= _WHOLLY).mean() >= _HALF:
            tally.note("direction", found is not None and found.direction == thing.direction)
            tally.note("speed", found is not None and _speed_right(found, thing))


def _clearly_seen(thing: Thing) -> bool:
    there = thing.visible > 0
    return bool(there.any() and (thing.visible[there] > _CLEARLY).mean() > 0.5)


def _placed(found: SeenThing, thing: Thing) -> bool:
    """Whether it is where it is, in the middle one of how far off it is over the frames in which it is whole."""
    whole = thing.visible >= _WHOLLY if (thing.visible >= _WHOLLY).any() else thing.visible > _CLEARLY
    off = np.hypot(*(found.centres - np.asarray(thing.attributes["centres"])).T)[whole]
    off = off[np.isfinite(off)]
    return bool(len(off)) and float(np.median(off)) <= _OFF


def _speed_right(found: SeenThing, thing: Thing) -> bool:
    return abs(found.speed_per_s - thing.speed_per_s) <= max(_SPEED_OFF[0] * thing.speed_per_s, _SPEED_OFF[1])
