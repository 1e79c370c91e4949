"""What a model said of the last few pictures, for experts of one process that ask the same model."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from experts.base import Rgb

__all__ = ["FrameMemo", "frozen"]

T = TypeVar("T")


class FrameMemo(Generic[T]):
    """Remembers an answer per picture, by the picture's bytes; the oldest of `size` goes first."""

    def __init__(self, size: int = 256) -> None:
        self._size = size
        self._answers: OrderedDict[bytes, T] = OrderedDict()

    def get(self, frame: Rgb, answer: Callable[[Rgb], T]) -> T:
        """Return the answer for `frame`, asking only if it was not seen lately."""
        picture = np.ascontiguousarray(frame)
        key = hashlib.blake2b(picture.data, digest_size=16, key=repr(picture.shape).encode()).digest()
        if key not in self._answers:
            self._answers[key] = answer(picture)
            if len(self._answers) > self._size:
                self._answers.popitem(last=False)
        self._answers.move_to_end(key)
        return self._answers[key]


def frozen(override: Mapping[str, str | Path] | None) -> tuple[tuple[str, str], ...]:
    """Return an override as a key of a cache."""
    return tuple(sorted((role, str(path)) for role, path in (override or {}).items()))
