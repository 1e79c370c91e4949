"""One decoded frame as detectors and meters see it: small planes, made once, shared by all.

Everything cheap is computed from `y`, `u`, `v`: the luma plane halved by exact 2x2 areas until its short side is
under 240 px, and the chroma planes at half of that. Levels are those of limited range video: luma 16 to 235.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from curation.keyframes import Candidate
    from curation.measure.observer import Noted
    from media import Frame

__all__ = [
    "Plane",
    "Planes",
    "Rgb",
    "View",
    "area",
    "halve",
    "view_between",
    "view_of_frame",
    "view_of_rgb",
    "yuv_to_rgb",
]

Plane = npt.NDArray[np.uint8]
"""One plane of a frame: uint8, shape (H, W)."""
Rgb = npt.NDArray[np.uint8]
"""A picture: uint8, shape (H, W, 3), RGB."""

_SHORT_SIDE: Final = 120
_TINY: Final = (32, 18)
_THUMB: Final = (48, 27)
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


Planes = tuple[Plane, Plane, Plane]
"""Luma and the two chroma planes of one frame."""


class View:
    """One frame of the single pass.

    `y`, `u`, `v` are the small planes. The full planes come from `full()` until `release` is called, which gives the
    decoder its memory back; the small planes stay. `bt709` tells which matrix leads to RGB. `change` is the change
    score from the frame before, where it is known already (`curation.detectors.change`).

    A frame that was not decoded is `between` two that were: its planes are mixed from theirs, when they are asked for.
    """

    __slots__ = (
        "_between", "_full", "_planes", "_small", "_thumb", "_tiny", "bt709", "candidate", "change", "duration_s",
        "height_px", "index", "mapped", "noted", "second", "seen", "time_s", "width_px",
    )  # fmt: skip

    def __init__(
        self,
        index: int,
        time_s: float,
        duration_s: float | None,
        size: tuple[int, int],
        small: Planes | None,
        *,
        bt709: bool,
        planes: Callable[[], Planes] | None = None,
        between: tuple[View, View, float] | None = None,
    ) -> None:
        self.index = index
        self.time_s = time_s
        self.duration_s = duration_s
        self.height_px, self.width_px = size
        self.bt709 = bt709
        self.change: float | None = None
        self.second = False
        """Whether it was decoded for a second look, which is for detectors only: no measure depends on it."""
        self.seen = between is None
        """Whether it was decoded."""
        self.noted: Noted | None = None
        self.candidate: Candidate | None = None
        """What was noted and taken of it, where somebody else saw it pass (`noted` is not None then)."""
        self.mapped = False
        """Whether `full()` gives other tones, primaries or lines than the small planes have."""
        self._small = small
        self._planes = planes
        self._full: Planes | None = None
        self._between = between
        self._tiny: Plane | None = None
        self._thumb: Rgb | None = None

    @property
    def y(self) -> Plane:
        """The small luma plane."""
        return self._made()[0]

    @property
    def u(self) -> Plane:
        """The small Cb plane, half of the luma's size."""
        return self._made()[1]

    @property
    def v(self) -> Plane:
        """The small Cr plane, half of the luma's size."""
        return self._made()[2]

    @property
    def tiny(self) -> Plane:
        """The luma at 32x18, for comparing frames far apart."""
        if self._tiny is None:
            if self._between is not None:
                before, after, share = self._between
                self._tiny = _mixed(before.tiny, after.tiny, share)
            else:
                self._tiny = area(self.y, *_TINY)
        return self._tiny

    @property
    def thumb(self) -> Rgb:
        """The picture as TransNetV2 wants to see it: (27, 48, 3)."""
        if self._thumb is None:
            if self._between is not None:
                before, after, share = self._between
                self._thumb = _mixed(before.thumb, after.thumb, share)
            else:
                y, u, v = (area(plane, *_THUMB) for plane in self._made())
                self._thumb = yuv_to_rgb(y, u, v, bt709=self.bt709)
        return self._thumb

    def sealed(self, *, planes: bool) -> View:
        """Return a copy fit to travel: with its pictures of 32x18 and 48x27, without the decoder's memory.

        Without `planes` the small ones stay behind too.
        """
        copy = View(
            self.index,
            self.time_s,
            self.duration_s,
            (self.height_px, self.width_px),
            self._made() if planes else None,
            bt709=self.bt709,
        )
        copy._tiny, copy._thumb = self.tiny, self.thumb
        for name in ("change", "mapped", "second", "seen", "noted", "candidate"):
            setattr(copy, name, getattr(self, name))
        return copy

    def full(self) -> Planes:
        """Return the full planes, limited range, chroma at its own size; an error after `release`."""
        if self._planes is None:
            raise ValueError(f"frame {self.index} has been released")
        if self._full is None:
            self._full = self._planes()
        return self._full

    def true_colours(self) -> Planes:
        """Return the small planes, made from the full ones where those are not as they were stored (HDR)."""
        return _small(*self.full()) if self.mapped else self._made()

    def release(self) -> None:
        """Let go of the decoded frame."""
        self._planes = self._full = None

    def _made(self) -> Planes:
        if self._small is None:
            if self._between is None:
                raise ValueError(f"frame {self.index} has travelled without its planes")
            before, after, share = self._between
            mixed = [_mixed(getattr(before, name), getattr(after, name), share) for name in ("y", "u", "v")]
            self._small = mixed[0], mixed[1], mixed[2]
        return self._small


