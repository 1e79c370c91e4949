"""Pictures to MP4 bytes: H.264, and the same bytes for the same pictures wherever it runs."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal, get_args

import av
import av.container
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from media.frames import Rgb
from media.verifying import Witness

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

__all__ = ["BT709", "PRESETS", "Colours", "CutMode", "Encoded", "Preset", "encode", "encode_timed", "exact_rate", "mp4"]

CutMode = Literal["copy", "exact", "reference"]

Preset = Literal[
    "lean", "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"
]  # fmt: skip
PRESETS: Final[tuple[Preset, ...]] = get_args(Preset)
"""x264's presets, and one of our own: "lean" is "veryfast" without what gains little.

Against veryfast at the same PSNR (720p animation and camera footage, CRF 17 to 19), lean takes 40% less CPU time and
4% to 7% more bytes: no splitting of predicted macroblocks (-30% of the time), B-frames at fixed places (-14%), a
diamond search (-6%).
"""

_LEAN = ":b-adapt=0:me=dia:partitions=i8x8,i4x4"
# x264's macroblock tree is computed by SIMD code that does not give the same sums twice (seen with AVX-512: up to five
# different files from forty runs); everything else in x264 is exact with one thread. Without it x264 looks ahead no
# further than its B-frames: `rc-lookahead` and `sync-lookahead` change neither bytes nor time.
_X264 = "open-gop=0:mbtree=0"
_SCALER = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT


@dataclass(frozen=True, slots=True)
class Colours:
    """What a stream says of its colours, limited range: matrix, primaries and transfer by their ITU-T H.273 numbers."""

    matrix: int
    primaries: int
    transfer: int


BT709 = Colours(1, 1, 1)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A video in memory: the bytes of an MP4, and what is in it. `fps` is frames / duration.

    The frames meant are `in_frame` to `out_frame` (half-open) of those that `data` decodes to: all of them, except in
    a copy, which begins at the keyframe before and may end after. Of a reference, `data` is empty and the numbers are
    those of the source. `psnr_db` and `psnr_worst_db` are the fidelity of the luma, of the whole and of the worst
    frame; None where it was not measured, or there was no loss.
    """

    data: bytes
    frames: int
    width_px: int
    height_px: int
    fps: float
    mode: CutMode = "exact"
    in_frame: int = 0
    psnr_db: float | None = None
    psnr_worst_db: float | None = None

    @property
    def out_frame(self) -> int:
        """The frame after the last one meant."""
        return self.in_frame + self.frames


def exact_rate(fps: float | Fraction) -> Fraction:
    """Return the rate meant by `fps`: 29.97 is 30000/1001, 25.0 is 25, any other the nearest fraction."""
    if isinstance(fps, Fraction):
        return fps
    if fps <= 0:
        raise ValueError(f"fps must be above 0, not {fps}")
    for rate in (Fraction(round(fps)), Fraction(round(fps * 1.001) * 1000, 1001)):
        if rate and abs(float(rate) - fps) < 0.005:
            return rate
    return Fraction(fps).limit_denominator(1001)


def encode(
    frames: Iterable[Rgb],
    *,
    fps: float | Fraction,
    crf: float = 18,
    preset: Preset = "veryfast",
    gop: int | None = None,
    verify: bool = False,
) -> Encoded:
    """Encode `frames` (H, W, 3), all of one size, at a constant rate, to H.264 in MP4.

    yuv420p, BT.709, closed groups of pictures of `gop` frames at most (two seconds when None), index at the front.
    An odd width or height is made even by repeating the last column or row; `width_px` and `height_px` tell the
    size written. One thread, no macroblock tree and no dates: equal input gives equal bytes. With `verify` the bytes
    are decoded and held against what went in (`media.verifying`): MediaError("verify_failed") where they differ.
    ValueError for no frames, or frames of different sizes.
    """
    rate = exact_rate(fps)
    stamped = ((picture, number) for number, picture in enumerate(frames))
    return encode_timed(stamped, time_base=1 / rate, rate=rate, crf=crf, preset=preset, gop=gop, verify=verify)


