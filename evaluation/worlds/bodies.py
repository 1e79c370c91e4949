"""Readers of the world of bodies: how many figures, their limbs, what they do, whether they are whole, and the camera.

They look at pixels only, of figures in motley: each limb has a hue of its own. A limb's patch has an axis and, by its
moments, two ends; ends that meet are joints. What joints say of limbs is in `evaluation.worlds.limbs`.

Of a figure that is seen from the side, the limbs on the far side are hidden half of the time: they are not judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from curation.worlds.bodies import DAMAGES, JOINTS, WORLD
from evaluation.worlds.damage import damaged
from evaluation.worlds.limbs import action_of, joint_excess_deg, limb_lengths, limb_spread
from evaluation.worlds.patches import HAND, PARTS, Patch, figure_spans, find_patches, name_pixels, patch_of, silhouettes
from evaluation.worlds.points import flat_camera, follow

__all__ = ["READERS", "SEEN_JOINTS", "SeenBodies", "SeenFigure", "accuracy", "read_bodies"]

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]

READERS: Final = ("count", "action", "camera", "joints", "whole", *DAMAGES)
"""What is read of a scene, each with an accuracy."""

SEEN_JOINTS: Final = tuple(
    f"{side} {joint}"
    for side in ("left", "right")
    for joint in ("shoulder", "elbow", "wrist", "hand", "hip", "knee", "ankle")
)
"""The joints that are found: those that limbs of a motley suit have."""

_LEAST_LIMB: Final = 0.00012
_STRETCHED: Final = 0.3
_BENT_DEG: Final = 22.0
_COVERED: Final = 0.4
"""Share of its usual area that is left of a limb whose end is hidden."""
_GONE: Final = 0.34
"""Share of its usual area that is left of what melts away."""
_TWICE, _OFTEN = 0.4, 0.2
"""Size of a second patch of a forearm, of the first, and the share of frames that it is seen in: an arm too many."""


@dataclass(frozen=True, slots=True)
class SeenFigure:
    """One figure. `skeleton` is (F, joints, 2), heights of the picture, by `SEEN_JOINTS`; NaN where none is seen."""

    action: str
    view: str
    skeleton: F64
    spread: Mapping[str, float]
    """Of each limb's length over time, over its median."""
    excess_deg: Mapping[str, float]
    """How far elbows and knees bend beyond their limits."""
    left_over: Mapping[str, float] = field(default_factory=dict)
    """The least share of its usual size that a hand or forearm has for long."""
    twice: Mapping[str, float] = field(default_factory=dict)
    """The share of frames in which an arm is there twice, by side."""

    @property
    def damage(self) -> tuple[str, str] | None:
        """What is wrong with it, as `curation.worlds.bodies` names kind and part; None for a whole figure."""
        for kind, found, least in (
            ("extra", {f"{side} arm": share for side, share in self.twice.items()}, _OFTEN),
            ("vanish", {part: 1 - left for part, left in self.left_over.items()}, 1 - _GONE),
            ("bend", self.excess_deg, _BENT_DEG),
            ("stretch", self.spread, _STRETCHED),
        ):
            known = {part: value for part, value in found.items() if np.isfinite(value) and value >= least}
            if known:
                # A forearm that is gone takes its hand with it.
                order = sorted(known, key=lambda part: (kind == "vanish" and part.endswith("hand"), -known[part]))
                return kind, order[0]
        return None


@dataclass(frozen=True, slots=True)
class SeenBodies:
    """What a video shows: its figures from left to right, and how the camera moves."""

    figures: tuple[SeenFigure, ...]
    camera: str
    camera_confidence: float

    @property
    def count(self) -> int:
        """How many figures there are."""
        return len(self.figures)


