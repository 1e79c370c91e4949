"""`rushes diff`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dataset import Root
from tests.dataset.build import caption_row, clip_row, small_dataset
from tests.pipelines.conftest import Run


@pytest.fixture
def two(tmp_path: Path) -> tuple[Root, Root]:
    return small_dataset(tmp_path / "a"), small_dataset(tmp_path / "b")


def test_what_is_the_same_is_said_in_a_line(rushes: Run, two: tuple[Root, Root]) -> None:
    code, out, _ = rushes("diff", two[0].path, two[1].path, "--exit-code")
    assert (code, out.strip()) == (0, "A and B say the same: 21 rows of 7 tables")


def test_what_differs_is_shown_with_examples(rushes: Run, two: tuple[Root, Root]) -> None:
    a, b = two
    b.write_part("clips", [clip_row(0, 5, "cc")], key="cc")
    b.write_part("captions", [caption_row("aa:0-10", short="a cat")], key="aa")
    code, out, _ = rushes("diff", a.path, b.path)
    assert code == 0
    assert "only in B, for instance: cc:0-5" in out
    assert "changed short: 1 rows" in out
    assert "only in A, for instance: aa:10-20, aa:20-30" in out
    assert rushes("diff", a.path, b.path, "--exit-code")[0] == 6


def test_json_tells_everything(rushes: Run, two: tuple[Root, Root]) -> None:
    a, b = two
    b.write_part("clips", [clip_row(0, 5, "cc")], key="cc")
    told = json.loads(rushes("diff", a.path, b.path, "--json")[1])
    assert told["same"] is False
    assert next(one for one in told["tables"] if one["table"] == "clips")["only_b"] == 1
    assert json.loads(rushes("diff", a.path, a.path, "--json")[1])["same"] is True


def test_what_is_no_dataset_is_told(rushes: Run, two: tuple[Root, Root], tmp_path: Path) -> None:
    code, _, err = rushes("diff", two[0].path, tmp_path / "none")
    assert (code, "there is no dataset at" in err) == (2, True)
