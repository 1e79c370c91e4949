"""A scene of solids drawn from a seed: solids that stand apart and are seen, and a camera that keeps them in view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from curation.worlds.scenes3d.floor import TONES
from curation.worlds.scenes3d.options import Options
from curation.worlds.scenes3d.rendering import cast, project
from curation.worlds.scenes3d.scene import Scene
from curation.worlds.scenes3d.solids import Solid, outline
from media.errors import UserError

__all__ = ["draw"]

F64 = npt.NDArray[np.float64]

_RATES: Final = {
    "orbit": (14.0, 24.0), "dolly": (0.5, 0.9), "truck": (0.35, 0.6), "pedestal": (0.35, 0.6), "pan": (4.5, 7.5),
    "tilt": (3.5, 5.5), "roll": (7.0, 12.0),
}  # fmt: skip
"""Per second: degrees, or units of length."""
_MOST: Final = {"orbit": 75.0, "dolly": 2.0, "truck": 1.6, "pedestal": 1.3, "pan": 16.0, "tilt": 11.0, "roll": 34.0}
"""From the first frame to the last."""
_LEAST_S: Final = 0.3
_LAYOUTS: Final = 60
_LOOK_PX: Final = 40
_SEEN: Final = 0.4
"""Least share of a solid's outline that other solids leave free, in the first, middle and last frame."""
_APART: Final = 0.12


def draw(seed: int, frames: int, fps: float, options: Options) -> Scene:
    """Return the scene of a seed. UserError without a frame, or without a rate."""
    if frames < 1 or not fps > 0 or seed < 0:
        raise UserError(f"scenes3d: {frames} frames at {fps} a second, seed {seed}: one is below its least")
    rng = np.random.default_rng([0x3D5CE, seed])
    bearing = np.radians(float(rng.uniform(-150, -30)) if rng.random() < 0.5 else float(rng.uniform(30, 150)))
    raised = np.radians(float(rng.uniform(40, 62)))
    sun = (np.cos(raised) * np.sin(bearing), -np.sin(raised), -abs(np.cos(raised) * np.cos(bearing)) * 0.8)
    scene = Scene(
        seed, frames, fps, options.aspect, floor=_pick(rng, options.floors), tone=_pick(rng, tuple(TONES)),
        sun=(float(sun[0]), float(sun[1]), float(sun[2])), distance=float(rng.uniform(5.4, 6.4)),
        height=float(rng.uniform(1.7, 2.5)),
    )  # fmt: skip
    move = _pick(rng, options.moves)
    kind = move.partition(" ")[0]
    if kind != "static" and scene.seconds >= _LEAST_S:
        rate = min(float(rng.uniform(*_RATES[kind])), _MOST[kind] / scene.seconds)
        scene = replace(scene, move=move, rate=rate)
    most = min(options.count[1], len(options.colours))
    wanted = int(rng.integers(options.count[0], most + 1))
    colours = [options.colours[int(i)] for i in rng.permutation(len(options.colours))[:wanted]]
    kinds = [_pick(rng, options.solids) for _ in colours]
    best: tuple[Solid, ...] = ()
    for layout in range(_LAYOUTS):
        tried = _laid_out(rng, scene, kinds, colours, shrink=1 - 0.5 * layout / _LAYOUTS)
        kept = replace(scene, solids=tried)
        best = best or tried[:1]
        if _all_seen(kept):
            return kept
        best = tried if layout == _LAYOUTS - 1 else best
    return replace(scene, solids=best)


def _pick(rng: np.random.Generator, of: Sequence[str]) -> str:
    return of[int(rng.integers(len(of)))]


def _laid_out(
    rng: np.random.Generator, scene: Scene, kinds: Sequence[str], colours: Sequence[str], shrink: float
) -> tuple[Solid, ...]:
    """Return solids that stand apart, around the middle."""
    found: list[Solid] = []
    small = (1.0 if len(kinds) <= 3 else 0.85) * shrink
    reach = 1.5 * min(1.0, max(scene.aspect, 0.5))
    for kind, colour in zip(kinds, colours, strict=True):
        radius = float(rng.uniform(0.36, 0.56)) * small
        tall = {"sphere": 2.0, "box": float(rng.uniform(1.4, 2.2)), "cylinder": float(rng.uniform(1.8, 3.0)),
                "cone": float(rng.uniform(2.2, 3.2))}[kind]  # fmt: skip
        solid = Solid(kind, colour, (0.0, 0.0), radius, radius * tall, float(rng.uniform(0, np.pi / 2)))
        for _ in range(30):
            place = float(rng.uniform(-reach, reach)), float(rng.uniform(-1.2, 1.5))
            tried = replace(solid, place=place)
            if all(_between(tried, other) > _APART for other in found):
                break
        found.append(tried)
    return tuple(found)


def _between(one: Solid, other: Solid) -> float:
    """Return the room between two solids on the ground."""
    wide = [s.radius * (np.sqrt(2) if s.kind == "box" else 1.0) for s in (one, other)]
    return float(np.hypot(one.place[0] - other.place[0], one.place[1] - other.place[1]) - sum(wide))


def _all_seen(scene: Scene) -> bool:
    """Whether all solids stand apart, lie within the picture and can be told from each other in it."""
    solids = scene.solids
    for i, solid in enumerate(solids):
        if any(_between(solid, other) <= 0.02 for other in solids[:i]):
            return False
    poses = scene.poses()
    size = (_LOOK_PX, max(8, round(_LOOK_PX * scene.aspect)))
    for number in sorted({0, scene.frames // 2, scene.frames - 1}):
        for solid in solids:
            places, depth = project(scene, poses[number], outline(solid, poses[number][:3, 3]), size)
            if depth.min() < 0.3 or places.min() < 0.5 or (places.max(axis=0) > np.array(size[::-1]) - 0.5).any():
                return False
        whole = cast(scene, poses[number], size).ids
        for i in range(len(solids)):
            own = (cast(scene, poses[number], size, only=i).ids == i + 1).sum()
            if (whole == i + 1).sum() < max(_SEEN * own, 10):
                return False
    return True
