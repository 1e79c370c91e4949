"""Where upright people may stand, seen from afar: histograms of oriented gradients and a linear classifier.

Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", 2005, with the classifier that OpenCV brings.
It goes by the outline from head to feet, whichever way a person looks, where BlazePose's detector goes by the head.
By itself it is easily fooled: what it proposes is for BlazePose's second network to confirm.
"""

from __future__ import annotations

import functools
import math
from typing import Any, Final

from experts.base import Rgb

__all__ = ["upright_people"]

_SHORT_SIDE: Final = 720  # pixels to which a picture is enlarged: a person of 70 px in 360 becomes as high as a window
_MOST_ENLARGED: Final = 2.0  # beyond, there is nothing more to see
_WINDOW: Final = (64, 128)
_STRIDE: Final = (8, 8)
_PADDING: Final = (16, 16)
_STEP: Final = 1.1  # from one scale to the next
_SAME: Final = 0.35  # distance of two windows' centres over their width, half of it over their height
_SHIFT: Final = 0.8  # of the classifier's margin, so that a margin of 0 is worth .69 and one of 2 is worth .94


def upright_people(picture: Rgb) -> list[tuple[float, float, float, float]]:
    """Return where upright people may be: x, y of the middle and height of the window in pixels, and a score to 1.

    The best comes first, and no place comes twice. A person fills about three quarters of the window's height.
    """
    import cv2

    height, width = picture.shape[:2]
    scale = min(_MOST_ENLARGED, _SHORT_SIDE / min(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size[0] + 2 * _PADDING[0] < _WINDOW[0] or size[1] + 2 * _PADDING[1] < _WINDOW[1]:
        return []
    sampling = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    seen = cv2.resize(picture, size, interpolation=sampling)
    windows, margins = _classifier().detectMultiScale(
        seen, hitThreshold=0.0, winStride=_STRIDE, padding=_PADDING, scale=_STEP, groupThreshold=0
    )
    found = sorted(  # the classifier's threads finish in any order
        (-float(margin), *(float(side) / scale for side in window))
        for window, margin in zip(windows, _flat(margins), strict=True)
    )
    kept: list[tuple[float, float, float, float]] = []
    for margin, left, top, wide, high in found:
        x, y = left + wide / 2, top + high / 2
        if not any(_close(x, y, high, other) for other in kept):
            kept.append((x, y, high, 1 / (1 + math.exp(margin - _SHIFT))))
    return kept


@functools.cache
def _classifier() -> Any:
    import cv2

    classifier = cv2.HOGDescriptor()  # windows of 64 x 128 px
    classifier.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())  # type: ignore[attr-defined]
    return classifier


def _flat(margins: Any) -> list[Any]:
    """Return the margins as a list: OpenCV gives a column, or an empty tuple where it found nothing."""
    return [] if len(margins) == 0 else margins.ravel().tolist()


def _close(x: float, y: float, high: float, other: tuple[float, float, float, float]) -> bool:
    near = _SAME * min(high, other[2])
    return 2 * abs(x - other[0]) <= near and abs(y - other[1]) <= near
