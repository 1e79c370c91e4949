"""The commands, as a user types them: what they print, what they write, how they end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import media
from tests import videos
from tests.pipelines.conftest import Run


def in_a_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an empty file, a text file named .mp4, a truncated video and a good one."""
    folder = tmp_path_factory.mktemp("mixed")
    good = videos.write_video(folder / "good.mp4", videos.scene_frames(60))
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("This is no video.\n")
    (folder / "truncated.mp4").write_bytes(good.read_bytes()[: good.stat().st_size * 2 // 3])
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, mixed: Path) -> Path:
    """A dataset made by the commands, step by step, from a video and a still, without any model."""
    folder = tmp_path_factory.mktemp("made")
    still = folder / "still.jpg"
    still.write_bytes(media.jpeg(next(iter(videos.scene_frames(1)))))
    root = folder / "dataset"
    rules = folder / "rules.yaml"
    rules.write_text("long: kind = 'still' or duration_s >= 0.5\n")
    config = {
        "dataset": str(root),
        "sources": [{"uris": [str(mixed / "good.mp4"), str(still)], "source": "tests", "license": "CC0-1.0"}],
        "curate": {"detector": "adaptive"},
        "experts": ["colour", "motion"],
        "rules": str(rules),
        "captions": {"backend": "template"},
        "pseudo": {"motions": ["zoom_in", "pan_left"], "frames": 24, "height_px": 96},
        "engine": {"kind": "local"},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(config))
    ended = in_a_process("run", folder / "run.yaml")
    assert ended.returncode == 0, ended.stderr
    return folder


def test_bad_files_are_rows_with_their_reasons_and_the_run_goes_on(rushes: Run, mixed: Path, tmp_path: Path) -> None:
    code, out, err = rushes(
        "curate", mixed, "--out", tmp_path / "d", "--engine", "local", "--detector", "adaptive", "--experts", "none"
    )
    assert code == 0
    assert err.count("warning: quarantined") == 3
    assert "4 videos" in out
    _, out, _ = rushes(
        "query", tmp_path / "d", "select parse_filename(uri) as f, status, reason from videos order by 1", "--json"
    )
    assert [(r["f"], r["status"], r["reason"]) for r in json.loads(out)] == [
        ("empty.mp4", "quarantined", "empty_file"),
        ("good.mp4", "ok", None),
        ("text.mp4", "quarantined", "not_media"),
        ("truncated.mp4", "quarantined", "truncated"),
    ]


def test_a_misspelt_key_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("dataset: d\nsources: [{uris: [a.mp4]}]\ncurate: {detectr: adaptive}\n")
    ended = in_a_process("run", path)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.splitlines() == [f"rushes: {path}: unknown key `curate.detectr`: did you mean `detector`?"]


def test_a_run_gives_clips_and_pseudo_videos_with_their_evidence(rushes: Run, made: Path) -> None:
    root = made / "dataset"
    code, out, _ = rushes("query", root, "select kind, count(*) as n from shards group by 1 order by 1", "--json")
    assert code == 0
    kinds = {r["kind"]: r["n"] for r in json.loads(out)}
    assert set(kinds) == {"clip", "pseudo"}
    assert kinds["pseudo"] == 2
    _, out, _ = rushes("query", root, "select outcome, experts, len(evidence) as spans from captions", "--json")
    rows: list[dict[str, Any]] = json.loads(out)
    assert {r["outcome"] for r in rows} == {"template"}
    assert all(r["experts"] and r["spans"] for r in rows)


def test_run_again_does_only_what_is_missing(rushes: Run, made: Path) -> None:
    parts = {p: p.stat().st_mtime_ns for p in (made / "dataset").rglob("part-*.parquet") if "selections" not in str(p)}
    code, _, err = rushes("run", made / "run.yaml")
    assert code == 0
    assert err.count("nothing to do") == 6
    again = {p: p.stat().st_mtime_ns for p in (made / "dataset").rglob("part-*.parquet") if "selections" not in str(p)}
    assert parts == again


def test_bare_duckdb_reads_every_table(made: Path) -> None:
    code = (
        "import duckdb, sys\n"
        "root = sys.argv[1]\n"
        "for t in ('videos', 'clips', 'captions', 'experts/colour', 'selections/default', 'shards/train'):\n"
        "    n = duckdb.sql(f\"select count(*) from '{root}/{t}/*.parquet'\").fetchall()[0][0]\n"
        "    assert n, t\n"
        "assert not {'dataset', 'pipelines'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-I", "-c", code, made / "dataset"], check=True)


def test_check_prints_the_resolved_config_and_does_nothing(rushes: Run, made: Path) -> None:
    code, out, _ = rushes("run", made / "run.yaml", "--check")
    assert code == 0
    assert yaml.safe_load(out)["curate"]["detector"] == "adaptive"


