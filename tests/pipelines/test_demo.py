"""The demo in its small form: less footage, fewer experts, template captions, seconds of training. Then again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import media
from dataset import open_root, query, verify
from pipelines.demo import QUERIES

pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.timeout(600)]


def run_demo(folder: Path) -> tuple[str, dict[str, Any]]:
    command = [sys.executable, "-m", "pipelines", "demo", "--out", folder, "--small"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-4000:]
    assert ended.stderr == ""
    return ended.stdout, json.loads((folder / "demo.json").read_text())


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("demo")
    return (folder, *run_demo(folder))


Demo = tuple[Path, str, dict[str, Any]]


def test_it_goes_through_all_ten_steps_and_says_what_to_type_next(demo: Demo) -> None:
    _, said, _ = demo
    assert [f"[{n}/10]" in said for n in range(1, 11)] == [True] * 10
    assert "[11/10]" not in said
    assert re.search(r"kept \d+ of \d+ clips", said)
    assert all(sql in said for sql in QUERIES.values())
    assert "What to type next" in said


def test_shards_hold_clips_and_pseudo_videos_of_every_motion(demo: Demo) -> None:
    root = open_root(demo[0] / "dataset")
    kinds = {r["kind"]: r["n"] for r in query(root, "select kind, count(*) n from shards group by 1").to_pylist()}
    assert kinds["clip"] >= 2
    assert kinds["pseudo"] >= 6
    motions = query(root, "select distinct motion from clips where kind = 'pseudo'")["motion"].to_pylist()
    assert set(motions) == {"zoom_in", "zoom_out", "pan_left", "pan_right", "tilt_up", "tilt_down"}


def test_a_caption_names_its_experts_outcome_and_evidence(demo: Demo) -> None:
    rows = query(open_root(demo[0] / "dataset"), "select * from captions").to_pylist()
    assert rows
    assert {row["outcome"] for row in rows} <= {"ok", "repaired", "template"}
    for row in rows:
        assert row["experts"]
        assert row["evidence"]
        assert all(e["expert"] and e["statement"] and e["span"] for e in row["evidence"])


def test_every_table_of_the_dataset_holds(demo: Demo) -> None:
    assert verify(open_root(demo[0] / "dataset")) == []


def test_the_generated_clips_play(demo: Demo) -> None:
    assert len(demo[2]["generated"]) == 2
    for file in demo[2]["generated"]:
        frames = media.decode_bytes(Path(file).read_bytes())
        assert len(frames) == 16


def test_grades_and_report_are_there(demo: Demo) -> None:
    folder, _, figures = demo
    assert query(open_root(folder / "dataset"), "select count(*) n from grades")["n"][0].as_py() >= 9
    assert (folder / "generated" / "grades.parquet").exists()
    page = Path(figures["report"]).read_text()
    assert len(page) > 100_000
    assert not re.search(r"""(?:src|href)=["']https?://""", page)


def test_run_again_it_does_only_what_is_missing(demo: Demo) -> None:
    folder, _, first = demo
    tables = [p for p in (folder / "dataset").rglob("part-*.parquet") if "selections" not in str(p)]
    before = {p: p.stat().st_mtime_ns for p in [*tables, *(folder / "generated").glob("*.mp4")]}
    said, kept = run_demo(folder)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert said.count("nothing to do") >= 7
    assert "trained already" in said
    assert kept == first
