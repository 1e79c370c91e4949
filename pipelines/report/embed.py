"""Pictures and videos as data URIs, within a budget: the page asks for nothing from anywhere."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np

import media
from media.errors import MediaError

__all__ = ["Budget", "Strip", "data_uri", "make_strip", "strip_of_video"]

STRIP_HEIGHT_PX: Final = 150
_QUALITY: Final = 72
_MOST_FRAMES: Final = 5
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Strip:
    """Frames of one clip side by side in one JPEG, which the page shows one at a time."""

    uri: str
    frames: int
    width_px: int
    height_px: int


@dataclass(slots=True)
class Budget:
    """Bytes that the page may still embed."""

    left: int
    refused: int = field(default=0)

    def take(self, size: int) -> bool:
        """Whether `size` bytes are still to be had; if so they are spent."""
        if size > self.left:
            self.refused += 1
            return False
        self.left -= size
        return True


def data_uri(data: bytes, media_type: str) -> str:
    """Return `data` as a URI that carries it."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def make_strip(jpegs: Sequence[bytes], height: int = STRIP_HEIGHT_PX) -> Strip | None:
    """Return the keyframes as a strip, at most five, spread evenly; None when none can be decoded."""
    pictures = []
    for jpeg in _spread(jpegs):
        try:
            pictures.append(media.decode_jpeg(jpeg))
        except MediaError:
            continue
    return _strip(pictures, height)


def strip_of_video(frames: media.Rgb, height: int = STRIP_HEIGHT_PX) -> Strip | None:
    """Return frames u8[F,H,W,3] of a video as a strip."""
    return _strip(_spread(list(frames)), height)


def _spread(items: Sequence[_T]) -> list[_T]:
    if len(items) <= _MOST_FRAMES:
        return list(items)
    return [items[round(i * (len(items) - 1) / (_MOST_FRAMES - 1))] for i in range(_MOST_FRAMES)]


def _strip(pictures: Iterable[media.Rgb], height: int) -> Strip | None:
    small = [media.resize(p, height=min(height, p.shape[0])) for p in pictures]
    same = [p for p in small if p.shape == small[0].shape]
    if not same:
        return None
    joined = np.ascontiguousarray(np.concatenate(same, axis=1))
    tall, wide = same[0].shape[:2]
    return Strip(data_uri(media.jpeg(joined, quality=_QUALITY), "image/jpeg"), len(same), wide, tall)
