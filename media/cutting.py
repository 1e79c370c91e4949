"""Clips cut out of a source: exact, re-encoded, and looked at again before they are handed over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from os import PathLike

import cv2
import numpy as np

from media.decoding import decode
from media.encoding import Encoded, encode_timed, exact_rate
from media.errors import MediaError
from media.frames import Frame, Rgb
from media.indexing import frame_index
from media.probing import probe
from media.spans import read_span

__all__ = ["cut"]

_TICK = Fraction(1, 360_000)  # holds 24000/1001, 30000/1001, 25, 60, 1/1000 and 1/90000 s without rest
_THUMB = (16, 16)
_MAX_ERROR_LEVELS = 20.0  # of a 16 x 16 thumbnail, mean; the coarsest CRF stays far below, another scene does not


def cut(
    path: str | PathLike[str],
    first: int,
    end: int,
    *,
    max_height: int | None = None,
    crop: tuple[int, int, int, int] | None = None,
    fps: float | Fraction | None = None,
    crf: float = 18,
    preset: str = "veryfast",
    gop: int | None = None,
    frames: int | None = None,
    threads: int = 1,
    wall_limit_s: float | None = None,
) -> Encoded:
    """Cut source frames `first` to `end` (half-open) of the file at `path` into an MP4 of its own.

    `crop` is (x, y, width, height) in upright source pixels, taken before scaling down to `max_height` rows.
    Sizes are made even: by dropping the last row or column, or in the scaling. With `fps` None every source frame
    is written once, at its own time (a variable rate stays variable); else the clip is resampled to `fps`, each
    output frame showing what the source shows in the middle of its time. `frames`: see `read_span`.

    The result is decoded again: its frames are counted, and each is held against the picture it was made from.
    MediaError("verify_failed") when they differ; else as for `read_span`. ValueError for a crop outside the picture.
    """
    source = read_span(path, first, end, frames=frames, threads=threads, wall_limit_s=wall_limit_s)
    if fps is None:
        rate = _mean_rate(path, first, end)
        timed, time_base = _own_times(source), _TICK
    else:
        rate = exact_rate(fps)
        timed, time_base = _resampled(source, rate), 1 / rate
    thumbs: list[Rgb] = []

    def shaped() -> Iterator[tuple[Rgb, int]]:
        shown: Frame | None = None
        for frame, stamp in timed:
            if frame is not shown:
                picture, shown = _shape(frame, max_height, crop), frame
            thumbs.append(_thumb(picture))
            yield picture, stamp

    encoded = encode_timed(shaped(), time_base=time_base, rate=rate, crf=crf, preset=preset, gop=gop)
    _verify(encoded, thumbs)
    return encoded


def _mean_rate(path: str | PathLike[str], first: int, end: int) -> Fraction:
    index = frame_index(path)
    if not index.doubt and first + 1 < end <= len(index.pts):
        return exact_rate((end - 1 - first) / (index.time_s(end - 1) - index.time_s(first)))
    return exact_rate(probe(path).fps or 25.0)


def _own_times(frames: Iterable[Frame]) -> Iterator[tuple[Frame, int]]:
    last = -1
    for frame in frames:
        last = max(last + 1, round(frame.time_s / _TICK))
        yield frame, last


def _resampled(frames: Iterable[Frame], rate: Fraction) -> Iterator[tuple[Frame, int]]:
    step_s = float(1 / rate)
    start_s: float | None = None
    frame: Frame | None = None
    number = 0
    for frame in frames:
        start_s = frame.time_s if start_s is None else start_s
        ends_s = frame.time_s - start_s + (frame.duration_s or step_s)
        while (number + 0.5) * step_s < ends_s:
            yield frame, number
            number += 1
    if frame is not None and number == 0:
        yield frame, 0  # shorter than half an output frame


def _shape(frame: Frame, max_height: int | None, crop: tuple[int, int, int, int] | None) -> Rgb:
    """Crop, scale down and make even."""
    if crop is None:
        picture = frame.rgb(None if max_height is None else max_height - max_height % 2)
    else:
        picture = frame.rgb()
        x, y, width, height = crop
        rows, columns = picture.shape[:2]
        if x < 0 or y < 0 or width < 2 or height < 2 or x + width > columns or y + height > rows:
            raise ValueError(f"crop {crop} does not lie inside the picture of {columns} x {rows}")
        picture = picture[y : y + height, x : x + width]
        if max_height is not None and height > max_height:
            even = max_height - max_height % 2
            size = (max(2, 2 * round(width * even / height / 2)), even)
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    rows, columns = picture.shape[:2]
    return picture[: max(1, rows - rows % 2), : max(1, columns - columns % 2)]


def _thumb(picture: Rgb) -> Rgb:
    thumb: Rgb = cv2.resize(picture, _THUMB, interpolation=cv2.INTER_AREA)
    return thumb


def _verify(encoded: Encoded, thumbs: list[Rgb]) -> None:
    """Decode what was written; count it, and hold each frame against what went in."""
    count = 0
    for frame in decode(encoded.data):
        if count < len(thumbs):
            error = float(np.abs(_thumb(frame.rgb()).astype(np.float32) - thumbs[count]).mean())
            if error > _MAX_ERROR_LEVELS:
                raise MediaError("verify_failed", f"written frame {count} differs by {error:.1f} levels")
        count += 1
    if count != len(thumbs) or encoded.frames != count:
        raise MediaError("verify_failed", f"{len(thumbs)} frames went in, {count} come out")
