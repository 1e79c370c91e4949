"""Shards: self-contained training rows, and a reader that finds any of them by id.

A row holds the clip's bytes, its captions and the columns that training conditions on; only a row whose `cut` is
"reference" names a span of its source instead. Media bytes are stored uncompressed in row groups of a few megabytes, so
a stream reads ahead cheaply and a random row costs one group. `shard_frames` reads a row's frames however it was cut.
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
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from dataset.root import Root
from dataset.tombstones import only_living
from media.errors import CorruptionError, DatasetError, MediaError

if TYPE_CHECKING:
    from media import Frame

__all__ = [
    "FRAME_COLUMNS",
    "SHARD_ROW_GROUP_BYTES",
    "ShardReader",
    "media_hash",
    "reference_hash",
    "row_hash",
    "shard_frames",
    "shard_row",
    "write_shard",
]

SHARD_ROW_GROUP_BYTES: Final = 4 << 20
"""Size that a row group of a shard aims at; a row larger than that has a group of its own."""

FRAME_COLUMNS: Final = (
    "clip_id", "media", "cut", "in_frame", "out_frame", "uri", "affine", "height_px", "width_px",
)  # fmt: skip
"""The columns that `shard_frames` needs of a row."""

_RIGHTS: Final = ("source", "license", "source_url", "rights_basis")
_OPEN_PARTS: Final = 128
_THREADS: Final = 16


def media_hash(media: bytes) -> str:
    """Return the checksum of a row's media: 128-bit BLAKE2b, 32 hex digits."""
    return blake2b(media, digest_size=16).hexdigest()


def reference_hash(row: Mapping[str, Any]) -> str:
    """Return what stands for the checksum of a row without media: that of its source's id, which is one, and span."""
    return media_hash(f"{row['video_id']}:{row['first_frame']}-{row['end_frame']}".encode())


def row_hash(row: Mapping[str, Any]) -> str:
    """Return the checksum that a row should have, from its media or, where it is a reference, from its span."""
    media = row["media"]
    return reference_hash(row) if media is None and row.get("cut") == "reference" else media_hash(media or b"")


