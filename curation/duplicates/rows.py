"""What the search reads of a dataset, and the order of preference that it reads it in.

Keyframes are most of a dataset's bytes. Their hashes are read of every clip, their pictures only of clips whose hashes
are all the same as another's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.phash import phash
from dataset import Root, query
from dataset.tombstones import only_living
from media import Rgb, decode_jpeg
from media.errors import ConfigError, DatasetError

__all__ = ["Clips", "embeddings", "media_hashes", "picture_digests", "read_clips", "with_crops"]

_LIGHT: Final = (
    "clip_id", "video_id", "kind", "first_frame", "end_frame", "frames", "shot", "width_px", "height_px",
    "crop_width_px", "crop_height_px", "sharpness_laplacian", "duration_s",
)  # fmt: skip
_OF_DUPLICATES: Final = re.compile(r"\bduplicates\b", re.IGNORECASE)
_PREFERENCE: Final = (
    ("kept", "descending"),
    ("pixels", "descending"),
    ("sharpness_laplacian", "descending"),
    ("duration_s", "descending"),
    ("clip_id", "ascending"),
)
"""The rule of the representative: kept by a selection, most pixels, sharpest, longest, smallest id; unknown is last."""


@dataclass(frozen=True, slots=True)
class Clips:
    """Clips in the order of preference: `table` has a row each, with `pixels` and `kept`, whether a selection keeps it.

    `hashes` [N, K] are there where `valid` [N, K] says so.

    `crops` [N, K, V] are the hashes of V views of each keyframe's middle, none unless `with_crops` made them.
    """

    table: pa.Table
    hashes: npt.NDArray[np.uint64]
    valid: npt.NDArray[np.bool_]
    crops: npt.NDArray[np.uint64]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def numbers(self, column: str) -> npt.NDArray[np.float64]:
        """Return a column of numbers; a null is NaN."""
        return np.asarray(self.table[column].cast(pa.float64()).to_numpy(), np.float64)

    def codes(self, column: str) -> npt.NDArray[np.int64]:
        """Return a number for every distinct value of a column; nulls are one value."""
        encoded = self.table[column].combine_chunks().dictionary_encode(null_encoding="encode")
        return np.asarray(encoded.indices.to_numpy(zero_copy_only=False), np.int64)

    def take(self, places: npt.NDArray[np.int64]) -> Clips:
        """Return the clips at these places."""
        return Clips(self.table.take(pa.array(places)), self.hashes[places], self.valid[places], self.crops[places])


def read_clips(root: Root, kinds: Collection[str], selection: str | None = None) -> Clips:
    """Return the clips of these kinds in the order of preference, whatever the order of the rows.

    Raises DatasetError if there is no such selection, but others.
    """
    kept = None if selection is None else _kept(root, selection)
    parts = [part for name in root.parts("clips") if (part := _read(root, name, ["phash"])).num_rows]
    if not parts:
        empty = root.schema("clips").empty_table().select(list(_LIGHT))
        empty = empty.append_column("pixels", pa.array([], pa.int64())).append_column("kept", pa.array([], pa.bool_()))
        return Clips(empty, np.zeros((0, 1), np.uint64), np.zeros((0, 1), np.bool_), np.zeros((0, 1, 0), np.uint64))
    table = pa.concat_tables(parts, promote_options="default")
    table = table.filter(pc.is_in(table["kind"], pa.array(sorted(kinds))))
    return arrange(table, kept)


def _kept(root: Root, selection: str) -> pa.Array | None:
    """Return the ids of the clips that the selection keeps, None where no selection was made.

    A clip that was rejected as a duplicate alone is among them: this search is to say anew which those are.
    """
    if not root.exists(f"selections/{selection}"):
        if there := root.names("selections"):
            raise DatasetError(f"{root.uri}: no selection is called {selection!r} (there are: {', '.join(there)})")
        return None
    rules = query(root, "SELECT selection, rule, predicate FROM selection_rules").to_pylist()
    about = [
        rule["rule"] for rule in rules if rule["selection"] == selection and _OF_DUPLICATES.search(rule["predicate"])
    ]
    judged = root.read(f"selections/{selection}", ["clip_id", "rejected_by"]).combine_chunks()
    why = judged["rejected_by"].combine_chunks()
    other = pc.invert(pc.is_in(pc.list_flatten(why), pa.array(about, pa.string())))
    rejected = pc.unique(pc.list_parent_indices(why).filter(other))
    keep = np.ones(len(judged), np.bool_)
    keep[rejected.to_numpy()] = False
    return judged["clip_id"].filter(pa.array(keep)).combine_chunks()


def arrange(table: pa.Table, kept: pa.Array | None = None) -> Clips:
    """Put rows of `clips`, of whose keyframes only `phash` is needed, into the order of preference.

    `kept` are the ids of the clips that come first; None for all.
    """
    first = pa.repeat(pa.scalar(True), len(table)) if kept is None else pc.is_in(table["clip_id"], kept)
    table = table.append_column("kept", first)
    sides = [pc.coalesce(table[f"crop_{side}"], table[side]) for side in ("width_px", "height_px")]
    table = table.append_column("pixels", pc.multiply(sides[0].cast(pa.int64()), sides[1].cast(pa.int64())))
    table = table.take(pc.sort_indices(table, list(_PREFERENCE)))
    hashes, valid = _padded(table["keyframes"].combine_chunks())
    return Clips(table.drop_columns("keyframes"), hashes, valid, np.zeros((*hashes.shape, 0), np.uint64))


def with_crops(root: Root, clips: Clips, shares: Sequence[float]) -> Clips:
    """Return the clips with hashes of the middle of each keyframe, `shares` of its sides; every keyframe is decoded."""
    ids = clips.table["clip_id"].combine_chunks()
    crops = np.repeat(clips.hashes[:, :, None], len(shares), axis=2)
    for named in _keyframes(root, ids):
        places = pc.index_in(named["clip_id"], ids).to_pylist()
        for place, keyframes in zip(places, named["keyframes"].to_pylist(), strict=True):
            for at, keyframe in enumerate(keyframes or ()):
                if keyframe["jpeg"] is not None:
                    rgb = decode_jpeg(keyframe["jpeg"])
                    crops[place, at] = [phash(_middle(rgb, share)) for share in shares]
    return replace(clips, crops=crops)


def _middle(rgb: Rgb, share: float) -> Rgb:
    rows, columns = (round(side * (1 - share) / 2) for side in rgb.shape[:2])
    return np.ascontiguousarray(rgb[rows : rgb.shape[0] - rows, columns : rgb.shape[1] - columns])


def picture_digests(root: Root, clip_ids: pa.Array) -> dict[str, bytes]:
    """Return, for those clips that have keyframes, a digest of their number of frames and keyframes' JPEG bytes."""
    found: dict[str, bytes] = {}
    for table in _keyframes(root, clip_ids):
        for row in table.to_pylist():
            pictures = [k["jpeg"] for k in row["keyframes"] or () if k["jpeg"] is not None]
            if pictures:
                found[row["clip_id"]] = _digest(row["frames"], pictures)
    return found