def encode_timed(
    stamped: Iterable[tuple[Rgb | VideoFrame, int]],
    *,
    time_base: Fraction,
    rate: Fraction,
    crf: float = 18,
    preset: Preset = "veryfast",
    gop: int | None = None,
    colours: Colours = BT709,
    verify: bool = False,
) -> Encoded:
    """Encode (picture, timestamp) pairs, timestamps rising, in units of `time_base` seconds: see `encode`.

    A picture is RGB, or a yuv420p frame of limited range and even size, which is encoded as it is: its samples must
    be of `colours`, and its timestamp is overwritten. `rate` is the mean rate, for the header and the length of the
    last frame.
    """
    pairs = iter(stamped)
    first = next(pairs, None)
    if first is None:
        raise ValueError("no frames to encode")
    if preset not in PRESETS:
        raise ValueError(f"preset {preset!r}: there are {', '.join(PRESETS)}")
    height, width = _shape(first[0])[:2]
    size = width + width % 2, height + height % 2
    witness = Witness() if verify else None
    pictures = _yuv_pictures(itertools.chain([first], pairs), colours)
    with mp4() as (container, buffer):
        stream = container.add_stream("libx264", rate=rate, options=_options(crf, preset))
        _set_up(stream, size, time_base, gop or max(1, round(2 * rate)), colours)
        watched = pictures if witness is None else witness.watch(pictures)
        count, span = _write(container, stream, watched, time_base)
    encoded = Encoded(buffer.getvalue(), count, *size, count / float(span * time_base + 1 / rate))
    if witness is None:
        return encoded
    quality = witness.check(encoded.data, time_base)
    return replace(encoded, psnr_db=quality.psnr_db, psnr_worst_db=quality.psnr_worst_db)


@contextmanager
def mp4() -> Iterator[tuple[av.container.OutputContainer, io.BytesIO]]:
    """Open an MP4 for writing in memory: no dates, no names, its index at the front. Complete after the `with`."""
    buffer = io.BytesIO()

    def reopen(*_: object) -> io.BytesIO:
        # To move the index to the front the muxer reads what it wrote, behind the place where it writes.
        return io.BytesIO(buffer.getvalue())

    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(buffer, "w", format="mp4", options=options, io_open=reopen) as container:
        yield container, buffer


def _options(crf: float, preset: Preset) -> dict[str, str]:
    lean = preset == "lean"
    return {
        "crf": f"{crf:g}",
        "preset": "veryfast" if lean else preset,
        "x264-params": _X264 + (_LEAN if lean else ""),
        "a53cc": "0",  # captions ride on decoded frames; they are not the picture
    }


def _set_up(stream: av.VideoStream, size: tuple[int, int], time_base: Fraction, gop: int, colours: Colours) -> None:
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = time_base
    context.gop_size = gop
    context.thread_count = 1  # x264 makes other bytes with other numbers of threads
    context.color_range = ColorRange.MPEG
    context.colorspace, context.color_primaries, context.color_trc = colours.matrix, colours.primaries, colours.transfer


def _write(
    container: av.container.OutputContainer,
    stream: av.VideoStream,
    pictures: Iterator[tuple[VideoFrame, int]],
    time_base: Fraction,
) -> tuple[int, int]:
    """Encode and mux all pictures; return their number and the ticks from the first to the last."""
    count, origin, last = 0, 0, 0
    for picture, stamp in pictures:
        origin, last = (stamp, stamp) if count == 0 else (origin, stamp)
        picture.pts, picture.time_base = stamp - origin, time_base
        picture.pict_type = 0  # else the encoder would repeat the decoder's choice of I, P and B
        container.mux(stream.encode(picture))
        count += 1
    container.mux(stream.encode(None))
    return count, last - origin


def _shape(picture: Rgb | VideoFrame) -> tuple[int, ...]:
    return picture.shape if isinstance(picture, np.ndarray) else (picture.height, picture.width, 3)


def _yuv_pictures(pairs: Iterable[tuple[Rgb | VideoFrame, int]], colours: Colours) -> Iterator[tuple[VideoFrame, int]]:
    reformatter = VideoReformatter()
    shape: tuple[int, ...] | None = None
    for number, (picture, stamp) in enumerate(pairs):
        shape = shape or _shape(picture)
        if _shape(picture) != shape:
            raise ValueError(f"frame {number} has shape {_shape(picture)}, the first has {shape}")
        yield (_to_yuv(picture, reformatter, colours) if isinstance(picture, np.ndarray) else picture), stamp


_SWSCALE_OF = {1: 1, 9: 9, 10: 9}  # ITU-T H.273 to swscale's numbers; BT.601 for the others
_SWSCALE_BT601 = 5


def _to_yuv(picture: Rgb, reformatter: VideoReformatter, colours: Colours) -> VideoFrame:
    height, width = picture.shape[:2]
    if height % 2 or width % 2:
        picture = cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    yuv = reformatter.reformat(
        rgb, format="yuv420p", dst_colorspace=_SWSCALE_OF.get(colours.matrix, _SWSCALE_BT601),
        dst_color_range=ColorRange.MPEG, interpolation=_SCALER, threads=1,
    )  # fmt: skip
    yuv.colorspace, yuv.color_primaries, yuv.color_trc = colours.matrix, colours.primaries, colours.transfer
    return yuv
