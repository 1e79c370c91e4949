"""`gradual`: dissolves and wipes, from how the frames of a window lie between its first and its last.

In a dissolve from A to B every frame is a mixture a*A + (1-a)*B whose share falls in a straight line, and, since two
unrelated pictures partly cancel, with less contrast than either. In a wipe every part of the picture is either A or
B. A camera that moves from one view to another gives neither.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from curation.detectors.base import Cut
from curation.planes import Plane, View

__all__ = ["Gradual", "Mixture", "Transition", "Window", "measure_mixture"]

_HALVES: Final = (8, 13, 19)
"""Half the windows' lengths, in frames: for transitions of up to about 10, 18 and 32 frames."""
_REACH: Final = max(_HALVES)
_EVERY: Final = 2
_MIN_DIFFERENCE: Final = 18.0
_MAX_LIKENESS: Final = 0.8
_MAX_JUMP: Final = 0.5
_FAINT: Final = 0.1


@dataclass(frozen=True, slots=True)
class Mixture:
    """How the frames of a window lie between its first (A) and last (B); lengths in frames.

    `difference` is the mean difference of A and B in levels, `likeness` their correlation. The share of B over time
    is matched by a ramp of `length` frames around `centre` (from the window's middle) but for `misfit`; `jump` is
    its greatest step. Amid the ramp, `unmixed` is what no mixture of A and B explains and `uncomposed` what no
    patchwork of them explains, both as shares of their difference; `contrast` is that of the frames there over
    that of A and B. `unrest` is what moves at the ends.
    """

    difference: float
    likeness: float
    length: float
    centre: float
    misfit: float
    jump: float
    unmixed: float
    uncomposed: float
    contrast: float
    unrest: float

    def features(self) -> npt.NDArray[np.float64]:
        """Return what the two judgements are made on."""
        return np.array(
            [
                1.0,
                np.log(self.difference),
                self.likeness,
                np.log(self.jump + 1e-3),
                np.log(self.misfit + 0.01),
                self.unmixed,
                self.unmixed**2,
                self.uncomposed,
                self.contrast,
                self.unrest,
                self.length / 10,
            ]
        )


@dataclass(frozen=True, slots=True)
class Transition:
    """A gradual transition of frames `first` to `end` (half-open), seen with a probability of 0 to 1."""

    first: int
    end: int
    time_s: float
    kind: Literal["dissolve", "wipe"]
    probability: float


class _Ramps:
    """The ramps to match a window with, from 0 to 1 over `length` frames around `centre`, and their squares' sums."""

    def __init__(self, half: int) -> None:
        self.shapes = np.array(
            [(n, s) for n in range(2, 2 * half, 2) for s in np.arange(-half / 2, half / 2 + 0.1, 0.5)]
        )
        at = np.arange(-half, half + 1)
        self.values = np.clip((at - self.shapes[:, 1:]) / self.shapes[:, :1] + 0.5, 0, 1).astype(np.float32)
        self.squares = (self.values**2).sum(axis=1)

    def match(self, share: npt.NDArray[np.float32]) -> tuple[float, float, float]:
        """Return length and centre of the nearest ramp, and its mean squared distance."""
        distances = self.squares - 2 * (self.values @ share)
        best = int(distances.argmin())
        misfit = (float(distances[best]) + float(share @ share)) / len(share)
        return float(self.shapes[best, 0]), float(self.shapes[best, 1]), max(misfit, 0.0)


_RAMPS: Final = {half: _Ramps(half) for half in _HALVES}


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Tiny frames in a row: `rows` (n, pixels), with the mean and the deviation of each."""

    rows: npt.NDArray[np.float32]
    means: npt.NDArray[np.float32]
    deviations: npt.NDArray[np.float32]

    def around(self, middle: int, half: int) -> Window:
        """Return the 2*half+1 frames around the one at `middle`."""
        place = slice(middle - half, middle + half + 1)
        return Window(self.rows[place], self.means[place], self.deviations[place])


def measure_mixture(window: Window) -> Mixture | None:
    """Measure a window of 2*half+1 frames; None where first and last are alike, or nothing lies between."""
    rows = window.rows
    half = len(rows) // 2
    first, last = rows[0], rows[-1]
    difference = float(cv2.norm(first, last, cv2.NORM_L1)) / first.size
    if difference < _MIN_DIFFERENCE:
        return None
    covariance = float(first @ last) / first.size - float(window.means[0] * window.means[-1])
    likeness = covariance / max(float(window.deviations[0] * window.deviations[-1]), 1e-3)
    if likeness > _MAX_LIKENESS:
        return None
    way = last - first
    square = float(way @ way)
    share = (rows @ way - first @ way) / square
    jump = float(np.abs(share[1:] - share[:-1]).max())
    if jump > _MAX_JUMP:
        return None
    length, centre, misfit = _RAMPS[half].match(share)
    amid = np.flatnonzero(np.abs(np.arange(-half, half + 1) - centre) <= max(1.5, 0.3 * length))
    frames = rows[amid[0] : amid[-1] + 1]
    from_first = frames - first
    unmixed = np.sqrt(_squares(from_first - share[amid, None] * way) / square)
    nearer = np.minimum(np.abs(from_first), np.abs(frames - last)).mean(axis=1) / difference
    contrasts = window.deviations
    ends = np.sqrt(((contrasts[:4] ** 2).mean() + (contrasts[-4:] ** 2).mean()) / 2 + 1)
    still = np.sqrt((_squares(rows[:4] - first).sum() + _squares(rows[-4:] - last).sum()) / (8 * square))
    return Mixture(
        difference=difference,
        likeness=likeness,
        length=length,
        centre=centre,
        misfit=misfit**0.5,
        jump=jump,
        unmixed=float(unmixed.mean()),
        uncomposed=float(nearer.mean()),
        contrast=float(contrasts[amid].mean() / ends),
        unrest=float(still),
    )


def _squares(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the sum of squares of each row."""
    summed: npt.NDArray[np.float32] = np.einsum("ij,ij->i", rows, rows)
    return summed


