"""Readers of the world of shapes, by classical vision: count, colour, shape, place, direction, speed, camera.

They look at pixels only. A thing is a patch of one hue before a background; patches are followed from frame to frame; a
thing's shape is that of its outline in the frames where most of it is seen; its way is over the background, with what
the camera does to it taken away.

What they are made for: pictures from 48 pixels on, things from a tenth of the picture, of one of eight colours, of
which more than 60% is seen most of the time; and two frames at least for all that moves.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from evaluation.worlds.camera import SeenCamera, read_camera
from evaluation.worlds.colours import COLOURS, Coloured, find_colours
from evaluation.worlds.outlines import shape_of
from evaluation.worlds.tracking import Patch, Track, follow, patches_of

__all__ = ["DIRECTIONS", "SeenShapes", "SeenThing", "read_shapes"]

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

DIRECTIONS: Final = ("right", "down-right", "down", "down-left", "left", "up-left", "up", "up-right")
"""By the angle of a way in the picture, an eighth of a turn each, clockwise."""

_LASTS: Final = 0.26
"""Share of the frames that a thing is seen in at least."""
_STILL: Final = 0.035
"""Heights that a thing which moves has come by the end at least."""
_STRAIGHT: Final = 0.12
"""Greatest distance from a straight way, in lengths of that way."""
_OUTLINES: Final = 5
_LEAST_SCATTER: Final = 16.0
_SHADES: Final = 0.15
"""Variance of any pixel, squared levels; and the share of its colour by which a thing is darker here and there."""
_WHOLE: Final = 0.9
"""A patch is whole if it is at least this share of what it should be at that time."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenThing:
    """One thing, as it is seen."""

    colour: str
    shape: str
    """circle, square, triangle, star, diamond, cross, ring; unknown where its outline is not to be had."""

    shape_confidence: float
    """Share of the outlines looked at that agree."""

    centres: F32
    """Its middle in the picture, fractions, f32 (F, 2); NaN where it is not seen."""

    sizes: F32
    """Share of the picture that it covers, f32 (F,)."""

    direction: str
    """One of `DIRECTIONS`, over the background; still; turns, if its way is not straight."""

    speed_per_s: float
    """Picture heights a second, over the background, if it goes straight."""

    frames: tuple[int, int]
    """First and end of the frames in which it is seen, half-open."""

    recolour: str | None = None
    """The colour that it turns to."""

    @property
    def place(self) -> tuple[float, float]:
        """Where its middle is on the whole: x, y, fractions."""
        x, y = np.nanmedian(self.centres, axis=0)
        return float(x), float(y)

    @property
    def size(self) -> float:
        """Share of the picture that it covers where most of it is seen."""
        return float(self.sizes.max())


@dataclass(frozen=True, slots=True, eq=False)
class SeenShapes:
    """What a video shows: its things, the largest first, and how the camera moves."""

    things: tuple[SeenThing, ...]
    camera: str
    camera_confidence: float

    @property
    def count(self) -> int:
        """How many things there are."""
        return len(self.things)


def read_shapes(frames: U8, fps: float) -> SeenShapes:
    """Return what is seen in a video, u8 (F, H, W, 3) of any size. ValueError for another array, or no rate."""
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise ValueError(f"a video is u8 (frames, height, width, 3), not {frames.dtype} {frames.shape}")
    if not fps > 0:
        raise ValueError(f"a video has a rate, not {fps}")
    coloured = find_colours(frames)
    found = [patches_of(number, picture) for number, picture in enumerate(coloured.labels)]
    tracks = follow(found, frames.shape[1], max(1, int(np.ceil(_LASTS * len(frames)))))
    camera = read_camera(frames, coloured.labels > 0)
    things = [_thing(track, frames, coloured, camera, fps) for track in tracks]
    order = sorted(things, key=lambda thing: -thing.size)
    return SeenShapes(tuple(order), camera.motion, camera.confidence)


def _thing(track: Track, frames: U8, coloured: Coloured, camera: SeenCamera, fps: float) -> SeenThing:
    patches = track.patches
    count, height, width = coloured.labels.shape
    whole = _whole(patches)
    best = sorted(whole, key=lambda patch: (patch.hidden, -patch.area))[:_OUTLINES]
    shape, sure = shape_of([_crop(frames, coloured, patch) for patch in best])
    centres = np.full((count, 2), np.nan, np.float32)
    sizes = np.zeros(count, np.float32)
    for patch in patches:
        centres[patch.frame] = (patch.x + 0.5) / width, (patch.y + 0.5) / height
        sizes[patch.frame] = patch.area / (height * width)
    direction, speed = _way(whole, camera, (height, width), count, fps)
    first, second = _colours(patches)
    return SeenThing(
        colour=first,
        shape=shape,
        shape_confidence=sure,
        centres=centres,
        sizes=sizes,
        direction=direction,
        speed_per_s=speed,
        frames=(patches[0].frame, patches[-1].frame + 1),
        recolour=second,
    )


