"""Selection: what each rule rejects is counted, nothing is lost, and a rule can do nothing but judge."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.select import Rules, default_rules, load_rules, select, what_if
from dataset import Root, open_root, query
from dataset.schema import MEASURES, Column, expert_schema
from media.errors import CorruptionError, DatasetError, RuleError

RUN = "20261101T000000-00000000"
RULES = Rules(
    {
        "motion": "flow_mean_px_per_s between 2 and 100  -- neither still nor a blur",
        "sharp": "sharpness_laplacian >= 50",
        "kinds": "kind in ('clip', 'pseudo')",
    },
    "rules.yaml",
)


def clip(index: int, **measured: Any) -> dict[str, Any]:
    return {
        "clip_id": f"aa:{index}-{index + 1}",
        "video_id": "aa",
        "kind": "clip",
        "uri": "/footage/aa.mp4",
        "first_frame": index,
        "end_frame": index + 1,
        "frames": 1,
        "run_id": RUN,
        **measured,
    }


CLIPS = [
    clip(0, flow_mean_px_per_s=10, sharpness_laplacian=80),
    clip(1, flow_mean_px_per_s=1, sharpness_laplacian=80),
    clip(2, flow_mean_px_per_s=1, sharpness_laplacian=10),
    clip(3, flow_mean_px_per_s=10, sharpness_laplacian=None),
    clip(4, flow_mean_px_per_s=10, sharpness_laplacian=80, kind="pseudo"),
    clip(5, flow_mean_px_per_s=10, sharpness_laplacian=80, kind="synthetic"),
]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    root = open_root(tmp_path / "D", create=True)
    root.write_part("clips", CLIPS[:4], key="clips")
    root.write_part("clips", CLIPS[4:], key="others")
    return root


def counts(funnel: Any) -> list[tuple[str, int, int, int]]:
    return [(row.rule, row.rejected, row.rejected_alone, row.rejected_null) for row in funnel.rows]


def verdicts(root: Root, name: str = "default") -> dict[str, list[str]]:
    rows = root.read(f"selections/{name}").to_pylist()
    assert all(row["kept"] == (not row["rejected_by"]) for row in rows)
    return {row["clip_id"]: row["rejected_by"] for row in rows}


def test_the_funnel_counts_what_each_rule_rejects_alone_and_for_want_of_a_value(root: Root) -> None:
    funnel = what_if(root, RULES)
    assert (funnel.total, funnel.kept) == (6, 2)
    assert counts(funnel) == [("motion", 2, 1, 0), ("sharp", 2, 1, 1), ("kinds", 1, 1, 0)]
    assert not root.exists("selections/default")


def test_every_clip_of_any_kind_gets_a_verdict_with_the_rules_that_rejected_it(root: Root) -> None:
    assert select(root, RULES, run_id=RUN) == what_if(root, RULES)
    assert verdicts(root) == {
        "aa:0-1": [],
        "aa:1-2": ["motion"],
        "aa:2-3": ["motion", "sharp"],
        "aa:3-4": ["sharp"],
        "aa:4-5": [],
        "aa:5-6": ["kinds"],
    }
    assert set(root.read("selections/default").column("run_id").to_pylist()) == {RUN}


def test_the_catalogue_tells_the_same_funnel(root: Root) -> None:
    funnel = select(root, RULES, run_id=RUN)
    rows = query(root, "SELECT rule, predicate, rejected, rejected_alone, rejected_null, total, kept FROM funnel")
    assert rows.to_pylist() == [
        {
            "rule": row.rule,
            "predicate": row.predicate,
            "rejected": row.rejected,
            "rejected_alone": row.rejected_alone,
            "rejected_null": row.rejected_null,
            "total": 6,
            "kept": 2,
        }
        for row in funnel.rows
    ]
    assert query(root, "SELECT count(*) AS n FROM wide WHERE kept").to_pylist() == [{"n": 2}]


def test_selections_are_named_and_the_same_name_is_replaced(root: Root) -> None:
    select(root, RULES, "strict", run_id=RUN)
    select(root, Rules({"all": "true"}), "strict", run_id=RUN)
    select(root, Rules({"none": "false"}), "other", run_id=RUN)
    assert set(map(len, verdicts(root, "strict").values())) == {0}
    assert set(map(len, verdicts(root, "other").values())) == {1}
    assert root.names("selections") == ["other", "strict"]
    with pytest.raises(DatasetError, match="is no table"):
        select(root, RULES, "../clips", run_id=RUN)


def test_rejected_clips_keep_their_scores(root: Root) -> None:
    before = root.read("clips")
    select(root, Rules({"none": "false"}), run_id=RUN)
    assert root.read("clips").equals(before)


def test_a_threshold_can_be_tried_without_writing(root: Root) -> None:
    tried = RULES.changed({"sharp": "sharpness_laplacian >= 5", "kinds": None, "short": "frames < 9"})
    assert list(tried.predicates) == ["motion", "sharp", "short"]
    assert what_if(root, tried).kept == 3
    assert what_if(root, RULES).kept == 2


def test_null_rejects_unless_the_rule_lets_it_pass(root: Root) -> None:
    assert what_if(root, Rules({"a": "sharpness_laplacian >= 0"})).kept == 5
    assert what_if(root, Rules({"a": "not (sharpness_laplacian < 0)"})).kept == 5
    assert what_if(root, Rules({"a": "sharpness_laplacian is null or sharpness_laplacian >= 0"})).kept == 6
    assert what_if(root, Rules({"a": "null::boolean"})).rows[0].rejected_null == 6


def test_rules_speak_of_experts_captions_and_windows(root: Root) -> None:
    schema = expert_schema([Column("tags", pa.list_(pa.string()), "labels"), Column("kind", pa.string(), "kind")])
    said = {"version": "1", "kind": "animal", "run_id": RUN}
    rows = [{"clip_id": f"aa:{i}-{i + 1}", "tags": ["dog", "cat"][: i + 1], **said} for i in range(4)]
    root.write_part("experts/tags", rows, schema, key="aa")
    rules = Rules(
        {
            "cats": "list_contains(tags, 'cat')",
            "animals": "tags_kind = 'animal'",
            "uncaptioned": "short is null",
            "first_of_its_sharpness": "row_number() over (partition by sharpness_laplacian order by clip_id) = 1",
        }
    )
    select(root, rules, run_id=RUN)
    kept = [clip_id for clip_id, names in verdicts(root).items() if not names]
    assert kept == ["aa:2-3", "aa:3-4"]


def test_what_is_written_does_not_depend_on_how_it_was_computed(root: Root, tmp_path: Path) -> None:
    """A join gives rows in any order; the part has one order."""
    schema = expert_schema([Column("score", pa.float32(), "a number")])
    many = [clip(i, flow_mean_px_per_s=i % 7) for i in range(10, 3000)]
    root.write_part("clips", many, key="many")
    rows = [{"clip_id": row["clip_id"], "version": "1", "score": 0.1, "run_id": RUN} for row in many]
    root.write_part("experts/score", rows[::-1], schema, key="many")
    written = set()
    for _ in range(3):
        select(root, Rules({"score": "score > 0 and flow_mean_px_per_s > 3"}), run_id=RUN)
        (name,) = root.parts("selections/default")
        written.add(Path(root.path, "selections/default", name).read_bytes())
    assert len(written) == 1


def test_no_clips_are_judged_too(tmp_path: Path) -> None:
    root = open_root(tmp_path / "D", create=True)
    funnel = select(root, RULES, run_id=RUN)
    assert (funnel.total, funnel.kept) == (0, 0)
    assert verdicts(root) == {}


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(*[st.none() | st.integers(-3, 3)] * 3), max_size=12))
def test_the_funnel_is_what_counting_by_hand_gives(tmp_path_factory: pytest.TempPathFactory, values: list[Any]) -> None:
    root = open_root(tmp_path_factory.mktemp("hand") / "D", create=True)
    columns = ("luma_mean", "warmth", "flicker")
    root.write_part("clips", [clip(i, **dict(zip(columns, row, strict=True))) for i, row in enumerate(values)], key="x")
    failed = [[value is None or value <= 0 for value in row] for row in values]
    funnel = select(root, Rules({name: f"{name} > 0" for name in columns}), run_id=RUN)
    assert (funnel.total, funnel.kept) == (len(values), sum(not any(row) for row in failed))
    assert counts(funnel) == [
        (
            name,
            sum(row[i] for row in failed),
            sum(row[i] and sum(row) == 1 for row in failed),
            sum(row[i] is None for row in values),
        )
        for i, name in enumerate(columns)
    ]
    assert list(verdicts(root).values()) == [list(itertools.compress(columns, row)) for row in failed]


class TestMistakes:
    @pytest.mark.parametrize(
        ("predicate", "message"),
        [
            ("flow_mean > 2", "rules.yaml: rule bad: there is no column flow_mean; did you mean flow_mean_px_per_s?"),
            ("sharpnes_laplacian > 2", "did you mean sharpness_laplacian?"),
            ("flow_mean_px_per_s", "a rule is true or false; `flow_mean_px_per_s` is of type float: compare it"),
            ("flow_mean_px_per_s >", "rules.yaml: rule bad: Parser Error"),
            ("avg(flow_mean_px_per_s) > 2", "an aggregate over all of them needs OVER ()"),
            ("unnest([true, false])", "rule bad gives 12 values for 6 clips: no unnest"),
            ("cast(kind as int) > 2", "rules.yaml: rule bad: Conversion Error: Could not convert string '"),
            ("kind = 'clip' as verdict", "rules.yaml: rule bad: Parser Error"),
            ("true, false", "rules.yaml: rule bad: "),
            ("nofunction(kind)", "nofunction does not exist"),
        ],
    )
    def test_name_the_rule_and_the_column_that_was_meant(self, root: Root, predicate: str, message: str) -> None:
        rules = Rules({"fine": "frames > 0", "bad": predicate}, "rules.yaml")
        for judge in (what_if, lambda r, rules: select(r, rules, run_id=RUN)):
            with pytest.raises(RuleError) as caught:
                judge(root, rules)
            assert message in str(caught.value)
            assert "\n" not in str(caught.value)
        assert root.names("selections") == []

    def test_two_rules_whose_wrongs_would_cancel_are_both_wrong(self, root: Root) -> None:
        with pytest.raises(RuleError, match="rule a gives 0 values"):
            what_if(root, Rules({"a": "unnest([]::boolean[])", "b": "unnest([]::boolean[])"}))

    @pytest.mark.parametrize("name", ["", "two words", "1st", "a;b", "a'b"])
    def test_a_name_that_cannot_be_one_is_refused(self, name: str) -> None:
        with pytest.raises(RuleError, match="cannot name a rule"):
            Rules({name: "true"})


@pytest.mark.parametrize(
    "predicate",
    [
        "(SELECT content FROM read_text('{victim}')) IS NOT NULL",
        "EXISTS (SELECT * FROM read_csv('{victim}'))",
        "EXISTS (SELECT * FROM glob('{folder}/*'))",
        "EXISTS (FROM '{victim}')",
        "EXISTS (COPY clips TO '{folder}/made.csv')",
        "true) FROM wide; COPY clips TO '{folder}/made.csv'; SELECT (true",
        "true; COPY clips TO '{folder}/made.csv'",
        "true) FROM wide; ATTACH '{folder}/made.db'; --",
        "true; LOAD httpfs",
        "true; SET enable_external_access = true",
        "true; DROP VIEW wide",
        "EXISTS (SELECT * FROM query('COPY clips TO ''{folder}/made.csv'''))",
        "EXISTS (SELECT * FROM query('SELECT * FROM read_blob(''{victim}'')'))",
        "EXISTS (SELECT * FROM read_parquet('{folder}/D/clips/*.parquet'))",
        "EXISTS (SELECT * FROM parquet_schema('{folder}/D/clips/*.parquet'))",
        "EXISTS (SELECT * FROM read_blob('{victim}'))",
        "EXISTS (SELECT * FROM read_json_auto('{victim}'))",
        "EXISTS (SELECT * FROM sniff_csv('{victim}'))",
        "EXISTS (SELECT * FROM 'https://localhost:9/x.parquet')",
        "EXISTS (SELECT * FROM read_csv('https://localhost:9/x.csv'))",
        "EXISTS (SELECT * FROM read_parquet('s3://bucket/x.parquet'))",
        "EXISTS (WITH made AS (COPY clips TO '{folder}/made.csv') SELECT * FROM made)",
        "getenv('HOME') IS NOT NULL",
        "true; SET VARIABLE victim = 1",
        "true) FROM wide; EXPORT DATABASE '{folder}/made'; --",
        "true) FROM wide; INSTALL httpfs; --",
        "true; PRAGMA enable_profiling",
        "EXISTS (PRAGMA database_list)",
        "true; CREATE TABLE made AS SELECT 1",
        "true; CALL enable_logging(storage = 'file', storage_path = '{folder}/made')",
        "true) FROM wide; /*",
    ],
)
def test_a_rule_cannot_read_write_or_load_anything(root: Root, tmp_path: Path, predicate: str) -> None:
    victim = tmp_path / "victim.csv"
    victim.write_text("secret\n1\n")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(RuleError, match="rule sly: "):
        what_if(root, Rules({"sly": predicate.format(victim=victim, folder=tmp_path)}))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_damaged_part_is_not_the_rules_fault(root: Root) -> None:
    Path(root.path, "clips", root.parts("clips")[0]).write_bytes(b"PAR1 nothing")
    with pytest.raises(CorruptionError):
        what_if(root, RULES)


class TestFiles:
    def load(self, folder: Path, text: str) -> Rules:
        path = folder / "rules.yaml"
        path.write_text(text)
        return load_rules(path)

    def test_a_file_is_a_mapping_in_order(self, tmp_path: Path) -> None:
        rules = self.load(tmp_path, "b: luma_mean > 1\na: >-\n  frames > 3\n  and frames < 9\n")
        assert dict(rules.predicates) == {"b": "luma_mean > 1", "a": "frames > 3 and frames < 9"}
        assert list(rules.predicates) == ["b", "a"]
        assert rules.origin == str(tmp_path / "rules.yaml")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a: frames > 1\na: frames > 2\n", "'a' is there twice"),
            ("- frames > 1\n", "a mapping from a name to an SQL predicate"),
            ("a: true\n", "rule a must be an SQL predicate in text, not True"),
            ("a:\n", "rule a must be an SQL predicate in text, not None"),
            ("1: frames > 1\n", "1 cannot name a rule"),
            ("a: [\n", "rules.yaml: while parsing"),
            ("{}", "there are no rules"),
            ("", "a mapping from a name"),
        ],
    )
    def test_a_file_that_is_wrong_is_named(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(RuleError) as caught:
            self.load(tmp_path, text)
        assert str(caught.value).startswith(str(tmp_path / "rules.yaml"))
        assert message in str(caught.value)

    def test_a_file_that_is_missing_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(RuleError, match="rules cannot be read"):
            load_rules(tmp_path / "none.yaml")


def test_the_default_rules_need_only_what_the_single_pass_measures(root: Root) -> None:
    mentioned = " ".join(default_rules().predicates.values())
    assert sum(column.name in mentioned for column in MEASURES) >= 8
    assert what_if(root, default_rules()).total == 6


def test_the_default_rules_keep_ordinary_footage_and_reject_what_cannot_teach(tmp_path: Path) -> None:
    good = {
        "duration_s": 4.0, "flow_p95_px_per_s": 60.0, "frozen_fraction": 0.0, "sharpness_laplacian": 200.0,
        "luma_mean": 110.0, "dark_clipped_fraction": 0.05, "bright_clipped_fraction": 0.02, "contrast_rms": 50.0,
        "flicker": 1.0, "blockiness": 1.1, "static_overlay_fraction": 0.01, "border_left_px": 0, "border_top_px": 60,
        "border_right_px": 0, "border_bottom_px": 60, "width_px": 1280, "height_px": 720,
    }  # fmt: skip
    bad = {
        "duration": {"duration_s": 0.2}, "motion": {"flow_p95_px_per_s": 0.0}, "frozen": {"frozen_fraction": 0.9},
        "sharpness": {"sharpness_laplacian": 3.0}, "exposure": {"luma_mean": 5.0}, "contrast": {"contrast_rms": 1.0},
        "flicker": {"flicker": 40.0}, "blockiness": {"blockiness": 9.0}, "overlay": {"static_overlay_fraction": 0.6},
        "borders": {"border_left_px": 400, "border_right_px": 400},
    }  # fmt: skip
    assert list(bad) == list(default_rules().predicates)
    rows = [clip(0, **good), *(clip(i + 1, **{**good, **change}) for i, change in enumerate(bad.values()))]
    root = open_root(tmp_path / "D", create=True)
    root.write_part("clips", rows, key="aa")
    select(root, default_rules(), run_id=RUN)
    assert list(verdicts(root).values()) == [[], *([name] for name in bad)]


def test_bare_duckdb_reads_a_selection(root: Root) -> None:
    select(root, RULES, run_id=RUN)
    with duckdb.connect() as connection:
        parts = f"{root.path}/selections/default/*.parquet"
        rows = connection.execute(f"SELECT count(*) FROM '{parts}' WHERE kept").fetchall()
    assert rows == [(2,)]
