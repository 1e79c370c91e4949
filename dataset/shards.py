"""Shards: self-contained training rows, and a reader that finds any of them by id.

A row holds the encoded clip, its captions and the columns that training conditions on. Media bytes are stored
uncompressed in row groups of a few megabytes, so a stream reads ahead cheaply and a random row costs one group.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from dataset.root import Root
from media.errors import CorruptionError, DatasetError

__all__ = ["SHARD_ROW_GROUP_BYTES", "ShardReader", "media_hash", "shard_row", "write_shard"]

SHARD_ROW_GROUP_BYTES: Final = 4 << 20
"""Size that a row group of a shard aims at; a row larger than that has a group of its own."""

_OPEN_PARTS: Final = 128
_THREADS: Final = 16


def media_hash(media: bytes) -> str:
    """Return the checksum of a row's media: 128-bit BLAKE2b, 32 hex digits."""
    return blake2b(media, digest_size=16).hexdigest()


def shard_row(
    clip: Mapping[str, Any],
    media: bytes,
    *,
    frames: int,
    fps: float,
    width_px: int,
    height_px: int,
    run_id: str,
    media_type: str = "video/mp4",
    caption: Mapping[str, Any] | None = None,
    video: Mapping[str, Any] | None = None,
    tags: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return a row of `shards` from a clip's row and its encoded media.

    `frames`, `fps` and the size are those of `media`, as its encoder counted them. A caption whose outcome is
    `blocked` or `error` lends no text: its `short` and `dense` stay null.
    """
    said = caption if caption and caption.get("outcome") in {"ok", "repaired", "template"} else {}
    names = ("clip_id", "video_id", "kind", "first_frame", "end_frame", "uri", "flow_mean_px_per_s", "camera_motion",
             "sharpness_laplacian", "phash")  # fmt: skip
    return {
        **{name: clip.get(name) for name in names},
        "media": media,
        "media_type": media_type,
        "media_hash": media_hash(media),
        "frames": frames,
        "fps": fps,
        "width_px": width_px,
        "height_px": height_px,
        "duration_s": frames / fps,
        "short": said.get("short"),
        "dense": said.get("dense"),
        "caption_outcome": said.get("outcome"),
        "tags": None if tags is None else list(tags),
        "source": (video or {}).get("source"),
        "license": (video or {}).get("license"),
        "run_id": run_id,
    }


def write_shard(
    root: Root, name: str, rows: Sequence[Mapping[str, Any]], *, key: str, schema: pa.Schema | None = None
) -> str:
    """Write `rows` as one part of `shards/<name>` and return its file name; the same `key` overwrites it.

    Rows are written in the order of their clip ids. Raises CorruptionError if a row's media does not have its hash.
    """
    for row in rows:
        _checked(row, f"a row for shards/{name}")
    ordered = sorted(rows, key=lambda row: str(row["clip_id"]))
    return root.write_part(f"shards/{name}", ordered, schema, key=key, row_group_bytes=SHARD_ROW_GROUP_BYTES)


@dataclass(frozen=True, slots=True)
class _Place:
    part: int
    group: int
    offset: int


@dataclass(slots=True)
class _Part:
    file: pq.ParquetFile
    lock: threading.Lock


class ShardReader:
    """The rows of `shards/<name>`, by id, by index, or as a stream. Can be pickled; safe to use from threads.

    Opening costs nothing: the index of ids is made when it is first needed, from the id columns alone. The order
    is that of the part names, then of the rows within. Raises DatasetError if the shards do not exist.
    """

    def __init__(self, root: Root, name: str) -> None:
        self.root, self.name, self.table = root, name, f"shards/{name}"
        self.parts = root.parts(self.table)
        if not self.parts:
            there = ", ".join(root.names("shards")) or "none"
            raise DatasetError(f"{root.uri} has no shards named {name!r}; there are: {there}")
        self._open: OrderedDict[int, _Part] = OrderedDict()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in {"_open", "_lock"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open, self._lock = OrderedDict(), threading.Lock()

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, clip_id: object) -> bool:
        return clip_id in self._places

    @property
    def ids(self) -> list[str]:
        """The ids of the rows, in their order. An id that occurs twice counts where it is first."""
        return self._ids

    def row(self, which: str | int, columns: Sequence[str] | None = None, *, verify: bool = False) -> dict[str, Any]:
        """Return one row, by its clip id or by its index; only `columns` are read.

        With `verify`, raises CorruptionError if the media does not have its hash. Raises DatasetError for an id
        that is not there, IndexError for an index that is not.
        """
        clip_id = self._ids[which] if isinstance(which, int) else which
        place = self._places.get(clip_id)
        if place is None:
            raise DatasetError(f"{self.root.uri}: shards/{self.name} has no clip {clip_id}")
        wanted = None if columns is None else list(columns)
        with self.root.storage(f"{self.table}/{self.parts[place.part]}"), self._part(place.part) as file:
            group = file.read_row_group(place.group, columns=wanted, use_threads=False)
        row: dict[str, Any] = group.slice(place.offset, 1).to_pylist()[0]
        if verify:
            _checked(row, f"{self.root.uri}: shards/{self.name}")
        return row

    def rows(self, ids: Sequence[str], columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Return several rows, in the order of `ids`."""
        return [self.row(clip_id, columns) for clip_id in ids]

    def iter_rows(self, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """Yield every row, in order, holding one row group in memory."""
        wanted = None if columns is None else list(columns)
        for index, name in enumerate(self.parts):
            with self.root.storage(f"{self.table}/{name}"):
                file = self._load(index)
                for group in range(file.num_row_groups):
                    yield from file.read_row_group(group, columns=wanted).to_pylist()

    def table_of(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows as one Arrow table, without the media unless `columns` names it: what a plan is made of."""
        wanted = [name for name in self.schema.names if name != "media"] if columns is None else list(columns)
        return self.root.read(self.table, wanted)

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of these shards."""
        return self.root.schema(self.table)

    @cached_property
    def _places(self) -> dict[str, _Place]:
        places: dict[str, _Place] = {}
        with ThreadPoolExecutor(_THREADS) as pool:
            for part, groups in enumerate(pool.map(self._group_ids, range(len(self.parts)))):
                for group, ids in enumerate(groups):
                    for offset, clip_id in enumerate(ids):
                        places.setdefault(clip_id, _Place(part, group, offset))
        return places

    @cached_property
    def _ids(self) -> list[str]:
        return list(self._places)

    def _group_ids(self, index: int) -> list[list[str]]:
        with self.root.storage(f"{self.table}/{self.parts[index]}"):
            file = self._load(index)
            ids = file.read(columns=["clip_id"], use_threads=False).column("clip_id").to_pylist()
        found, first = [], 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            found.append(ids[first : first + rows])
            first += rows
        return found

    def _load(self, index: int) -> pq.ParquetFile:
        path = self.root.location(f"{self.table}/{self.parts[index]}")
        return pq.ParquetFile(path, filesystem=self.root.filesystem, memory_map=False, pre_buffer=not self.root.local)

    @contextmanager
    def _part(self, index: int) -> Iterator[pq.ParquetFile]:
        """Give the open part to one thread at a time; the parts least recently used are let go."""
        with self._lock:
            part = self._open.pop(index, None) or _Part(self._load(index), threading.Lock())
            self._open[index] = part
            while len(self._open) > _OPEN_PARTS:
                self._open.popitem(last=False)
        with part.lock:
            yield part.file


def _checked(row: Mapping[str, Any], where: str) -> None:
    if media_hash(row["media"]) != row["media_hash"]:
        raise CorruptionError(f"{where}: the media of clip {row['clip_id']} does not have its checksum")