def _colours(patches: list[Patch]) -> tuple[str, str | None]:
    """Return the colour of a thing, and the one that it turns to and keeps, if it does."""
    numbers = [patch.colour for patch in patches]
    last = numbers[-1]
    since = next((len(numbers) - i for i, n in enumerate(reversed(numbers)) if n != last), 0)
    before = Counter(numbers[:since])
    if since >= 2 and len(numbers) - since >= 2:
        return COLOURS[before.most_common(1)[0][0] - 1], COLOURS[last - 1]
    return COLOURS[Counter(numbers).most_common(1)[0][0] - 1], None


def _whole(patches: list[Patch]) -> list[Patch]:
    """Return the patches of which nothing is hidden: as large as a steady growth through the largest ones has them."""
    if len(patches) < 4:
        return patches
    times = np.array([patch.frame for patch in patches], float)
    areas = np.log([patch.area for patch in patches])
    free = np.array([not patch.hidden for patch in patches])
    keep = free if free.sum() >= 3 else np.ones(len(patches), bool)
    for _ in range(4):
        fit = np.polyfit(times[keep], areas[keep], 1) if np.ptp(times[keep]) > 0 else np.array([0.0, areas.max()])
        above = areas - np.polyval(fit, times) > np.log(_WHOLE)
        if above.sum() < 3 or (above == keep).all():
            break
        keep = above
    return [patch for patch, kept in zip(patches, keep, strict=True) if kept]


def _crop(frames: U8, coloured: Coloured, patch: Patch) -> F32:
    """Return how much of the patch is at the pixels around it, f32 (h, w): 1 within it, 0 where it is not.

    A pixel is a mixture of the thing and what is behind it. Their share is told along the direction of colour in which
    they differ most, against how much the background scatters, and against shades of the thing itself.
    """
    left, top, width, height = patch.box
    rows = slice(max(0, top - 3), top + height + 3)
    columns = slice(max(0, left - 3), left + width + 3)
    picture = frames[patch.frame, rows, columns].astype(np.float32)
    labels = coloured.labels[patch.frame, rows, columns]
    behind = coloured.behind[rows, columns]
    own = labels == patch.colour
    inner = cv2.erode(own.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    inner = inner if inner.sum() >= 4 else own
    paint = np.median(picture[inner], axis=0).astype(np.float64)
    differs = paint - behind[inner].mean(0)
    nuisance = coloured.scatter + _LEAST_SCATTER * np.eye(3) + _SHADES**2 * np.outer(paint, paint)
    way = np.linalg.solve(nuisance, differs)
    share = np.einsum("hwc,c->hw", picture - behind, (way / float(way @ differs)).astype(np.float32))
    share[(labels > 0) & ~own] = 0
    return np.asarray(share, np.float32)


def _way(patches: list[Patch], camera: SeenCamera, size: tuple[int, int], count: int, fps: float) -> tuple[str, float]:
    """Return direction and speed over the background, heights a second: a straight line, fitted by least squares."""
    if len(patches) < 2:
        return "still", 0.0
    height, width = size
    places = np.array([_at_rest(patch, camera, size, count) for patch in patches]) * [width / height, 1.0]
    seconds = np.array([patch.frame for patch in patches]) / fps
    time = seconds - seconds.mean()
    step = (time @ (places - places.mean(0))) / max(float(time @ time), 1e-9)
    lasts = float(seconds[-1] - seconds[0])
    length = float(np.hypot(*step)) * lasts
    off = np.hypot(*(places - places.mean(0) - time[:, None] * step).T)
    if max(length, float(np.hypot(*np.ptp(places, axis=0)))) < _STILL:
        return "still", 0.0
    if np.sort(off)[-max(1, len(off) // 8)] > max(_STRAIGHT * length, 0.4 * _STILL):
        return "turns", 0.0
    if length < _STILL:
        return "still", 0.0
    turn = int(np.round(np.degrees(np.arctan2(step[1], step[0])) / 45)) % 8
    return DIRECTIONS[turn], length / lasts


def _at_rest(patch: Patch, camera: SeenCamera, size: tuple[int, int], count: int) -> F64:
    """Return where the patch's middle is as the frame in the middle of the video sees the world, fractions."""
    place = np.array([(patch.x + 0.5) / size[1], (patch.y + 0.5) / size[0], 1.0])
    if camera.motion == "static":
        return place[:2]
    ahead = count // 2 - patch.frame
    step = camera.step if ahead >= 0 else np.linalg.inv(camera.step)
    return np.asarray((np.linalg.matrix_power(step, abs(ahead)) @ place)[:2])