def read_bodies(frames: U8) -> SeenBodies:
    """Return what is seen in a video, u8 (F, H, W, 3) of any size. ValueError for another array."""
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise ValueError(f"a video is u8 (frames, height, width, 3), not {frames.dtype} {frames.shape}")
    named = name_pixels(frames)
    spans = [figure_spans(picture) for picture in named]
    count = Counter(len(span) for span in spans).most_common(1)[0][0]
    figures = []
    for number in range(count):
        reader = _Reader(named.shape[1])
        for picture, span in zip(named, spans, strict=True):
            if len(span) == count:
                left, right = span[number]
                reader.read(picture[:, left:right], left)
            else:
                reader.skip()
        figures.append(reader.figure())
    things = np.stack([silhouettes(picture, span) for picture, span in zip(named, spans, strict=True)])
    small = np.stack([cv2.resize(mask, frames.shape[2:0:-1], interpolation=cv2.INTER_NEAREST) for mask in things])
    return SeenBodies(tuple(figures), *flat_camera(follow(frames, small == 0), len(frames)))


class _Reader:
    """Reads one figure, frame by frame."""

    def __init__(self, height: int) -> None:
        self._height = height
        self._skeletons: list[F64] = []
        self._areas: list[dict[str, float]] = []
        self._twice: list[dict[str, bool]] = []
        self._apart: list[float] = []
        self._last: dict[str, F64] = {}

    def skip(self) -> None:
        """Note a frame in which the figure could not be told from others."""
        self._skeletons.append(np.full((len(SEEN_JOINTS), 2), np.nan))
        self._areas.append({})
        self._twice.append({})

    def read(self, named: U8, left: int) -> None:
        """Read a frame, cut to the figure's columns, the first of which is `left`."""
        patches: dict[str, Patch] = {}
        twice: dict[str, bool] = {}
        for number, name in enumerate(PARTS, 1):
            if number == HAND:
                continue
            found = find_patches(named == number, left, _LEAST_LIMB * self._height**2)
            if name.endswith("forearm"):
                twice[name.split()[0]] = len(found) > 1 and found[1].area > _TWICE * found[0].area
            if found and name.endswith(("thigh", "shank")):
                # A hand before a leg parts it.
                patches[name] = patch_of(np.concatenate([patch.pixels for patch in found]))
            elif found:
                patches[name] = self._same(name, found)
        joints = {name: np.full(2, np.nan) for name in SEEN_JOINTS}
        hands = np.asarray(np.argwhere(named == HAND)[:, ::-1] + np.array([left, 0.0]), np.float64)
        for side in ("left", "right"):
            _join(joints, side, ("shoulder", "elbow", "wrist"), patches.get(f"{side} upper arm"),
                  patches.get(f"{side} forearm"), hands)  # fmt: skip
            _join(joints, side, ("hip", "knee", "ankle"), patches.get(f"{side} thigh"), patches.get(f"{side} shank"),
                  np.zeros((0, 2)))  # fmt: skip
        areas = {name: patch.area for name, patch in patches.items()}
        areas |= _hands(joints, hands, patches)
        arms = [patches[name] for name in ("left upper arm", "right upper arm") if name in patches]
        if len(arms) == 2:
            self._apart.append(abs(float(arms[0].middle[0] - arms[1].middle[0])))
        self._skeletons.append(np.stack([joints[name] for name in SEEN_JOINTS]) / self._height)
        self._areas.append(areas)
        self._twice.append(twice)

    def _same(self, name: str, found: list[Patch]) -> Patch:
        """Return the patch that goes on from the frame before, of those that are large."""
        large = [patch for patch in found if patch.area > _TWICE * found[0].area]
        last = self._last.get(name)
        chosen = large[0] if last is None else min(large, key=lambda patch: float(np.hypot(*(patch.middle - last))))
        self._last[name] = chosen.middle
        return chosen

    def figure(self) -> SeenFigure:
        """Return what was read."""
        skeleton = np.stack(self._skeletons)
        for limb, joint in (("upper arm", "shoulder"), ("thigh", "hip")):
            for side in ("left", "right"):
                # Most of it is covered: its free end is not seen.
                covered = self._sizes(f"{side} {limb}") < _COVERED
                skeleton[covered, SEEN_JOINTS.index(f"{side} {joint}")] = np.nan
        view = self._view(skeleton)
        sides = ("left", "right") if view == "front" else (self._nearer(),)
        lengths = {name: row for name, row in limb_lengths(skeleton, SEEN_JOINTS).items() if name.split()[0] in sides}
        excess = joint_excess_deg(skeleton, SEEN_JOINTS, view)
        return SeenFigure(
            action=action_of(skeleton, SEEN_JOINTS, view),
            view=view,
            skeleton=skeleton,
            spread=limb_spread(lengths),
            excess_deg={name: value for name, value in excess.items() if name.split()[0] in sides},
            left_over={f"{side} {part}": self._left_over(f"{side} {part}", alone=view == "side")
                       for side in sides for part in ("hand", "forearm")},
            twice={side: float(np.mean([row.get(side, False) for row in self._twice])) for side in sides},
        )  # fmt: skip

    def _view(self, skeleton: F64) -> str:
        """Return the view: seen from the side, an arm is often hidden, and else both start from one place."""
        lengths = limb_lengths(skeleton, SEEN_JOINTS)
        thighs = np.concatenate([lengths["left thigh"], lengths["right thigh"]])
        thighs = thighs[np.isfinite(thighs)]
        if len(self._apart) < 0.5 * len(skeleton) or not len(thighs):
            return "side"
        apart = float(np.median(self._apart)) / self._height
        return "front" if apart > _APART * float(np.median(thighs)) else "side"

    def _nearer(self) -> str:
        """Return the side of which the arm is hidden less."""
        seen = {side: sum(row.get(f"{side} upper arm", 0.0) for row in self._areas) for side in ("left", "right")}
        return max(seen, key=lambda side: seen[side])

    def _left_over(self, part: str, *, alone: bool) -> float:
        """Return the least share of its usual area that a part has, over three frames in a row.

        `alone`: what is near the wrist is of that hand, whichever is nearer: the other one is not judged.
        """
        rows = self._sizes(f"{part}, near" if alone and part.endswith("hand") else part)
        rows = rows[np.isfinite(rows)]
        if len(rows) < 6:
            return float("nan")
        return float(min(np.median(rows[i : i + 3]) for i in range(len(rows) - 2)))

    def _sizes(self, part: str) -> F64:
        """Return a part's area in each frame, of its usual one; NaN where the figure's size is not known."""
        size = np.array([sum(row.get(name, np.nan) for name in _STEADY) for row in self._areas])
        rows = np.array([row.get(part, 0.0) for row in self._areas]) / size
        seen = rows[np.isfinite(rows)]
        return np.asarray(rows / max(float(np.percentile(seen, 60)) if len(seen) else 0.0, 1e-9), np.float64)


