"""The catalogue: views that are right whatever the dataset holds, one line for a mistake, and a closed door."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataset import Root, catalogue, connect, query, schema_of
from dataset.catalogue import query_on, view_columns
from dataset.messages import nearest
from dataset.schema import Column, expert_schema
from dataset.shards import shard_row, write_shard
from dataset.wide import wide_sql
from media.errors import CorruptionError, QueryError
from tests.dataset.build import RUN, clip_row, new_root, small_dataset, tag_row, video_row

VIEWS = ["videos", "clips", "captions", "shards", "uncut", "selections", "rejects", "funnel", "wide", "grades", "runs"]


def verdict(clip_id: str, *rules: str) -> dict[str, object]:
    return {"clip_id": clip_id, "kept": not rules, "rejected_by": list(rules), "run_id": RUN}


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return small_dataset(tmp_path)


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Root:
    """The same, for tests that write nothing."""
    return small_dataset(tmp_path_factory.mktemp("still"))


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Root:
    return new_root(tmp_path_factory.mktemp("nothing"))


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_there_and_empty_when_nothing_is(nothing: Root, view: str) -> None:
    assert query(nothing, f"SELECT * FROM {view}").num_rows == 0


@pytest.mark.parametrize("table", ["videos", "clips", "captions"])
def test_an_empty_view_has_the_columns_of_its_table(nothing: Root, table: str) -> None:
    assert view_columns(connect(nothing))[table] == sorted(schema_of(table).names)


def test_views_show_the_tables(still: Root) -> None:
    assert query(still, "SELECT count(*) AS n FROM clips").to_pylist() == [{"n": 6}]
    assert query(still, "SELECT shard_set, kind, count(*) AS n FROM shards GROUP BY ALL").to_pylist() == [
        {"shard_set": "train", "kind": "clip", "n": 2}
    ]
    assert query(still, "SELECT tags FROM expert_tags LIMIT 1").to_pylist() == [{"tags": ["dog"]}]
    assert query(still, "SELECT grade_set, sample_id FROM grades").to_pylist() == [
        {"grade_set": "first", "sample_id": "generated-0"}
    ]
    assert query(still, "SELECT command, config FROM runs").to_pylist() == [{"command": "test", "config": '{"a": 1}'}]


def test_several_sets_are_one_view_that_tells_them_apart(root: Root) -> None:
    row = shard_row(clip_row(50, 60), b"x", frames=10, fps=10, width_px=64, height_px=48, run_id=RUN)
    write_shard(root, "held-out.1", [row], key="x")
    found = query(root, "SELECT shard_set, count(*) AS n FROM shards GROUP BY 1 ORDER BY 1").to_pylist()
    assert found == [{"shard_set": "held-out.1", "n": 1}, {"shard_set": "train", "n": 2}]


def test_a_connection_shows_the_dataset_as_it_was(root: Root) -> None:
    with connect(root) as connection:
        root.write_part("clips", [clip_row(0, 10, "cc")], key="cc")
        assert query_on(connection, "SELECT count(*) AS n FROM clips").to_pylist() == [{"n": 6}]
    assert query(root, "SELECT count(*) AS n FROM clips").to_pylist() == [{"n": 7}]


class TestWide:
    def test_is_one_row_per_clip_with_what_every_table_says_of_it(self, still: Root) -> None:
        columns = "clip_id, short, caption_outcome, tags, text_fraction, license"
        rows = query(still, f"SELECT {columns} FROM wide ORDER BY 1").to_pylist()
        assert [row["clip_id"] for row in rows] == sorted(still.ids("clips"))
        assert rows[0] == {
            "clip_id": "aa:0-10",
            "short": "a dog runs",
            "caption_outcome": "ok",
            "tags": ["dog"],
            "text_fraction": 0.5,
            "license": "CC0-1.0",
        }
        assert (rows[-1]["short"], rows[-1]["text_fraction"]) == (None, None)

    def test_prefixes_what_would_collide(self, still: Root) -> None:
        columns = view_columns(connect(still))["wide"]
        assert {"kind", "tags_kind", "tags", "tags_version", "text_version", "text_fraction"} <= set(columns)
        assert len(columns) == len(set(columns))

    def test_prefixes_a_column_that_two_experts_have(self, root: Root) -> None:
        schema = expert_schema([Column("text_fraction", pa.float32(), "another's opinion")])
        root.write_part("experts/reader", [], schema, key="x")
        columns = view_columns(connect(root))["wide"]
        assert {"reader_text_fraction", "text_text_fraction"} <= set(columns)
        assert "text_fraction" not in columns

    def test_stays_one_row_per_clip_when_a_table_says_things_twice(self, root: Root) -> None:
        schema = root.schema("experts/tags")
        root.write_part("experts/tags", [tag_row("aa:0-10", tags=["cat"])], schema, key="again")
        root.write_part("videos", [video_row("aa")], key="again")
        assert query(root, "SELECT count(*) AS n, count(tags) AS t, count(license) AS l FROM wide").to_pylist() == [
            {"n": 6, "t": 6, "l": 6}
        ]

    def test_shows_the_verdict_of_the_default_selection_only(self, root: Root) -> None:
        root.write_part("selections/strict", [verdict("aa:0-10", "motion")], key="verdicts")
        assert query(root, "SELECT count(kept) AS n FROM wide").to_pylist() == [{"n": 0}]
        root.write_part("selections/default", [verdict("aa:0-10"), verdict("bb:0-10", "a", "b")], key="verdicts")
        found = query(root, "SELECT clip_id, kept, rejected_by FROM wide WHERE kept IS NOT NULL ORDER BY 1").to_pylist()
        assert found == [
            {"clip_id": "aa:0-10", "kept": True, "rejected_by": []},
            {"clip_id": "bb:0-10", "kept": False, "rejected_by": ["a", "b"]},
        ]

    @pytest.mark.parametrize(
        ("sql", "joins"),
        [
            ("SELECT avg(flow_mean_px_per_s) FROM wide", 0),
            ("SELECT count(*) FROM wide", 0),
            ("SELECT clip_id FROM wide WHERE len(TAGS) > 0", 1),
            ("SELECT w.tags, short FROM wide AS w", 2),
            ("SELECT clip_id FROM clips WHERE clip_id IN (SELECT clip_id FROM wide WHERE kept)", 1),
            ("SELECT * FROM (SELECT clip_id FROM wide)", 0),
            ("WITH w AS (SELECT tags FROM wide) SELECT * FROM w", 1),
            ("SELECT frames FROM wide WHERE EXISTS (SELECT * FROM clips c JOIN shards s USING (clip_id))", 0),
            ("SELECT * FROM wide", 5),
            ("SELECT x.* FROM (SELECT w.* FROM clips JOIN wide w USING (clip_id)) x", 5),
            ("WITH w AS (FROM wide) SELECT clip_id FROM w UNION SELECT clip_id FROM clips ORDER BY ALL", 5),
            ("SELECT * FROM query_table('wide')", 5),
            ("SELECT clip_id FROM wide WHERE EXISTS (SELECT * FROM wide)", 5),
            ("SELECT w FROM wide AS w", 5),
            ("SELECT columns('t.*') FROM wide", 5),
            ("SELECT a.frames FROM wide AS a NATURAL JOIN clips AS b", 5),
            ("DESCRIBE wide", 5),
        ],
    )
    def test_joins_only_what_a_query_mentions(self, still: Root, sql: str, joins: int) -> None:
        made: list[str] = []

        def spy(*args: Any, **named: Any) -> str:
            made.append(wide_sql(*args, **named))
            return made[-1]

        with pytest.MonkeyPatch.context() as patch, connect(still) as connection:
            patch.setattr(catalogue, "wide_sql", spy)
            query_on(connection, sql)
        assert (made[0].count("LEFT JOIN") if made else 5) == joins

    def test_is_whole_again_after_a_query(self, still: Root) -> None:
        connection = connect(still)
        query_on(connection, "SELECT count(*) FROM wide")
        assert connection.execute("SELECT count(tags) FROM wide").fetchall() == [(6,)]

    def test_a_whole_row_has_every_column(self, still: Root) -> None:
        row = query(still, "SELECT w FROM wide AS w LIMIT 1").to_pylist()[0]["w"]
        assert list(row) == query(still, "SELECT * FROM wide").column_names


def test_rejects_and_funnel_tell_the_rules_apart(root: Root) -> None:
    rows = [verdict("aa:0-10"), verdict("aa:10-20", "sharp"), verdict("aa:20-30", "motion", "sharp")]
    described = {b"rules": b'[["motion", "m > 1", 0], ["sharp", "s > 2", 1], ["dark", "d < 3", 0]]'}
    root.write_part("selections/default", rows, schema_of("selections/default").with_metadata(described), key="v")
    assert query(root, "SELECT clip_id, rule, alone FROM rejects ORDER BY ALL").to_pylist() == [
        {"clip_id": "aa:10-20", "rule": "sharp", "alone": True},
        {"clip_id": "aa:20-30", "rule": "motion", "alone": False},
        {"clip_id": "aa:20-30", "rule": "sharp", "alone": False},
    ]
    found = query(root, "SELECT * EXCLUDE (selection, predicate) FROM funnel").to_pylist()
    assert [tuple(row.values()) for row in found] == [
        ("motion", 1, 0, 0, 3, 1), ("sharp", 2, 1, 1, 3, 1), ("dark", 0, 0, 0, 3, 1),
    ]  # fmt: skip


class TestNothingIsReadThatIsNotAsked:
    @staticmethod
    def spoil(root: Root, table: str, column: str) -> None:
        """Overwrite the pages of one column in every part of a table."""
        for name in root.parts(table):
            path = Path(root.path, table, name)
            data = bytearray(path.read_bytes())
            groups = pq.read_metadata(path)
            for group in range(groups.num_row_groups):
                for index in range(groups.num_columns):
                    chunk = groups.row_group(group).column(index)
                    if chunk.path_in_schema.startswith(column):
                        first = chunk.dictionary_page_offset or chunk.data_page_offset
                        data[first : first + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
            path.write_bytes(data)

    @pytest.mark.parametrize(
        ("table", "column", "sql"),
        [
            ("shards/train", "media", "SELECT {} FROM shards"),
            ("clips", "keyframes", "SELECT {} FROM clips"),
            ("clips", "keyframes", "SELECT {} FROM wide WHERE tags[1] = 'dog' AND flow_mean_px_per_s >= 0"),
        ],
    )
    def test_heavy_columns(self, root: Root, table: str, column: str, sql: str) -> None:
        self.spoil(root, table, column)
        assert query(root, sql.format("clip_id, frames")).num_rows > 0
        with pytest.raises(CorruptionError):
            query(root, sql.format(column))


class TestMistakes:
    @pytest.mark.parametrize(
        ("sql", "message"),
        [
            ("SELECT flow_mean FROM clips", "there is no column flow_mean; did you mean flow_mean_px_per_s?"),
            ("SELECT c.first_fram FROM clips c", "there is no column first_fram; did you mean first_frame?"),
            ("SELECT zzzzzz FROM clips", "there is no column zzzzzz; `rushes columns` lists what there is"),
            ("SELECT * FROM clip", "there is no view clip; did you mean clips?"),
            ("SELECT * FROM expert_tag", "there is no view expert_tag; did you mean expert_tags?"),
            ("SELECT * FROM '/etc/passwd'", "there is no view"),
            ("SELEC 1", 'Parser Error: syntax error at or near "SELEC"'),
            ("SELECT 1; SELECT 2", "a query is one statement; this has 2"),
            ("", "a query is one statement; this has 0"),
            ("DROP VIEW clips", "a query only reads: SELECT, DESCRIBE, SHOW or EXPLAIN, not DROP"),
            ("SELECT CAST(kind AS INT) FROM clips", "Could not convert string 'clip' to INT32"),
            ("SELECT * FROM read_csv('/etc/passwd')", "a query may not touch files, extensions or settings"),
        ],
    )
    def test_are_told_in_one_line(self, still: Root, sql: str, message: str) -> None:
        with pytest.raises(QueryError) as caught:
            query(still, sql)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_nearest_names(self) -> None:
        known = ["flow_mean_px_per_s", "luma_mean", "first_frame", "tags"]
        assert nearest("flow_mean", known) == "flow_mean_px_per_s"
        assert nearest("FIRST_FRAM", known) == "first_frame"
        assert nearest("tag", known) == "tags"
        assert nearest("quite_other", known) is None

    @pytest.mark.parametrize("sql", ["DESCRIBE clips", "SHOW TABLES", "EXPLAIN SELECT 1", "FROM clips"])
    def test_looking_around_is_none(self, still: Root, sql: str) -> None:
        assert query(still, sql).num_rows > 0


ATTEMPTS = [
    "SELECT * FROM read_csv('{victim}')",
    "SELECT * FROM read_text('{victim}')",
    "SELECT * FROM read_blob('{victim}')",
    "SELECT * FROM read_json('{victim}')",
    "SELECT * FROM read_parquet('{part}')",
    "SELECT * FROM parquet_metadata('{part}')",
    "SELECT * FROM sniff_csv('{victim}')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM '{victim}'",
    "SELECT * FROM '{part}'",
    "SELECT * FROM query('SELECT * FROM read_text(''{victim}'')')",
    "COPY clips TO '{folder}/made.csv'",
    "COPY (SELECT 1) TO '{part}' (FORMAT parquet)",
    "COPY (SELECT 1) TO '/dev/stdout'",
    "EXPORT DATABASE '{folder}/made'",
    "IMPORT DATABASE '{folder}'",
    "ATTACH '{folder}/made.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '{victim}'",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "RESET enable_external_access",
    "SET autoload_known_extensions = true",
    "SET temp_directory = '{folder}/made'",
    "SET log_query_path = '{folder}/made.log'",
    "PRAGMA profiling_output = '{folder}/made.json'",
    "PRAGMA enable_profiling",
    "CALL enable_logging(storage = 'file', storage_path = '{folder}/made')",
    "CREATE SECRET s (TYPE s3)",
    "CREATE PERSISTENT SECRET s (TYPE s3)",
    "SELECT * FROM outside",
    "SELECT * FROM read_csv_auto('{victim}')",
    "SELECT * FROM read_json_auto('{victim}')",
    "SELECT * FROM read_ndjson_objects('{victim}')",
    "SELECT * FROM parquet_scan('{part}')",
    "SELECT * FROM parquet_schema('{part}')",
    "SELECT * FROM parquet_file_metadata('{part}')",
    "SELECT * FROM parquet_kv_metadata('{part}')",
    "SELECT * FROM '{folder}/*.csv'",
    "SELECT * FROM 'https://localhost:9/x.parquet'",
    "SELECT * FROM read_csv('http://localhost:9/x.csv')",
    "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
    "SELECT getenv('HOME')",
    "WITH made AS (SELECT * FROM read_text('{victim}')) SELECT * FROM made",
    "EXPLAIN ANALYZE SELECT * FROM read_text('{victim}')",
    "EXPLAIN ANALYZE COPY clips TO '{folder}/made.csv'",
    "DESCRIBE SELECT * FROM read_csv('{victim}')",
    "SUMMARIZE SELECT * FROM read_csv('{victim}')",
    "COPY clips FROM '{victim}'",
    "COPY FROM DATABASE memory TO made",
    "ATTACH '{folder}/made.db' AS made (TYPE duckdb)",
    "FORCE INSTALL json FROM '{folder}'",
    "LOAD '{folder}/made.duckdb_extension'",
    "UPDATE EXTENSIONS",
    "SET allowed_directories = ['{folder}']",
    "SET allowed_paths = ['{victim}']",
    "SET home_directory = '{folder}'",
    "SET GLOBAL enable_external_access = true",
    "PRAGMA enable_external_access = true",
    "SET secret_directory = '{folder}/made'",
    "CREATE VIEW made AS SELECT * FROM read_csv('{victim}')",
    "CREATE TABLE made AS SELECT * FROM '{victim}'",
    "CREATE MACRO made() AS TABLE SELECT * FROM read_text('{victim}'); SELECT * FROM made()",
    "PREPARE made AS COPY clips TO '{folder}/made.csv'; EXECUTE made",
]


class TestTheDoorIsClosed:
    """The attempts run on the bare connection, where not even `query`'s own rules stand in the way."""

    @pytest.mark.parametrize("attempt", ATTEMPTS)
    def test_an_attempt_fails_and_leaves_no_trace(self, still: Root, attempt: str) -> None:
        outside = pa.table({"secret": ["in the program's own variables"]})
        folder = Path(still.path).parent
        victim = folder / "victim.csv"
        victim.write_text("secret\n1\n")
        part = Path(still.path, "clips", still.parts("clips")[0])
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        sql = attempt.format(victim=victim, part=part, folder=folder)
        with connect(still) as connection:
            for run in (connection.execute, connection.sql):
                with pytest.raises(duckdb.Error):
                    run(sql).fetchall()
            with pytest.raises(QueryError) as caught:
                query_on(connection, sql)
            assert re.fullmatch(r"[^\n]+", str(caught.value))
            assert connection.execute("SELECT count(*) FROM clips").fetchall() == [(6,)]
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
        assert outside.num_rows == 1

    def test_a_large_sort_may_still_spill(self, still: Root) -> None:
        with connect(still) as connection:
            where = connection.execute("SELECT current_setting('temp_directory')").fetchall()[0][0]
            assert "rushes-spill-" in where
            assert not Path(where).exists()