# Logistic regressions, one for each window length: weights of `Mixture.features` for a dissolve, and for a wipe. Fitted
# to 510 made videos: dissolves and wipes of 4 to 32 frames, cuts, flashes, and fast camera moves for the contrary.
_WEIGHTS: Final = {
    8: (
        (7.344, 5.733, 1.062, 3.309, -2.063, -1.716, -7.9, -1.755, -29.246, 1.767, -2.085),
        (9.148, 0.522, -3.018, 2.699, -0.726, 10.109, 3.625, -31.574, -2.035, -5.773, -3.505),
    ),
    13: (
        (1.877, 2.676, 1.363, 1.625, -2.557, 8.854, -14.373, 9.172, -20.335, 1.62, -2.517),
        (5.262, -0.038, -1.37, 1.929, -1.332, 12.911, 10.219, -41.201, -0.166, -0.367, -2.239),
    ),
    19: (
        (-6.591, 2.989, 1.194, -0.224, -1.929, 5.658, -12.325, 11.205, -12.499, 5.573, -2.502),
        (7.677, -0.289, -0.966, 0.041, 0.638, 14.242, 5.302, -35.866, 0.157, -0.124, -1.703),
    ),
}
_KINDS: Final[tuple[Literal["dissolve", "wipe"], ...]] = ("dissolve", "wipe")


class _Rows:
    """The last `length` tiny frames as one window: written at two places, so that they always lie in order."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._at = 0
        self._held: Window | None = None

    def push(self, tiny: Plane) -> None:
        """Take the next frame."""
        if self._held is None:
            numbers = np.zeros(2 * self._length, np.float32)
            self._held = Window(np.zeros((2 * self._length, tiny.size), np.float32), numbers, numbers.copy())
        mean, deviation = cv2.meanStdDev(tiny)
        for at in (self._at, self._at + self._length):
            self._held.rows[at] = tiny.ravel()
            self._held.means[at], self._held.deviations[at] = mean[0][0], deviation[0][0]
        self._at = (self._at + 1) % self._length

    def latest(self) -> Window:
        """Return the frames, the oldest first."""
        assert self._held is not None
        half = self._length // 2
        return self._held.around(self._at + half, half)


class Gradual:
    """Dissolves and wipes. `threshold` is the probability from which a transition is reported."""

    name: ClassVar[str] = "gradual"

    def __init__(self, threshold: float = 0.5) -> None:
        self._threshold = threshold
        self._times: deque[float] = deque(maxlen=2 * _REACH + 1)
        self._rows = _Rows(2 * _REACH + 1)
        self._open: Transition | None = None
        self._next = 0

    @property
    def settled(self) -> int:
        """Frames that no window still to come can put into a transition."""
        return max(0, min(self._next - 2 * _REACH, self._open.first if self._open else self._next))

    def feed(self, view: View) -> list[Cut]:
        """Judge the windows around the frame that is now in the middle."""
        return [self._cut(t) for t in self.consider(view) if t.probability >= self._threshold]

    def finish(self) -> list[Cut]:
        """Report the transition that was still open."""
        return [self._cut(t) for t in self.conclude() if t.probability >= self._threshold]

    def consider(self, view: View) -> list[Transition]:
        """Take the next frame; return the transitions that are over, with their probabilities, faint ones too."""
        self._rows.push(view.tiny)
        self._times.append(view.time_s)
        self._next = view.index + 1
        found: list[Transition] = []
        if len(self._times) == 2 * _REACH + 1 and view.index % _EVERY == 0:
            seen = self._look(view.index - _REACH)
            held = self._open
            if held is not None and view.index - _REACH > held.end and (seen is None or seen.first > held.end):
                found.append(held)
                self._open = None
            if seen is not None:
                self._open = seen if self._open is None or seen.probability > self._open.probability else self._open
        return found

    def conclude(self) -> list[Transition]:
        """Take the end of the video; return the transition still open."""
        found, self._open = ([self._open] if self._open else []), None
        return found

    def _look(self, middle: int) -> Transition | None:
        """Return the most probable transition around frame `middle`, or None."""
        seen = self._rows.latest()
        if float(cv2.norm(seen.rows[0], seen.rows[-1], cv2.NORM_L1)) / seen.rows[0].size < _MIN_DIFFERENCE / 2:
            return None
        best: Transition | None = None
        for half in _HALVES:
            mixture = measure_mixture(seen.around(_REACH, half))
            if mixture is None or abs(mixture.centre) > half / 3:
                continue
            scores = np.array(_WEIGHTS[half]) @ mixture.features()
            kind = int(scores.argmax())
            probability = float(1 / (1 + np.exp(-scores[kind])))
            if probability < max(_FAINT, best.probability if best else 0.0):
                continue
            first = int(np.floor(middle + mixture.centre - mixture.length / 2)) + 1
            end = max(first + 1, int(np.ceil(middle + mixture.centre + mixture.length / 2)))
            time_s = self._times[min(max(first - middle + _REACH, 0), len(self._times) - 1)]
            best = Transition(max(0, first), end, time_s, _KINDS[kind], probability)
        return best

    def _cut(self, transition: Transition) -> Cut:
        t = transition
        return Cut(t.first, min(t.end, self._next), t.time_s, t.kind, t.probability, self.name)