def _keyframes(root: Root, clip_ids: pa.Array) -> Iterator[pa.Table]:
    """Yield `clip_id`, `frames` and the `jpeg` of `keyframes` of those clips, a row group of a part at a time."""
    for name in root.parts("clips") if len(clip_ids) else ():
        path = root.location(f"clips/{name}")
        with root.storage(f"clips/{name}"), pq.ParquetFile(path, filesystem=root.filesystem) as file:
            for group in range(file.num_row_groups):
                ids = file.read_row_group(group, ["clip_id"]).column(0)
                wanted = pc.is_in(ids, clip_ids)
                if pc.any(wanted).as_py():
                    rows = file.read_row_group(group, ["clip_id", "frames", *_leaves(file, ["jpeg"])])
                    yield rows.filter(wanted)


def media_hashes(root: Root) -> pa.Table:
    """Return `clip_id` and `media_hash` of every shard row that has media."""
    tables = [root.read(f"shards/{name}", ["clip_id", "media_hash", "cut"]) for name in root.names("shards")]
    empty = root.schema("shards/x").empty_table().select(["clip_id", "media_hash", "cut"])
    table = pa.concat_tables([empty, *tables], promote_options="default")
    return table.filter(pc.fill_null(pc.not_equal(table["cut"], "reference"), True))


