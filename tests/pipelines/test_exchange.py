"""`rushes export`: what it writes, prints and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from dataset.exporting import CAPTIONS, FORMATS
from dataset.shards import write_shard
from pipelines.cli import exchange
from pipelines.reference import commands
from tests.dataset.build import new_root
from tests.dataset.exports import READERS
from tests.dataset.test_exporting import row
from tests.pipelines.conftest import Run


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    root = new_root(tmp_path)
    write_shard(root, "train", [row("aa:0-10"), row("bb:0-10"), row("ref:0-10", media=None, cut="reference")], key="a")
    write_shard(root, "other", [row("cc:0-10")], key="a")
    return Path(root.path)


def test_it_tells_what_was_written_and_what_was_left_out(rushes: Run, dataset: Path, tmp_path: Path) -> None:
    code, out, _ = rushes("export", dataset, tmp_path / "out", "--format", "webdataset")
    assert code == 0
    assert out.splitlines() == [
        f"{tmp_path / 'out'}: 2 clips in 2 files, 0.0 MB",
        "left out 1 rows:",
        "  1  cut by reference: no media in the row",
    ]
    assert len(list(READERS["webdataset"](tmp_path / "out"))) == 2


def test_json_tells_the_same(rushes: Run, dataset: Path, tmp_path: Path) -> None:
    code, out, _ = rushes("export", dataset, tmp_path / "out", "--format", "diffusion-pipe", "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["rows"], told["format"]) == (2, "diffusion_pipe")
    assert told["skipped"] == {"cut by reference: no media in the row": 1}
    assert told["files"] == len([p for p in (tmp_path / "out").rglob("*") if p.is_file()])


def test_the_shard_set_and_the_caption_are_chosen(rushes: Run, dataset: Path, tmp_path: Path) -> None:
    code, _, _ = rushes(
        "export", dataset, tmp_path / "out", "--format", "mds", "--shards", "other", "--caption", "short"
    )
    assert code == 0
    assert [(r.name, r.caption) for r in READERS["mds"](tmp_path / "out")] == [("cc:0-10", "a dog runs")]


@pytest.mark.parametrize(
    ("how", "why"),
    [
        (["--format", "webdatset"], "no export format is called 'webdatset'; did you mean 'webdataset'?"),
        (["--format", "mds", "--shards", "nothing"], "has no shards named 'nothing'; there are: other, train"),
        (["--format", "mds", "--caption", "long"], "is not one of"),
        ([], "Missing option"),
    ],
)
def test_a_mistake_is_one_clear_error(rushes: Run, dataset: Path, tmp_path: Path, how: list[str], why: str) -> None:
    code, out, err = rushes("export", dataset, tmp_path / "out", *how)
    assert (code, out) == (2, "")
    assert why in err
    assert not (tmp_path / "out").exists()


def test_an_out_that_is_there_is_refused(rushes: Run, dataset: Path) -> None:
    code, _, err = rushes("export", dataset, dataset, "--format", "mds")
    assert code == 2
    assert "is there already" in err


def test_an_address_to_write_to_is_refused_and_makes_no_folder_of_that_name(
    rushes: Run, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    code, out, err = rushes("export", dataset, "s3://bucket/out", "--format", "mds")
    assert (code, out) == (2, "")
    assert "s3://bucket/out: an export is a local folder" in err
    assert sorted(tmp_path.iterdir()) == before


def test_the_help_names_every_format_and_caption() -> None:
    options = {option.name: option for option in commands()["export"].params}
    assert all(name in str(getattr(options["format"], "help", "")) for name in FORMATS)
    assert get_args(get_type_hints(exchange.export)["caption"]) == CAPTIONS