_NEAR: Final = 0.05
"""Statures that nine in ten joints are off at most, where joints are said to be right."""
_APART: Final = 0.6
"""Distance of the upper arms' middles, in lengths of a thigh, above which a figure is seen from the front."""
_STEADY: Final = ("left thigh", "right thigh", "left shank", "right shank")
"""What the size of other parts is compared with, so that a zoom does not matter."""


def _join(
    joints: dict[str, F64], side: str, names: tuple[str, str, str], upper: Patch | None, lower: Patch | None, tip: F64
) -> None:
    """Find the three joints of an arm or leg: the lower limb lies in front, so both of its ends are seen."""
    first, middle, last = (f"{side} {name}" for name in names)
    if lower is None or upper is None:
        return
    ends = lower.ends
    near = [float(np.percentile(np.hypot(*(upper.pixels - end).T), 10)) for end in ends]
    if len(tip):
        own = [float(np.hypot(*(tip - end).T).min()) for end in ends]
        near = [near[0] + own[1], near[1] + own[0]]
    joint, far = (ends[0], ends[1]) if near[0] <= near[1] else (ends[1], ends[0])
    joints[middle], joints[last] = joint, far
    # The upper limb is covered where they meet: its free end is where it reaches farthest from there.
    way = upper.axis if float((upper.middle - joint) @ upper.axis) > 0 else -upper.axis
    reach = float(np.percentile((upper.pixels - joint) @ way, 99)) - upper.radius
    joints[first] = joint + way * max(reach, 0.0)


