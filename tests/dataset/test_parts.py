"""A part's name, rows and bytes."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset import schema_of
from dataset.parts import is_part, part_name, serialise, to_table
from dataset.root import GROUPS
from dataset.schema import BASE_TABLES
from media.errors import DatasetError
from tests.dataset.build import RUN, caption_row, clip_row

CLIPS = schema_of("clips")


def read(table: pa.Table, **how: int) -> pq.ParquetFile:
    return pq.ParquetFile(pa.BufferReader(serialise(table, **how)))


@given(st.text(), st.text())
def test_a_name_is_a_function_of_its_key_and_of_nothing_else(one: str, other: str) -> None:
    assert part_name(one) == part_name(one)
    assert (part_name(one) == part_name(other)) == (one == other)


@given(st.text())
def test_any_key_gives_a_plain_file_name_that_readers_know(key: str) -> None:
    assert re.fullmatch(r"part-[0-9a-f]{32}\.parquet", part_name(key))
    assert is_part(part_name(key))


@pytest.mark.parametrize("name", ["part-1.parquet.tmp", ".part-1.parquet", "part-1.parquet.77-aa", "other.parquet"])
def test_what_is_not_a_part_is_not_read(name: str) -> None:
    assert not is_part(name)


@pytest.mark.parametrize("table", BASE_TABLES)
def test_every_column_carries_its_document_through_parquet(table: str) -> None:
    schema = schema_of(f"{table}/x" if table in GROUPS else table)
    found = read(schema.empty_table()).schema_arrow
    assert [field.metadata[b"doc"].decode() for field in found] == [column.doc for column in BASE_TABLES[table]]
    assert found.equals(schema)


def test_columns_that_a_row_does_not_name_are_null() -> None:
    table = to_table([clip_row()], CLIPS, table="clips")
    assert table.column("sharpness_laplacian").to_pylist() == [None]
    assert table.num_rows == 1


def test_numpy_values_are_taken_as_they_are() -> None:
    row = clip_row(frames=np.int64(10), fps=np.float32(10), phash=np.uint64(2**64 - 1), luma_mean=np.float64(3.5))
    found = to_table([row], CLIPS, table="clips").to_pylist()[0]
    assert (found["frames"], found["fps"], found["phash"], found["luma_mean"]) == (10, 10.0, 2**64 - 1, 3.5)


def test_a_map_is_given_as_a_dictionary() -> None:
    row = caption_row("aa:0-10", structured={"subject": "a dog"})
    assert to_table([row], schema_of("captions"), table="captions").column("structured").to_pylist() == [
        [("subject", "a dog")]
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sharpnes": 1.0}, "table clips: row 1 has unknown columns: sharpnes"),
        ({"video_id": None}, "table clips: row 1 lacks video_id"),
        ({"frames": "ten"}, "table clips: row 1, column frames wants int32"),
        ({"frames": 2**40}, "table clips: row 1, column frames wants int32"),
        ({"keyframes": [{"frame": "x"}]}, "table clips: row 1, column keyframes"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_by_table_row_and_column(change: dict[str, object], message: str) -> None:
    with pytest.raises(DatasetError, match=re.escape(message)):
        to_table([clip_row(), clip_row(10, 20, **change)], CLIPS, table="clips")


def test_an_arrow_table_is_held_to_the_schema_too() -> None:
    table = pa.table({"clip_id": ["aa:0-10"], "kept": [True], "rejected_by": [[]], "run_id": [RUN]})
    schema = schema_of("selections/x")
    assert to_table(table, schema, table="selections/x").schema.equals(schema)
    with pytest.raises(DatasetError, match="unknown columns: more"):
        to_table(table.append_column("more", pa.array([1])), schema, table="selections/x")
    with pytest.raises(DatasetError, match="row 0 lacks kept"):
        to_table(table.drop_columns("kept"), schema, table="selections/x")
    with pytest.raises(DatasetError, match="column kept wants bool"):
        to_table(table.set_column(1, "kept", pa.array(["perhaps"])), schema, table="selections/x")


def test_the_same_rows_give_the_same_bytes() -> None:
    table = to_table([clip_row(i, i + 5) for i in range(50)], CLIPS, table="clips")
    assert serialise(table).equals(serialise(pa.concat_tables([table.slice(0, 20), table.slice(20)])))


def test_pictures_are_stored_as_they_are_and_the_rest_is_compressed() -> None:
    group = read(to_table([clip_row()], CLIPS, table="clips")).metadata.row_group(0)
    codecs = {group.column(i).path_in_schema: group.column(i).compression for i in range(group.num_columns)}
    assert codecs.pop("keyframes.list.element.jpeg") == "UNCOMPRESSED"
    assert set(codecs.values()) == {"ZSTD"}


def test_row_groups_aim_at_a_size_in_bytes() -> None:
    rows = [clip_row(i, i + 1, keyframes=[{"frame": 0, "time_s": 0.0, "jpeg": bytes(10_000)}]) for i in range(60)]
    table = to_table(rows, CLIPS, table="clips")
    assert read(table).num_row_groups == 1
    assert read(table, row_group_bytes=110_000).num_row_groups == 6
    assert read(table, row_group_bytes=1).num_row_groups == 60


def test_no_rows_are_a_table_too() -> None:
    assert read(to_table([], CLIPS, table="clips")).metadata.num_rows == 0
