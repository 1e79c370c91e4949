"""A scene of bodies drawn from a seed: who does what, where there is room for it, and what is broken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import pi
from typing import Final

import numpy as np
import numpy.typing as npt

from curation.worlds.bodies.actions import RATES, VIEWS, Style
from curation.worlds.bodies.anatomy import JOINTS, Body
from curation.worlds.bodies.backdrop import BACKDROPS
from curation.worlds.bodies.options import CLOTHES, HAIR, SKIN, VESTS, Options
from curation.worlds.bodies.scene import Damage, Figure, Scene
from media.errors import UserError

__all__ = ["draw"]

F64 = npt.NDArray[np.float64]

_CAMERA_PER_S: Final = {"pan": (0.08, 0.14), "zoom": (0.14, 0.22)}
_CAMERA_MOST: Final = {"pan": 0.28, "zoom": 0.45}
_LEAST_CAMERA_S: Final = 0.3
_TALLEST: Final = 0.78
_SPREAD: Final = 0.055
"""How far a body goes beyond its joints, statures: the thickness of what is around them."""
_GAP, _EDGE = 0.05, 0.025
"""Room between figures, and to the picture's border, heights."""
_LEAST_WALKING: Final = 0.36
"""A walk goes somewhere if figures can be at least that high, of what the picture allows; otherwise on the spot."""
_EXTRA_ARM_DEG: Final = {"walk": 105.0, "clap": 110.0, "wave": 75.0, "jump": 78.0, "dance": 162.0}


def draw(seed: int, frames: int, fps: float, options: Options) -> Scene:
    """Return the scene of a seed. UserError without a frame, or without a rate."""
    if frames < 1 or not fps > 0 or seed < 0:
        raise UserError(f"bodies: {frames} frames at {fps} a second, seed {seed}: one is below its least")
    rng = np.random.default_rng([0xB0D1E5, seed])
    scene = Scene(seed, frames, fps, options.aspect, backdrop=_pick(rng, BACKDROPS),
                  horizon=float(rng.uniform(0.55, 0.68)), traits=tuple(rng.uniform(-1, 1, 3).tolist()))  # fmt: skip
    camera = _pick(rng, options.cameras)
    kind = camera.partition(" ")[0]
    if kind != "static" and scene.seconds >= _LEAST_CAMERA_S:
        rate = min(float(rng.uniform(*_CAMERA_PER_S[kind])), _CAMERA_MOST[kind] / scene.seconds)
        scene = replace(scene, camera=camera, camera_rate=rate)
    figures = _cast(rng, options)
    if options.damage:
        figures[0] = replace(figures[0], damage=_damage(rng, scene, figures[0], options))
    placed = _placed(rng, scene, figures)
    return replace(scene, figures=tuple(sorted(placed, key=lambda figure: figure.place[1])))


def _pick(rng: np.random.Generator, of: Sequence[str]) -> str:
    return of[int(rng.integers(len(of)))]


def _cast(rng: np.random.Generator, options: Options) -> list[Figure]:
    """Return the figures, without places. Walkers walk together; others may each do something else."""
    wanted = int(rng.integers(options.count[0], options.count[1] + 1))
    first = _pick(rng, options.actions)
    others = [action for action in options.actions if action != "walk"] or ["walk"]
    alike = first == "walk" or rng.random() < 0.5
    side = _pick(rng, options.sides)
    traits = (float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1)))
    rate = float(rng.uniform(*RATES[first]))
    found = []
    for number in range(wanted):
        action = first if alike or number == 0 else _pick(rng, others)
        own_side = side if action == "walk" else _pick(rng, options.sides)
        walking = action == "walk"
        style = Style(
            rate if walking else float(rng.uniform(*RATES[action])),
            float(rng.uniform(0, 2 * pi)),
            own_side,
            traits if walking else (float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1))),
        )
        yaw = 0.0 if VIEWS[action] == "front" else (90.0 if own_side == "right" else -90.0)
        costume = _pick(rng, options.costumes)
        top = _pick(rng, tuple(VESTS if costume == "motley" else CLOTHES))
        found.append(Figure(
            action, _body(rng), style, 1.0, yaw_deg=yaw, walks=walking, costume=costume,
            top=top, bottom=_pick(rng, [colour for colour in CLOTHES if colour != top]),
            skin=int(rng.integers(len(SKIN))), hair=_pick(rng, tuple(HAIR)),
        ))  # fmt: skip
    return found


def _body(rng: np.random.Generator) -> Body:
    """Return a body of varied proportions, its parts adding up to about one stature."""
    usual = Body()
    names = ("neck", "trunk", "collar", "upper_arm", "forearm", "hand", "haunch", "thigh", "shank", "foot")
    varied = {name: getattr(usual, name) * float(rng.uniform(0.93, 1.07)) for name in names}
    return Body(**varied, girth=float(rng.uniform(0.92, 1.12)), head=usual.head * float(rng.uniform(0.94, 1.1)))


