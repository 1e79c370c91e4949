"""A frame: a decoded picture with its number and its time, read as luma, as planes or as RGB."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from media.errors import MediaError

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

__all__ = ["ArrayFrame", "AvFrame", "Frame", "Geometry", "Matrix", "Plane", "Rgb", "shrink_area"]

Rgb = npt.NDArray[np.uint8]
"""A picture: uint8, shape (H, W, 3), RGB, upright, square pixels."""

Plane = npt.NDArray[np.uint8]
"""One plane of a picture: uint8, shape (H, W)."""


Matrix = Literal["bt601", "bt709", "bt2020"]
"""How planes and RGB belong together: ITU-R BT.601, BT.709 or BT.2020."""


class Frame(Protocol):
    """One frame of a source. Pictures are upright: the rotation a player would apply is applied.

    `index` is the source frame number: the place in the order of display, counted from 0. `time_s` is seconds
    since the first frame, from the timestamps; `time_guessed` says that the timestamp was missing or went
    backwards. `duration_s` lasts to the next frame's time; None when nothing tells.
    """

    @property
    def index(self) -> int:
        """The source frame number."""
        ...

    @property
    def time_s(self) -> float:
        """Seconds since the first frame."""
        ...

    @property
    def duration_s(self) -> float | None:
        """Seconds until the next frame."""
        ...

    @property
    def key(self) -> bool:
        """Whether the stream marks it as a keyframe."""
        ...

    @property
    def interlaced(self) -> bool:
        """Whether its two fields were taken at different times; they are not taken apart."""
        ...

    @property
    def full_range(self) -> bool:
        """Whether luma runs from 0 to 255 and not from 16 to 235."""
        ...

    @property
    def matrix(self) -> Matrix:
        """The matrix between its planes and RGB: the stream's word, else BT.709 from 720p on and BT.601 below."""
        ...

    @property
    def time_guessed(self) -> bool:
        """Whether the timestamp was missing or went backwards."""
        ...

    def luma(self, shrink: int = 1) -> Plane:
        """Return the luma plane (H, W) as it is stored: 16 to 235, or 0 to 255 when `full_range`.

        `shrink` averages areas of shrink x shrink pixels: (H // shrink, W // shrink). Read only; without
        shrinking it is a view of the decoder's own memory.
        """
        ...

    def yuv(self) -> tuple[Plane, Plane, Plane]:
        """Return the three planes as they are stored, chroma at its own size. Read only."""
        ...

    def rgb(self, height: int | None = None) -> Rgb:
        """Return the picture (H, W, 3), scaled down to `height` rows if it has more; never enlarged."""
        ...


