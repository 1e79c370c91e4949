"""Clips cut out of a source: copied, re-encoded or named, and looked at again before they are handed over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from os import PathLike
from typing import TYPE_CHECKING

import cv2
from av.video.reformatter import Interpolation, VideoReformatter

from media.encoding import BT709, Colours, CutMode, Encoded, Preset, encode_timed, exact_rate
from media.errors import MediaError
from media.frames import AvFrame, Frame, Rgb
from media.indexing import FrameIndex, frame_index
from media.probing import probe
from media.remuxing import CopyCheck, Span, copy_spans
from media.spans import read_span
from media.tone import rendering

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

__all__ = ["Crop", "cut", "cut_many"]

Crop = tuple[int, int, int, int]
"""x, y, width and height in upright source pixels."""

_TICK = Fraction(1, 360_000)  # holds 24000/1001, 30000/1001, 25, 60, 1/1000 and 1/90000 s without rest
_OPENING_FRAMES = 4  # what opening a file and seeking in it costs, in frames decoded
_SCALER = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
_UNTOLD = frozenset({2, 3})  # H.273: unspecified, reserved
_MATRIX_CODES = {"bt709": 1, "bt601": 6, "bt2020": 9}


def cut(
    path: str | PathLike[str],
    first: int,
    end: int,
    *,
    mode: CutMode = "exact",
    max_height: int | None = None,
    crop: Crop | None = None,
    fps: float | Fraction | None = None,
    crf: float = 18,
    preset: Preset = "veryfast",
    gop: int | None = None,
    verify: CopyCheck = "packets",
    frames: int | None = None,
    threads: int = 1,
    wall_limit_s: float | None = None,
) -> Encoded:
    """Cut source frames `first` to `end` (half-open) of the file at `path`: see `cut_many`."""
    outcomes = cut_many(
        path, [(first, end)], mode=mode, max_height=max_height, crop=crop, fps=fps, crf=crf, preset=preset, gop=gop,
        verify=verify, frames=frames, threads=threads, wall_limit_s=wall_limit_s,
    )  # fmt: skip
    ((_, outcome),) = outcomes
    if isinstance(outcome, MediaError):
        raise outcome
    return outcome


def cut_many(
    path: str | PathLike[str],
    spans: Sequence[Span],
    *,
    mode: CutMode = "exact",
    max_height: int | None = None,
    crop: Crop | None = None,
    fps: float | Fraction | None = None,
    crf: float = 18,
    preset: Preset = "veryfast",
    gop: int | None = None,
    verify: CopyCheck = "packets",
    frames: int | None = None,
    threads: int = 1,
    wall_limit_s: float | None = None,
) -> Iterator[tuple[int, Encoded | MediaError]]:
    """Cut `spans` (source frames, half-open) of the file at `path`, reading it as few times as can be.

    Yields, for each span, its place in `spans` and the clip, or the MediaError that stands in its way; in the order of
    the file. ValueError for an empty span, or a crop outside the picture.

    `mode` "exact": the frames, re-encoded to H.264 in MP4 (`media.encode`: `crf`, `preset`, `gop`), upright, of even
    size. `crop` is (x, y, width, height) in upright source pixels, taken before scaling down to `max_height` rows.
    Planes that need nothing but scaling go from decoder to encoder as they are, with the source's colours; all others
    by RGB, to BT.709. With `fps` None every source frame is written once, at its own time (a variable rate stays
    variable); else the clip is resampled to `fps`, each output frame showing what the source shows in the middle of
    its time. The result is decoded again and held against what went in (`media.verifying.Witness`). `wall_limit_s`
    bounds each decoding pass; `frames`: see `read_span`.

    `mode` "copy": the source's own packets, from the keyframe before (`media.remuxing`). Nothing is scaled, cropped or
    resampled. `verify` "decode" compares every frame, not only every packet.

    `mode` "reference": no bytes; what a reader of `path` will find there. Only the span is checked, not its pictures.
    """
    for first, end in spans:
        if not 0 <= first < end:
            raise ValueError(f"frames {first} to {end}: a span needs 0 <= first < end")
    if mode == "exact":
        shape = _Shape(max_height, crop)

        def encoded(shown: Iterator[Frame], span: Span) -> Encoded:
            return _exact(shown, _mean_rate(path, span), shape, fps, crf=crf, preset=preset, gop=gop)

        def reading(span: Span) -> Iterator[Frame]:
            return read_span(path, *span, frames=frames, threads=threads, wall_limit_s=wall_limit_s)

        yield from _in_passes(spans, frame_index(path), reading, encoded)
        return
    if max_height is not None or crop is not None or fps is not None:
        raise ValueError(f"mode {mode!r} keeps pictures as they are: it knows no max_height, crop or fps")
    if mode == "copy":
        yield from copy_spans(path, spans, check=verify, wall_limit_s=wall_limit_s)
    else:
        yield from _references(path, spans)


def _in_passes(
    spans: Sequence[Span],
    index: FrameIndex,
    reading: Callable[[Span], Iterator[Frame]],
    encoded: Callable[[Iterator[Frame], Span], Encoded],
) -> Iterator[tuple[int, Encoded | MediaError]]:
    """Decode along the spans in their order; after an error, begin again at the next span."""
    places = sorted(range(len(spans)), key=lambda i: spans[i])
    while places:
        together = _one_pass(places, spans, index)
        end = max(spans[i][1] for i in together)
        with closing(reading((spans[together[0]][0], end))) as frames:  # type: ignore[type-var]
            for place in together:
                places.pop(0)
                try:
                    outcome: Encoded | MediaError = encoded(_take(frames, spans[place]), spans[place])
                except MediaError as error:
                    outcome = error
                yield place, outcome
                if isinstance(outcome, MediaError):
                    break


def _one_pass(places: Sequence[int], spans: Sequence[Span], index: FrameIndex) -> list[int]:
    """Return the places whose spans are read in one go: those that follow with no gap worth a seek."""
    together = [places[0]]
    for place in places[1:]:
        at, first = spans[together[-1]][1], spans[place][0]
        if first < at:
            break
        by_seek = first if index.doubt or first >= index.frames else first - index.key_before(first) + _OPENING_FRAMES
        if first - at > by_seek:
            break
        together.append(place)
    return together


def _take(frames: Iterator[Frame], span: Span) -> Iterator[Frame]:
    for frame in frames:
        if frame.index >= span[0]:
            yield frame
        if frame.index + 1 >= span[1]:
            return


def _exact(
    shown: Iterator[Frame],
    own_rate: Fraction,
    shape: _Shape,
    fps: float | Fraction | None,
    *,
    crf: float,
    preset: Preset,
    gop: int | None,
) -> Encoded:
    rate = own_rate if fps is None else exact_rate(fps)
    timed, time_base = (_own_times(shown), _TICK) if fps is None else (_resampled(shown, rate), 1 / rate)
    first = next(timed, None)
    if first is None:
        raise MediaError("truncated", "no frame of it is there")
    colours = shape.colours_kept(first[0])
    return encode_timed(
        shape.pictures(chain([first], timed), direct=colours is not None), time_base=time_base, rate=rate, crf=crf,
        preset=preset, gop=gop, colours=colours or BT709, verify=True,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Shape:
    """How pictures are cropped and scaled down, and made even."""

    max_height: int | None
    crop: Crop | None

    def colours_kept(self, frame: Frame) -> Colours | None:
        """Return the colours of planes that may go to the encoder as they are; None where they must be converted.

        A matrix that the stream does not name is the one that this size is read by (`Frame.matrix`), and is named.
        """
        picture = self._planes(frame)
        if picture is None:
            return None
        matrix = _MATRIX_CODES[frame.matrix] if picture.colorspace in _UNTOLD else picture.colorspace
        return Colours(matrix, picture.color_primaries, picture.color_trc)

    def pictures(self, timed: Iterable[tuple[Frame, int]], *, direct: bool) -> Iterator[tuple[Rgb | VideoFrame, int]]:
        """Shape the frames: as planes where that is wanted and can be, else as RGB."""
        shown: Frame | None = None
        reformatter = VideoReformatter()
        for frame, stamp in timed:
            if frame is not shown:
                planes = self._planes(frame) if direct else None
                picture = self._rgb(frame) if planes is None else self._scaled(planes, reformatter)
                shown = frame
            yield picture, stamp

    def _planes(self, frame: Frame) -> VideoFrame | None:
        """Return the decoder's own planes where nothing but scaling stands between them and the encoder."""
        if self.crop is not None or not isinstance(frame, AvFrame):
            return None
        picture = frame.picture
        as_is = picture.format.name == "yuv420p" and frame.geometry.plain and not (frame.full_range or frame.interlaced)
        even = self._size(picture.width, picture.height) != (picture.width, picture.height) or not (
            picture.width % 2 or picture.height % 2
        )
        return picture if as_is and even and not rendering(picture.color_trc, picture.color_primaries) else None

    def _size(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and the height at which planes are written."""
        if self.max_height is None or height <= self.max_height:
            return width, height
        rows = max(2, self.max_height - self.max_height % 2)
        columns = round(width * rows / height)
        return max(2, columns - columns % 2), rows

    def _scaled(self, picture: VideoFrame, reformatter: VideoReformatter) -> VideoFrame:
        width, height = self._size(picture.width, picture.height)
        if (width, height) == (picture.width, picture.height):
            return picture
        return reformatter.reformat(picture, width, height, "yuv420p", interpolation=_SCALER, threads=1)

    def _rgb(self, frame: Frame) -> Rgb:
        if self.crop is None:
            picture = frame.rgb(None if self.max_height is None else self.max_height - self.max_height % 2)
        else:
            picture = frame.rgb()
            x, y, width, height = self.crop
            rows, columns = picture.shape[:2]
            if x < 0 or y < 0 or width < 2 or height < 2 or x + width > columns or y + height > rows:
                raise ValueError(f"crop {self.crop} does not lie inside the picture of {columns} x {rows}")
            picture = picture[y : y + height, x : x + width]
            if self.max_height is not None and height > self.max_height:
                even = self.max_height - self.max_height % 2
                size = (max(2, 2 * round(width * even / height / 2)), even)
                picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        rows, columns = picture.shape[:2]
        return picture[: max(1, rows - rows % 2), : max(1, columns - columns % 2)]


def _references(path: str | PathLike[str], spans: Sequence[Span]) -> Iterator[tuple[int, Encoded | MediaError]]:
    about, index = probe(path), frame_index(path)
    for place in sorted(range(len(spans)), key=lambda i: spans[i]):
        first, end = spans[place]
        if not index.doubt and end > index.frames:
            yield place, MediaError("truncated", f"frames {first} to {end} were asked for, it ends at {index.frames}")
            continue
        rate = float(_mean_rate(path, (first, end)))
        yield place, Encoded(b"", end - first, about.width_px, about.height_px, rate, "reference", first)


def _mean_rate(path: str | PathLike[str], span: Span) -> Fraction:
    first, end = span
    index = frame_index(path)
    if not index.doubt and first + 1 < end <= index.frames:
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
