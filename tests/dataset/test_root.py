"""The root: parts appear whole or not at all, and what is read is what was written."""

from __future__ import annotations

import json
import os
import pickle
import re
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from dataset import Root, open_root, schema_of
from dataset.parts import part_name
from dataset.schema import Column, expert_schema
from media.errors import BackendError, CorruptionError, DatasetError
from tests.dataset.build import RUN, TAGS, clip_row, new_root, small_dataset


def test_a_root_must_be_there_unless_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        open_root(tmp_path / "D")
    open_root(tmp_path / "D", create=True)
    assert open_root(str(tmp_path / "D")).tables() == []


def test_a_folder_that_is_no_dataset_is_refused_with_the_one_that_was_meant(tmp_path: Path) -> None:
    root = open_root(tmp_path / "demo" / "dataset", create=True)
    root.write_part("clips", [clip_row()], key="aa")
    with pytest.raises(DatasetError, match=re.escape(f"did you mean {tmp_path / 'demo' / 'dataset'}?")):
        open_root(tmp_path / "demo")
    with pytest.raises(DatasetError, match=re.escape(f"did you mean {tmp_path / 'demo' / 'dataset'}?")):
        open_root(tmp_path / "demo" / "dataset" / "clips")
    with pytest.raises(DatasetError, match=re.escape("it has no dataset.json")):
        open_root(tmp_path)


@pytest.mark.parametrize("content", [b'{"format": "rushes dataset", "layout": 99}', b"not json", b"[]"])
def test_a_layout_of_another_version_is_refused(tmp_path: Path, content: bytes) -> None:
    new_root(tmp_path).write_bytes("dataset.json", content)
    with pytest.raises(DatasetError, match="its layout is"):
        open_root(tmp_path / "D")


def test_opening_twice_changes_nothing(tmp_path: Path) -> None:
    root = small_dataset(tmp_path)
    assert open_root(root.uri, create=True).tables() == root.tables()


def test_an_address_of_an_unknown_kind_is_a_users_mistake() -> None:
    with pytest.raises(DatasetError, match="a folder, s3://, gs://"):
        open_root("ftp://somewhere/D")


def test_a_local_dataset_may_be_named_by_a_file_address(tmp_path: Path) -> None:
    open_root((tmp_path / "D").as_uri(), create=True)
    assert open_root(tmp_path / "D").local


@pytest.mark.parametrize("table", ["clip", "clips/x", "experts", "experts/", "experts/../clips", "shards/.x"])
def test_only_tables_can_be_written(tmp_path: Path, table: str) -> None:
    with pytest.raises(DatasetError, match="is no table"):
        new_root(tmp_path).write_part(table, [], key="x")


def test_rows_come_back_as_they_went_in(tmp_path: Path) -> None:
    rows = [clip_row(20, 30), clip_row(0, 10, phash=2**63, camera_motion="pan left"), clip_row(10, 20)]
    root = new_root(tmp_path)
    root.write_part("clips", rows, key="aa")
    found = root.read("clips").to_pylist()
    assert [{key: got[key] for key in row} for row, got in zip(rows, found, strict=True)] == rows


def test_writing_a_key_again_replaces_its_part_and_no_other(tmp_path: Path) -> None:
    root = new_root(tmp_path)
    root.write_part("clips", [clip_row(0, 10, "aa"), clip_row(10, 20, "aa")], key="aa")
    root.write_part("clips", [clip_row(0, 10, "bb")], key="bb")
    assert root.write_part("clips", [clip_row(0, 20, "aa")], key="aa") == part_name("aa")
    assert root.ids("clips") == {"aa:0-20", "bb:0-10"}
    assert len(root.parts("clips")) == 2


def test_an_empty_part_says_that_its_key_is_done(tmp_path: Path) -> None:
    root = new_root(tmp_path)
    assert not root.exists("clips")
    root.write_part("clips", [], key="a video without clips")
    assert root.exists("clips")
    assert root.read("clips").num_rows == root.count("clips") == 0


def test_a_missing_table_reads_as_empty(tmp_path: Path) -> None:
    root = new_root(tmp_path)
    assert root.read("captions").schema.equals(schema_of("captions"))
    assert root.ids("experts/tags") == set()
    assert root.read("clips", ["frames", "clip_id"]).column_names == ["frames", "clip_id"]
    assert root.count("clips") == 0


def test_columns_and_rows_can_be_chosen(tmp_path: Path) -> None:
    root = small_dataset(tmp_path)
    found = root.read("clips", ["clip_id", "first_frame"], pc.field("first_frame") >= 20)
    assert found.column_names == ["clip_id", "first_frame"]
    assert sorted(found.column("clip_id").to_pylist()) == ["aa:20-30", "bb:20-30"]
    with pytest.raises(DatasetError, match="table clips has no column 'first'"):
        root.read("clips", ["first"])