def shard_row(
    clip: Mapping[str, Any],
    media: bytes | None,
    *,
    frames: int,
    fps: float,
    width_px: int,
    height_px: int,
    run_id: str,
    media_type: str = "video/mp4",
    cut: str = "exact",
    in_frame: int = 0,
    psnr_db: float | None = None,
    caption: Mapping[str, Any] | None = None,
    video: Mapping[str, Any] | None = None,
    tags: Sequence[str] | None = None,
    bucket: str | None = None,
) -> dict[str, Any]:
    """Return a row of `shards` from a clip's row and what was cut; the media of a reference are None.

    `frames`, `fps` and the size are those of the clip, as its cut counted them; it begins at frame `in_frame` of
    `media`, of a reference at that of the source. A caption whose outcome is `blocked` or `error` lends no text: they
    stay null.
    """
    said = caption if caption and caption.get("outcome") in {"ok", "repaired", "template"} else {}
    names = ("clip_id", "video_id", "kind", "first_frame", "end_frame", "uri", "flow_mean_px_per_s", "camera_motion",
             "sharpness_laplacian", "phash")  # fmt: skip
    return {
        **{name: clip.get(name) for name in names},
        "media": media,
        "media_type": None if media is None else media_type,
        "media_hash": reference_hash(clip) if media is None else media_hash(media),
        "cut": cut,
        "in_frame": in_frame,
        "out_frame": in_frame + frames,
        "psnr_db": psnr_db,
        "frames": frames,
        "fps": fps,
        "width_px": width_px,
        "height_px": height_px,
        "duration_s": frames / fps,
        **{name: said.get(name) for name in ("short", "medium", "dense", "dense_zh")},
        "caption_outcome": said.get("outcome"),
        "tags": None if tags is None else list(tags),
        "bucket": bucket,
        **{name: (video or {}).get(name) for name in _RIGHTS},
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

        With `verify`, raises CorruptionError if the media does not have its hash. Raises DatasetError for an id that
        is not there, and where parts were compacted since; IndexError for an index that is not there.
        """
        clip_id = self._ids[which] if isinstance(which, int) else which
        place = self._places.get(clip_id)
        if place is None:
            raise DatasetError(f"{self.root.uri}: shards/{self.name} has no clip {clip_id}")
        wanted = None if columns is None else list(dict.fromkeys([*columns, "clip_id"]))
        with self.root.storage(f"{self.table}/{self.parts[place.part]}"), self._part(place.part) as file:
            there = place.group < file.num_row_groups
            group = file.read_row_group(place.group, columns=wanted, use_threads=False) if there else None
        found = [] if group is None else group.slice(place.offset, 1).to_pylist()
        if not found or found[0]["clip_id"] != clip_id:
            where = f"{self.root.uri}: shards/{self.name}"
            raise DatasetError(f"{where} was written anew, by `rushes compact`, since it was opened; open it again")
        row: dict[str, Any] = found[0]
        if columns is not None and "clip_id" not in columns:
            del row["clip_id"]
        if verify:
            _checked(row, f"{self.root.uri}: shards/{self.name}")
        return row

    def rows(self, ids: Sequence[str], columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Return several rows, in the order of `ids`."""
        return [self.row(clip_id, columns) for clip_id in ids]

    def iter_rows(self, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """Yield every row, in order, holding one row group in memory."""
        read = None if columns is None else list(dict.fromkeys([*columns, "clip_id"]))
        hidden = [] if columns is None or "clip_id" in columns else ["clip_id"]
        for index, name in enumerate(self.parts):
            with self.root.storage(f"{self.table}/{name}"):
                file = self._load(index)
                for group in range(file.num_row_groups):
                    rows = only_living(self.table, file.read_row_group(group, columns=read), self.root.removed())
                    yield from rows.drop_columns(hidden).to_pylist()

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
        removed = self.root.removed()
        with ThreadPoolExecutor(_THREADS) as pool:
            for part, groups in enumerate(pool.map(self._group_ids, range(len(self.parts)))):
                for group, ids in enumerate(groups):
                    for offset, clip_id in enumerate(ids):
                        if not removed or clip_id.partition(":")[0] not in removed:
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


def shard_frames(row: Mapping[str, Any], wanted: Sequence[int] | None = None) -> npt.NDArray[np.uint8]:
    """Return the frames of a row, uint8 (F, H, W, 3): from its media, or of a reference from its source.

    `wanted` are numbers of the clip's own frames, counted from 0; all of them when None. The row needs
    `FRAME_COLUMNS`; of shards written before there were cuts it lacks some, and then its media are the clip. A row with
    an `affine` is a still that moves: its frames are rendered, and are those that would have been encoded.
    MediaError, naming the clip, when the source of a reference cannot be read, a frame is not there, or nothing can
    be decoded.
    """
    from media.affine import still_frames

    first, end = row.get("in_frame") or 0, row.get("out_frame")
    span = (first, end) if wanted is None else (first + min(wanted), first + max(wanted) + 1)
    needed = None if wanted is None else {first + number for number in wanted}
    found: dict[int, npt.NDArray[np.uint8]] = {}
    try:
        if row.get("affine"):  # a still that moves
            return still_frames(row, wanted)
        if wanted is not None and end is not None and span[1] > end:
            raise MediaError("truncated", f"frame {max(wanted)} is asked for, {end - first} are there")
        there = 0
        with _frames_from(row, span) as frames:
            for frame in frames:
                there = frame.index + 1 - first
                if there > 0 and (needed is None or frame.index in needed):
                    found[frame.index] = frame.rgb()
                if frame.index + 1 == span[1]:
                    break
        if there < (1 if span[1] is None else span[1] - first):
            last = 0 if span[1] is None else span[1] - first - 1
            raise MediaError("truncated", f"frame {last} is asked for, {max(0, there)} are there")
    except MediaError as error:
        raise MediaError(error.reason, f"clip {row['clip_id']}: {error.detail}") from error
    numbers = sorted(found) if wanted is None else [first + number for number in wanted]
    return np.stack([found[number] for number in numbers])


@contextmanager
def _frames_from(row: Mapping[str, Any], span: tuple[int, int | None]) -> Iterator[Iterator[Frame]]:
    """Open what a row's frames are in, for the span at least."""
    from media import decode, local_copy, read_span

    if row.get("cut") == "reference" and span[1] is not None:
        with local_copy(row["uri"]) as path:
            yield read_span(path, span[0], span[1])
    else:
        yield decode(row["media"])


def _checked(row: Mapping[str, Any], where: str) -> None:
    if row_hash(row) != row["media_hash"]:
        raise CorruptionError(f"{where}: the media of clip {row['clip_id']} does not have its checksum")
