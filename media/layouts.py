"""Pixel formats: what their names tell, and their planes as arrays."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from av.video.plane import VideoPlane

__all__ = ["Layout", "expand_grey", "layout_of", "samples"]

_PLANAR = re.compile(r"^(?:yuv(j?)a?4\d\dp|(gray))(?:(\d+)le)?$")


@dataclass(frozen=True, slots=True)
class Layout:
    """What a pixel format's name tells.

    `planar`: each plane holds samples of one kind, luma first, of `bits` in `dtype`. `full`: of full range unless the
    stream says otherwise. `rgb`: made of RGB, or of a palette of it.
    """

    planar: bool
    dtype: type[np.uint8 | np.uint16]
    bits: int
    grey: bool
    full: bool
    rgb: bool


@cache
def layout_of(name: str) -> Layout:
    """Return what libav's name of a pixel format tells; kept, because every frame asks."""
    from av import VideoFormat

    match = _PLANAR.match(name)
    if match:
        jpeg, grey, bits = bool(match[1]), bool(match[2]), int(match[3] or 8)
        return Layout(True, np.uint16 if bits > 8 else np.uint8, bits, grey, jpeg or grey, False)
    known = VideoFormat(name)
    return Layout(False, np.uint8, 8, False, False, known.is_rgb or known.has_palette)


def samples(plane: VideoPlane, layout: Layout) -> npt.NDArray[Any]:
    """View one plane as an array of samples (H, W), u8 or u16, without the padding at the ends of its lines."""
    stride = plane.line_size
    strides = (abs(stride), 2 if layout.bits > 8 else 1)
    buffer: Any = plane
    view: npt.NDArray[Any] = np.ndarray((plane.height, plane.width), layout.dtype, buffer, 0, strides)
    return view if stride > 0 else view[::-1]  # a picture stored from the bottom up


def expand_grey(picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Bring RGB, u8 or u16, that swscale made of grey of limited range to full range: it takes all grey for full."""
    level = 1 if picture.dtype == np.uint8 else 256
    full = np.clip((picture.astype(np.float32) - 16 * level) * (255 / 219), 0, 255 * level)
    expanded: npt.NDArray[Any] = np.rint(full).astype(picture.dtype)
    return expanded
