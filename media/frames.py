"""A frame: a decoded picture with its number and its time, read as luma, as planes or as RGB."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from media.errors import MediaError
from media.fields import fill_lines, first_field
from media.layouts import Layout, expand_grey, layout_of, samples
from media.tone import HDR_TRANSFERS, mastering_peak_nits, render, rendering

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
        """Whether its two fields were taken at different times: `rgb` shows the first, the planes hold both."""
        ...

    @property
    def hdr(self) -> bool:
        """Whether its tones are those of PQ or HLG: `rgb` maps them to SDR, the planes are as they are stored."""
        ...

    @property
    def full_range(self) -> bool:
        """Whether luma runs from 0 to 255 and not from 16 to 235."""
        ...

    @property
    def rendered(self) -> bool:
        """Whether `rgb` brings it to other tones or primaries than its planes have: HDR, and SDR of wide gamut."""
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
        """Return the picture (H, W, 3), scaled down to `height` rows if it has more; never enlarged.

        Its primaries are those of BT.709. HDR is brought to SDR; of an interlaced frame the first field is shown.
        """
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
    """How a stored picture becomes an upright one: mirrored first, then stretched to square pixels, then turned.

    `square` tells whether there is nothing to stretch, `plain` whether there is nothing to do at all.
    """

    mirrored: bool = False
    rotation_deg: int = 0
    sample_aspect: Fraction = Fraction(1)
    square: bool = field(init=False, repr=False, compare=False)
    plain: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Fractions are slow, and every frame asks.
        object.__setattr__(self, "square", self.sample_aspect == 1)
        object.__setattr__(self, "plain", self.square and not self.mirrored and not self.rotation_deg)

    def stretched(self, width: int, height: int) -> tuple[int, int]:
        """Return the stored (width, height) at square pixels, before the turn."""
        return (width if self.square else max(1, round(width * self.sample_aspect))), height

    def display(self, width: int, height: int) -> tuple[int, int]:
        """Return the upright (width, height) of a stored picture of `width` x `height`."""
        width, height = self.stretched(width, height)
        return (height, width) if self.rotation_deg % 180 else (width, height)

    def upright(self, picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Mirror and turn `picture` (H, W, ...): a view."""
        if self.mirrored:
            picture = picture[:, ::-1]
        return np.rot90(picture, -(self.rotation_deg // 90)) if self.rotation_deg else picture


_LIMITED, _FULL = 1, 2  # AVColorRange
_MATRICES: dict[int, Matrix] = {1: "bt709", 9: "bt2020", 10: "bt2020"}  # ITU-T H.273, table 4
_SWSCALE = {"bt601": 5, "bt709": 1, "bt2020": 9}
_CONSTANT_LUMINANCE = 10  # swscale does not know it; close enough to BT.2020 as it is mostly used
_BILINEAR, _AREA = 2, 32  # SWS_ flags
# SWS_FULL_CHR_H_INT. Without it 8-bit RGB comes out of tables, up to 5 levels too dark; with it 16-bit RGB is wrong.
_EXACT = 1 << 13
_UNTOLD = frozenset({2, 3})  # unspecified, reserved


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
    def hdr(self) -> bool:
        """See `Frame.hdr`."""
        return self.picture.color_trc in HDR_TRANSFERS

    @property
    def rendered(self) -> bool:
        """See `Frame.rendered`."""
        return rendering(self.picture.color_trc, self.picture.color_primaries) is not None

    @property
    def full_range(self) -> bool:
        """See `Frame.full_range`; planes made from an RGB source are of limited range."""
        said, layout = self.picture.color_range, layout_of(self.picture.format.name)
        return not layout.rgb and (said == _FULL or (layout.full and said != _LIMITED))

    @property
    def matrix(self) -> Matrix:
        """See `Frame.matrix`; planes made from an RGB source are BT.601."""
        said = self.picture.colorspace
        if said in _UNTOLD and not layout_of(self.picture.format.name).rgb:
            return "bt709" if self.picture.height >= 720 or self.picture.width >= 1280 else "bt601"
        return _MATRICES.get(said, "bt601")

    def luma(self, shrink: int = 1) -> Plane:
        """See `Frame.luma`."""
        source, layout = self._planar()
        return self._finish(samples(source.planes[0], layout), layout, shrink)

    def yuv(self) -> tuple[Plane, Plane, Plane]:
        """See `Frame.yuv`; a grey source has chroma 128."""
        source, layout = self._planar()
        planes = source.planes
        y = self._finish(samples(planes[0], layout), layout, 1)
        if layout.grey:
            grey = np.full_like(y, 128)
            return y, grey, grey
        u, v = samples(planes[1], layout), samples(planes[2], layout)
        return y, self._finish(u, layout, 1), self._finish(v, layout, 1)

    def rgb(self, height: int | None = None) -> Rgb:
        """See `Frame.rgb`. Tones and primaries as in `media.tone`.

        An interlaced frame is the first of its fields. At half of the lines or fewer, the field is scaled as it is;
        above, its lines stay in their places and those between are interpolated.
        """
        width_px, height_px = self.geometry.display(self.picture.width, self.picture.height)
        if height is not None and height < height_px:
            width_px, height_px = max(1, round(width_px * height / height_px)), height
        if self.geometry.rotation_deg % 180:
            width_px, height_px = height_px, width_px
        rows = self.picture.height
        if not self.picture.interlaced_frame or rows < 4:
            picture = self._convert(self.picture, width_px, height_px)
        else:
            first, top = first_field(self.picture)
            filled = 2 * height_px > rows
            picture = self._convert(first, width_px, first.height if filled else height_px)
            if filled:
                picture = fill_lines(picture, top, rows)
                if height_px < rows:
                    picture = cv2.resize(picture, (width_px, height_px), interpolation=cv2.INTER_AREA)
        rgb: Rgb = np.ascontiguousarray(self.geometry.upright(picture))
        return rgb

    def _convert(self, picture: VideoFrame, width: int, height: int) -> Rgb:
        """Bring a frame or a field to RGB (height, width, 3), as it is stored."""
        peak_nits = mastering_peak_nits(self.picture) if self.hdr else None
        how = rendering(self.picture.color_trc, self.picture.color_primaries, peak_nits)
        scaler = _BILINEAR if (width, height) == (picture.width, picture.height) else _AREA
        if how:
            rgb: npt.NDArray[Any] = self._reformat(picture, "rgb48le", width, height, scaler).to_ndarray()
        else:
            rgb = self._reformat(picture, "rgb24", width, height, scaler | _EXACT).to_ndarray()
        layout = layout_of(picture.format.name)
        if layout.grey and not self.full_range:
            rgb = expand_grey(rgb)
        return render(rgb, how) if how else rgb

    def _planar(self) -> tuple[VideoFrame, Layout]:
        """Return the picture in a format whose first plane is luma alone, itself where that is so."""
        layout = layout_of(self.picture.format.name)
        if layout.planar:
            return self.picture, layout
        width, height = self.picture.width, self.picture.height
        return self._reformat(self.picture, "yuv444p", width, height, _BILINEAR), layout_of("yuv444p")

    def _reformat(self, picture: VideoFrame, name: str, width: int, height: int, scaler: int) -> VideoFrame:
        import av

        layout = layout_of(picture.format.name)
        told = layout.rgb or picture.colorspace not in _UNTOLD | {_CONSTANT_LUMINANCE}
        to_planes = layout.rgb and layout_of(name).planar
        try:
            return self.reformatter.reformat(
                picture, width, height, name,
                src_colorspace=None if told else _SWSCALE[self.matrix],
                dst_colorspace=_SWSCALE["bt601"] if to_planes else None,
                dst_color_range=_LIMITED if to_planes else None,
                interpolation=scaler,
                threads=1,
            )  # fmt: skip
        except (av.FFmpegError, ValueError) as error:
            raise MediaError("undecodable", f"frame {self.index}: {picture.format.name} to {name}: {error}") from error

    def _finish(self, plane: npt.NDArray[Any], layout: Layout, shrink: int) -> Plane:
        if shrink > 1:
            plane = shrink_area(plane, shrink)
        if layout.bits > 8:
            plane = cv2.convertScaleAbs(plane, alpha=1.0 / (1 << layout.bits - 8))
        geometry = self.geometry
        if not geometry.square:
            height, width = plane.shape
            plane = cv2.resize(plane, geometry.stretched(width, height), interpolation=cv2.INTER_LINEAR)
        upright: Plane = plane if geometry.plain else geometry.upright(plane)
        upright.flags.writeable = False  # the decoder may still predict from this memory
        return upright


@dataclass(frozen=True, slots=True, eq=False)
class ArrayFrame:
    """A frame that is an RGB array already: from a backend that knows no planes, or from a generator."""

    index: int
    time_s: float
    duration_s: float | None
    picture: Rgb
    key: bool = False
    interlaced: bool = False
    hdr: bool = False
    rendered: bool = False
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
