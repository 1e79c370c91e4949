"""How pictures of many clips share batches, and come back to their clips."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from experts.base import ClipView, Rgb

__all__ = ["BatchMemo", "by_clip", "in_batches"]

T = TypeVar("T")
R = TypeVar("R")


def in_batches(
    items: Sequence[T], size: int, run: Callable[[list[T]], Sequence[R]], alike: Callable[[T], Hashable] | None = None
) -> list[R]:
    """Return `run`'s answer for every item, in their order, asked in batches of at most `size`.

    Only items for which `alike` is equal share a batch: pictures of one shape, say.
    """
    groups: dict[Hashable, list[int]] = {}
    for at, item in enumerate(items):
        groups.setdefault(alike(item) if alike else None, []).append(at)
    answers: dict[int, R] = {}
    for group in groups.values():
        for start in range(0, len(group), size):
            batch = group[start : start + size]
            answers.update(zip(batch, run([items[at] for at in batch]), strict=True))
    return [answers[at] for at in range(len(items))]


def by_clip(views: Sequence[ClipView], answers: Sequence[R]) -> Iterator[list[R]]:
    """Yield, for each clip, its share of the answers that were given for the frames of all clips in a row."""
    at = 0
    for view in views:
        yield list(answers[at : at + len(view.frames)])
        at += len(view.frames)


class BatchMemo(Generic[T]):
    """Remembers the answers of a model that is asked in batches, for experts of one process that share it."""

    def __init__(self, size: int = 512) -> None:
        self._size = size
        self._answers: OrderedDict[bytes, T] = OrderedDict()

    def get(self, frames: Sequence[Rgb], ask: Callable[[list[Rgb]], Sequence[T]]) -> list[T]:
        """Return an answer for every frame, asking only for those that were not seen lately."""
        keys = [_key(frame) for frame in frames]
        lacking = {key: frame for key, frame in zip(keys, frames, strict=True) if key not in self._answers}
        fresh: dict[bytes, T] = dict(zip(lacking, ask(list(lacking.values())), strict=True)) if lacking else {}
        answers = [fresh[key] if key in fresh else self._answers[key] for key in keys]
        self._answers.update(fresh)
        while len(self._answers) > self._size:
            self._answers.popitem(last=False)
        return answers


def _key(frame: Rgb) -> bytes:
    picture: Any = np.ascontiguousarray(frame)
    return hashlib.blake2b(picture.data, digest_size=16, key=repr(picture.shape).encode()).digest()
