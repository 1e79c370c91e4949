"""Paths over a still: where the view is in each frame, as large as it can be, and never past the border.

A pose is the view's scale, its offset in units of itself, and its angle. A motion says how poses go relative to each
other; how large the largest view may be, and where the path lies on the still, follows from that no view may cross the
border and that what is to be kept should stay in all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, log, radians
from typing import Final

import numpy as np
import numpy.typing as npt

from curation.pseudo.motions import Easing, Move, eased, parse
from curation.saliency import Box
from media.affine import Affines

__all__ = ["affines", "speed_per_s"]

F64 = npt.NDArray[np.float64]

_OFF_CENTRE: Final = 0.6
"""How far from the centre a zoom may aim: the pan of the picture's centre is at most this share of the zoom."""
_TIGHTER: Final = (1.0, 0.9, 0.8, 0.7)
"""Views that are tried, as shares of the largest, until what is to be kept is in all of them."""


@dataclass(frozen=True, slots=True)
class _Poses:
    """`scale` (F,) of the view, 1 the largest; `offset` (F, 2) right and down in half views of scale 1; `angle` (F,).

    Angles are in radians. `extent` (F, 2) is how far a turned view reaches along each side of the still, where an
    upright one of that scale reaches 1.
    """

    scale: F64
    offset: F64
    angle: F64
    extent: F64


def affines(
    motion: str,
    frames: int,
    *,
    travel: float = 0.2,
    zoom: float | None = None,
    roll_deg: float = 10.0,
    aspect: float = 1.0,
    easing: Easing = "linear",
    keep: Box | None = None,
    shake: F64 | None = None,
    parallax: float = 0.0,
    least: float = 0.0,
) -> Affines:
    """Return the path of a motion: float32, (frames, 2, 3).

    `travel` is the share of the still's side that a pan crosses, `zoom` (default: the same) that by which a zoom
    shrinks the view; `roll_deg` the whole angle of a roll; `aspect` the still's width over height. With linear easing
    a pan moves equally far in each step, offset_k = travel * k / (frames - 1), and a zoom grows by the same factor.
    Motions done at once each go as far, of a view that is smaller.

    `keep` is a box that the views should hold: the path is laid to where they do, a zoom aims at it, and the views are
    made smaller by up to 30% for it, though not under `least`, the share of the still's side that has as many pixels as
    the output. `shake` (frames, 3) is added, as `curation.pseudo.shaken` gives it. For motions that need depth,
    `parallax` is how much farther than the middle of the scene the nearest goes (`render_parallax`). One frame is the
    whole still. Raises UserError for an unknown motion or easing.
    """
    moves = parse(motion)
    progress = eased(np.linspace(0, 1, frames) if frames > 1 else np.zeros(1), easing)
    if frames == 1:
        return np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)
    if parallax and shake is not None:
        shake = shake * np.array([1.0, 1.0, 0.0])  # what is near does not turn by more
    poses = _poses(moves, progress, travel, travel if zoom is None else zoom, radians(roll_deg), aspect, shake)
    zooms = any(move.family == "zoom" for move in moves)
    reach = _with_parallax(poses, parallax) if parallax else poses
    scale, centre = _placed(reach, keep, 1.0 if zooms else least)
    aim = _aim(poses, scale, centre, keep, aspect) if keep is not None and zooms and not parallax else np.zeros(2)
    shrunk = 1 - poses.scale / poses.scale.max()
    return _matrices(poses, scale, centre + scale * poses.scale.max() * aim * shrunk[:, None], aspect)


def speed_per_s(
    motion: str, frames: int, fps: float, *, travel: float = 0.2, zoom: float | None = None, roll_deg: float = 10.0
) -> float:
    """Return the share of the picture travelled per second, as the column `motion_speed_per_s` has it.

    Pans and tilts: widths (heights) of the output per second. Zooms: the share of the view's side by which it changes
    per second. Rolls: full turns per second. Of several motions, that of the first. 0 for a single frame.
    """
    if frames < 2:
        return 0.0
    seconds = (frames - 1) / fps
    family = parse(motion)[0].family
    if family == "pan":
        return travel / (1 - travel) / seconds
    if family == "zoom":
        return -log(1 - (travel if zoom is None else zoom)) / seconds
    return roll_deg / 360 / seconds


def _poses(
    moves: tuple[Move, ...],
    progress: F64,
    travel: float,
    zoom: float,
    turn: float,
    aspect: float,
    shake: F64 | None,
) -> _Poses:
    frames = len(progress)
    scale, gone, angle = np.ones(frames), np.zeros((frames, 2)), np.zeros(frames)
    for move in moves:
        way = np.array(move.way)
        if move.family == "pan":
            gone += way * (2 * travel / (1 - travel)) * progress[:, None]
        elif move.family == "zoom":
            scale *= (1 - zoom) ** (progress if way[0] > 0 else 1 - progress)
        else:
            angle += way[0] * turn * (progress - 0.5)
    # A pan keeps its pace and its way in the view, whatever the view's size and angle are by then.
    halfway = _turned((scale[1:] + scale[:-1]) / 2, (angle[1:] + angle[:-1]) / 2, aspect)
    steps = np.einsum("fij,fj->fi", halfway, np.diff(gone, axis=0))
    offset = np.vstack([np.zeros(2), np.cumsum(steps, axis=0)])
    offset -= offset[-1] / 2
    if shake is not None:
        offset = offset + np.einsum("fij,fj->fi", _turned(scale, angle, aspect), shake[:, :2] * [2 / aspect, 2])
        angle = angle + shake[:, 2]
    turned, straight = np.abs(np.sin(angle)), np.abs(np.cos(angle))
    extent = np.stack([straight + turned / aspect, straight + turned * aspect], axis=1)
    return _Poses(scale, offset, angle, extent)


