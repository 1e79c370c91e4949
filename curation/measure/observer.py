"""What is seen of a frame when it passes: a function of it and of the frames within a second around it.

So it does not matter where a pass begins: whoever sees the same frames notes the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2

from curation.detectors.change import mean_difference
from curation.measure.borders import Profile, border_of, profile
from curation.measure.flow import SMALLEST_PX, Flow, FlowMeter, Pair
from curation.measure.texture import measure_blockiness, measure_noise, reference_luma
from curation.planes import Plane, Planes, View

__all__ = ["Look", "Noted", "Observer", "Step"]

_FROZEN_LEVELS: Final = 2
_FROZEN_AT_MOST, _FROZEN_MEAN = 16, 0.4
"""Levels, greatest and mean: a repeated frame that was encoded again stays below both, a slow pan above one of them."""


@dataclass(frozen=True, slots=True)
class Step:
    """From one decoded frame to the next, `before` and `frame`: often neighbours, else with frames left out between.

    `deviation` is that of the luma difference and `change` its mean size, in levels; both None where frames were left
    out.
    """

    before: int
    frame: int
    deviation: float | None
    change: float | None
    frozen: bool


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One sampled frame: what is measured of it once the clip's crop is known, and what does not depend on that.

    `small` are the small planes, `sharp` is the luma at a height of 360 px, `size` the picture's height and width.
    """

    frame: int
    size: tuple[int, int]
    small: Planes
    bt709: bool
    sharp: Plane
    noise_sigma: float
    blockiness: float
    profile: Profile

    @classmethod
    def at(cls, view: View) -> Look:
        """Look at a frame whose full planes are still there."""
        luma = view.full()[0]
        dark = profile(view)
        border = border_of([dark])
        # On the grid of 8 px, which blockiness is measured by.
        lit = luma[-(-border.top // 8) * 8 : luma.shape[0] - border.bottom, -(-border.left // 8) * 8 :]
        lit = lit[:, : max(1, lit.shape[1] - border.right)] if lit.size else luma
        return cls(
            frame=view.index,
            size=(view.height_px, view.width_px),
            small=view.true_colours(),
            bt709=view.bt709,
            sharp=reference_luma(luma),
            noise_sigma=measure_noise(lit),
            blockiness=measure_blockiness(lit),
            profile=dark,
        )


@dataclass(frozen=True, slots=True)
class Noted:
    """What was noted when a frame passed; the flows are of pairs that end with it."""

    step: Step | None = None
    look: Look | None = None
    flows: tuple[Flow, ...] = ()


_NOTHING: Final = Noted()


class Observer:
    """Sees the frames of one video, in order.

    `looks_per_s` frames are looked at for sharpness, noise, light and borders; of `pairs_per_s` pairs the flow is
    measured: each begins with the first decoded frame in its cell of a grid of seconds from the video's first frame.
    Frames that were not decoded, or only for a second look, are passed over.
    """

    def __init__(self, looks_per_s: float, pairs_per_s: float) -> None:
        self._looks_per_s = looks_per_s
        self._pairs_per_s = pairs_per_s
        self._flow = FlowMeter()
        self._before: View | None = None
        self._open: list[Pair] = []

    def observe(self, view: View) -> Noted:
        """Take the next frame; its full planes must still be there if it was decoded."""
        if not view.seen or view.second:
            return _NOTHING
        before, self._before = self._before, view
        step = _step(before, view) if before is not None else None
        look = None
        if _enters(before, view, self._looks_per_s):
            look = Look.at(view)
        return Noted(step, look, self._pairs(before, view))

    def _pairs(self, before: View | None, view: View) -> tuple[Flow, ...]:
        if min(view.y.shape) < SMALLEST_PX:
            return ()
        ended = [pair for pair in self._open if pair.complete(view)]
        self._open = [pair for pair in self._open if pair not in ended]
        if _enters(before, view, self._pairs_per_s):
            self._open.append(Pair(view))
        return tuple(self._flow.measure(pair, view) for pair in ended)


def _enters(before: View | None, view: View, per_s: float) -> bool:
    """Return whether the frame is the first in its cell of the grid."""
    return before is None or int((view.time_s + 1e-9) * per_s) > int((before.time_s + 1e-9) * per_s)


def _same_picture(before: View, after: View) -> bool:
    """Return whether one frame repeats the other, but for what a codec makes of it."""
    greatest = float(cv2.norm(before.y, after.y, cv2.NORM_INF))
    if greatest <= _FROZEN_LEVELS or greatest > _FROZEN_AT_MOST:
        return greatest <= _FROZEN_LEVELS
    return mean_difference(before.y, after.y) <= _FROZEN_MEAN


def _step(before: View, after: View) -> Step:
    frozen = _same_picture(before, after)
    if after.index - before.index > 1:
        return Step(before.index, after.index, None, None, frozen)
    square = float(cv2.norm(before.y, after.y, cv2.NORM_L2SQR)) / before.y.size
    mean = float(cv2.mean(after.y)[0]) - float(cv2.mean(before.y)[0])
    change = mean_difference(before.y, after.y)
    return Step(before.index, after.index, max(0.0, square - mean * mean) ** 0.5, change, frozen)
