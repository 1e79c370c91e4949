"""Stills that move, through the commands: rows, captions, and shards that spend no bytes on video."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import experts
import media
from curation.pseudo import render_clip
from curation.saliency import people_box
from dataset import Root, open_root, query
from dataset.shards import FRAME_COLUMNS, ShardReader, shard_frames
from pipelines.cli import main
from tests.curation.pictures import photograph
from tests.pipelines.conftest import Run

LOCAL = ("--engine", "local")
MOTIONS = "zoom_in,pan_left,roll_right"


def run(*arguments: object) -> None:
    """Run a command, for what all tests share."""
    with contextlib.suppress(SystemExit):
        main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of one still, selected; beside it the same with pseudo-videos, captioned."""
    folder = tmp_path_factory.mktemp("made")
    Image.fromarray(photograph(3, 401, 301)).save(folder / "still.png")
    (folder / "all.yaml").write_text("all: clip_id is not null\n")
    root = folder / "stills"
    how = ("--experts", "colour,motion", "--detector", "adaptive", "--license", "CC0-1.0")
    run("curate", folder / "still.png", "--out", root, *how, *LOCAL)
    run("select", root, "--rules", folder / "all.yaml")
    shutil.copytree(root, folder / "moving")
    run("augment", folder / "moving", "--motions", MOTIONS, "--frames", 12, *LOCAL)
    run("caption", folder / "moving", "--backend", "template", *LOCAL)
    return folder


@pytest.fixture
def stills(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "stills", tmp_path / "dataset"))


@pytest.fixture
def moving(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "moving", tmp_path / "dataset"))


@pytest.fixture
def file(made: Path) -> Iterator[Path]:
    """The still's file, for tests that do something to it."""
    content = (made / "still.png").read_bytes()
    yield made / "still.png"
    (made / "still.png").write_bytes(content)


def rendered(root: Root, clip_id: str) -> np.ndarray:
    (row,) = [row for row in root.read("clips").to_pylist() if row["clip_id"] == clip_id]
    return np.stack(list(render_clip(row, media.load_still(row["uri"]))))


@pytest.mark.parametrize("cut", ["reference", "copy"])
def test_shards_without_video_are_read_as_if_they_had_it(rushes: Run, moving: Path, cut: str) -> None:
    code, _, err = rushes("shard", moving, "--name", cut, "--cut", cut, *LOCAL)
    assert code == 0, err
    root = open_root(moving)
    reader = ShardReader(root, cut)
    assert len(reader) == 3
    still = Path(query(root, "select distinct uri from videos")["uri"][0].as_py()).read_bytes()
    for clip_id in reader.ids:
        row = reader.row(clip_id)
        assert (row["cut"], row["in_frame"], row["out_frame"], row["frames"]) == (cut, 0, 12, 12)
        assert row["media"] == (still if cut == "copy" else None)
        assert row["media_type"] == ("image/png" if cut == "copy" else None)
        assert row["dense"]
        assert row["license"] == "CC0-1.0"
        assert np.array_equal(shard_frames(reader.row(clip_id, FRAME_COLUMNS)), rendered(root, clip_id))
        assert np.array_equal(shard_frames(row, [11, 3]), rendered(root, clip_id)[[11, 3]])
    assert rushes("verify", moving)[0] == 0


def test_encoded_shards_hold_the_same_but_for_the_codec(rushes: Run, moving: Path) -> None:
    assert rushes("shard", moving, "--name", "video", "--crf", 4, *LOCAL)[0] == 0
    root = open_root(moving)
    reader = ShardReader(root, "video")
    for clip_id in reader.ids:
        row = reader.row(clip_id)
        assert (row["cut"], row["media_type"], row.get("affine")) == ("exact", "video/mp4", None)
        assert np.abs(shard_frames(row).astype(int) - rendered(root, clip_id)).mean() < 2.5


def test_exports_leave_out_what_others_cannot_read(rushes: Run, moving: Path, tmp_path: Path) -> None:
    rushes("shard", moving, "--name", "copied", "--cut", "copy", *LOCAL)
    code, _, err = rushes("export", moving, tmp_path / "x", "--shards", "copied", "--format", "webdataset")
    assert code == 2
    assert "media type image/png" in err


def test_a_still_that_changed_is_found(rushes: Run, moving: Path, file: Path) -> None:
    rushes("shard", moving, "--name", "lazy", "--cut", "reference", *LOCAL)
    Image.fromarray(photograph(4, 401, 301)).save(file)
    code, out, _ = rushes("verify", moving, "--json")
    assert code == 4
    assert {problem["kind"] for problem in json.loads(out)} == {"checksum"}


def test_a_still_that_is_gone_is_a_reason_not_a_crash(rushes: Run, moving: Path, file: Path) -> None:
    file.unlink()
    code, _, err = rushes("shard", moving, "--name", "lazy", "--cut", "reference", *LOCAL)
    assert code == 0
    assert "quarantined" in err
    assert query(open_root(moving), "select distinct reason from uncut")["reason"].to_pylist() == ["unreadable"]


def test_several_motions_at_once_and_later_ones(rushes: Run, stills: Path) -> None:
    for motions in ("zoom_in+pan_left", "zoom_in + pan_left,tilt_up", "tilt_up"):
        assert rushes("augment", stills, "--motions", motions, "--frames", 8, *LOCAL)[0] == 0
    found = query(open_root(stills), "select motion, clip_id from clips where kind = 'pseudo' order by 1").to_pylist()
    assert [row["motion"] for row in found] == ["tilt_up", "zoom_in+pan_left"]
    assert found[1]["clip_id"].endswith(":0-8@zoom_in_and_pan_left")
    assert rushes("verify", stills)[0] == 0


def test_paths_are_laid_around_faces_that_experts_have_found(rushes: Run, stills: Path) -> None:
    """The very table that the expert writes, for the still's id."""
    root = open_root(stills)
    assert rushes("augment", stills, "--motions", "tilt_up", "--frames", 8, *LOCAL)[0] == 0
    (still,) = query(root, "select clip_id, video_id from clips where kind = 'still'").to_pylist()
    face: dict[str, Any] = {"frame": 0, "left": 0.02, "top": 0.4, "width": 0.1, "height": 0.1, "score": 0.95}
    row = {"clip_id": still["clip_id"], "version": "2", "run_id": "r", "statements": [], "faces": [face]}
    root.write_part("experts/faces", [row], experts.schema(experts.expert_class("faces")), key="face")
    assert rushes("augment", stills, "--motions", "tilt_up", "--frames", 9, *LOCAL)[0] == 0
    paths = {
        row["frames"]: np.array(row["affine"]).reshape(-1, 2, 3)
        for row in root.read("clips").to_pylist()
        if row["kind"] == "pseudo"
    }
    box = people_box([face])
    assert box is not None
    assert (paths[9][:, 0, 2] - paths[9][:, 0, 0]).max() <= box[0] * 2 - 1 + 1e-5
    assert paths[9][0, 0, 2] < 0


def test_motions_that_need_depth_are_refused_with_the_way_to_make_them(rushes: Run, stills: Path) -> None:
    code, _, err = rushes("augment", stills, "--motions", "truck_left", *LOCAL)
    assert code == 2
    assert "needs a depth map" in err
