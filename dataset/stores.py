"""An object store whose reads are tried again: what its client gives up at once, a store mends in a second.

Arrow's client of S3 tries requests again, but not a read whose answer was an error with a body: a single 500 or 503 in
the middle of a table ends it. So every question, and every range of a file, is asked up to `TRIES` times, with pauses.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import pyarrow as pa
import pyarrow.fs as pafs

__all__ = ["TRIES", "again", "patient"]

TRIES: Final = 3
"""How often a request is made before its error is told; within each the client has three attempts of its own."""

_FIRST_PAUSE_S: Final = 0.1
_LASTING: Final = re.compile(
    r"AWS Error (ACCESS_DENIED|NO_SUCH_|RESOURCE_NOT_FOUND|INVALID_|MALFORMED|SIGNATURE)|HTTP status 40[0-79]"
)

T = TypeVar("T")


def again(ask: Callable[[], T]) -> T:
    """Return `ask()`, asked again after a pause while the store's error is one that may pass."""
    for tried in range(1, TRIES):
        try:
            return ask()
        except FileNotFoundError:
            raise
        except OSError as error:
            if _LASTING.search(str(error)):
                raise
            time.sleep(_FIRST_PAUSE_S * 2 ** (tried - 1) * random.uniform(0.5, 1.5))
    return ask()


def patient(store: pafs.FileSystem) -> pafs.FileSystem:
    """Return `store` with its reads tried again. Writes are as they were: who writes, writes a whole file again."""
    return pafs.PyFileSystem(_Patient(store))


class _Patient(pafs.FileSystemHandler):  # type: ignore[misc]
    """Passes everything on to a store."""

    def __init__(self, store: pafs.FileSystem) -> None:
        self._store = store

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Patient) and self._store == other._store

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def get_type_name(self) -> str:
        return str(self._store.type_name)

    def normalize_path(self, path: str) -> str:
        return str(self._store.normalize_path(path))

    def get_file_info(self, paths: list[str]) -> list[pafs.FileInfo]:
        return again(lambda: list(self._store.get_file_info(paths)))

    def get_file_info_selector(self, selector: pafs.FileSelector) -> list[pafs.FileInfo]:
        return again(lambda: list(self._store.get_file_info(selector)))

    def create_dir(self, path: str, recursive: bool) -> None:
        self._store.create_dir(path, recursive=recursive)

    def delete_dir(self, path: str) -> None:
        self._store.delete_dir(path)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        self._store.delete_dir_contents(path, missing_dir_ok=missing_dir_ok)

    def delete_root_dir_contents(self) -> None:
        raise NotImplementedError("a store is never emptied")

    def delete_file(self, path: str) -> None:
        self._store.delete_file(path)

    def move(self, src: str, dest: str) -> None:
        self._store.move(src, dest)

    def copy_file(self, src: str, dest: str) -> None:
        self._store.copy_file(src, dest)

    def open_input_stream(self, path: str) -> pa.NativeFile:
        return self.open_input_file(path)

    def open_input_file(self, path: str) -> pa.NativeFile:
        return pa.PythonFile(_Ranges(again(lambda: self._store.open_input_file(path))), mode="r")

    def open_output_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        return self._store.open_output_stream(path, metadata=metadata)

    def open_append_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        raise NotImplementedError("a store's files are written whole")


class _Ranges:
    """A file of a store, read range by range."""

    def __init__(self, file: pa.NativeFile) -> None:
        self._file = file
        self._size = file.size()
        self._at = 0
        self.closed = False

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._at)
        size = left if size is None or size < 0 else min(size, left)
        at = self._at
        found = bytes(again(lambda: self._file.read_at(size, at))) if size else b""
        self._at += len(found)
        return found

    def flush(self) -> None: ...

    def close(self) -> None:
        self.closed = True
        self._file.close()
