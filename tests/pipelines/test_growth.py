"""Growth: more videos, another expert, more captions append parts; of what was there not a byte is written again."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dataset import Root, open_root, verify
from dataset.removal import remove
from tests import videos
from tests.pipelines.conftest import Run

Parts = dict[str, tuple[bytes, int]]


def film(folder: Path, seed: int) -> Path:
    folder.mkdir(exist_ok=True)
    return videos.write_video(folder / f"{seed}.mp4", videos.scene_frames(24, seed=seed), fps=12)


def parts(root: Root) -> Parts:
    """Every part but the verdicts, which are decided anew with each run: its bytes, and when it was written."""
    files = (f"{t}/{name}" for t in root.tables() if not t.startswith("selections/") for name in root.parts(t))
    return {name: (root.read_bytes(name) or b"", Path(root.path, name).stat().st_mtime_ns) for name in files}


def run(rushes: Run, tmp_path: Path, experts: list[str]) -> Root:
    config = {
        "dataset": str(tmp_path / "d"),
        "sources": [{"uris": [str(tmp_path / "films")]}],
        "experts": experts,
        "curate": {"detector": "adaptive"},
        "captions": {"backend": "template"},
        "engine": {"kind": "local"},
        "rules": {"all": "true"},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    code, _, err = rushes("run", tmp_path / "config.yaml")
    assert code == 0, err
    return open_root(tmp_path / "d")


@pytest.fixture
def grown(rushes: Run, tmp_path: Path) -> tuple[Root, Parts]:
    film(tmp_path / "films", 1)
    film(tmp_path / "films", 2)
    root = run(rushes, tmp_path, ["motion"])
    return root, parts(root)


def appended(root: Root, before: Parts) -> set[str]:
    """Return the tables with new parts; what was there must be as it was, to the byte and the nanosecond."""
    after = parts(root)
    assert {name: after[name] for name in before} == before
    assert verify(root) == []
    return {name.rpartition("/")[0] for name in after.keys() - before.keys()}


def test_a_video_appends_to_every_table(rushes: Run, tmp_path: Path, grown: tuple[Root, Parts]) -> None:
    root, before = grown
    film(tmp_path / "films", 3)
    run(rushes, tmp_path, ["motion"])
    assert appended(root, before) == {"videos", "clips", "experts/motion", "captions", "shards/train"}
    assert root.count("videos") == 3
    assert root.ids("captions") == root.ids("clips") == root.ids("shards/train")


def test_an_expert_appends_its_own_table_and_no_other(rushes: Run, tmp_path: Path, grown: tuple[Root, Parts]) -> None:
    root, before = grown
    run(rushes, tmp_path, ["motion", "colour"])
    assert appended(root, before) == {"experts/colour"}
    assert root.ids("experts/colour") == root.ids("clips")


def test_nothing_new_appends_nothing(rushes: Run, tmp_path: Path, grown: tuple[Root, Parts]) -> None:
    root, before = grown
    run(rushes, tmp_path, ["motion"])
    assert appended(root, before) == set()


def test_captions_that_are_missing_are_appended(rushes: Run, tmp_path: Path, grown: tuple[Root, Parts]) -> None:
    root, before = grown
    lost = next(name for name in before if name.startswith("captions/"))
    Path(root.path, lost).unlink()
    run(rushes, tmp_path, ["motion"])
    assert appended(root, {name: value for name, value in before.items() if name != lost}) == {"captions"}
    assert root.ids("captions") == root.ids("clips")


def test_a_removal_appends_a_tombstone_and_touches_nothing(tmp_path: Path, grown: tuple[Root, Parts]) -> None:
    root, before = grown
    remove(root, str(tmp_path / "films/1.mp4"), run_id=root.runs()[0]["run_id"])
    after = parts(root)
    assert {name: after[name] for name in before} == before
    assert {name.rpartition("/")[0] for name in after.keys() - before.keys()} == {"removals"}
