"""`rushes curate --shots-only`: the cuts of a file, and nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import videos
from tests.pipelines.conftest import Run


@pytest.fixture(scope="module")
def spliced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shots of 30 and 40 frames at 25 frames a second."""
    frames = [*videos.scene_frames(30, seed=1), *videos.scene_frames(40, seed=2)]
    return videos.write_video(tmp_path_factory.mktemp("spliced") / "two.mp4", frames)


def test_shots_only_prints_the_cuts_and_writes_nothing(
    rushes: Run, spliced: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = rushes("curate", spliced, "--shots-only", "--json")
    assert code == 0, err
    (cut,) = json.loads(out)
    assert cut | {"score": None} == {
        "source": str(spliced),
        "frame": 30,
        "end_frame": 30,
        "seconds": 1.2,
        "kind": "hard",
        "score": None,
        "detector": "cascade",
    }
    assert 0 < cut["score"] <= 1
    assert not list(tmp_path.iterdir())


def test_shots_only_goes_past_a_bad_file_and_says_so_when_all_are_bad(
    rushes: Run, spliced: Path, tmp_path: Path
) -> None:
    (empty := tmp_path / "empty.mp4").touch()
    code, out, err = rushes("curate", empty, spliced, "--shots-only", "--json", "--detector", "adaptive")
    assert code == 0
    assert [cut["frame"] for cut in json.loads(out)] == [30]
    assert f"{empty}: empty_file" in err
    code, out, err = rushes("curate", empty, "--shots-only", "--json", "--detector", "adaptive")
    assert code == 2
    assert out == ""
    assert "empty_file" in err


@pytest.mark.parametrize(
    ("arguments", "said"), [([], "--out is missing"), (["--shots-only", "--detector", "adaptiv"], "'adaptive'")]
)
def test_curate_without_a_root_or_with_a_wrong_detector_is_said(
    rushes: Run, spliced: Path, arguments: list[str], said: str
) -> None:
    code, out, err = rushes("curate", spliced, *arguments)
    assert code == 2
    assert len(err.splitlines()) == 1
    assert out == ""
    assert said in err