def test_what_if_prints_a_funnel_and_writes_nothing(rushes: Run, made: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("long: duration_s > 0.1\nnever: flow_mean_px_per_s < -1\n")
    before = sorted((made / "dataset" / "selections").rglob("*"))
    code, out, _ = rushes("select", made / "dataset", "--rules", rules, "--what-if")
    assert code == 0
    assert "kept 0 of" in out
    assert "never" in out
    assert sorted((made / "dataset" / "selections").rglob("*")) == before


def test_a_rule_on_a_column_that_is_not_there_names_rule_and_nearest(rushes: Run, made: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("sharp: sharpness_laplacia > 3\n")
    code, out, err = rushes("select", made / "dataset", "--rules", rules, "--what-if")
    assert code == 2
    assert out == ""
    assert "sharp" in err
    assert "sharpness_laplacian" in err
    assert len(err.splitlines()) == 1


def test_a_query_error_is_one_line(rushes: Run, made: Path) -> None:
    code, _, err = rushes("query", made / "dataset", "select captoin from captions")
    assert code == 2
    assert len(err.splitlines()) == 1


def test_columns_explains_the_tables(rushes: Run, made: Path) -> None:
    code, out, _ = rushes("columns", made / "dataset", "--json")
    assert code == 0
    rows = json.loads(out)
    assert not [r for r in rows if not r["doc"] and r["table"] in ("videos", "clips", "captions", "shards/train")]
    assert {"clips", "captions", "shards/train", "experts/colour"} <= {r["table"] for r in rows}


def test_a_plan_shows_every_bucket_and_every_sample_that_fits_none(rushes: Run, made: Path) -> None:
    code, out, _ = rushes("plan", made / "dataset", "--json")
    assert code == 0
    plan = json.loads(out)
    taken = sum(b["samples"] for b in plan["buckets"])
    assert taken + len(plan["rejected"]) == 3
    assert all(r["reason"] for r in plan["rejected"])


def test_a_dataset_that_is_not_there_is_said(rushes: Run, tmp_path: Path) -> None:
    code, _, err = rushes("query", tmp_path / "none", "select 1")
    assert code == 2
    assert str(tmp_path / "none") in err


def test_an_expert_that_is_not_there_is_said_before_any_work(rushes: Run, mixed: Path, tmp_path: Path) -> None:
    code, _, err = rushes("curate", mixed, "--out", tmp_path / "d", "--experts", "colours")
    assert code == 2
    assert "did you mean `colour`?" in err
    assert not (tmp_path / "d").exists()


def test_doctor_says_what_is_there_and_ends_with_3_if_a_model_lacks(
    rushes: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code, out, _ = rushes("doctor", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["lacking"] == []
    assert found["packages"]["core"]["torch"]
    monkeypatch.setenv("RUSHES_HOME", str(tmp_path))
    code, out, _ = rushes("doctor")
    assert code == 3
    assert "rushes weights pull" in out


def test_a_missing_model_is_one_error_before_any_work(
    rushes: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mixed: Path
) -> None:
    monkeypatch.setenv("RUSHES_HOME", str(tmp_path / "home"))
    code, out, err = rushes("curate", mixed, "--out", tmp_path / "d")
    assert code == 3
    assert out == ""
    assert "rushes weights pull" in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "d").exists()


def test_weights_are_listed_with_their_licences(rushes: Run) -> None:
    code, out, _ = rushes("weights", "list", "--json")
    assert code == 0
    rows = json.loads(out)
    assert all(r["license"] and r["present"] for r in rows)


@pytest.mark.parametrize("command", ["", "run", "curate", "weights", "weights pull", "demo"])
def test_help_is_there(rushes: Run, command: str) -> None:
    code, out, _ = rushes(*command.split(), "--help")
    assert code == 0
    assert "Usage: rushes" in out


def test_verify_finds_nothing_wrong_until_something_is(rushes: Run, made: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "dataset"
    shutil.copytree(made / "dataset", copy)
    assert rushes("verify", copy)[0] == 0
    part = next((copy / "shards" / "train").glob("*.parquet"))
    data = bytearray(part.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(64)
    part.write_bytes(data)
    code, out, _ = rushes("verify", copy, "--json")
    assert code == 4
    assert json.loads(out)[0]["table"] == "shards/train"


@pytest.fixture
def stills(rushes: Run, tmp_path: Path) -> Path:
    """A dataset of one curated still, not selected yet, whose experts have looked."""
    still = tmp_path / "still.jpg"
    still.write_bytes(media.jpeg(next(iter(videos.scene_frames(1)))))
    root = tmp_path / "dataset"
    assert (
        rushes("curate", still, "--out", root, "--engine", "local", "--experts", "colour", "--detector", "adaptive")[0]
        == 0
    )
    return root


@pytest.fixture
def chosen(rushes: Run, stills: Path, tmp_path: Path) -> Path:
    """The same, with every clip selected."""
    rules = tmp_path / "all.yaml"
    rules.write_text("all: clip_id is not null\n")
    assert rushes("select", stills, "--rules", rules)[0] == 0
    return stills


LOCAL = ("--engine", "local")


def test_pseudo_videos_captioned_together_with_their_still_say_what_it_shows(rushes: Run, chosen: Path) -> None:
    assert rushes("augment", chosen, "--motions", "pan_left", "--frames", 24, *LOCAL)[0] == 0
    assert rushes("caption", chosen, "--backend", "template", *LOCAL)[0] == 0
    _, out, _ = rushes("query", chosen, "select clip_id, dense, flags from captions order by clip_id", "--json")
    still, pseudo = json.loads(out)
    assert "inherited" in pseudo["flags"]
    assert pseudo["dense"].startswith(still["dense"].split(".")[0])
    assert "pans left" in pseudo["dense"]


def test_more_motions_can_be_added_later(rushes: Run, chosen: Path) -> None:
    for motions in ("pan_left", "roll_left", "pan_left,roll_left"):
        assert rushes("augment", chosen, "--motions", motions, "--frames", 24, *LOCAL)[0] == 0
    _, out, _ = rushes("query", chosen, "select motion from clips where kind = 'pseudo' order by 1", "--json")
    assert [row["motion"] for row in json.loads(out)] == ["pan_left", "roll_left"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("augment", "{}", "--motions", "zoomin"), "there is no motion 'zoomin'"),
        (("shard", "{}", "--selection", "mine"), "no selection is called 'mine'"),
        (("shard", "{}"), "`rushes select` makes one"),
        (("plan", "{}", "--shards", "mine"), "no shards named 'mine'"),
        (("evaluate", "{}", "--out", "x"), "--out"),
        (("curate", "{}", "--out", "d", "--detector", "adaptiv"), "did you mean 'adaptive'"),
        (("curate", "nowhere.mp4", "--out", "d"), "there is no file or folder nowhere.mp4"),
    ],
)
def test_a_slip_is_one_line_and_leaves_nothing_behind(
    rushes: Run, stills: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = rushes(*(str(stills) if word == "{}" else word for word in command))
    assert code == 2
    assert out == ""
    assert said in err.splitlines()[-1]
    assert not (tmp_path / "d").exists()


def test_clips_that_came_after_the_selection_are_judged_by_its_rules(
    rushes: Run, stills: Path, tmp_path: Path, mixed: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("only_stills: kind = 'still'\n")
    assert rushes("select", stills, "--rules", rules)[0] == 0
    more = ("curate", mixed / "good.mp4", "--out", stills, "--experts", "none", "--detector", "adaptive")
    assert rushes(*more, *LOCAL)[0] == 0
    assert rushes("caption", stills, "--backend", "template", *LOCAL)[0] == 0
    _, out, _ = rushes("query", stills, "select kind, kept from clips join selections using (clip_id)", "--json")
    verdicts = {row["kind"]: row["kept"] for row in json.loads(out)}
    assert verdicts == {"still": True, "clip": False}


def test_a_file_whose_fault_has_passed_is_read_again(rushes: Run, tmp_path: Path, mixed: Path) -> None:
    source, root = tmp_path / "late.mp4", tmp_path / "dataset"
    source.touch()
    command = ("curate", source, "--out", root, "--experts", "none", "--detector", "adaptive", *LOCAL)
    assert rushes(*command)[0] == 0
    source.write_bytes((mixed / "good.mp4").read_bytes())
    assert rushes(*command)[0] == 0
    _, out, _ = rushes("query", root, "select status, reason from videos", "--json")
    assert json.loads(out) == [{"status": "ok", "reason": None}]


def test_settings_that_changed_since_are_said(rushes: Run, tmp_path: Path, mixed: Path) -> None:
    command = ("curate", mixed / "good.mp4", "--out", tmp_path / "d", "--experts", "none", *LOCAL)
    assert rushes(*command, "--detector", "adaptive")[0] == 0
    _, _, err = rushes(*command, "--detector", "content")
    assert "warning: curate.detector was 'adaptive' in run" in err


def test_a_selection_of_another_name_is_no_change_of_settings(rushes: Run, tmp_path: Path, mixed: Path) -> None:
    root = tmp_path / "d"
    command = ("curate", mixed / "good.mp4", "--out", root, "--experts", "none", "--detector", "adaptive", *LOCAL)
    assert rushes(*command)[0] == 0
    for name in ("default", "other"):
        code, _, err = rushes("select", root, "--name", name)
        assert (code, "warning" in err) == (0, False), err
