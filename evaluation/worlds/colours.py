"""What of a picture is a thing, and of which colour: what differs from the background in more than brightness.

A background is what most of the picture is: of one colour, or going slowly from one to another, and with any grain of
grey over it. Things are of eight hues; shade and texture make them darker, which leaves their hue as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["COLOURS", "Coloured", "colour_name", "find_colours"]

COLOURS: Final = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
"""Names by number, 1 to 8; 0 is background."""

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

_HUES: Final = np.array([0.0, 31.0, 53.0, 129.0, 185.0, 229.0, 278.0, 326.0], np.float32)
_GREYS: Final = ((40, "black"), (104, "dark grey"), (170, "grey"), (226, "light grey"), (256, "white"))
_LEAST: Final = 20.0
"""Levels of difference from the background, brightness left out, that make a thing."""
_SIGMAS: Final = 4.5
_GRAINY: Final = 3.0
"""Levels of coloured noise from which on pictures are smoothed before they are looked at."""
_CARRY: Final = 16
_FRINGE, _WEAK = 0.032, 0.55
"""How far a fringe reaches, shares of the picture's shorter side; and how strong it is at most, against the thing."""
_INSIDE: Final = 26.0
"""Levels within which a pixel is of the background while that is fitted."""
_GREY_COUNTS: Final = 0.2
"""For how much brightness counts while the background is fitted: its grain is of that."""
_LOOKS: Final = 5


def colour_name(rgb: Sequence[float]) -> str:
    """Return the everyday name of a colour, levels: one of `COLOURS`, of the greys, brown, beige or navy."""
    r, g, b = (float(value) for value in rgb)
    largest, spread = max(r, g, b), max(r, g, b) - min(r, g, b)
    if spread < 24 or spread < 0.14 * largest:
        return next(name for above, name in _GREYS if largest < above)
    hue = float(_hue(np.array([[r, g, b]], np.float32))[0])
    warm = hue < 60 or hue > 340
    if warm and largest > 190 and spread < 0.35 * largest:
        return "beige" if 18 < hue < 60 else "pink"
    if 8 < hue < 50 and largest < 150:
        return "brown"
    if 210 < hue < 255 and largest < 110:
        return "navy"
    return COLOURS[int(np.abs((hue - _HUES + 180) % 360 - 180).argmin())]


@dataclass(frozen=True, slots=True)
class Coloured:
    """What of a video is coloured: `labels`, u8 (F, H, W), are numbers of colours, 0 where it is background.

    `behind`, f32 (H, W, 3), is the background's colour, and `scatter` (3, 3) the covariance of what lies over it.
    """

    labels: U8
    behind: F32
    scatter: npt.NDArray[np.float64]


