"""Runs, documents and the card: what a dataset says of itself."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dataset import column_docs, new_run
from dataset.root import GROUPS
from dataset.runs import config_hash
from dataset.schema import BASE_TABLES
from tests.dataset.build import new_root, small_dataset

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
CONFIGS = st.dictionaries(st.text(), JSON, max_size=4)


@given(CONFIGS)
def test_a_configs_hash_does_not_depend_on_the_order_of_its_keys(config: dict[str, object]) -> None:
    assert config_hash(config) == config_hash(dict(reversed(config.items())))
    assert config_hash(config) == config_hash(json.loads(json.dumps(config)))


@given(CONFIGS, CONFIGS)
def test_different_configs_have_different_hashes(one: dict[str, object], other: dict[str, object]) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (config_hash(one) == config_hash(other)) == same


def test_a_run_is_written_when_it_begins_and_when_it_ends(tmp_path: Path) -> None:
    root = new_root(tmp_path)
    run = new_run("curate", {"height_px": 360, "out": tmp_path}, root=root)
    assert [(r["run_id"], r["outcome"]) for r in root.runs()] == [(run.run_id, "running")]
    run.finish({"clips": 12})
    (record,) = root.runs()
    assert record["outcome"] == "done"
    assert record["counts"] == {"clips": 12}
    assert record["config"] == {"height_px": 360, "out": str(tmp_path)}
    assert record["config_hash"] == config_hash(record["config"])
    assert record["started"] <= record["finished"]
    assert record["wall_s"] >= 0


def test_a_run_says_with_which_versions_it_was_made() -> None:
    versions = new_run("curate").versions
    assert {"rushes", "source_hash", "python", "platform", "pyarrow", "duckdb"} <= set(versions)


def test_a_run_without_a_root_is_only_a_record(tmp_path: Path) -> None:
    root = new_root(tmp_path)
    record = new_run("curate", {"a": 1}).finish(outcome="interrupted")
    assert record["outcome"] == "interrupted"
    assert root.runs() == []
    assert new_run("curate").finish(root=root)["run_id"] == root.runs()[0]["run_id"]


def test_runs_have_different_ids() -> None:
    assert len({new_run("curate").run_id for _ in range(50)}) == 50


def test_columns_are_explained_without_a_dataset() -> None:
    docs = {(doc.table, doc.column): doc for doc in column_docs()}
    for table, columns in BASE_TABLES.items():
        shown = f"{table}/<name>" if table in GROUPS else table
        assert all(docs[shown, column.name].doc == column.doc for column in columns)
    assert docs["videos", "cuts.kind"].doc == "hard | dissolve | fade | wipe"
    assert docs["wide", "caption_outcome"].doc == docs["captions", "outcome"].doc


def test_columns_of_a_dataset_are_explained_experts_included(tmp_path: Path) -> None:
    docs = {(doc.table, doc.column): doc for doc in column_docs(small_dataset(tmp_path))}
    assert docs["experts/tags", "tags"].doc == "labels"
    assert docs["wide", "tags_kind"].doc == "kind of thing"
    assert docs["experts/tags", "statements"].type == "list<struct>"
    assert ("experts/<name>", "clip_id") not in docs
