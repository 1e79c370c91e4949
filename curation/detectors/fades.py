"""`threshold`: fades through black or white, by the light of the frames.

A fade is a run of flat frames, black or white, together with the ramps of light that lead into it and out of it.
A hard cut to black and back is the same without ramps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import cv2
import numpy as np

from curation.detectors.base import Cut
from curation.planes import Plane, View

__all__ = ["Fades", "likeness"]

_BLACK: Final = 26.0
_WHITE: Final = 225.0
_FLAT: Final = 8.0
_FLASH_FRAMES: Final = 5
_SAME_SCENE: Final = 0.85


@dataclass(frozen=True, slots=True)
class _Light:
    index: int
    time_s: float
    mean: float
    deviation: float
    tiny: Plane

    @property
    def flat(self) -> bool:
        return self.deviation < _FLAT and (self.mean < _BLACK or self.mean > _WHITE)


class Fades:
    """Fades through flat black or white, with their whole extent."""

    name: ClassVar[str] = "threshold"

    def __init__(self, max_ramp_frames: int = 60) -> None:
        self._max_ramp = max_ramp_frames
        self._state: Literal["picture", "flat", "rise"] = "picture"
        self._ramp: list[_Light] = []
        self._start: _Light | None = None
        self._before: Plane | None = None
        self._flattest = _FLAT
        self._last: _Light | None = None
        self._settled = 0

    @property
    def settled(self) -> int:
        """Frames that cannot become part of a fade any more."""
        return self._settled

    def feed(self, view: View) -> list[Cut]:
        """Follow the light into the flat frames and out of them."""
        mean, deviation = (float(x[0][0]) for x in cv2.meanStdDev(view.tiny))
        light = _Light(view.index, view.time_s, mean, deviation, view.tiny)
        found: list[Cut] = []
        if light.flat:
            if self._state == "picture":
                self._open(light)
            self._state = "flat"
            self._flattest = min(self._flattest, deviation)
        elif self._state == "flat":
            self._state = "rise"
        elif self._state == "rise":
            assert self._last is not None
            if not _contrast_grows(self._last, light):
                found = self._close(self._last.index, light)
        if self._state == "picture":
            self._follow(light)
        self._last = light
        self._settled = self._frontier(light)
        return found

    def finish(self) -> list[Cut]:
        """Close a fade that the video ends in; a video that is flat throughout has none."""
        last, start = self._last, self._start
        if last is None:
            return []
        self._settled = last.index + 1
        if start is None or (self._state == "flat" and start.index == 0):
            return []
        return self._close(last.index + 1 if self._state == "flat" else last.index, None)

    def _follow(self, light: _Light) -> None:
        if self._ramp and _contrast_grows(light, self._ramp[-1]):
            self._ramp = [*self._ramp[-self._max_ramp :], light]
        else:
            self._ramp = [light]

    def _open(self, light: _Light) -> None:
        # The ramp's first frame is the last one at full contrast: it belongs to the shot.
        self._start = self._ramp[1] if len(self._ramp) > 1 else light
        self._before = self._ramp[0].tiny if self._ramp else None
        self._flattest = light.deviation

    def _close(self, end: int, after: _Light | None) -> list[Cut]:
        start, before = self._start, self._before
        assert start is not None
        self._state, self._start, self._before, self._ramp = "picture", None, None, []
        flash = (
            after is not None
            and before is not None
            and end - start.index <= _FLASH_FRAMES
            and likeness(before, after.tiny) > _SAME_SCENE
        )
        if flash:
            return []
        score = 1 - min(self._flattest / (2 * _FLAT), 1.0)
        return [Cut(start.index, end, start.time_s, "fade", score, self.name)]

    def _frontier(self, light: _Light) -> int:
        if self._start is not None:
            return self._start.index
        return self._ramp[1].index if len(self._ramp) > 1 else light.index + 1


def _contrast_grows(a: _Light, b: _Light) -> bool:
    """Whether `b` is a brighter step than `a` of one ramp: more contrast, by more than noise and motion give."""
    return b.deviation > a.deviation * 1.01 + 0.1 and b.deviation < a.deviation * 3 + 12


def likeness(a: Plane, b: Plane) -> float:
    """Return the correlation of two planes, -1 to 1: blind to brightness and contrast; flat planes give 0."""
    x = a.astype(np.float32).ravel()
    y = b.astype(np.float32).ravel()
    x -= x.mean()
    y -= y.mean()
    norm = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / norm if norm > x.size else 0.0
