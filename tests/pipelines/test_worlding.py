"""Synthetic worlds as clips of a dataset: every table, resumed at any point, found whole by `verify`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import curation.worlds
from curation.worlds.address import Address
from curation.worlds.rows import TRUTH_COLUMNS
from dataset import Root, open_root, query, verify
from dataset.removal import remove
from dataset.shards import ShardReader, shard_frames
from media.errors import UserError
from pipelines.steps import Work
from pipelines.worlding import BLOCK, make_world
from tests.curation.worlds import tiny
from tests.pipelines.conftest import Run

TABLES = ("videos", "clips", "experts/truth", "captions", "shards/train")


@pytest.fixture(autouse=True)
def _with_a_tiny_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curation.worlds, "WORLDS", (*curation.worlds.WORLDS, "tiny"))
    monkeypatch.setitem(sys.modules, "curation.worlds.tiny", tiny)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(tmp_path / "dataset", create=True)


def make(root: Root, count: int, **how: Any) -> Work:
    return make_world(root, "tiny", count, **{"frames": 6, "engine": "local", **how})


def counts(root: Root) -> dict[str, int]:
    return {table: root.count(table) for table in TABLES}


def test_every_table_has_every_clip_and_nothing_is_wrong(root: Root) -> None:
    work = make(root, 70)
    assert counts(root) == dict.fromkeys(TABLES, 70)
    assert dict(work.rows) == dict.fromkeys(TABLES, 70)
    assert verify(root) == []
    rows = query(root, "select distinct kind, frames, fps, width_px, height_px, motion from clips").to_pylist()
    assert rows == [{"kind": "synthetic", "frames": 6, "fps": 8.0, "width_px": 64, "height_px": 64, "motion": None}]
    assert query(root, "select count(distinct clip_id) as n from wide where truth_version = '1'")["n"].to_pylist() == [
        70
    ]
    assert set(query(root, "select license from videos")["license"].to_pylist()) == {"CC0-1.0"}


def test_ids_come_from_the_address_alone(root: Root, tmp_path: Path) -> None:
    make(root, 5, seed=3)
    other = open_root(tmp_path / "other", create=True)
    make(other, 9)
    ids = root.ids("clips")
    assert ids == {Address("tiny", seed, 6, 8.0, (64, 64)).clip_id for seed in range(3, 8)}
    assert ids < other.ids("clips")
    row = root.read("clips").to_pylist()[0]
    again = next(found for found in other.read("clips").to_pylist() if found["clip_id"] == row["clip_id"])
    assert {**row, "run_id": ""} == {**again, "run_id": ""}
    a, b = (ShardReader(place, "train").row(row["clip_id"])["media"] for place in (root, other))
    assert a == b


def test_the_truth_stands_beside_the_clip(root: Root) -> None:
    make(root, 1, seed=11)
    (row,) = root.read("experts/truth").to_pylist()
    truth = tiny.WORLD.truth(tiny.WORLD.draw(11, frames=6))
    (square,) = truth.things
    (thing,) = row["things"]
    assert (row["world"], row["seed"], row["count"], row["label"]) == ("tiny", 11, 1, truth.captions.label)
    assert np.allclose(thing["boxes"], square.boxes)
    assert (thing["colour"], thing["direction"]) == (square.colour, "right")
    assert json.loads(thing["attributes"]) == {"size": pytest.approx(0.2), "corners": [0, 1, 2, 3]}
    assert row["camera_path"] == [[1, 0, 0, 0, 1, 0]] * 6
    assert row["events"] == [{"frame": 0, "kind": "appears", "things": [0], "detail": ""}]
    assert json.loads(row["facts"]) == {"background": "grey"}
    said = {(s["subject"], s["predicate"], s["value"]) for s in row["statements"]}
    assert {("square", "moves", "right"), ("square", "is", square.colour), ("camera", "motion", "static")} <= said
    assert set(row) >= {column.name for column in TRUTH_COLUMNS}


def test_captions_are_the_truth_and_travel_into_the_shards(root: Root) -> None:
    make(root, 3)
    for row in root.read("captions").to_pylist():
        assert (row["outcome"], row["backend"], row["experts"]) == ("ok", "truth", ["truth"])
        assert row["graph"][0]["predicate"] == "moves"
        assert len(row["evidence"]) == 3
        shard = ShardReader(root, "train").row(row["clip_id"])
        assert (shard["short"], shard["dense"], shard["kind"]) == (row["short"], row["dense"], "synthetic")
        assert shard["camera_motion"] == "static"
        assert shard["tags"][0].endswith("square")


def test_the_shards_hold_the_pictures(root: Root) -> None:
    make(root, 2, frames=9, size=(48, 80), fps=12.0)
    for seed in range(2):
        address = Address("tiny", seed, 9, 12.0, (48, 80))
        frames = shard_frames(ShardReader(root, "train").row(address.clip_id))
        drawn = np.stack(list(address.pictures()))
        assert frames.shape == drawn.shape
        assert np.abs(frames.astype(int) - drawn).mean() < 3


def test_what_is_there_is_not_made_again(root: Root) -> None:
    make(root, 10)
    parts = {path: path.stat().st_mtime_ns for path in Path(root.path).rglob("part-*")}
    assert not make(root, 10).rows
    assert not make(root, 4, seed=2).rows
    assert {path: path.stat().st_mtime_ns for path in Path(root.path).rglob("part-*")} == parts
    work = make(root, 20)
    assert counts(root) == dict.fromkeys(TABLES, 20)
    assert work.rows["clips"] == 20  # the block is one part: it is written anew, as a whole
    assert verify(root) == []


@pytest.mark.parametrize("gone", TABLES)
def test_a_run_that_was_killed_is_finished(root: Root, gone: str) -> None:
    """Whichever part of whichever table was not written, the next run writes it and nothing else."""
    make(root, 100)
    (Path(root.path) / gone / root.parts(gone)[0]).unlink()
    assert root.count(gone) < 100
    work = make(root, 100)
    assert counts(root) == dict.fromkeys(TABLES, 100)
    assert set(work.rows) == {gone}
    assert verify(root) == []


def test_other_seeds_of_a_block_are_not_lost(root: Root) -> None:
    make(root, 10, seed=0)
    make(root, 10, seed=30)
    assert root.count("clips") == 20
    make(root, 5, seed=32, shards="few")
    assert counts(root) == dict.fromkeys(TABLES, 20)
    assert root.count("shards/few") == 5
    make(root, 2, seed=BLOCK - 1)
    assert root.count("clips") == 22
    assert verify(root) == []


def test_other_sizes_lengths_and_options_are_other_clips(root: Root) -> None:
    for how in ({}, {"frames": 7}, {"size": (32, 32)}, {"fps": 4.0}, {"options": {"colour": "blue"}}):
        make(root, 2, **how)
    assert root.count("clips") == 10
    assert verify(root) == []
    colours = query(root, "select colours from expert_truth where clip_id in (select clip_id from clips where "
                          "uri like '%colour%')")["colours"].to_pylist()  # fmt: skip
    assert colours == [["blue"], ["blue"]]


def test_without_shards_and_measured(root: Root) -> None:
    make(root, 2, shards=None, measure=True)
    assert not root.names("shards")
    rows = root.read("clips").to_pylist()
    assert all(row["sharpness_laplacian"] is not None and row["flow_mean_px_per_s"] is not None for row in rows)
    assert all(len(row["keyframes"]) == 3 for row in rows)
    assert verify(root) == []


def test_one_frame_is_a_clip_too(root: Root) -> None:
    make(root, 2, frames=1)
    assert shard_frames(ShardReader(root, "train").row(0)).shape == (1, 64, 64, 3)
    assert verify(root) == []


def test_what_was_removed_stays_out(root: Root) -> None:
    make(root, 4)
    address = Address("tiny", 2, 6, 8.0, (64, 64))
    remove(root, address.uri, reason="a test", run_id="r1")
    assert address.clip_id not in root.ids("clips")
    assert not make(root, 4).rows
    make(root, 8)
    assert address.clip_id not in root.ids("clips")
    assert root.count("clips") == 7


@pytest.mark.parametrize(
    ("world", "how", "said"),
    [
        ("shape", {}, "did you mean shapes"),
        ("tiny", {"options": {"hue": 3}}, "hue"),
        ("tiny", {"options": {"colour": "pink"}}, "pink"),
        ("tiny", {"size": (15, 15)}, "15x15"),
        ("tiny", {"size": (33, 32)}, "33x32"),
        ("tiny", {"frames": 0}, "frames 0"),
    ],
)
def test_a_slip_is_told_before_anything_is_written(root: Root, world: str, how: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        make_world(root, world, 3, engine="local", **how)
    assert root.tables() == []
    assert root.runs() == []


class TestCommand:
    """`rushes worlds`."""

    def test_it_makes_a_dataset_and_goes_on(self, rushes: Run, tmp_path: Path) -> None:
        place = tmp_path / "new"
        asked = ("worlds", place, "--world", "tiny", "--frames", 5, "--size", "32x48", "--engine", "local")
        code, out, _ = rushes(*asked, "--count", 3, "--option", "colour=red", "--json")
        assert code == 0
        assert json.loads(out)["rows"]["shards/train"] == 3
        code, out, _ = rushes(*asked, "--count", 3, "--option", 'colour="red"')
        assert code == 0
        assert "nothing to do" in out
        assert rushes("verify", place)[0] == 0
        code, out, _ = rushes("query", place, "select height_px, width_px, frames from clips limit 1", "--json")
        assert json.loads(out) == [{"height_px": 32, "width_px": 48, "frames": 5}]

    def test_clips_can_be_sharded_anew_from_their_addresses(self, rushes: Run, tmp_path: Path) -> None:
        place, rules = tmp_path / "new", tmp_path / "rules.yaml"
        rules.write_text("all: clip_id is not null\n")
        # They are rendered in a process of their own, which knows nothing of a world that a test made up.
        asked = ("worlds", place, "--world", "shapes", "--count", 2, "--frames", 5, "--shards", "none")
        assert rushes(*asked, "--engine", "local")[0] == 0
        assert rushes("select", place, "--rules", rules)[0] == 0
        code, _, err = rushes("shard", place, "--name", "small", "--max-height", 32, "--engine", "local")
        assert code == 0, err
        row = ShardReader(open_root(place), "small").row(0)
        assert shard_frames(row).shape == (5, 32, 32, 3)
        assert row["dense"]
        assert rushes("verify", place)[0] == 0

    @pytest.mark.parametrize(
        ("given", "said"),
        [(("--size", "big"), "--size big"), (("--option", "red"), "--option red"), (("--world", "shapez"), "shapes")],
    )
    def test_slips(self, rushes: Run, tmp_path: Path, given: tuple[str, ...], said: str) -> None:
        code, out, err = rushes("worlds", tmp_path / "new", *given, "--engine", "local")
        assert code == 2
        assert out == ""
        assert said in err
        assert not (tmp_path / "new").exists()
