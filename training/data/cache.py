"""A cache of small arrays in Parquet: what is computed once per caption or clip and read ever after.

One part per run of work, written atomically under a name made of its keys, so that a retry overwrites itself. The
cache is never authoritative: remove its folder and it is filled again.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["ArrayCache"]

Array = npt.NDArray[np.float16]

_SCHEMA = pa.schema([("key", pa.string()), ("shape", pa.list_(pa.int32())), ("data", pa.large_binary())])


class ArrayCache:
    """Half-precision arrays by key. Without a folder it lives in memory only."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._new: dict[str, Array] = {}
        self._known: dict[str, Array] = {}
        for part in sorted(folder.glob("part-*.parquet")) if folder is not None and folder.is_dir() else ():
            try:
                table = pq.read_table(part)
            except (pa.ArrowInvalid, OSError):  # a damaged cache is an empty one
                part.unlink(missing_ok=True)
                continue
            for row in table.to_pylist():
                self._known[row["key"]] = np.frombuffer(row["data"], np.float16).reshape(row["shape"]).copy()

    def get(self, key: str) -> Array | None:
        """Return the array of that key, or None."""
        return self._known.get(key)

    def put(self, key: str, array: Array) -> None:
        """Remember an array; `flush` writes it."""
        self._known[key] = self._new[key] = np.ascontiguousarray(array, np.float16)

    def flush(self) -> None:
        """Write what is new as one part."""
        if self._folder is None or not self._new:
            self._new.clear()
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        rows = [{"key": k, "shape": list(a.shape), "data": a.tobytes()} for k, a in sorted(self._new.items())]
        name = hashlib.blake2b("\n".join(sorted(self._new)).encode(), digest_size=12).hexdigest()
        temporary = self._folder / f".part-{name}.tmp"
        pq.write_table(pa.Table.from_pylist(rows, _SCHEMA), temporary, compression="zstd")
        temporary.replace(self._folder / f"part-{name}.parquet")
        self._new.clear()
