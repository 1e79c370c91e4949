"""Small readers of the export formats, each after the format's own description, for tests that lack the loaders."""

from __future__ import annotations

import json
import struct
import tarfile
import tomllib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq


class Read(NamedTuple):
    """What a reader found of one clip."""

    name: str
    media: bytes
    caption: str
    record: dict[str, Any]


def webdataset(folder: Path) -> Iterator[Read]:
    for path in sorted(folder.glob("*.tar")):
        samples: dict[str, dict[str, bytes]] = {}
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, extension = member.name.partition(".")
                content = tar.extractfile(member)
                assert content is not None
                samples.setdefault(key, {})[extension] = content.read()
        for key, parts in samples.items():
            yield Read(key, parts["mp4"], parts["txt"].decode(), json.loads(parts["json"]))


def video_folder(folder: Path) -> Iterator[Read]:
    for row in pq.read_table(folder / "train/metadata.parquet").to_pylist():
        path = folder / "train" / row["file_name"]
        yield Read(path.stem, path.read_bytes(), row["caption"], row)


def mds(folder: Path) -> Iterator[Read]:
    for shard in json.loads((folder / "index.json").read_text())["shards"]:
        data = (folder / shard["raw_data"]["basename"]).read_bytes()
        assert len(data) == shard["raw_data"]["bytes"]
        (count,) = struct.unpack_from("<I", data)
        offsets = struct.unpack_from(f"<{count + 1}I", data, 4)
        assert json.loads(data[4 * count + 8 : offsets[0]])["column_names"] == shard["column_names"]
        for first, end in pairwise(offsets):
            row = _mds_sample(data[first:end], shard)
            yield Read(row["clip_id"], row["video"], row["caption"], row["record"])


def _mds_sample(data: bytes, shard: dict[str, Any]) -> dict[str, Any]:
    free = shard["column_sizes"].count(None)
    sizes = iter(struct.unpack_from(f"<{free}I", data))
    place, row = 4 * free, {}
    columns = zip(shard["column_names"], shard["column_encodings"], shard["column_sizes"], strict=True)
    decode: dict[str, Callable[[bytes], Any]] = {
        "str": bytes.decode,
        "bytes": bytes,
        "json": json.loads,
        "int": lambda d: struct.unpack("<q", d)[0],
        "float64": lambda d: struct.unpack("<d", d)[0],
    }
    for name, encoding, fixed in columns:
        size = next(sizes) if fixed is None else fixed
        row[name] = decode[encoding](data[place : place + size])
        place += size
    assert place == len(data)
    return row


def _pairs(folder: Path, places: list[Path]) -> Iterator[Read]:
    """Read clips beside captions; their records are found by the files' names."""
    lines = [json.loads(line) for line in (folder / "clips.jsonl").read_text(encoding="utf-8").splitlines()]
    records = {folder / line.pop("file"): line for line in lines}
    found = sorted(path for place in places for path in place.glob("*.mp4"))
    assert set(found) == set(records)
    assert all({path.suffix for path in place.iterdir()} == {".mp4", ".txt"} for place in places)
    for path in records:
        yield Read(path.stem, path.read_bytes(), path.with_suffix(".txt").read_text("utf-8").strip(), records[path])


def finetrainers(folder: Path) -> Iterator[Read]:
    (config,) = json.loads((folder / "training.json").read_text())["datasets"]
    yield from _pairs(folder, [Path(config["data_root"])])


def diffusion_pipe(folder: Path) -> Iterator[Read]:
    config = tomllib.loads((folder / "dataset.toml").read_text())
    yield from _pairs(folder, [Path(directory["path"]) for directory in config["directory"]])


def musubi_tuner(folder: Path) -> Iterator[Read]:
    config = tomllib.loads((folder / "dataset.toml").read_text())
    yield from _pairs(folder, [Path(entry["video_directory"]) for entry in config["datasets"]])


READERS: dict[str, Callable[[Path], Iterator[Read]]] = {
    "webdataset": webdataset,
    "video_folder": video_folder,
    "mds": mds,
    "finetrainers": finetrainers,
    "diffusion_pipe": diffusion_pipe,
    "musubi_tuner": musubi_tuner,
}