def find_colours(frames: U8) -> Coloured:
    """Return what is coloured in a video, u8 (F, H, W, 3)."""
    pictures = frames.astype(np.float32)
    if _grain(pictures) > _GRAINY:
        pictures = np.stack([cv2.GaussianBlur(picture, (0, 0), 0.9) for picture in pictures])
    behind = _background(pictures)
    differs = _without_grey(pictures - behind, 0.0)
    still = np.median(differs[differs < _INSIDE]) if (differs < _INSIDE).any() else 0.0
    things = differs > max(_LEAST, _SIGMAS * float(still))
    named = np.zeros(things.shape, np.uint8)
    named[things] = _nearest(_hue(pictures[things]))
    named = np.stack([cv2.medianBlur(_of_the_strongest(*one), 3) for one in zip(named, differs, strict=True)])
    rest = (pictures - behind)[~things][:: max(1, int((~things).sum()) // 4096)]
    scatter = np.einsum("ni,nj->ij", rest, rest, dtype=np.float64) / max(len(rest), 1)
    return Coloured(named, behind, scatter)


def _of_the_strongest(named: U8, strength: F32) -> U8:
    """Return labels (H, W) in which the fringe of a thing, a mixture with what is behind it, has the thing's colour."""
    # Strength and colour in one number, so that the largest nearby carries its colour along.
    key = np.rint(strength) * _CARRY + named
    side = 2 * max(1, round(_FRINGE * min(named.shape))) + 1
    nearby = cv2.dilate(key.astype(np.float32), np.ones((side, side), np.uint8))
    weak = strength < _WEAK * np.floor(nearby / _CARRY)
    theirs = np.mod(nearby, _CARRY).astype(np.uint8)
    return np.where(weak & (named > 0) & (theirs > 0), theirs, named).astype(np.uint8)


def _hue(colours: F32) -> F32:
    """Return the hue of colours (n, 3), degrees."""
    r, g, b = colours.T
    largest = np.maximum(np.maximum(r, g), b)
    spread = np.maximum(largest - np.minimum(np.minimum(r, g), b), 1e-6)
    sixth = np.where(
        largest == r, (g - b) / spread % 6, np.where(largest == g, (b - r) / spread + 2, (r - g) / spread + 4)
    )
    return np.asarray(sixth * 60, np.float32)


def _nearest(hue: F32) -> U8:
    grid = np.arange(360, dtype=np.float32) + 0.5
    named = np.abs((grid[:, None] - _HUES + 180) % 360 - 180).argmin(1) + 1
    return np.asarray(named[np.minimum(hue.astype(np.int64), 359)], np.uint8)


def _grain(pictures: F32) -> float:
    """Return the standard deviation of coloured noise: of how red less green changes at single pixels, levels."""
    chroma = pictures[:: max(1, len(pictures) // 3), ..., 0] - pictures[:: max(1, len(pictures) // 3), ..., 1]
    # The second differences of a smooth picture are 0; of white noise, their deviation is 2 sigma (along both sides).
    second = chroma[:, 1:, 1:] - chroma[:, :-1, 1:] - chroma[:, 1:, :-1] + chroma[:, :-1, :-1]
    return float(np.median(np.abs(second)) / 0.6745 / 2 / np.sqrt(2))


def _background(pictures: F32) -> F32:
    """Return the colour of the background at every pixel, f32 (H, W, 3): a plane through most pixels, in each channel.

    It starts from the greys, or else from the commonest colour, whichever explains more of the picture.
    """
    middle = np.median(pictures[np.linspace(0, len(pictures) - 1, min(_LOOKS, len(pictures))).astype(int)], axis=0)
    height, width = middle.shape[:2]
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    basis = np.stack([np.ones_like(x), x, y, x * y], axis=-1).reshape(-1, 4)
    colours = middle.reshape(-1, 3).astype(np.float64)
    step = max(1, len(colours) // 4096)
    some, places = colours[::step], basis[::step]
    best: tuple[int, npt.NDArray[np.float64]] | None = None
    for start in _starts(some):
        fit = _fitted(some, places, start)
        explained = int((_without_grey(some - _plane(places, fit), _GREY_COUNTS) < _INSIDE).sum())
        if best is None or explained > best[0]:
            best = explained, fit
    assert best is not None
    return np.asarray(_plane(basis, best[1]).reshape(height, width, 3), np.float32)


def _starts(colours: npt.NDArray[np.float64]) -> list[npt.NDArray[np.bool_]]:
    """Return which pixels may be background: those that are nearly grey; those near the commonest colour."""
    spread = colours.max(1) - colours.min(1)
    boxes = (colours // 24).astype(np.int64) @ np.array([121, 11, 1])
    values, counts = np.unique(boxes, return_counts=True)
    common = np.median(colours[boxes == values[counts.argmax()]], axis=0)
    near = np.abs(colours - common).max(1) < 40
    grey = spread < 30
    return [start for start in (grey, near) if start.sum() > 0.05 * len(colours)] or [near]


def _fitted(
    colours: npt.NDArray[np.float64], places: npt.NDArray[np.float64], start: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Return coefficients (4, 3), fitted again and again to what they explain."""
    inside, fit = start, np.zeros((4, 3), np.float64)
    for _ in range(6):
        rows = places[inside]
        normal = np.einsum("ni,nj->ij", rows, rows) + 1e-3 * len(rows) * np.diag([0.0, 1, 1, 1]) + 1e-9 * np.eye(4)
        fit[:] = np.linalg.solve(normal, np.einsum("ni,nc->ic", rows, colours[inside]))
        closer = _without_grey(colours - _plane(places, fit), _GREY_COUNTS) < _INSIDE
        if closer.sum() < 8 or (closer == inside).all():
            break
        inside = closer
    return fit


def _plane(places: npt.NDArray[np.float64], fit: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return places (n, 4) times coefficients (4, 3), on one thread: too small a product to share."""
    return np.asarray(np.einsum("ni,ic->nc", places, fit))


def _without_grey(apart: npt.NDArray[np.floating], counts: float) -> F32:
    """Return the size of differences (..., 3), levels, in which brightness counts for a share only."""
    r, g, b = apart[..., 0], apart[..., 1], apart[..., 2]
    grey = (r + g + b) / 3
    return np.asarray(np.sqrt(np.maximum(r * r + g * g + b * b - (3 - counts**2) * grey * grey, 0)), np.float32)
