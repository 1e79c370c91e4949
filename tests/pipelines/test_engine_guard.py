"""The first stage reads what nobody vouches for: a reader that hangs, crashes or errs costs one row, never the run."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import media
from curation import CurateConfig
from dataset import open_root
from media.errors import MissingModelError, RushesError, UserError
from pipelines import ingesting
from pipelines.engine import LocalEngine, StageSpec
from pipelines.ingesting import Ingest
from tests import hostile, videos

CONFIG = CurateConfig(detector="adaptive", min_clip_s=0.5, max_clip_s=2.0)


def hangs(uri: str, *_: Any, **__: Any) -> None:
    ctypes.PyDLL(None).sleep(600)


def crashes(uri: str, *_: Any, **__: Any) -> None:
    ctypes.string_at(0)


def errs(uri: str, *_: Any, **__: Any) -> None:
    raise ZeroDivisionError("nobody thought of this")


def lacks_memory(uri: str, *_: Any, **__: Any) -> None:
    raise MemoryError("Unable to allocate 80 GiB")


def lacks_a_model(uri: str, *_: Any, **__: Any) -> None:
    raise MissingModelError("the detector's weights are not here")


def rows(folder: Path, uris: list[str], **how: Any) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Run the stage over `uris` as the local engine does; return the rows of `videos` by address, and the notes."""
    root = open_root(str(folder / "dataset"), create=True)
    kwargs = {"root": root.uri, "curate": CONFIG, "wall_limit_s": 1.0, "run_id": "r", "grace_s": 0.5, **how}
    items = [[{"uri": uri, "rights": {"source": "us", "license": "CC0-1.0"}}] for uri in uris]
    reports = list(LocalEngine().run(StageSpec(Ingest, root.uri, kwargs), items))
    return {row["uri"]: row for row in root.read("videos").to_pylist()}, [n for r in reports for n in r.notes]


@pytest.mark.parametrize(
    ("reader", "reason", "words"),
    [
        (hangs, "timeout", "killed: no sign of life for 1.5 s"),
        (crashes, "crashed", "SIGSEGV"),
        (errs, "crashed", "ZeroDivisionError: nobody thought of this (at pipelines/test_engine_guard.py:"),
        (lacks_memory, "crashed", "MemoryError: Unable to allocate 80 GiB"),
    ],
)
def test_a_reader_that_fails_costs_one_row(
    reader: Callable[..., None], reason: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingesting, "ingest_into", reader)
    path = hostile.written(tmp_path, "a.mp4", hostile.base())
    got, notes = rows(tmp_path, [str(path)])
    row = got[str(path)]
    assert (row["status"], row["reason"], row["video_id"]) == ("quarantined", reason, media.content_id(path))
    assert words in row["detail"]
    assert (row["source"], row["license"], row["run_id"]) == ("us", "CC0-1.0", "r")
    assert len(notes) == 1
    assert f"quarantined {path}: {reason} (" in notes[0]


def test_what_is_no_files_fault_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingesting, "ingest_into", lacks_a_model)
    with pytest.raises(MissingModelError, match="weights"):
        rows(tmp_path, ["a.mp4"])
    monkeypatch.undo()
    error: type[RushesError] = UserError
    with pytest.raises(error, match="adaptive"):
        rows(tmp_path, ["a.mp4"], curate=CurateConfig(detector="adaptiv"))


def test_good_and_bad_files_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    names = [
        "a pipe that nobody writes to",
        "a size that changes in the middle",
        "no keyframe at all",
        "links in a circle",
    ]
    paths = []
    for number, name in enumerate(names):
        (tmp_path / str(number)).mkdir()
        paths.append(str(hostile.MAKERS[name][0](tmp_path / str(number))))
    good = videos.write_video(tmp_path / "good.mp4", videos.scene_frames(40))
    got, notes = rows(tmp_path, [*paths, str(good)], wall_limit_s=60.0)
    assert [got[path]["status"] for path in paths] == ["quarantined"] * 4
    assert got[str(good)]["status"] == "ok"
    assert len(notes) == 4


def test_an_unforeseen_error_of_the_address_costs_one_row(tmp_path: Path) -> None:
    path = str(tmp_path / ("a" * 300))
    row = rows(tmp_path, [path], wall_limit_s=60.0)[0][path]
    assert row["reason"] in {"unreadable", "crashed"}
    assert "name too long" in row["detail"]
