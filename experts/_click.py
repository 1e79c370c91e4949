"""The mask of what a point lies on, and the same mask carried through the frames that follow.

At a click: GrabCut (Rother, Kolmogorov and Blake 2004) is begun from discs of several sizes around the point, and
the cut whose outline lies on the strongest edges is kept. From frame to frame: the mask leaps to where the thing is
most alike and is carried along dense flow, then GrabCut decides anew in a narrow band around its outline, so that
errors of the flow do not add up. Both work at 256 px: an outline is as fine as the picture's 256th part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from experts.base import Rgb
from experts.flow import between

__all__ = ["carried", "grown"]

Mask = npt.NDArray[np.uint8]
"""uint8 [H, W]: 255 inside, 0 outside."""

_SIDE: Final = 256
_DISCS: Final = (0.06, 0.12, 0.2, 0.3)  # radii over the picture's shorter side
_SURE: Final = 0.02  # radius of what certainly belongs to it
_MOST: Final = 0.7  # of the picture: more is what lies behind things
_BAND: Final = 4  # pixels to either side of a carried outline in which it is looked for again
_ROUNDS: Final = 4
_REACH: Final = 40  # pixels, how far a thing is looked for in the next frame


def grown(frame: Rgb, point: tuple[float, float]) -> Mask:
    """Return the mask of what lies at `point`, (x, y) as shares of the picture."""
    import cv2

    small = _small(frame)
    height, width = small.shape[:2]
    centre = min(width - 1, int(point[0] * width)), min(height - 1, int(point[1] * height))
    edges = _edges(small)
    best, best_score = _disc((height, width), centre, 1), -1.0
    for radius in _DISCS:
        labels = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
        labels[_disc((height, width), centre, round(radius * min(height, width))) > 0] = cv2.GC_PR_FGD
        labels[_disc((height, width), centre, round(_SURE * min(height, width))) > 0] = cv2.GC_FGD
        cut = _part_at(_cut(small, labels, _ROUNDS), centre)
        score = _outlined(cut, edges)
        if score > best_score and 0 < np.count_nonzero(cut) < _MOST * cut.size:
            best, best_score = cut, score
    return _large(best, frame)


def carried(
    mask: Mask, frames: Sequence[Rgb], known: Callable[[Rgb, Mask], Mask | None] | None = None
) -> Iterator[Mask]:
    """Yield the mask of `frames[0]`, which is `mask`, then where it has moved to in each of the others.

    `known(frame, moved)` may know the thing's mask of its own, given where the flow has moved it to.
    """
    import cv2

    yield mask
    small = [_small(frame) for frame in frames]
    if len(small) < 2:
        return
    height, width = small[0].shape[:2]
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)
    soft = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
    for before, after, frame in zip(small, small[1:], frames[1:], strict=False):
        leap = _leap(before, after, soft)
        near, soft = (cv2.warpAffine(a, leap, (width, height), borderMode=cv2.BORDER_REPLICATE) for a in (before, soft))
        # what lies around the thing moves by itself: it is taken as it is, so that the flow is that of the thing
        near = np.where(cv2.dilate(soft, np.ones((5, 5), np.uint8))[..., None] >= 128, near, after)
        source = grid + between(after, near)
        moved = cv2.remap(soft, source[..., 0], source[..., 1], cv2.INTER_LINEAR)
        moved = np.where(moved >= 128, 255, 0).astype(np.uint8)
        own = None if known is None else known(frame, _large(moved, frame))
        if own is None:
            soft = _settled(after, moved)
            yield _large(soft, frame)
        else:
            soft = cv2.resize(own, (width, height), interpolation=cv2.INTER_AREA)
            yield own


def _leap(before: Rgb, after: Rgb, mask: Mask) -> npt.NDArray[np.float32]:
    """Return the shift [2, 3] by which the thing is most alike in both frames; none where that halves no difference.

    Dense flow loses what moves by a good part of its own size.
    """
    import cv2

    stays = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    left, top, width, height = cv2.boundingRect((mask >= 128).astype(np.uint8))
    if width < 3 or height < 3:
        return stays
    own = slice(top, top + height), slice(left, left + width)
    around = cv2.copyMakeBorder(after, _REACH, _REACH, _REACH, _REACH, cv2.BORDER_REPLICATE)
    window = around[top : top + height + 2 * _REACH, left : left + width + 2 * _REACH]
    weight = np.repeat((mask[own] >= 128).astype(np.uint8)[..., None], 3, axis=2)
    unlike = cv2.matchTemplate(window, np.ascontiguousarray(before[own]), cv2.TM_SQDIFF, mask=weight)
    least, _, (x, y), _ = cv2.minMaxLoc(unlike)
    if least > 0.5 * float(unlike[_REACH, _REACH]):
        return stays
    return np.array([[1, 0, x - _REACH], [0, 1, y - _REACH]], np.float32)


def _settled(small: Rgb, mask: Mask) -> Mask:
    """Let GrabCut decide in a band around the outline; what is thinner than the band stays as it is."""
    import cv2

    kernel = np.ones((2 * _BAND + 1, 2 * _BAND + 1), np.uint8)
    # beyond the picture's edge there is neither inside nor outside: the mask goes on there
    sure, near = (change(mask, kernel, borderType=cv2.BORDER_REPLICATE) for change in (cv2.erode, cv2.dilate))
    if not sure.any() or near.all():
        return mask
    labels = np.where(mask > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[sure > 0], labels[near == 0] = cv2.GC_FGD, cv2.GC_BGD
    found = _cut(small, labels, 1)
    smooth: Mask = cv2.medianBlur(found, 3)
    return smooth


def _cut(small: Rgb, labels: npt.NDArray[np.uint8], rounds: int) -> Mask:
    import cv2

    cv2.setRNGSeed(0)  # GrabCut's clusters start at random; the same picture must give the same mask
    models = np.zeros((1, 65)), np.zeros((1, 65))
    try:
        cv2.grabCut(small, labels, None, models[0], models[1], rounds, cv2.GC_INIT_WITH_MASK)
    except cv2.error:  # too few pixels of one side to know its colours
        return np.where(labels == cv2.GC_FGD, 255, 0).astype(np.uint8)
    return np.where((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD), 255, 0).astype(np.uint8)


def _part_at(mask: Mask, centre: tuple[int, int]) -> Mask:
    """Return the connected part of a mask at a pixel, its holes filled."""
    import cv2

    _, parts = cv2.connectedComponents(mask)
    own = parts[centre[1], centre[0]]
    part = np.where((parts == own) & (own > 0), 255, 0).astype(np.uint8)
    outlines, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled: Mask = cv2.drawContours(part, outlines, -1, 255, cv2.FILLED)
    return filled


def _edges(small: Rgb) -> npt.NDArray[np.float32]:
    """Return how strong the edge at each pixel is, in CIELAB, 1 on average."""
    import cv2

    lab = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32), (0, 0), 1.0)
    across, down = cv2.Sobel(lab, cv2.CV_32F, 1, 0), cv2.Sobel(lab, cv2.CV_32F, 0, 1)
    strength = np.sqrt((across**2 + down**2).sum(axis=-1))
    found: npt.NDArray[np.float32] = strength / max(1e-6, float(strength.mean()))
    return found


def _outlined(mask: Mask, edges: npt.NDArray[np.float32]) -> float:
    """Return the median edge along a mask's outline within the picture; 0 where it has none."""
    import cv2

    outline = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    outline[[0, -1]], outline[:, [0, -1]] = False, False
    return float(np.median(edges[outline])) if outline.any() else 0.0


def _disc(shape: tuple[int, int], centre: tuple[int, int], radius: int) -> Mask:
    import cv2

    drawn: Mask = cv2.circle(np.zeros(shape, np.uint8), centre, max(1, radius), 255, -1)
    return drawn


def _small(frame: Rgb) -> Rgb:
    import cv2

    scale = min(1.0, _SIDE / max(frame.shape[:2]))
    size = max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale))
    found: Rgb = cv2.resize(np.ascontiguousarray(frame), size, interpolation=cv2.INTER_AREA)
    return found


def _large(mask: Mask, frame: Rgb) -> Mask:
    import cv2

    large = cv2.resize(mask, (frame.shape[1], frame.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.where(large >= 128, 255, 0).astype(np.uint8)
