"""What skeletons say of limbs, whoever found them: do lengths stay, do joints bend as they can, what is done.

Skeletons are (F, joints, 2) of one figure, both axes in the same unit, x to the right and y downwards; NaN where a
joint is not seen. `joints` names them as `curation.worlds.bodies.JOINTS` does; what is missing is not judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from curation.worlds.bodies.anatomy import BONES, limits_of

__all__ = ["LIMBS", "action_of", "facing_of", "joint_excess_deg", "limb_lengths", "limb_spread", "view_of"]

F64 = npt.NDArray[np.float64]

LIMBS: Final = tuple(
    f"{side} {bone}" for side in ("left", "right") for bone in ("upper arm", "forearm", "thigh", "shank")
)
"""The bones whose lengths are judged."""

_FRONTAL: Final = 0.3
"""Distance of hips and of shoulders, in lengths of a thigh, above which a figure is seen from the front."""
_RAISED, _HANGING, _SWINGS = 0.05, -0.25, 0.45
"""Heights of wrists over shoulders, and their range, in lengths of an arm."""
_CLEARLY_BENT: Final = 8.0
_LOW, _HIGH = 8, 92
"""Percentiles between which a length spreads, and beyond which a joint bends: one frame tells nothing."""


def limb_lengths(skeletons: F64, joints: Sequence[str]) -> dict[str, F64]:
    """Return the length (F,) of every limb of `LIMBS` that has both its joints."""
    place = {name: i for i, name in enumerate(joints)}
    ends = {limb: BONES[limb] for limb in LIMBS if set(BONES[limb]) <= set(place)}
    return {
        limb: np.asarray(np.linalg.norm(skeletons[:, place[b], :2] - skeletons[:, place[a], :2], axis=-1), np.float64)
        for limb, (a, b) in ends.items()
    }


def limb_spread(lengths: Mapping[str, F64]) -> dict[str, float]:
    """Return how much each limb's length changes: the spread of its frames over its median; NaN for fewer than 3.

    What changes all limbs alike, a camera that zooms, is taken out first.
    """
    if not lengths:
        return {}
    table = np.stack(list(lengths.values()))
    usual = _nanmedian(table, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = _nanmedian(table / usual[:, None], axis=0)
        relative = table / usual[:, None] / scale
    found = {}
    for name, row in zip(lengths, relative, strict=True):
        seen = row[np.isfinite(row)]
        low, middle, high = np.percentile(seen, (_LOW, 50, _HIGH)) if len(seen) >= 3 else (np.nan,) * 3
        found[name] = float((high - low) / middle)
    return found


def view_of(skeletons: F64, joints: Sequence[str]) -> str:
    """Return "front" or "side": from the side, hips and shoulders lie behind each other."""
    lengths = limb_lengths(skeletons, joints)
    thigh = _nanmedian(np.concatenate([lengths[name] for name in ("left thigh", "right thigh") if name in lengths]))
    place = {name: i for i, name in enumerate(joints)}
    apart = [
        _nanmedian(np.abs(skeletons[:, place[f"left {pair}"], 0] - skeletons[:, place[f"right {pair}"], 0]))
        for pair in ("hip", "shoulder")
        if f"left {pair}" in place and f"right {pair}" in place
    ]
    narrowest = min((float(value) for value in apart if np.isfinite(value)), default=0.0)
    return "front" if narrowest > _FRONTAL * float(thigh) else "side"


def facing_of(skeletons: F64, joints: Sequence[str]) -> int:
    """Return 1 if a figure seen from the side faces right, -1 if left: by its toes, else as most of its joints bend."""
    place = {name: i for i, name in enumerate(joints)}
    votes = [skeletons[:, place[f"{side} toe"], 0] - skeletons[:, place[f"{side} ankle"], 0]
             for side in ("left", "right") if f"{side} toe" in place]  # fmt: skip
    if not votes:
        turns = _turns(skeletons, joints, dict.fromkeys(("left", "right"), 1.0))
        votes = [np.where(np.isfinite(turn), turn * (np.abs(turn) > _CLEARLY_BENT), np.nan) for turn in turns.values()]
    # Each joint has one vote, that one which is broken for part of the time does not fully have.
    seen = [float(np.sign(vote[np.isfinite(vote)]).mean()) for vote in votes if np.isfinite(vote).any()]
    return 1 if sum(seen) >= 0 else -1


def joint_excess_deg(skeletons: F64, joints: Sequence[str], view: str | None = None) -> dict[str, float]:
    """Return how far each elbow and knee bends beyond its limits, degrees, in a twelfth of the frames at least.

    0 is within. From the side, elbows bend forwards and knees backwards; from the front an elbow may bend either way,
    as arms turn, and a knee bends inwards. NaN where a joint is seen in fewer than 3 frames.
    """
    view = view or view_of(skeletons, joints)
    limits = limits_of(view)
    ahead = dict.fromkeys(("left", "right"), float(facing_of(skeletons, joints)))
    if view == "front":
        ahead = _outwards(skeletons, joints)
    found = {}
    for name, turn in _turns(skeletons, joints, ahead).items():
        low, high = limits[name.partition(" ")[2]]
        over = np.maximum(np.maximum(turn - high, low - turn), 0)
        seen = over[np.isfinite(over)]
        found[name] = float(np.percentile(seen, _HIGH)) if len(seen) >= 3 else float("nan")
    return found


def _turns(skeletons: F64, joints: Sequence[str], ahead: Mapping[str, float]) -> dict[str, F64]:
    """Return how far elbows and knees are bent (F,), degrees: as `anatomy` counts them, for the ways ahead of sides."""
    place = {name: i for i, name in enumerate(joints)}
    found = {}
    for side, sign in ahead.items():
        for joint, chain, bend in (
            ("elbow", ("shoulder", "elbow", "wrist"), 1),
            ("knee", ("hip", "knee", "ankle"), -1),
        ):
            names = [f"{side} {name}" for name in chain]
            if not set(names) <= set(place):
                continue
            a, b, c = (skeletons[:, place[name], :2] for name in names)
            angles = [np.degrees(np.arctan2(sign * bone[:, 0], bone[:, 1])) for bone in (b - a, c - b)]
            found[f"{side} {joint}"] = (bend * (angles[1] - angles[0]) + 180) % 360 - 180
    return found


def _outwards(skeletons: F64, joints: Sequence[str]) -> dict[str, float]:
    """Return the way out of each side, of a figure that is seen from the front."""
    place = {name: i for i, name in enumerate(joints)}
    pairs = [pair for pair in ("hip", "shoulder") if f"left {pair}" in place and f"right {pair}" in place]
    apart = [skeletons[:, place[f"left {pair}"], 0] - skeletons[:, place[f"right {pair}"], 0] for pair in pairs]
    left = float(np.sign(_nanmedian(np.concatenate(apart)))) if apart else 1.0
    return {"left": left or 1.0, "right": -(left or 1.0)}


def action_of(skeletons: F64, joints: Sequence[str], view: str | None = None) -> str:
    """Return the action of a figure, of `curation.worlds.bodies.ACTIONS`; "unknown" for fewer than 4 frames.

    Who is seen from the side walks. From the front, wrists tell: one stays up and one down in a wave; both go up and
    down in a jump, together, and in a dance, by turns; a clap leaves them between shoulders and hips.
    """
    if len(skeletons) < 4:
        return "unknown"
    if (view or view_of(skeletons, joints)) == "side":
        return "walk"
    place = {name: i for i, name in enumerate(joints)}
    lengths = limb_lengths(skeletons, joints)
    arm = float(
        _nanmedian(np.concatenate([lengths[f"{s} {b}"] for s in ("left", "right") for b in ("upper arm", "forearm")]))
    )
    # Shoulders are as high over the hips as they mostly are: one that is badly seen, or broken, does not move the arm.
    hips = _nanmedian(np.stack([skeletons[:, place[f"{side} hip"], 1] for side in ("left", "right")]), axis=0)
    high = float(
        _nanmedian(np.concatenate([hips - skeletons[:, place[f"{s} shoulder"], 1] for s in ("left", "right")]))
    )
    rises = [(hips - high - skeletons[:, place[f"{side} wrist"], 1]) / (2 * arm) for side in ("left", "right")]
    if not all(np.isfinite(rise).sum() >= 3 for rise in rises):
        return "unknown"
    lows, highs = zip(*(np.nanpercentile(rise, (10, 90)) for rise in rises), strict=True)
    for one, other in ((0, 1), (1, 0)):
        if lows[one] > _RAISED and highs[other] < _HANGING:
            return "wave"
    if max(high - low for low, high in zip(lows, highs, strict=True)) < _SWINGS:
        return "clap"
    both = np.isfinite(rises[0]) & np.isfinite(rises[1])
    if both.sum() < 3:
        return "unknown"
    together = np.corrcoef(rises[0][both], rises[1][both])[0, 1]
    return "jump" if together > 0 else "dance"


def _nanmedian(values: F64, axis: int | None = None) -> F64:
    """Return the median of what is not NaN; NaN, without a warning, where nothing is left."""
    if axis is None:
        seen = values[np.isfinite(values)]
        return np.asarray(np.median(seen) if len(seen) else np.nan)
    return np.asarray([_nanmedian(row) for row in np.moveaxis(values, 1 - axis, 0)], np.float64)
