"""Shards: what is written is found again by id, by index and in a stream."""

from __future__ import annotations

import pickle
import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import media
from dataset import Root, ShardReader
from dataset.shards import FRAME_COLUMNS, media_hash, shard_frames, shard_row, write_shard
from media.errors import CorruptionError, DatasetError, MediaError
from tests import videos
from tests.dataset.build import RUN, caption_row, clip_row, new_root, video_row

PARTS, ROWS = 7, 11


def row(first: int, video_id: str, media: bytes, **more: object) -> dict[str, object]:
    made = shard_row(
        clip_row(first, first + 10, video_id), media, frames=10, fps=10, width_px=64, height_px=48, run_id=RUN
    )
    return {**made, **more}


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, object]]:
    rng = random.Random(0)
    made = [row(i * 10, f"v{part}", rng.randbytes(2000)) for part in range(PARTS) for i in range(ROWS)]
    return {str(r["clip_id"]): r for r in made}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, rows: dict[str, dict[str, object]]) -> Root:
    root = new_root(tmp_path_factory.mktemp("shards"))
    for part in range(PARTS):
        write_shard(root, "train", [r for r in rows.values() if r["video_id"] == f"v{part}"], key=f"v{part}")
    return root


@pytest.fixture
def reader(root: Root) -> ShardReader:
    return ShardReader(root, "train")


def test_every_row_is_found_by_its_id(reader: ShardReader, rows: dict[str, dict[str, object]]) -> None:
    assert len(reader) == len(rows)
    assert set(reader.ids) == set(rows)
    for clip_id, wanted in rows.items():
        found = reader.row(clip_id, verify=True)
        assert {key: found[key] for key in wanted} == wanted


def test_indices_ids_and_the_stream_have_one_order(reader: ShardReader) -> None:
    streamed = [r["clip_id"] for r in reader.iter_rows(["clip_id"])]
    assert streamed == reader.ids == [reader.row(i, ["clip_id"])["clip_id"] for i in range(len(reader))]
    assert reader.row(-1, ["clip_id"])["clip_id"] == reader.ids[-1]
    assert [r["clip_id"] for r in reader.rows(reader.ids[:5], ["clip_id"])] == reader.ids[:5]


def test_the_order_does_not_depend_on_the_order_of_writing(root: Root, tmp_path: Path, reader: ShardReader) -> None:
    other = new_root(tmp_path)
    for part in reversed(range(PARTS)):
        found = [r for r in reader.iter_rows() if r["video_id"] == f"v{part}"]
        write_shard(other, "train", found[::-1], key=f"v{part}")
    assert ShardReader(other, "train").ids == reader.ids
    for name in root.parts("shards/train"):
        mine, theirs = Path(root.path, "shards/train", name), Path(other.path, "shards/train", name)
        assert mine.read_bytes() == theirs.read_bytes()


def test_the_table_for_a_plan_leaves_the_media_out(reader: ShardReader) -> None:
    table = reader.table_of()
    assert table.num_rows == PARTS * ROWS
    assert "media" not in table.column_names
    assert reader.table_of(["clip_id", "frames"]).column_names == ["clip_id", "frames"]


def test_what_is_not_there_is_told(root: Root, reader: ShardReader) -> None:
    assert "v0:0-10" in reader
    assert "v0:0-11" not in reader
    with pytest.raises(DatasetError, match="shards/train has no clip v0:0-11"):
        reader.row("v0:0-11")
    with pytest.raises(IndexError):
        reader.row(PARTS * ROWS)
    with pytest.raises(DatasetError, match="no shards named 'test'; there are: train"):
        ShardReader(root, "test")


def test_a_reader_goes_to_other_processes_and_threads(reader: ShardReader) -> None:
    reader.row(0)
    there: ShardReader = pickle.loads(pickle.dumps(reader))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: there.row(i, verify=True)["clip_id"], list(range(len(there))) * 3))
    assert found == reader.ids * 3


def test_a_random_row_reads_one_small_row_group(tmp_path: Path) -> None:
    root = new_root(tmp_path)
    write_shard(root, "train", [row(i * 10, "v", bytes(1 << 20)) for i in range(10)], key="v")
    name = root.parts("shards/train")[0]
    metadata = pq.read_metadata(Path(root.path, "shards/train", name))
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [3, 3, 3, 1]


def test_an_id_that_is_there_twice_counts_once(root: Root, tmp_path: Path) -> None:
    other = new_root(tmp_path)
    for key in ("one", "two"):
        write_shard(other, "train", [row(0, "v", key.encode())], key=key)
    reader = ShardReader(other, "train")
    assert len(reader) == 1
    assert reader.row(0)["clip_id"] == "v:0-10"