def view_between(before: View, after: View, index: int, time_s: float, duration_s: float) -> View:
    """Return a frame that was not decoded, between two that were: a mixture of them by its place."""
    share = (index - before.index) / (after.index - before.index)
    size = before.height_px, before.width_px
    return View(index, time_s, duration_s, size, None, bt709=before.bt709, between=(before, after, share))


def _mixed(before: Plane, after: Plane, share: float) -> Plane:
    return np.asarray(cv2.addWeighted(before, 1 - share, after, share, 0), np.uint8)


def view_of_frame(frame: Frame) -> View:
    """Return the view of a decoded frame, whatever its chroma subsampling and range.

    The full planes of a frame that is HDR, of wide gamut or interlaced are those of its picture in SDR and BT.709,
    deinterlaced: what is measured and kept as a keyframe. Its small planes, which only detectors and the flow see, are
    as they were stored.
    """

    def planes() -> Planes:
        if mapped:
            return _planes_of_rgb(frame.rgb())
        return _limited(frame.yuv()) if frame.full_range else frame.yuv()

    mapped = frame.rendered or frame.interlaced
    luma, u, v = frame.yuv()
    height, width = luma.shape
    # A turned picture is a view with strides that OpenCV would copy: luma(2) shrinks it before it turns it.
    turned = luma.strides[1] != 1
    y = frame.luma(2) if turned and min(height, width) >= 2 * _SHORT_SIDE else luma
    small = _small(y, u, v)
    if frame.full_range:
        small = _limited(small)
    bt709 = not mapped and frame.matrix != "bt601"
    view = View(frame.index, frame.time_s, frame.duration_s, (height, width), small, bt709=bt709, planes=planes)
    view.mapped = mapped
    return view


def _planes_of_rgb(rgb: Rgb) -> Planes:
    """Return the planes of a picture (H, W, 3): BT.601, limited range, chroma at half size."""
    height, width = rgb.shape[:2]
    if height % 2 or width % 2:
        rgb = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    rows, columns = rgb.shape[:2]
    i420 = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420), np.uint8)
    u, v = i420[rows:].reshape(2, rows // 2, columns // 2)
    return i420[:rows][:height, :width], u, v


def view_of_rgb(index: int, time_s: float, duration_s: float | None, rgb: Rgb) -> View:
    """Return the view of a picture that was never encoded: a pseudo-video's or a generated frame (BT.601)."""
    height, width = rgb.shape[:2]
    luma, u, v = _planes_of_rgb(rgb)
    small = _small(luma, u, v)
    return View(index, time_s, duration_s, (height, width), small, bt709=False, planes=lambda: (luma, u, v))


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
