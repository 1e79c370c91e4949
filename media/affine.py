"""A view that moves over a still: one affine matrix a frame, rendered without steps, shimmer or border pixels.

A matrix goes from the output picture to the still, both in normalised coordinates (-1 to 1 from edge to edge, as in
`torch.nn.functional.affine_grid` with align_corners=False), so that a path holds for every size of either.

How a frame is sampled. The still is brought, by areas, to a few samples for each output pixel of the closest view, and
averaged over the box that one output pixel covers: then nothing is in it that could alias. From there one bilinear
sample is taken for each output pixel. OpenCV places samples to 1/32 of a pixel of what it reads, so with four samples
for each output pixel a view is placed to 1/128 of an output pixel: the brightness of a full edge is then right within
one level. Views that are wider than the closest one are
read from pictures averaged over as much more, in steps of half an octave; between two of them the result is mixed, so
that a zoom does not jump from one to the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import floor
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from media.errors import MediaError
from media.frames import Rgb

__all__ = ["FINE_BITS", "Affines", "averaged", "output_size", "render", "still_frames"]

Affines = npt.NDArray[np.float32]
"""One matrix a frame: float32, (F, 2, 3). At 8,000 px a float32 is exact to 1/2000 of a pixel."""

FINE_BITS: Final = 8
"""Bits below a level that are kept until the end: rounded before, soft slopes would move in steps, all at once."""

F64 = npt.NDArray[np.float64]
Fine = npt.NDArray[np.uint16]

_DENSITY: Final = (2.0, 4.0)
"""Least and most samples for each output pixel, along a side, of what is read."""
_MOST_SAMPLES: Final = 24e6
"""Above this, fewer than the most are taken: 2,000 x 3,000 px of output at the least."""
_STEP: Final = 0.5  # octaves between pictures averaged over more and more
_NO_STEP: Final = 0.04  # octaves of difference between the views of a path that need no second picture
_HELD: Final = 3


def output_size(height: int, width: int, height_px: int) -> tuple[int, int]:
    """Return the (height, width) of a video over a still: even, in its proportions, not enlarged."""
    rows = max(2, min(height_px, height) // 2 * 2)
    return rows, max(2, round(rows * width / height / 2) * 2)


def render(image: Rgb, path: Affines, size: tuple[int, int], only: Sequence[int] | None = None) -> Iterator[Rgb]:
    """Yield one picture (*size, 3) for each matrix of `path` (F, 2, 3), lazily; `size` is (height, width).

    `only` are the numbers of the frames wanted, in the order wanted: their pixels are those of the whole. Every view
    must lie within the still. ValueError for a path or a still of another shape.
    """
    path = np.asarray(path, np.float32)
    if path.ndim != 3 or path.shape[1:] != (2, 3):
        raise ValueError(f"a path is (frames, 2, 3), not {path.shape}")
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"a still is (height, width, 3), not {image.shape}")
    if not len(path):
        return
    sampler = _Sampler(image, path, size)
    for number in range(len(path)) if only is None else only:
        yield sampler.frame(number)


def still_frames(row: Mapping[str, Any], wanted: Sequence[int] | None = None) -> npt.NDArray[np.uint8]:
    """Return frames (F, H, W, 3) of a training row that holds a still and its path: all, or those `wanted`, in order.

    The row's columns: `affine`, `height_px`, `width_px`, and the still's bytes in `media` or its address in `uri`. The
    pixels are those that are encoded where the row is cut exact. MediaError for a still that cannot be read, and
    "truncated" for a frame that the path does not have.
    """
    from media.files import local_copy
    from media.stills import decode_still, load_still

    path = np.asarray(row["affine"], np.float32).reshape(-1, 2, 3)
    numbers = range(len(path)) if wanted is None else wanted
    if len(numbers) and not 0 <= min(numbers) <= max(numbers) < len(path):
        raise MediaError("truncated", f"frame {max(numbers)} is asked for, {len(path)} are there")
    if row.get("media") is not None:
        image = decode_still(row["media"])
    else:
        with local_copy(row["uri"]) as file:
            image = load_still(Path(file))
    size = int(row["height_px"]), int(row["width_px"])
    return np.stack(list(render(image, path, size, numbers)))


class _Sampler:
    """Samples one still along one path."""

    def __init__(self, image: Rgb, path: Affines, size: tuple[int, int]) -> None:
        self._image, self._size = image, size
        self._matrices = _scaled(path.astype(np.float64), image.shape[:2], size)
        # How many pixels of the still, along x and y, one output pixel spans in each view.
        spans = np.sqrt((self._matrices[:, :, :2] ** 2).sum(axis=2))
        self._closest: F64 = np.maximum(spans.min(axis=0), 1e-6)
        octaves: F64 = np.maximum(0.0, np.log2(spans / self._closest).min(axis=1))
        self._octaves = octaves if octaves.max() > _NO_STEP else np.zeros_like(octaves)
        samples = float(np.prod(np.array(image.shape[1::-1]) / self._closest))
        self._density = float(np.clip((_MOST_SAMPLES / samples) ** 0.5, *_DENSITY))
        self._pictures: dict[int, Fine] = {}

    def frame(self, number: int) -> Rgb:
        """Return one frame."""
        place = self._octaves[number] / _STEP
        level, share = floor(place), place - floor(place)
        sampled = self._sample(number, level)
        if share >= 0.01:
            sampled = np.asarray(cv2.addWeighted(sampled, 1 - share, self._sample(number, level + 1), share, 0))
        return np.asarray(cv2.convertScaleAbs(sampled, alpha=1 / 2**FINE_BITS), np.uint8)

    def _sample(self, number: int, level: int) -> Fine:
        source = self._picture(level)
        to_source = np.array(source.shape[1::-1]) / np.array(self._image.shape[1::-1])
        matrix = self._matrices[number] * to_source[:, None]
        matrix[:, 2] -= 0.5  # OpenCV numbers pixels by their centres
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        sampled = cv2.warpAffine(source, matrix, self._size[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(sampled, np.uint16)

    def _picture(self, level: int) -> Fine:
        """Return the still averaged for views `level` half octaves wider than the closest."""
        if level not in self._pictures:
            while len(self._pictures) >= _HELD:
                del self._pictures[next(iter(self._pictures))]
            span = self._closest * 2.0 ** (_STEP * level)
            self._pictures[level] = averaged(self._image, span, self._density)
        return self._pictures[level]


def averaged(image: Rgb, span: F64, density: float) -> Fine:
    """Return the still with `density` samples for every `span` (x, y) of its pixels, averaged over boxes of `span`.

    uint16, levels times 2**FINE_BITS.
    """
    height, width = image.shape[:2]
    columns, rows = (max(1, round(side * density / s)) for side, s in zip((width, height), span, strict=True))
    for size in ((min(columns, width), min(rows, height)), (columns, rows)):
        if size != image.shape[1::-1]:
            shrinks = size[0] <= image.shape[1] and size[1] <= image.shape[0]
            how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
            image = np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)
    boxes = columns / width * span[0], rows / height * span[1]
    across, along = (_box(wide) for wide in boxes)
    fine: Any = image.astype(np.uint16) << FINE_BITS
    return np.asarray(cv2.sepFilter2D(fine, -1, across, along, borderType=cv2.BORDER_REPLICATE), np.uint16)


def _box(width: float) -> F64:
    """Return a symmetrical kernel: a box of that many samples, whose outermost samples count in part."""
    reach = int(np.ceil((width - 1) / 2))
    taps: F64 = np.clip((width + 1) / 2 - np.abs(np.arange(-reach, reach + 1)), 0.0, 1.0)
    return np.asarray(taps / taps.sum())


def _scaled(path: F64, still: tuple[int, ...], output: tuple[int, int]) -> F64:
    """Turn normalised matrices (F, 2, 3) into ones from pixel numbers of the output to places in the still, pixels.

    The place of the still's first pixel is 0 to 1; its centre is at one half.
    """
    to_still = np.array([still[1], still[0]]) / 2
    from_output = 2 / np.array([output[1], output[0]])
    start = 0.5 * from_output - 1  # the centre of the first output pixel
    scaled = np.empty_like(path)
    scaled[:, :, :2] = to_still[:, None] * path[:, :, :2] * from_output
    scaled[:, :, 2] = to_still * (path[:, :, :2] @ start + path[:, :, 2] + 1)
    return scaled
