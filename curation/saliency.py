"""What of a still should stay in view: people and faces that experts have found, else what stands out.

What stands out is found without a model, at 64 px: colour that is far from the picture's mean (Achanta, Hemami,
Estrada and Susstrunk, "Frequency-tuned Salient Region Detection", CVPR 2009), which fills things; the spectral residual
(Hou and Zhang, "Saliency Detection: A Spectral Residual Approach", CVPR 2007), which finds their detail; and that
photographers put things into the middle. Skies, walls and water have little of any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from media.frames import Rgb

__all__ = ["Box", "keep_box", "people_box", "saliency", "salient_box"]

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of the picture."""

F32 = npt.NDArray[np.float32]

_SIDE: Final = 64
_HELD: Final = 0.75
"""Share of all saliency that the salient box holds."""
_WHOLE: Final = 0.7
"""A box of a larger share of the picture says that nothing stands out."""
_FACE: Final = 0.7
_PERSON: Final = 0.65
"""Scores from which a face, a person is kept: those from which they are counted (experts.faces, experts.people)."""
_MIDDLE: Final = 0.8
"""Standard deviation of where things are, from the middle, in half sides."""
_HAIR: Final = 0.35
"""What a face's box leaves out of a head, in heights of the box."""


def keep_box(
    image: Rgb, faces: Sequence[Mapping[str, Any]] = (), people: Sequence[Mapping[str, Any]] = ()
) -> Box | None:
    """Return the box of a still (H, W, 3) that a moving view should hold; None where nothing stands out.

    `faces` and `people` are the lists of those experts' tables: `left`, `top`, `width`, `height` (shares of the
    picture) and `score` of each. Where there is any, the box is theirs; else it is `salient_box`.
    """
    return people_box(faces, people) or salient_box(image)


def people_box(faces: Sequence[Mapping[str, Any]], people: Sequence[Mapping[str, Any]] = ()) -> Box | None:
    """Return the box around all heads and people that were found; around the heads alone if that fills the picture."""
    heads = [_box(face, _HAIR) for face in faces if face["score"] >= _FACE]
    bodies = [_box(person, 0.0) for person in people if person["score"] >= _PERSON]
    for boxes in (heads + bodies, heads):
        if boxes:
            left, top, right, bottom = np.array(boxes).T
            around = float(left.min()), float(top.min()), float(right.max()), float(bottom.max())
            if (around[2] - around[0]) * (around[3] - around[1]) <= _WHOLE or boxes is heads:
                return around
    return None


def _box(found: Mapping[str, Any], margin: float) -> Box:
    left, top, width, height = (float(found[name]) for name in ("left", "top", "width", "height"))
    grown = margin * height
    box = np.clip([left, top - grown, left + width, top + height + grown / 2], 0.0, 1.0)
    return float(box[0]), float(box[1]), float(box[2]), float(box[3])


def salient_box(image: Rgb) -> Box | None:
    """Return the smallest box that holds three quarters of the saliency; None where that is most of the picture."""
    found = saliency(image)
    total = float(found.sum())
    if total <= 0:
        return None
    left, right = _interval(found.sum(axis=0), total)
    top, bottom = _interval(found.sum(axis=1), total)
    if (right - left) * (bottom - top) > _WHOLE:
        return None
    return left, top, right, bottom


def _interval(profile: F32, total: float) -> tuple[float, float]:
    """Return the shortest interval, shares of the side, that holds the square root of what the box is to hold."""
    summed = np.concatenate([[0.0], np.cumsum(profile, dtype=np.float64)]) / total
    wanted = _HELD**0.5
    ends = np.searchsorted(summed, summed[:-1] + wanted - 1e-9)
    possible = ends < len(summed)
    starts = np.flatnonzero(possible)
    lengths = ends[possible] - starts
    first = int(starts[lengths.argmin()])
    return first / len(profile), int(ends[first]) / len(profile)


def saliency(image: Rgb) -> F32:
    """Return how much each place stands out, float32 (rows, columns), 0 and more, the longer side 64."""
    height, width = image.shape[:2]
    shrink = _SIDE / max(height, width)
    size = max(8, round(width * shrink)), max(8, round(height * shrink))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    colours = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), np.float32)
    smooth = cv2.GaussianBlur(colours, (0, 0), _SIDE / 40)
    unusual = np.sqrt(((smooth - colours.mean(axis=(0, 1))) ** 2).sum(axis=2))
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in size[::-1])
    middle = np.exp(-0.5 * (x[None] ** 2 + y[:, None] ** 2) / _MIDDLE**2)
    both = np.sqrt(_raised(unusual) * _raised(_residual(colours[..., 0]))) * middle
    return np.asarray(both, np.float32)


def _residual(grey: F32) -> F32:
    """Return the spectral residual of a picture, in the picture's own place."""
    spectrum = np.fft.fft2(grey)
    size = np.log(np.abs(spectrum) + 1e-3)
    residual = size - cv2.blur(size, (3, 3), borderType=cv2.BORDER_REFLECT)
    residual[0, 0] = 0
    there = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    return np.asarray(cv2.GaussianBlur(there.astype(np.float32), (0, 0), _SIDE / 16), np.float32)


def _raised(values: F32) -> F32:
    """Return values over their mean, without the lower half of the mean; nothing where all are equal."""
    mean = float(values.mean())
    if float(values.max()) - mean <= 1e-6 * max(1.0, mean):
        return np.zeros_like(values)
    return np.asarray(np.maximum(0, values / mean - 0.5), np.float32)
