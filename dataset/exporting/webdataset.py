"""WebDataset: tar shards in which the files of one sample share a name and follow each other.

Spec: https://github.com/webdataset/webdataset#the-webdataset-format. A sample's key ends at the first dot.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Final

from dataset.exporting.samples import Sample

__all__ = ["TAR_BYTES", "WebDatasetWriter"]

TAR_BYTES: Final = 1 << 30
"""The size that a tar shard stays within, unless one sample alone is larger."""

_END: Final = bytes(2 * tarfile.BLOCKSIZE)


class WebDatasetWriter:
    """Writes `shard-000000.tar` ...: `<key>.mp4`, `<key>.txt` (the caption) and `<key>.json` (the record) per sample.

    Owner, mode and time of every member are fixed, so the same samples give the same bytes. No file is kept open.
    """

    def __init__(self, folder: Path, final: Path, tar_bytes: int = TAR_BYTES) -> None:
        self._folder, self._limit = folder, tar_bytes
        self._shard = self._size = 0

    def add(self, sample: Sample) -> None:
        """Append a sample, in a new tar if this one would grow beyond its limit."""
        record = json.dumps(sample.record, ensure_ascii=False).encode()
        members = (("mp4", sample.media), ("txt", sample.caption.encode()), ("json", record))
        data = b"".join(_member(f"{sample.key}.{extension}", content) for extension, content in members)
        if self._size and self._size + len(data) + len(_END) > self._limit:
            self.finish()
            self._shard, self._size = self._shard + 1, 0
        self._append(data)

    def finish(self) -> None:
        """End the last tar."""
        self._append(_END)

    def _append(self, data: bytes) -> None:
        with (self._folder / f"shard-{self._shard:06d}.tar").open("ab") as stream:
            stream.write(data)
        self._size += len(data)


def _member(name: str, content: bytes) -> bytes:
    """Return the blocks of one file: its time, owner and group are 0, its mode is 0644."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE)
