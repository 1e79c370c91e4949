"""MosaicML Streaming's MDS: shards of binary samples and an index.

Spec: https://docs.mosaicml.com/projects/streaming/en/stable/preparing_datasets/dataset_format.html and the writer of
streaming 0.13 (`streaming/base/format/mds/writer.py`). A shard is, little-endian: u32 samples; u32 offset of each
sample and of the end, from the start of the file; the shard's column description as JSON; the samples. A sample is a
u32 size for each column of variable size, then the columns' bytes, columns in the order of their names.
"""

from __future__ import annotations

import json
import struct
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from dataset.exporting.samples import Sample
from media.errors import DatasetError

__all__ = ["MDS_COLUMNS", "SHARD_BYTES", "MdsWriter"]

SHARD_BYTES: Final = 1 << 26
"""The size that a shard stays within, unless one sample alone is larger: streaming's default, 64 MiB."""

MDS_COLUMNS: Final[dict[str, str]] = {
    "caption": "str",
    "clip_id": "str",
    "fps": "float64",
    "frames": "int",
    "height_px": "int",
    "license": "str",
    "record": "json",
    "source": "str",
    "video": "bytes",
    "width_px": "int",
}
"""The columns and their encodings, sorted. MDS has no null: `license` and `source` are "" then, in `record` null."""

_SIZES: Final[dict[str, int | None]] = {"str": None, "bytes": None, "json": None, "int": 8, "float64": 8}
_OFFSET_LIMIT: Final = 1 << 32


class MdsWriter:
    """Writes `shard.00000.mds` ... and `index.json`."""

    def __init__(self, folder: Path, final: Path, shard_bytes: int = SHARD_BYTES) -> None:
        self._folder, self._limit = folder, shard_bytes
        self._samples: list[bytes] = []
        self._size = 0
        self._shards: list[dict[str, Any]] = []
        self._config = {
            "column_encodings": list(MDS_COLUMNS.values()),
            "column_names": list(MDS_COLUMNS),
            "column_sizes": [_SIZES[encoding] for encoding in MDS_COLUMNS.values()],
            "compression": None,
            "format": "mds",
            "hashes": [],
            "size_limit": shard_bytes,
            "version": 2,
        }
        self._header = json.dumps(self._config, sort_keys=True).encode()

    def add(self, sample: Sample) -> None:
        """Append a sample, in a new shard if this one would grow beyond its limit."""
        data = _encode({**sample.record, "record": sample.record, "video": sample.media})
        if self._samples and self._size + len(data) + 4 > self._limit:
            self._flush()
        if not self._samples:
            self._size = 8 + len(self._header)
        self._size += len(data) + 4
        if self._size >= _OFFSET_LIMIT:
            raise DatasetError(f"clip {sample.record['clip_id']}: a sample of MDS must stay under 4 GiB")
        self._samples.append(data)

    def finish(self) -> None:
        """Write the last shard, and the index."""
        self._flush()
        index = json.dumps({"shards": self._shards, "version": 2}, sort_keys=True)
        (self._folder / "index.json").write_text(index, encoding="utf-8")

    def _flush(self) -> None:
        count = len(self._samples)
        first = 4 + 4 * (count + 1) + len(self._header)
        offsets = list(accumulate(map(len, self._samples), initial=first))
        name = f"shard.{len(self._shards):05d}.mds"
        with (self._folder / name).open("wb") as stream:
            stream.write(struct.pack(f"<{count + 2}I", count, *offsets))
            stream.write(self._header)
            stream.writelines(self._samples)
        raw = {"basename": name, "bytes": offsets[-1], "hashes": {}}
        self._shards.append({**self._config, "samples": count, "raw_data": raw, "zip_data": None})
        self._samples = []


def _encode(values: dict[str, Any]) -> bytes:
    parts = [_datum(encoding, values[name]) for name, encoding in MDS_COLUMNS.items()]
    sizes = [len(data) for data, encoding in zip(parts, MDS_COLUMNS.values(), strict=True) if _SIZES[encoding] is None]
    return struct.pack(f"<{len(sizes)}I", *sizes) + b"".join(parts)


def _datum(encoding: str, value: Any) -> bytes:
    if encoding == "bytes":
        return bytes(value)
    if encoding == "json":
        return json.dumps(dict(value)).encode()
    if encoding == "int":
        return struct.pack("<q", value)
    if encoding == "float64":
        return struct.pack("<d", value)
    return str(value or "").encode()
