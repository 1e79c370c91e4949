"""Which files a source means."""

from __future__ import annotations

from pathlib import Path

import pytest

from media.errors import ConfigError
from pipelines.sources import expand


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b.mp4", "a.mp4", "deep/c.png", ".hidden/d.mp4", "deep/.e.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(b"x")
    return tmp_path


def test_a_folder_is_every_file_below_it_but_hidden_ones(tree: Path) -> None:
    assert [Path(p).name for p in expand([str(tree)])] == ["a.mp4", "b.mp4", "c.png"]


def test_repeats_count_once_and_paths_are_absolute(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert expand(["a.mp4", "a.mp4", str(tree / "a.mp4")]) == [str(tree / "a.mp4")]


def test_a_pattern_is_expanded(tree: Path) -> None:
    assert [Path(p).name for p in expand([str(tree / "*.mp4")])] == ["a.mp4", "b.mp4"]
    assert [Path(p).name for p in expand([str(tree / "**" / "*.png")])] == ["c.png"]


def test_an_address_passes_through() -> None:
    assert expand(["https://example.com/a.mp4"]) == ["https://example.com/a.mp4"]


@pytest.mark.parametrize("uri", ["nowhere.mp4", "nothing/*.mp4"])
def test_what_is_not_there_is_an_error_that_names_it(uri: str) -> None:
    with pytest.raises(ConfigError, match=uri.replace("*", r"\*")):
        expand([uri])