def embeddings(root: Root, named: str, clip_ids: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the places of those clips that have the embedding EXPERT.COLUMN, ascending, and unit vectors [n, D].

    Raises ConfigError if there is no such column, or it does not hold vectors of one length.
    """
    expert, _, column = named.partition(".")
    if expert not in root.names("experts"):
        there = ", ".join(root.names("experts")) or "none"
        raise ConfigError(f"embedding: no expert {expert!r} in this dataset (there are: {there})")
    schema = root.schema(f"experts/{expert}")
    lists = [field.name for field in schema if _is_vector(field.type)]
    if column not in lists:
        raise ConfigError(f"embedding: expert {expert} has no vector {column!r} (it has: {', '.join(lists) or 'none'})")
    table = root.read(f"experts/{expert}", ["clip_id", column])
    table = table.filter(pc.is_valid(table[column]))
    places = pc.index_in(table["clip_id"], clip_ids)
    table = table.append_column("place", places).filter(pc.is_valid(places)).sort_by("place")
    vectors = table[column].combine_chunks()
    lengths = set(pc.unique(pc.list_value_length(vectors)).to_pylist())
    if len(lengths) > 1:
        raise ConfigError(f"embedding: {named} has vectors of several lengths: {sorted(lengths)}")
    rows = np.asarray(vectors.flatten().cast(pa.float32()).to_numpy(zero_copy_only=False), np.float32)
    rows = rows.reshape(len(vectors), -1) if len(vectors) else rows.reshape(0, 1)
    norms = np.linalg.norm(rows, axis=1)
    good = np.isfinite(norms) & (norms > 0)
    return table["place"].to_numpy().astype(np.int64)[good], rows[good] / norms[good, None]


def _is_vector(kind: pa.DataType) -> bool:
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(listed and pa.types.is_floating(kind.value_type))


def _read(root: Root, name: str, fields: Sequence[str]) -> pa.Table:
    path = root.location(f"clips/{name}")
    with root.storage(f"clips/{name}"), pq.ParquetFile(path, filesystem=root.filesystem) as file:
        there = [column for column in _LIGHT if column in file.schema_arrow.names]
        return only_living("clips", file.read([*there, *_leaves(file, fields)]), root.removed())


def _leaves(file: pq.ParquetFile, fields: Sequence[str]) -> list[str]:
    """Return the Parquet paths of fields of the keyframes."""
    paths = (file.schema.column(i).path for i in range(len(file.schema)))
    return [path for path in paths if path.startswith("keyframes.") and path.rpartition(".")[2] in fields]


def _padded(keyframes: pa.ListArray) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """Return hashes [N, K] and where they are: K is the most keyframes of a clip, at least 1."""
    lengths = pc.fill_null(pc.list_value_length(keyframes), 0).to_numpy(zero_copy_only=False)
    values = pc.struct_field(keyframes.flatten(), "phash")
    row = np.repeat(np.arange(len(lengths)), lengths)
    column = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    hashes = np.zeros((len(lengths), max(1, int(lengths.max(initial=0)))), np.uint64)
    valid = np.zeros(hashes.shape, np.bool_)
    valid[row, column] = pc.is_valid(values).to_numpy(zero_copy_only=False)
    hashes[row, column] = pc.fill_null(values, pa.scalar(0, pa.uint64())).to_numpy(zero_copy_only=False)
    return hashes, valid


def _digest(frames: int, pictures: Sequence[Any]) -> bytes:
    digest = blake2b(str(frames).encode(), digest_size=16)
    for picture in pictures:
        digest.update(len(picture).to_bytes(8, "big"))
        digest.update(picture)
    return digest.digest()