def _turned(scale: F64, angle: F64, aspect: float) -> F64:
    """Return the matrices (F, 2, 2) of views of that scale and angle, in the still's normalised coordinates."""
    sine, cosine = np.sin(angle), np.cos(angle)
    linear = np.stack([np.stack([cosine, -sine / aspect], -1), np.stack([sine * aspect, cosine], -1)], axis=1)
    return np.asarray(scale[:, None, None] * linear)


def _with_parallax(poses: _Poses, parallax: float) -> _Poses:
    """Return the poses of what is nearest and of what is farthest, all together: every one must stay inside."""
    parts = []
    for pace in (1 + parallax, 1 - parallax):
        parts.append([_paced(values, pace) for values in (poses.scale, poses.offset)])
    scale, offset = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    return _Poses(scale, offset, np.tile(poses.angle, 2), np.tile(poses.extent, (2, 1)))


def _paced(values: F64, pace: float) -> F64:
    """Return the values moved away from the middle between the first and the last, `pace` times as far."""
    middle = values[[0, -1]].mean(axis=0)
    return np.asarray(middle + pace * (values - middle))


def _placed(poses: _Poses, keep: Box | None, least: float) -> tuple[float, F64]:
    """Return the scale of the path and its centre on the still (x, y), from -1 to 1."""
    half = poses.scale[:, None] * poses.extent
    low, high = (half - poses.offset).max(axis=0), (half + poses.offset).max(axis=0)
    largest = min(1.0, float((2 / (low + high)).min()))
    if keep is None:
        return largest, _within(np.zeros(2), largest, low, high)
    inner = poses.scale[:, None] * (2 - poses.extent)  # the upright box inside a turned view, for small angles
    first, last = (poses.offset - inner).max(axis=0), (poses.offset + inner).min(axis=0)
    edges = np.array(keep).reshape(2, 2) * 2 - 1
    best = largest, _within(np.zeros(2), largest, low, high), np.inf
    for share in _TIGHTER:
        scale = largest * share
        if share < 1 and scale * float(poses.scale.min()) < least:
            break
        least_centre, most_centre = edges[1] - scale * last, edges[0] - scale * first
        fits = least_centre <= most_centre
        wanted = np.where(fits, np.clip(0, least_centre, np.maximum(least_centre, most_centre)), edges.mean(axis=0))
        centre = _within(wanted, scale, low, high)
        lost = np.maximum(0, least_centre - centre) + np.maximum(0, centre - most_centre)
        if float(lost.sum()) < best[2] - 1e-9:
            best = scale, centre, float(lost.sum())
        if best[2] < 1e-9:
            break
    return best[0], best[1]


def _within(wanted: F64, scale: float, low: F64, high: F64) -> F64:
    """Return the centre nearest to the one wanted from which no view crosses the border."""
    least, most = scale * low - 1, 1 - scale * high
    return np.where(least < most, np.clip(wanted, least, np.maximum(least, most)), (least + most) / 2)


def _aim(poses: _Poses, scale: float, centre: F64, keep: Box, aspect: float) -> F64:
    """Return where a zoom goes to, from -1 to 1 of its widest view, so that the tightest holds the box."""
    tight = int(poses.scale.argmin())
    ends = float(poses.scale[tight] / poses.scale.max())
    edges = np.array(keep).reshape(2, 2) * 2 - 1
    gone = scale * float(poses.scale.max()) * (1 - ends)
    if gone < 1e-6:
        return np.zeros(2)
    now = centre + scale * poses.offset[tight]
    half = scale * poses.scale[tight] * (2 - poses.extent[tight])
    least, most = (edges[1] - half - now) / gone, (edges[0] + half - now) / gone
    wanted = np.where(least <= most, np.clip(0, least, np.maximum(least, most)), (least + most) / 2)
    limit = np.minimum(1.0, _OFF_CENTRE * hypot(aspect, 1) / 2 / np.array([aspect, 1.0]))
    # No view on the way may cross the border; without an aim none does.
    away = scale * (poses.scale.max() - poses.scale)
    moved = away > 1e-6
    room = 1 - scale * poses.scale[moved, None] * poses.extent[moved]
    lies = centre + scale * poses.offset[moved]
    lowest = ((-room - lies) / away[moved, None]).max(axis=0)
    highest = ((room - lies) / away[moved, None]).min(axis=0)
    return np.asarray(np.clip(np.clip(wanted, -limit, limit), np.minimum(lowest, 0), np.maximum(highest, 0)))


def _matrices(poses: _Poses, scale: float, centre: F64, aspect: float) -> Affines:
    path = np.empty((len(poses.scale), 2, 3))
    path[:, :, :2] = scale * _turned(poses.scale, poses.angle, aspect)
    path[:, :, 2] = centre + scale * poses.offset
    return path.astype(np.float32)
