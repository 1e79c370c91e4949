"""Files of colour patches of known RGB, for the tests of colour.

Their planes are computed here from the standards, not by swscale, so that an error of ours cannot meet its own
reflection.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt

import media

Float = npt.NDArray[np.float64]

PATCH = 32
SDR_PATCHES = [
    [(255, 255, 255), (0, 0, 0), (128, 128, 128), (200, 60, 40)],
    [(30, 170, 60), (40, 50, 190), (230, 190, 160), (90, 90, 20)],
]
LUMA = {"bt601": (0.299, 0.587, 0.114), "bt709": (0.2126, 0.7152, 0.0722), "bt2020": (0.2627, 0.6780, 0.0593)}
X265 = {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:frame-threads=1:lossless=1:keyint=8"}
X264 = {"preset": "ultrafast", "qp": "0"}
LOSSLESS = {"libx264": X264, "libx264rgb": X264, "libx265": X265}


def painted(patches: Sequence[Sequence[Sequence[float]]], patch: int = PATCH) -> Float:
    """Return a picture (H, W, 3) of square patches."""
    return np.repeat(np.repeat(np.array(patches, np.float64), patch, axis=0), patch, axis=1)


def to_yuv(rgb: Float, matrix: str, bits: int = 8, full: bool = False) -> list[npt.NDArray[Any]]:
    """Return the planes, at full size, of RGB of 0 to 1 (H.273, equations 20 to 31)."""
    red, green, blue = LUMA[matrix]
    y = rgb @ (red, green, blue)
    u, v = (rgb[..., 2] - y) / (2 * (1 - blue)), (rgb[..., 0] - y) / (2 * (1 - red))
    unit = 1 << bits - 8
    if full:
        planes = [y * (256 * unit - 1), u * (256 * unit - 1) + 128 * unit, v * (256 * unit - 1) + 128 * unit]
    else:
        planes = [(219 * y + 16) * unit, (224 * u + 128) * unit, (224 * v + 128) * unit]
    levels = [np.clip(np.rint(plane), 0, 256 * unit - 1) for plane in planes]
    return [plane.astype(np.uint16 if bits > 8 else np.uint8) for plane in levels]


def to_rgb(planes: Sequence[npt.NDArray[Any]], matrix: str, full: bool) -> Float:
    """Return RGB of 0 to 255 of three 8-bit values: `to_yuv` turned round."""
    y, u, v = (np.asarray(plane, np.float64) for plane in planes)
    if full:
        y, u, v = y / 255, (u - 128) / 255, (v - 128) / 255
    else:
        y, u, v = (y - 16) / 219, (u - 128) / 224, (v - 128) / 224
    red, green, blue = LUMA[matrix]
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    return np.clip(np.stack([r, (y - red * r - blue * b) / green, b], axis=-1), 0, 1) * 255


def frame_of(planes: Sequence[npt.NDArray[Any]], pixel_format: str) -> av.VideoFrame:
    """Return a frame of full-size planes, whose chroma is sampled at what the format has."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, pixel_format)
    for values, plane in zip(planes, frame.planes, strict=False):
        step = (-(-height // plane.height), -(-width // plane.width))
        lines = np.frombuffer(plane, values.dtype).reshape(plane.height, -1)  # type: ignore[call-overload]
        lines[:, : plane.width] = values[:: step[0], :: step[1]]
    return frame


def write(
    path: Path, frame: av.VideoFrame, codec: str = "libx264", *, tags: tuple[int, int, int] = (2, 2, 2),
    full: bool | None = None, options: dict[str, str] | None = None, rotation_deg: int = 0,
    sample_aspect: Fraction = Fraction(1), rate: Fraction = Fraction(25), stamps: Sequence[int] = range(8),
) -> Path:  # fmt: skip
    """Write `frame` again and again; `tags` are matrix, primaries and transfer, `stamps` its times in 1 / `rate`."""
    with av.open(str(path), "w") as container:
        chosen = LOSSLESS.get(codec, {}) if options is None else options
        stream = cast(av.VideoStream, container.add_stream(codec, rate=rate, options=dict(chosen)))
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc = tags
        if full is not None:
            context.color_range = frame.color_range = 2 if full else 1
        context.time_base, context.sample_aspect_ratio, context.thread_count = 1 / rate, sample_aspect, 1
        frame.colorspace, frame.color_primaries, frame.color_trc = tags  # some encoders believe the frames
        if rotation_deg:
            stream.set_display_rotation(-rotation_deg)
        for stamp in stamps:
            frame.pts, frame.time_base = stamp, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def first(path: Path) -> media.Frame:
    return next(iter(media.decode(path)))


def centres(picture: npt.NDArray[Any], rows: int = 2, columns: int = 4) -> npt.NDArray[Any]:
    """Return the values in the middles of a grid of patches."""
    height, width = picture.shape[:2]
    y = [(2 * k + 1) * height // (2 * rows) for k in range(rows)]
    x = [(2 * k + 1) * width // (2 * columns) for k in range(columns)]
    return picture[np.ix_(y, x)].astype(np.float64)
