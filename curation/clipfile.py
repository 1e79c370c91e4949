"""The clips of a long video on their way: kept in a file, so that memory does not grow with its length."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

__all__ = ["ClipFile", "ClipStore"]


class ClipStore(Protocol):
    """Where rows of `clips` go as they come; a list will do."""

    def append(self, row: dict[str, Any], /) -> None:
        """Take the next row."""
        ...

    def clear(self) -> None:
        """Let go of all rows: the pass begins anew, or the video turned out to be bad."""
        ...


class ClipFile:
    """Rows in a file at `path`, which is made empty. Whoever owns the file removes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clear()

    def append(self, row: dict[str, Any], /) -> None:
        """See `ClipStore.append`."""
        with self.path.open("ab") as file:
            pickle.dump(row, file, protocol=5)

    def clear(self) -> None:
        """See `ClipStore.clear`."""
        self.path.write_bytes(b"")

    @staticmethod
    def batches(path: Path, most: int) -> Iterator[list[dict[str, Any]]]:
        """Yield the rows in order, at most so many at a time."""
        batch: list[dict[str, Any]] = []
        with path.open("rb") as file:
            size = path.stat().st_size
            while file.tell() < size:
                batch.append(pickle.load(file))
                if len(batch) == most:
                    yield batch
                    batch = []
        if batch:
            yield batch
