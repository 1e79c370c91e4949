"""Verification finds each kind of damage, names where it is, and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import media
from dataset import Problem, Root, schema_of, verify
from dataset.checks import PROBLEMS
from dataset.schema import Column, arrow_schema
from dataset.shards import shard_row
from tests import videos
from tests.dataset.build import RUN, TAGS, caption_row, clip_row, small_dataset, tag_row, video_row


@pytest.fixture(scope="module")
def clip() -> bytes:
    frames = [np.full((48, 64, 3), 20 * i, np.uint8) for i in range(10)]
    return media.encode(frames, fps=10).data


@pytest.fixture
def root(tmp_path: Path, clip: bytes) -> Root:
    return small_dataset(tmp_path, media=[clip, clip])


def found(root: Root, **how: Any) -> set[tuple[str, str, str]]:
    return {(problem.table, problem.id, problem.kind) for problem in verify(root, **how)}


def shard(clip: bytes, **changed: Any) -> dict[str, Any]:
    row = shard_row(clip_row(0, 10), clip, frames=10, fps=10, width_px=64, height_px=48, run_id=RUN)
    return {**row, **changed}


def test_a_sound_dataset_has_no_problem(root: Root) -> None:
    assert verify(root) == []


def test_progress_counts_the_parts(root: Root) -> None:
    seen: list[tuple[int, int]] = []
    verify(root, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i + 1, 10) for i in range(10)]


ROWS = [
    ("clips", clip_row(0, 10, "aa"), "aa:0-10", "duplicate_id"),
    ("clips", clip_row(30, 40, "zz"), "zz:30-40", "orphan"),
    ("clips", clip_row(30, 40, clip_id="aa:31-40"), "aa:31-40", "bad_id"),
    ("clips", clip_row(30, 40, clip_id="nonsense"), "nonsense", "bad_id"),
    ("clips", clip_row(40, 40, end_s=9.0), "aa:40-40", "bad_span"),
    ("clips", clip_row(30, 40, frames=9), "aa:30-40", "bad_span"),
    ("clips", clip_row(30, 40, end_s=1.0), "aa:30-40", "bad_span"),
    ("clips", clip_row(30, 40, kind="film"), "aa:30-40", "bad_value"),
    ("clips", clip_row(30, 40, run_id="nobody"), "aa:30-40", "unknown_run"),
    ("videos", video_row("cc", status="lost"), "cc", "bad_value"),
    ("videos", video_row("aa"), "aa", "duplicate_id"),
    ("captions", caption_row("aa:0-99"), "aa:0-99", "orphan"),
    ("captions", caption_row("bb:0-10", outcome="fine"), "bb:0-10", "bad_value"),
    ("selections/x", {"clip_id": "zz:0-1", "kept": True, "rejected_by": [], "run_id": RUN}, "zz:0-1", "orphan"),
]


@pytest.mark.parametrize(("table", "row", "name", "kind"), ROWS, ids=lambda v: v if isinstance(v, str) else "")
def test_a_row_that_is_wrong_is_found(root: Root, table: str, row: dict[str, Any], name: str, kind: str) -> None:
    root.write_part(table, [row], key="wrong")
    assert found(root, media=False) == {(table, name, kind)}


def test_an_experts_row_about_no_clip_is_found(root: Root) -> None:
    root.write_part("experts/tags", [tag_row("zz:0-1")], TAGS, key="wrong")
    assert found(root, media=False) == {("experts/tags", "zz:0-1", "orphan")}


def test_pseudo_clips_are_named_by_their_motion(root: Root) -> None:
    row = clip_row(0, 10, "bb", clip_id="bb:0-10@zoom_in", kind="pseudo")
    root.write_part("clips", [row], key="pseudo")
    assert verify(root) == []


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"media_hash": "0" * 32}, "checksum"),
        ({"frames": 11, "out_frame": 11}, "frame_count"),
        ({"width_px": 66}, "frame_count"),
    ],
)
def test_media_that_is_not_as_its_row_says_is_found(
    root: Root, clip: bytes, changed: dict[str, Any], kind: str
) -> None:
    root.write_part("shards/other", [shard(clip, **changed)], key="wrong")
    assert found(root) == {("shards/other", "aa:0-10", kind)}
    assert found(root, media=False) == set()


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"out_frame": 11}, "bad_span"),
        ({"in_frame": 1}, "bad_span"),
        ({"cut": "rough"}, "bad_value"),
        ({"cut": "reference", "in_frame": 3, "out_frame": 13}, "bad_span"),
    ],
)
def test_a_cut_that_is_not_as_its_row_says_is_found(
    root: Root, clip: bytes, changed: dict[str, Any], kind: str
) -> None:
    root.write_part("shards/other", [shard(clip, **changed)], key="wrong")
    assert found(root, media=False) == {("shards/other", "aa:0-10", kind)}


@pytest.mark.parametrize(
    ("changed", "kind"), [({"media": None}, "missing_value"), ({"cut": "reference"}, "bad_value")], ids=str
)
def test_only_references_are_without_media(root: Root, clip: bytes, changed: dict[str, Any], kind: str) -> None:
    root.write_part("shards/other", [shard(clip, **changed)], key="wrong")
    assert found(root) == {("shards/other", "aa:0-10", kind)}


@pytest.fixture
def source(root: Root, tmp_path: Path) -> Path:
    """A video that the dataset has, with one clip, frames 15 to 23."""
    path = videos.write_video(tmp_path / "source.mp4", videos.numbered_frames(40))
    video_id = media.content_id(path)
    root.write_part("videos", [video_row(video_id)], key="source")
    root.write_part("clips", [clip_row(15, 23, video_id, uri=str(path))], key="source")
    return path


def cut_row(path: Path, mode: media.CutMode, **changed: Any) -> dict[str, Any]:
    made = media.cut(path, 15, 23, mode=mode)
    clip = clip_row(15, 23, media.content_id(path), uri=str(path))
    row = shard_row(
        clip, made.data or None, frames=made.frames, fps=made.fps, width_px=made.width_px, height_px=made.height_px,
        run_id=RUN, cut=mode, in_frame=made.in_frame, psnr_db=made.psnr_db,
    )  # fmt: skip
    return {**row, **changed}


@pytest.mark.parametrize("mode", ["copy", "exact", "reference"])
def test_every_kind_of_cut_is_sound(mode: media.CutMode, root: Root, source: Path) -> None:
    root.write_part("shards/other", [cut_row(source, mode)], key="sound")
    assert verify(root) == []


def test_a_copy_that_ends_too_soon_is_found(root: Root, source: Path) -> None:
    row = cut_row(source, "copy")
    late = {"in_frame": row["in_frame"] + 8, "out_frame": row["out_frame"] + 8}
    root.write_part("shards/other", [{**row, **late}], key="wrong")
    assert found(root) == {("shards/other", row["clip_id"], "undecodable")}


def test_a_source_that_is_gone_or_another_is_found(root: Root, source: Path) -> None:
    row = cut_row(source, "reference")
    root.write_part("shards/other", [row], key="reference")
    videos.write_video(source, videos.numbered_frames(40, first=1))
    assert found(root) == {("shards/other", row["clip_id"], "checksum")}
    source.unlink()
    assert found(root) == {("shards/other", row["clip_id"], "undecodable")}
    assert found(root, media=False) == set()


def test_shards_older_than_cuts_are_sound(root: Root) -> None:
    path = Path(root.path, "shards/train", root.parts("shards/train")[0])
    pq.write_table(pq.read_table(path).drop_columns(["cut", "in_frame", "out_frame", "psnr_db"]), path)
    assert verify(root) == []


def test_media_that_cannot_be_decoded_is_found(root: Root) -> None:
    root.write_part("shards/other", [shard(b"not a video")], key="wrong")
    assert found(root) == {("shards/other", "aa:0-10", "undecodable")}


def test_a_part_that_cannot_be_read_is_found(root: Root) -> None:
    name = root.parts("captions")[0]
    Path(root.path, "captions", name).write_bytes(b"PAR1PAR1")
    assert found(root) == {("captions", f"captions/{name}", "damaged")}


def test_damaged_sources_are_told_once_and_the_rest_is_still_checked(root: Root) -> None:
    name = root.parts("experts/text")[0]
    Path(root.path, "experts/text", name).write_bytes(b"")
    root.write_part("captions", [caption_row("aa:0-99")], key="wrong")
    assert found(root) == {("experts/text", f"experts/text/{name}", "damaged"), ("captions", "aa:0-99", "orphan")}


@pytest.mark.parametrize("column", ["frames", "keyframes.list.element.jpeg"])
def test_a_flipped_bit_is_found_by_the_pages_checksum(root: Root, column: str) -> None:
    name = root.parts("clips")[0]
    path = Path(root.path, "clips", name)
    metadata = pq.read_metadata(path).row_group(0)
    chunk = next(c for c in map(metadata.column, range(metadata.num_columns)) if c.path_in_schema == column)
    data = bytearray(path.read_bytes())
    data[chunk.data_page_offset + chunk.total_compressed_size - 1] ^= 1
    path.write_bytes(data)
    assert found(root) == {("clips", f"clips/{name}", "damaged")}


def test_a_part_without_a_column_it_needs_is_found(root: Root) -> None:
    without = pa.table({"clip_id": ["aa:0-10"], "outcome": [3]})
    name = root.parts("captions")[0]
    pq.write_table(without, Path(root.path, "captions", name))
    where = f"captions/{name}"
    assert set(verify(root)) == {
        Problem("captions", where, "wrong_schema", "column outcome is int64, not string"),
        Problem("captions", where, "wrong_schema", "it lacks the column run_id"),
    }


def test_a_null_where_none_may_be_is_found(root: Root) -> None:
    schema = arrow_schema(Column(f.name, f.type, "") for f in schema_of("captions"))
    row = {**caption_row("aa:0-10"), "outcome": None}
    pq.write_table(pa.Table.from_pylist([row], schema), Path(root.path, "captions", root.parts("captions")[0]))
    assert {kind for _, _, kind in found(root)} == {"missing_value", "bad_value"}


def test_a_part_older_than_a_column_is_sound(root: Root) -> None:
    name = root.parts("captions")[0]
    path = Path(root.path, "captions", name)
    pq.write_table(pq.read_table(path).drop_columns("tokens_in"), path)
    assert verify(root) == []
    assert root.read("captions").column("tokens_in").null_count == 3


def test_leftovers_are_told(root: Root) -> None:
    Path(root.path, ".tmp/part-1.parquet.9-aa").write_bytes(b"half")
    assert found(root) == {("", ".tmp/part-1.parquet.9-aa", "leftover")}


def test_nothing_is_changed(root: Root, clip: bytes) -> None:
    root.write_part("shards/other", [shard(clip, frames=3, out_frame=3, media_hash="0" * 32)], key="wrong")
    Path(root.path, "captions", root.parts("captions")[0]).write_bytes(b"damaged")
    before = {path: path.read_bytes() for path in Path(root.path).rglob("*") if path.is_file()}
    kinds = {kind for _, _, kind in found(root)}
    assert kinds == {"damaged", "checksum", "frame_count"}
    assert kinds <= set(PROBLEMS)
    assert {path: path.read_bytes() for path in Path(root.path).rglob("*") if path.is_file()} == before
