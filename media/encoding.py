"""Pictures to MP4 bytes: H.264, and the same bytes for the same pictures wherever it runs."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter

from media.frames import Rgb

if TYPE_CHECKING:
    import av.container

__all__ = ["Encoded", "encode", "encode_timed", "exact_rate"]

_BT709 = 1
# x264's macroblock tree is computed by SIMD code that does not give the same sums twice (seen with AVX-512: up to five
# different files from forty runs); everything else in x264 is exact with one thread.
_X264 = "open-gop=0:mbtree=0"
_SCALER = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT


@dataclass(frozen=True, slots=True)
class Encoded:
    """An encoded video: the bytes of an MP4, and what is in it. `fps` is frames / duration."""

    data: bytes
    frames: int
    width_px: int
    height_px: int
    fps: float


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
    preset: str = "veryfast",
    gop: int | None = None,
) -> Encoded:
    """Encode `frames` (H, W, 3), all of one size, at a constant rate, to H.264 in MP4.

    yuv420p, BT.709, closed groups of pictures of `gop` frames at most (two seconds when None), index at the front.
    An odd width or height is made even by repeating the last column or row; `width_px` and `height_px` tell the
    size written. One thread, no macroblock tree and no dates: equal input gives equal bytes. ValueError for no
    frames, or frames of different sizes.
    """
    rate = exact_rate(fps)
    stamped = ((picture, number) for number, picture in enumerate(frames))
    return encode_timed(stamped, time_base=1 / rate, rate=rate, crf=crf, preset=preset, gop=gop)


def encode_timed(
    stamped: Iterable[tuple[Rgb, int]],
    *,
    time_base: Fraction,
    rate: Fraction,
    crf: float = 18,
    preset: str = "veryfast",
    gop: int | None = None,
) -> Encoded:
    """Encode (picture, timestamp) pairs, timestamps rising, in units of `time_base` seconds: see `encode`.

    `rate` is the mean rate, for the header and the length of the last frame.
    """
    pairs = iter(stamped)
    first = next(pairs, None)
    if first is None:
        raise ValueError("no frames to encode")
    height, width = first[0].shape[:2]
    options = {"crf": f"{crf:g}", "preset": preset, "x264-params": _X264}
    with tempfile.TemporaryDirectory(prefix="rushes-") as folder:  # the index is moved to the front in a second pass
        target = Path(folder) / "clip.mp4"
        with av.open(str(target), "w", options={"movflags": "+faststart", "fflags": "+bitexact"}) as container:
            stream = container.add_stream("libx264", rate=rate, options=options)
            _set_up(stream, width + width % 2, height + height % 2, time_base, gop or max(1, round(2 * rate)))
            count, span = _write(container, stream, itertools.chain([first], pairs), (height, width), time_base)
        data = target.read_bytes()
    seconds = float(span * time_base + 1 / rate)
    return Encoded(data, count, width + width % 2, height + height % 2, count / seconds)


def _set_up(stream: av.VideoStream, width: int, height: int, time_base: Fraction, gop: int) -> None:
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    context = stream.codec_context
    context.time_base = time_base
    context.gop_size = gop
    context.thread_count = 1  # x264 makes other bytes with other numbers of threads
    context.color_range = ColorRange.MPEG
    context.colorspace = context.color_primaries = context.color_trc = _BT709


def _write(
    container: av.container.OutputContainer,
    stream: av.VideoStream,
    pairs: Iterator[tuple[Rgb, int]],
    shape: tuple[int, int],
    time_base: Fraction,
) -> tuple[int, int]:
    """Encode and mux all pairs; return the number of frames and the ticks from the first to the last."""
    reformatter = VideoReformatter()
    count, origin, last = 0, 0, 0
    for picture, stamp in pairs:
        if picture.shape != (*shape, 3):
            raise ValueError(f"frame {count} has shape {picture.shape}, the first has {(*shape, 3)}")
        origin, last = (stamp, stamp) if count == 0 else (origin, stamp)
        frame = _to_yuv(picture, reformatter)
        frame.pts, frame.time_base = stamp - origin, time_base
        container.mux(stream.encode(frame))
        count += 1
    container.mux(stream.encode(None))
    return count, last - origin


def _to_yuv(picture: Rgb, reformatter: VideoReformatter) -> av.VideoFrame:
    height, width = picture.shape[:2]
    if height % 2 or width % 2:
        picture = cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    yuv = reformatter.reformat(
        rgb, format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG,
        interpolation=_SCALER, threads=1,
    )  # fmt: skip
    yuv.color_trc, yuv.color_primaries = ColorTrc.BT709, ColorPrimaries.BT709
    return yuv