def _damage(rng: np.random.Generator, scene: Scene, figure: Figure, options: Options) -> Damage:
    """Return what is broken: always where it can be seen, so on the nearer side of one who is seen from the side."""
    kind = _pick(rng, options.damage)
    seconds = scene.seconds
    start, lasts = (0.2 * seconds, 0.35 * seconds) if seconds > 0 else (-1.0, 0.5)
    start += float(rng.uniform(0, 0.15)) * seconds
    near = "right" if figure.yaw_deg > 0 else "left"
    side = near if figure.view == "side" else _pick(rng, options.sides)
    if kind == "stretch":
        bone = _pick(rng, ("upper arm", "forearm", "thigh", "shank"))
        return Damage(kind, f"{side} {bone}", float(rng.uniform(1.65, 2.0)), start, lasts)
    if kind == "bend":
        joint = _pick(rng, ("knee", "elbow")) if figure.view == "side" else "knee"
        least, most = (-80.0, -60.0) if joint == "knee" else (-100.0, -75.0)
        return Damage(kind, f"{side} {joint}", float(rng.uniform(least, most)), start, lasts)
    if kind == "vanish":
        return Damage(kind, f"{side} {_pick(rng, ('hand', 'forearm'))}", 0.0, start, lasts)
    if figure.action == "wave":
        side = "left" if figure.style.side == "right" else "right"
    return Damage(kind, f"{side} arm", _EXTRA_ARM_DEG[figure.action], start, lasts)


def _placed(rng: np.random.Generator, scene: Scene, figures: Sequence[Figure]) -> list[Figure]:
    """Return the figures, as large as they fit beside each other, in a random order from left to right."""
    order = [figures[int(i)] for i in rng.permutation(len(figures))]
    sizes = rng.uniform(0.93, 1.0, len(order))
    largest = float(rng.uniform(0.88, 1.0))
    low, high, top, bottom = _room(scene)
    ground = bottom - float(rng.uniform(0.0, 0.05))
    spans = [_extent(scene, replace(figure, walks=False)) for figure in order]
    ways = [_extent(scene, figure) for figure in order]
    way_left = min(0.0, *(way[0] - span[0] for way, span in zip(ways, spans, strict=True)))
    way_right = max(0.0, *(way[1] - span[1] for way, span in zip(ways, spans, strict=True)))
    tall = max(span[2] for span in spans)
    highest = min(_TALLEST * min(1.0, 1.4 * scene.aspect) * largest, (ground - top) / tall)

    def fits(way: float) -> float:
        wide = sum((right - left) * size for (left, right, _), size in zip(spans, sizes, strict=True)) + way
        return float(min(highest, max(high - low - _GAP * (len(order) - 1), 0.05) / wide))

    stature = fits(way_right - way_left)
    if stature < _LEAST_WALKING * min(1.0, scene.aspect):
        order = [replace(figure, walks=False) for figure in order]
        way_left = way_right = 0.0
        stature = fits(0.0)
    free = (high - low) - _GAP * (len(order) - 1)
    free -= stature * (
        sum((r - left) * size for (left, r, _), size in zip(spans, sizes, strict=True)) + way_right - way_left
    )
    shares = rng.dirichlet(np.full(len(order) + 1, 2.0)) * max(free, 0.0)
    x, placed = low - way_left * stature, []
    for number, (figure, (left, right, _), size) in enumerate(zip(order, spans, sizes, strict=True)):
        x += float(shares[number])
        own = stature * float(size)
        back = 0.3 * (1 - float(size))
        placed.append(replace(figure, stature=own, place=(float(x - left * own), ground - back)))
        x += (right - left) * own + _GAP
    return placed


def _room(scene: Scene) -> tuple[float, float, float, float]:
    """Return left, right, top and bottom of the part of the world that the camera sees all the time, less an edge."""
    view = scene.camera_view()
    half = scene.middle[None] * view.scale[:, None]
    corner, far = (scene.middle + view.offset - half).max(axis=0), (scene.middle + view.offset + half).min(axis=0)
    edge = _EDGE * float(view.scale.min())
    return float(corner[0] + edge), float(far[0] - edge), float(corner[1] + edge), float(far[1]) - 0.06


def _extent(scene: Scene, figure: Figure) -> tuple[float, float, float]:
    """Return how far left and right of its place it reaches, and how high, over all frames, in statures."""
    probe = replace(figure, place=(0.0, 0.0))
    joints = probe.joints(scene.times)
    arm = probe.extra_arm(scene.times)
    points = joints if arm is None else np.concatenate([joints, arm], axis=1)
    head = joints[:, JOINTS.index("head")]
    left = min(float(points[..., 0].min()) - _SPREAD, float(head[:, 0].min()) - 0.1)
    right = max(float(points[..., 0].max()) + _SPREAD, float(head[:, 0].max()) + 0.1)
    return left, right, max(float(-points[..., 1].min()) + _SPREAD, float(-head[:, 1].min()) + 0.1)