def _hands(joints: dict[str, F64], hands: F64, patches: Mapping[str, Patch]) -> dict[str, float]:
    """Find the hands: pixels of theirs belong to the nearer wrist. Returns their areas."""
    wrists = {side: joints[f"{side} wrist"] for side in ("left", "right") if np.isfinite(joints[f"{side} wrist"][0])}
    areas = dict.fromkeys((f"{side} hand" for side in wrists), 0.0)
    if not len(hands) or not wrists:
        return areas
    apart = np.stack([np.hypot(*(hands - wrist).T) for wrist in wrists.values()])
    nearest = apart.argmin(axis=0)
    for number, side in enumerate(wrists):
        limb = patches[f"{side} forearm"]
        near = apart[number] < 1.1 * limb.length + limb.radius
        own = hands[near & (nearest == number)]
        areas[f"{side} hand"], areas[f"{side} hand, near"] = float(len(own)), float(near.sum())
        if len(own):
            joints[f"{side} hand"] = own.mean(axis=0)
    return areas


# -- how well --------------------------------------------------------------------------------------------------------


def accuracy(
    kind: str, n: int, damage: str = "clean", *, size: int = 128, frames: int = 16, seed: int = 0
) -> dict[str, float]:
    """Return the share of right answers of a reader of `READERS`, or of each for "all", over `n` scenes.

    The scenes are those of the seeds from `seed` on, rendered `size` pixels high, with `damage` (of `damage.DAMAGES`)
    done to their pictures. "whole" asks of every figure that nothing is broken whether nothing is found; the names of
    `curation.worlds.bodies.DAMAGES` ask of a figure that is broken so whether just that is found, and where.
    """
    asked = READERS if kind == "all" else (kind,)
    if not set(asked) <= set(READERS):
        raise ValueError(f"there is no reader {kind!r}; there are {', '.join(READERS)}")
    found: dict[str, float] = {}
    healthy = [name for name in asked if name not in DAMAGES]
    if healthy:
        rows = [row for number in range(seed, seed + n) for row in _scored(number, (), damage, size, frames)]
        found |= {name: float(np.mean([row[name] for row in rows if name in row])) for name in healthy}
    for name in (name for name in asked if name in DAMAGES):
        rows = [row for number in range(seed, seed + n) for row in _scored(number, (name,), damage, size, frames)]
        found[name] = float(np.mean([row["broken"] for row in rows if "broken" in row]))
    return found


def _scored(number: int, broken: tuple[str, ...], damage: str, size: int, frames: int) -> list[dict[str, bool]]:
    """Return what is right of a scene: a row for the scene, and one for each figure."""
    scene = WORLD.draw(number, frames=frames, damage=broken, **({"count": 1} if broken else {}))
    pictures = np.stack(list(WORLD.render(scene, (size, size))))
    seen = read_bodies(damaged(pictures, damage, fps=scene.fps, seed=number))
    rows = [{"count": seen.count == len(scene.figures), "camera": seen.camera == scene.camera}]
    skeletons = scene.skeletons()[:, :, [JOINTS.index(name) for name in SEEN_JOINTS]]
    order = sorted(range(len(scene.figures)), key=lambda i: scene.figures[i].place[0])
    for place, i in enumerate(order):
        figure, read = scene.figures[i], seen.figures[place] if place < seen.count else None
        if figure.damage is not None:
            rows.append({"broken": read is not None and read.damage == (figure.damage.kind, figure.damage.part)})
            continue
        off = np.inf if read is None else _off(read, skeletons[:, i], figure.yaw_deg) / figure.stature
        rows.append({
            "action": read is not None and read.action == figure.action,
            "whole": read is not None and read.damage is None, "joints": bool(off <= _NEAR),
        })  # fmt: skip
    return rows


def _off(read: SeenFigure, true: F64, yaw_deg: float) -> float:
    """Return how far joints are off, heights: nine in ten are nearer. Of one seen from the side, the nearer side's."""
    near = {"left", "right"} if yaw_deg == 0 else {"right"} if yaw_deg > 0 else {"left"}
    judged = [i for i, name in enumerate(SEEN_JOINTS) if name.split()[0] in near and not name.endswith("hand")]
    off = np.hypot(*np.moveaxis(read.skeleton[:, judged] - true[:, judged], -1, 0))
    return float(np.percentile(np.where(np.isfinite(off), off, np.inf), 90, method="nearest"))
