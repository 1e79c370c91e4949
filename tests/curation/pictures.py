"""Pictures and shots for the tests of curation: textured like photographs, different for every seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from curation import pseudo
from curation.planes import View, view_of_rgb

Rgb = npt.NDArray[np.uint8]


def photograph(seed: int, width: int = 320, height: int = 180) -> Rgb:
    """Return a picture (height, width, 3) with power at every scale, as photographs have, and colours of its own."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for octave in range(1, 7):
        grid = rng.normal(size=(2 + 2**octave * height // width, 2 + 2**octave, 3)).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * 0.6**octave
    colour = rng.uniform(70, 180, 3)
    spread = total - total.mean(axis=(0, 1))
    return np.clip(colour + spread * 45 / spread.std(), 0, 255).astype(np.uint8)


def moving(
    seed: int, frames: int, motion: str = "pan_right", travel: float = 0.15, width: int = 320, height: int = 180
) -> list[Rgb]:
    """Return a shot over `photograph(seed)` in which the camera does `motion`."""
    image = photograph(seed, width * 2, height * 2)
    path = pseudo.affines(motion, frames, travel=travel, aspect=width / height)
    return list(pseudo.render(image, path, (height, width)))


def views(frames: Iterable[Rgb], fps: float = 25.0) -> Iterator[View]:
    """Give the frames as a decoder would."""
    for index, rgb in enumerate(frames):
        yield view_of_rgb(index, index / fps, 1 / fps, rgb)


def dissolve(before: Sequence[Rgb], after: Sequence[Rgb], frames: int) -> list[Rgb]:
    """Join two shots by a dissolve of `frames` mixed frames, which both shots lend."""
    mixed = [
        cv2.addWeighted(a, 1 - (k + 1) / (frames + 1), b, (k + 1) / (frames + 1), 0)
        for k, (a, b) in enumerate(zip(before[-frames:], after[:frames], strict=True))
    ]
    return [*before[:-frames], *(np.asarray(m, np.uint8) for m in mixed), *after[frames:]]


def wipe(before: Sequence[Rgb], after: Sequence[Rgb], frames: int) -> list[Rgb]:
    """Join two shots by a wipe from the left."""
    mixed = []
    for k, (a, b) in enumerate(zip(before[-frames:], after[:frames], strict=True)):
        edge = round(a.shape[1] * (k + 1) / (frames + 1))
        mixed.append(np.concatenate([b[:, :edge], a[:, edge:]], axis=1))
    return [*before[:-frames], *mixed, *after[frames:]]


def fade(before: Sequence[Rgb], after: Sequence[Rgb], frames: int, hold: int, level: int = 0) -> list[Rgb]:
    """Join two shots by a fade of `frames` frames to `level`, `hold` frames there, and as many back."""
    flat = np.full_like(before[0], level)
    out = [
        cv2.addWeighted(a, 1 - (k + 1) / (frames + 1), flat, (k + 1) / (frames + 1), 0)
        for k, a in enumerate(before[-frames:])
    ]
    back = [
        cv2.addWeighted(b, (k + 1) / (frames + 1), flat, 1 - (k + 1) / (frames + 1), 0)
        for k, b in enumerate(after[:frames])
    ]
    ramps = [np.asarray(f, np.uint8) for f in (*out, *[flat] * hold, *back)]
    return [*before[:-frames], *ramps, *after[frames:]]