def shrink_area(plane: npt.NDArray[Any], factor: int) -> npt.NDArray[Any]:
    """Average areas of `factor` x `factor` pixels: (H, W, ...) to (H // factor, W // factor, ...), same type.

    The rest of a division is cut off at the right and at the bottom. Powers of two are eight times as fast as other
    factors: they are taken by halving, which rounds up by an eighth of a level at each step.
    """
    height, width = plane.shape[:2]
    factor = max(1, min(factor, height, width))
    rows, columns = height // factor, width // factor
    plane = plane[: rows * factor, : columns * factor]
    while factor > 1:
        step = 2 if factor % 2 == 0 else factor
        factor //= step
        size = (columns * factor, rows * factor)
        plane = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    return plane


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a stored picture becomes an upright one: mirrored first, then stretched to square pixels, then turned."""

    mirrored: bool = False
    rotation_deg: int = 0
    sample_aspect: Fraction = Fraction(1)

    def stretched(self, width: int, height: int) -> tuple[int, int]:
        """Return the stored (width, height) at square pixels, before the turn."""
        return max(1, round(width * self.sample_aspect)), height

    def display(self, width: int, height: int) -> tuple[int, int]:
        """Return the upright (width, height) of a stored picture of `width` x `height`."""
        width, height = self.stretched(width, height)
        return (height, width) if self.rotation_deg % 180 else (width, height)

    def upright(self, picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Mirror and turn `picture` (H, W, ...): a view."""
        if self.mirrored:
            picture = picture[:, ::-1]
        return np.rot90(picture, -(self.rotation_deg // 90)) if self.rotation_deg else picture


_PLANAR = re.compile(r"^(?:yuvj?a?4\d\dp|gray)(?:(\d+)le)?$")
_UNSPECIFIED = 2
_MATRICES: dict[int, Matrix] = {1: "bt709", 9: "bt2020", 10: "bt2020"}  # ITU-T H.273, table 4
_SWSCALE = {"bt601": 5, "bt709": 1, "bt2020": 9}


@dataclass(frozen=True, slots=True, eq=False)
class AvFrame:
    """A frame that libav decoded."""

    index: int
    time_s: float
    duration_s: float | None
    time_guessed: bool
    picture: VideoFrame
    geometry: Geometry
    reformatter: VideoReformatter

    @property
    def key(self) -> bool:
        """See `Frame.key`."""
        return self.picture.key_frame

    @property
    def interlaced(self) -> bool:
        """See `Frame.interlaced`."""
        return self.picture.interlaced_frame

    @property
    def full_range(self) -> bool:
        """See `Frame.full_range`."""
        return self.picture.color_range == 2 or self.picture.format.name.startswith(("yuvj", "gray"))

    @property
    def matrix(self) -> Matrix:
        """See `Frame.matrix`; planes made from an RGB source are BT.601."""
        said = self.picture.colorspace
        if said == _UNSPECIFIED and not self.picture.format.is_rgb:
            return "bt709" if self.picture.height >= 720 or self.picture.width >= 1280 else "bt601"
        return _MATRICES.get(said, "bt601")

    def luma(self, shrink: int = 1) -> Plane:
        """See `Frame.luma`."""
        source = self._planar()
        return self._finish(_samples(source, 0), source.format.name, shrink)

    def yuv(self) -> tuple[Plane, Plane, Plane]:
        """See `Frame.yuv`; a grey source has chroma 128."""
        source = self._planar()
        name = source.format.name
        y = self._finish(_samples(source, 0), name, 1)
        if len(source.planes) < 3:
            grey = np.full_like(y, 128)
            return y, grey, grey
        return y, self._finish(_samples(source, 1), name, 1), self._finish(_samples(source, 2), name, 1)

    def rgb(self, height: int | None = None) -> Rgb:
        """See `Frame.rgb`. BT.2020 and 10 bits are brought to 8-bit RGB by their own matrix; tones are not mapped."""
        width_px, height_px = self.geometry.display(self.picture.width, self.picture.height)
        if height is not None and height < height_px:
            width_px, height_px = max(1, round(width_px * height / height_px)), height
        if self.geometry.rotation_deg % 180:
            width_px, height_px = height_px, width_px
        scaled = (width_px, height_px) != (self.picture.width, self.picture.height)
        converted = self._reformat("rgb24", width_px, height_px, "AREA" if scaled else "BILINEAR")
        rgb: Rgb = np.ascontiguousarray(self.geometry.upright(converted.to_ndarray()))
        return rgb

    def _planar(self) -> VideoFrame:
        """Return the picture in a format whose first plane is luma alone, itself where that is so."""
        if _PLANAR.match(self.picture.format.name):
            return self.picture
        return self._reformat("yuv444p", self.picture.width, self.picture.height, "BILINEAR")

    def _reformat(self, name: str, width: int, height: int, scaler: str) -> VideoFrame:
        import av

        picture = self.picture
        matrix = _SWSCALE[self.matrix] if picture.colorspace == _UNSPECIFIED and not picture.format.is_rgb else None
        try:
            return self.reformatter.reformat(
                picture, width, height, name, src_colorspace=matrix, interpolation=scaler, threads=1
            )
        except (av.FFmpegError, ValueError) as error:
            raise MediaError("undecodable", f"frame {self.index}: {picture.format.name} to {name}: {error}") from error

    def _finish(self, plane: npt.NDArray[Any], format_name: str, shrink: int) -> Plane:
        plane = shrink_area(plane, shrink)
        match = _PLANAR.match(format_name)
        if match and match[1]:
            plane = cv2.convertScaleAbs(plane, alpha=1.0 / (1 << int(match[1]) - 8))
        height, width = plane.shape
        square, _ = self.geometry.stretched(width, height)
        if square != width:
            plane = cv2.resize(plane, (square, height), interpolation=cv2.INTER_LINEAR)
        upright: Plane = self.geometry.upright(plane)
        upright.flags.writeable = False  # the decoder may still predict from this memory
        return upright


def _samples(picture: VideoFrame, index: int) -> npt.NDArray[Any]:
    """View one plane as an array of samples (H, W), u8 or u16, without the padding at the ends of its lines."""
    plane = picture.planes[index]
    wide = picture.format.components[0].bits > 8
    samples = np.frombuffer(plane, np.uint16 if wide else np.uint8)  # type: ignore[call-overload]
    view: npt.NDArray[Any] = samples.reshape(plane.height, -1)[:, : plane.width]
    return view


@dataclass(frozen=True, slots=True, eq=False)
class ArrayFrame:
    """A frame that is an RGB array already: from a backend that knows no planes, or from a generator."""

    index: int
    time_s: float
    duration_s: float | None
    picture: Rgb
    key: bool = False
    interlaced: bool = False
    full_range: bool = False
    matrix: Matrix = "bt709"
    time_guessed: bool = False

    def luma(self, shrink: int = 1) -> Plane:
        """See `Frame.luma`: BT.709, 16 to 235, computed from RGB."""
        small = shrink_area(self.picture, shrink).astype(np.float32)
        plane: Plane = np.rint(16.0 + small @ _LUMA_709).astype(np.uint8)
        plane.flags.writeable = False
        return plane

    def yuv(self) -> tuple[Plane, Plane, Plane]:
        """See `Frame.yuv`: BT.709, chroma at full size, computed from RGB."""
        rgb = self.picture.astype(np.float32)
        y = rgb @ _LUMA_709
        u = 128.0 + (rgb[..., 2] * (219 / 255) - y) * (224 / 219 / 1.8556)
        v = 128.0 + (rgb[..., 0] * (219 / 255) - y) * (224 / 219 / 1.5748)
        planes = tuple(np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in (y + 16.0, u, v))
        return planes[0], planes[1], planes[2]

    def rgb(self, height: int | None = None) -> Rgb:
        """See `Frame.rgb`."""
        rows, columns = self.picture.shape[:2]
        if height is None or height >= rows:
            return self.picture
        size = (max(1, round(columns * height / rows)), height)
        small: Rgb = cv2.resize(self.picture, size, interpolation=cv2.INTER_AREA)
        return small


_LUMA_709 = np.array([0.2126, 0.7152, 0.0722], np.float32) * np.float32(219 / 255)