def test_media_must_have_its_hash_when_it_is_written_and_when_it_is_read(tmp_path: Path) -> None:
    root = new_root(tmp_path)
    with pytest.raises(CorruptionError, match="v:0-10 does not have its checksum"):
        write_shard(root, "train", [row(0, "v", b"media", media_hash=media_hash(b"other"))], key="v")
    root.write_part("shards/train", [row(0, "v", b"media", media_hash=media_hash(b"other"))], key="v")
    assert ShardReader(root, "train").row(0)["media"] == b"media"
    with pytest.raises(CorruptionError, match="v:0-10 does not have its checksum"):
        ShardReader(root, "train").row(0, verify=True)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return videos.write_video(tmp_path_factory.mktemp("source") / "source.mp4", videos.numbered_frames(40))


def cut_row(path: Path, mode: media.CutMode, first: int = 15, end: int = 23) -> dict[str, object]:
    made = media.cut(path, first, end, mode=mode)
    return shard_row(
        clip_row(first, end, "v", uri=str(path)), made.data or None, frames=made.frames, fps=made.fps,
        width_px=made.width_px, height_px=made.height_px, run_id=RUN, cut=mode, in_frame=made.in_frame,
        psnr_db=made.psnr_db,
    )  # fmt: skip


def numbers(row: Mapping[str, object], wanted: Sequence[int] | None = None) -> list[int]:
    return [videos.read_number(picture) for picture in shard_frames(row, wanted)]


@pytest.mark.parametrize("mode", ["copy", "exact", "reference"])
def test_the_frames_of_a_row_are_its_clips_however_it_was_cut(
    mode: media.CutMode, source: Path, tmp_path: Path
) -> None:
    root = new_root(tmp_path)
    write_shard(root, "train", [cut_row(source, mode)], key="v")
    row = ShardReader(root, "train").row(0, FRAME_COLUMNS)
    assert numbers(row) == list(range(15, 23))
    assert numbers(row, [0]) == [15]
    assert numbers(row, [7, 2, 5, 2]) == [22, 17, 20, 17]
    assert row["out_frame"] - row["in_frame"] == 8
    with pytest.raises(MediaError, match="v:15-23: frame 8 is asked for, 8 are there"):
        shard_frames(row, [3, 8])
    whole = ShardReader(root, "train").row(0, verify=True)
    assert (whole["cut"], whole["psnr_db"] is None) == (mode, mode != "exact")


def test_a_row_older_than_cuts_is_read_whole(source: Path) -> None:
    row = cut_row(source, "exact")
    old = {"clip_id": row["clip_id"], "media": row["media"]}
    assert numbers(old) == list(range(15, 23))
    assert numbers(old, [6, 7]) == [21, 22]
    with pytest.raises(MediaError, match="frame 8 is asked for, 8 are there"):
        shard_frames(old, [8])


def test_media_that_ends_before_its_clip_is_told(source: Path) -> None:
    row = cut_row(source, "copy")
    with pytest.raises(MediaError, match="v:15-23: frame 29 is asked for") as caught:
        shard_frames({**row, "out_frame": 33})
    assert caught.value.reason == "truncated"


def test_a_reference_names_the_source_that_is_missing(source: Path, tmp_path: Path) -> None:
    row = cut_row(source, "reference")
    assert (row["media"], row["media_type"], row["in_frame"]) == (None, None, 15)
    with pytest.raises(MediaError, match=r"clip v:15-23: .*gone\.mp4") as caught:
        shard_frames({**row, "uri": str(tmp_path / "gone.mp4")})
    assert caught.value.reason == "unreadable"


def test_references_to_other_spans_have_other_hashes(source: Path, tmp_path: Path) -> None:
    one, other = cut_row(source, "reference"), cut_row(source, "reference", 15, 24)
    assert one["media_hash"] != other["media_hash"]
    with pytest.raises(CorruptionError, match="does not have its checksum"):
        write_shard(new_root(tmp_path), "train", [{**one, "media_hash": other["media_hash"]}], key="v")


@pytest.mark.parametrize(("outcome", "short"), [("ok", "a dog runs"), ("template", "a dog runs"), ("blocked", None)])
def test_only_a_caption_that_stands_is_lent(outcome: str, short: str | None) -> None:
    clip = clip_row(phash=7, camera_motion="static")
    made = shard_row(
        clip, b"m", frames=8, fps=4, width_px=2, height_px=3, run_id=RUN,
        caption=caption_row(clip["clip_id"], outcome=outcome), video=video_row(), tags=("dog",),
    )  # fmt: skip
    assert (made["short"], made["caption_outcome"]) == (short, outcome if short else None)
    assert (made["duration_s"], made["phash"], made["camera_motion"]) == (2.0, 7, "static")
    assert (made["source"], made["license"], made["tags"]) == ("a package", "CC0-1.0", ["dog"])
    assert made["media_hash"] == media_hash(b"m")
