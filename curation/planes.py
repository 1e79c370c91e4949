"""One decoded frame as detectors and meters see it: small planes, made once, shared by all.

Everything cheap is computed from `y`, `u`, `v`: the luma plane halved by exact 2x2 areas until its short side is
under 240 px, and the chroma planes at half of that. Levels are those of limited range video: luma 16 to 235.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from media import Frame

__all__ = ["Plane", "Rgb", "View", "area", "halve", "view_of_frame", "view_of_rgb", "yuv_to_rgb"]

Plane = npt.NDArray[np.uint8]
"""One plane of a frame: uint8, shape (H, W)."""
Rgb = npt.NDArray[np.uint8]
"""A picture: uint8, shape (H, W, 3), RGB."""

_SHORT_SIDE: Final = 120
_TINY: Final = (32, 18)
_LIMITED_LUMA: Final = np.rint(16 + np.arange(256) * (219 / 255)).astype(np.uint8)
_LIMITED_CHROMA: Final = np.rint(128 + (np.arange(256) - 128) * (224 / 255)).astype(np.uint8)


def halve(plane: Plane) -> Plane:
    """Return the plane at half size, each pixel the mean of 2x2; an odd last row or column is left out."""
    height, width = plane.shape[0] // 2, plane.shape[1] // 2
    whole = plane[: height * 2, : width * 2]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def area(plane: Plane, width: int, height: int) -> Plane:
    """Return the plane at `width` x `height`: by areas when shrinking, linearly when enlarging.

    Halves first, as long as it can: many times faster than one large area resize.
    """
    while plane.shape[0] // 2 >= height and plane.shape[1] // 2 >= width:
        plane = halve(plane)
    if plane.shape == (height, width):
        return plane
    smaller = width <= plane.shape[1] and height <= plane.shape[0]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (width, height), interpolation=how), np.uint8)


@dataclass(slots=True, eq=False)
class View:
    """One frame of the single pass.

    `y`, `u`, `v` are the small planes. The full planes come from `luma()` and `chroma()` until `release` is called,
    which gives the decoder its memory back; the small planes stay. `bt709` tells which matrix leads to RGB.
    """

    index: int
    time_s: float
    duration_s: float | None
    height_px: int
    width_px: int
    y: Plane
    u: Plane
    v: Plane
    bt709: bool
    planes: Callable[[], tuple[Plane, Plane, Plane]] | None
    _tiny: Plane | None = None

    @property
    def tiny(self) -> Plane:
        """The luma at 32x18, for comparing frames far apart."""
        if self._tiny is None:
            self._tiny = area(self.y, *_TINY)
        return self._tiny

    def full(self) -> tuple[Plane, Plane, Plane]:
        """Return the full planes, limited range, chroma at its own size; an error after `release`."""
        if self.planes is None:
            raise ValueError(f"frame {self.index} has been released")
        return self.planes()

    def release(self) -> None:
        """Let go of the decoded frame."""
        self.planes = None


def view_of_frame(frame: Frame) -> View:
    """Return the view of a decoded frame, whatever its chroma subsampling and range."""

    def planes() -> tuple[Plane, Plane, Plane]:
        return _limited(frame.yuv()) if frame.full_range else frame.yuv()

    luma, u, v = frame.yuv()
    height, width = luma.shape
    # A turned picture is a view with strides that OpenCV would copy: luma(2) shrinks it before it turns it.
    turned = luma.strides[1] != 1
    y = frame.luma(2) if turned and min(height, width) >= 2 * _SHORT_SIDE else luma
    y, u, v = _small(y, u, v)
    if frame.full_range:
        y, u, v = _limited((y, u, v))
    bt709 = max(height, width) >= 1280 or height >= 720
    return View(frame.index, frame.time_s, frame.duration_s, height, width, y, u, v, bt709, planes)


def view_of_rgb(index: int, time_s: float, duration_s: float | None, rgb: Rgb) -> View:
    """Return the view of a picture that was never encoded: a pseudo-video's or a generated frame (BT.601)."""
    height, width = rgb.shape[:2]
    padded = rgb
    if height % 2 or width % 2:
        padded = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    rows, columns = padded.shape[:2]
    i420 = np.asarray(cv2.cvtColor(padded, cv2.COLOR_RGB2YUV_I420), np.uint8)
    luma = i420[:rows][:height, :width]
    u, v = i420[rows:].reshape(2, rows // 2, columns // 2)
    y, small_u, small_v = _small(luma, u, v)
    return View(index, time_s, duration_s, height, width, y, small_u, small_v, False, lambda: (luma, u, v))


def _small(y: Plane, u: Plane, v: Plane) -> tuple[Plane, Plane, Plane]:
    while min(y.shape) >= 2 * _SHORT_SIDE:
        y = halve(y)
    size = max(1, y.shape[1] // 2), max(1, y.shape[0] // 2)
    return np.ascontiguousarray(y), area(_sparse(u, size), *size), area(_sparse(v, size), *size)


def _sparse(chroma: Plane, size: tuple[int, int]) -> Plane:
    """Take every so manyth sample, as long as enough are left: chroma is smooth, and its reading is what costs."""
    step = max(1, min(chroma.shape[1] // size[0], chroma.shape[0] // size[1]))
    return chroma if step == 1 else np.ascontiguousarray(chroma[::step, ::step])


def _limited(planes: tuple[Plane, Plane, Plane]) -> tuple[Plane, Plane, Plane]:
    y, u, v = planes
    luma, chroma = _LIMITED_LUMA, _LIMITED_CHROMA
    return luma[y], chroma[u], chroma[v]


def yuv_to_rgb(y: Plane, u: Plane, v: Plane, *, bt709: bool) -> Rgb:
    """Convert limited-range planes to RGB at the size of `y` (ITU-R BT.601 or BT.709); chroma is enlarged linearly."""
    height, width = y.shape
    packed = np.dstack([y, area(u, width, height), area(v, width, height)])
    ru, gu, gv, bu = (1.5748, 0.1873, 0.4681, 1.8556) if bt709 else (1.402, 0.3441, 0.7141, 1.772)
    a, c = 255 / 219, 255 / 224
    matrix = np.array([[a, 0, c * ru], [a, -c * gu, -c * gv], [a, c * bu, 0]])
    offset = matrix @ np.array([16.0, 128.0, 128.0])
    return np.asarray(cv2.transform(packed, np.hstack([matrix, -offset[:, None]])), np.uint8)