def test_what_is_there_is_listed(tmp_path: Path) -> None:
    root = small_dataset(tmp_path)
    assert root.tables() == [
        "videos", "clips", "captions", "experts/tags", "experts/text", "shards/train", "grades/first",
    ]  # fmt: skip
    assert root.names("experts") == ["tags", "text"]
    assert root.count("clips") == 6


def test_unfinished_and_foreign_files_are_not_read(tmp_path: Path) -> None:
    root = small_dataset(tmp_path)
    for name in ("clips/part-1.parquet.tmp", "clips/.part-2.parquet", "clips/notes.txt", ".tmp/part-3.parquet.9-aa"):
        Path(root.path, name).parent.mkdir(exist_ok=True)
        Path(root.path, name).write_bytes(b"half a part")
    assert root.count("clips") == 6
    assert root.leftovers() == [".tmp/part-3.parquet.9-aa"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    root = small_dataset(tmp_path)
    before = root.read("clips")
    with pytest.raises(DatasetError):
        root.write_part("clips", [clip_row(video_id="aa", frames=None)], key="aa")
    assert root.read("clips").equals(before)
    assert root.leftovers() == []


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    root = small_dataset(tmp_path)
    name = root.parts("clips")[0]
    Path(root.path, "clips", name).write_bytes(b"PAR1 and then nothing")
    with pytest.raises(CorruptionError, match=name):
        root.read("clips", ["clip_id"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_a_users_mistake(tmp_path: Path) -> None:
    root = new_root(tmp_path)
    Path(root.path).chmod(0o500)
    with pytest.raises(DatasetError, match="Permission denied"):
        root.write_part("clips", [clip_row()], key="aa")


def test_a_file_where_a_folder_should_be_is_a_users_mistake(tmp_path: Path) -> None:
    root = new_root(tmp_path)
    Path(root.path, "clips").write_text("in the way")
    with pytest.raises(DatasetError, match="clips"):
        root.write_part("clips", [clip_row()], key="aa")


def test_an_experts_own_columns_are_kept_and_grow(tmp_path: Path) -> None:
    root = small_dataset(tmp_path)
    newer = expert_schema([Column("tags", pa.list_(pa.string()), "labels"), Column("score", pa.float32(), "new")])
    row = {"clip_id": "cc:0-10", "version": "2", "tags": ["cat"], "score": 0.5, "run_id": RUN}
    root.write_part("experts/tags", [row], newer, key="cc")
    table = root.read("experts/tags")
    assert {"tags", "kind", "score"} <= set(table.column_names)
    assert table.num_rows == 7
    assert (table.column("score").null_count, table.column("kind").null_count) == (6, 1)


def test_a_schema_must_hold_the_fixed_columns(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="needs a column sample_id"):
        new_root(tmp_path).write_part("grades/x", [], TAGS, key="x")


def test_a_column_of_two_types_is_named(tmp_path: Path) -> None:
    root = small_dataset(tmp_path)
    other = expert_schema([Column("tags", pa.int32(), "a count")])
    root.write_part("experts/tags", [], other, key="other")
    with pytest.raises(CorruptionError, match="column tags is"):
        root.schema("experts/tags")


def test_a_root_survives_pickling(tmp_path: Path) -> None:
    root = small_dataset(tmp_path)
    there = pickle.loads(pickle.dumps(root))
    assert isinstance(there, Root)
    assert there.tables() == root.tables()


def test_runs_are_plain_json(tmp_path: Path) -> None:
    root = new_root(tmp_path)
    root.write_run({"run_id": "b", "started": "2026-02"})
    root.write_run({"run_id": "c", "started": "2026-01", "counts": {"clips": 3}})
    assert [run["run_id"] for run in root.runs()] == ["c", "b"]
    assert json.loads(Path(root.path, "runs/c.json").read_text())["counts"] == {"clips": 3}


def test_bare_duckdb_reads_every_table(tmp_path: Path) -> None:
    root = small_dataset(tmp_path)
    with duckdb.connect() as connection:
        for table in root.tables():
            rows = connection.execute(f"SELECT * FROM '{root.path}/{table}/*.parquet'").fetchall()
            assert len(rows) == root.count(table)
        shown = connection.execute(f"SELECT run_id, keyframes[1].frame FROM '{root.path}/clips/*.parquet'").fetchall()
    assert (RUN, 20) in shown


def test_a_store_that_does_not_answer_is_the_stores_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_EC2_METADATA_DISABLED", "1")):
        monkeypatch.setenv(name, value)
    where = "s3://bucket/D?scheme=http&endpoint_override=127.0.0.1:9&region=us-east-1"
    with pytest.raises(BackendError, match="does not answer"):
        open_root(where)
