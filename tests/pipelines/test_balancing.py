"""`rushes balance`: the report as tables and as JSON, what is written, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dataset import open_root, query
from tests.curation.test_balance import OF, fill
from tests.pipelines.conftest import Run


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    fill(open_root(tmp_path / "D", create=True))
    return tmp_path / "D"


def test_the_tables_tell_every_axis_before_and_after(rushes: Run, dataset: Path) -> None:
    code, out, _ = rushes("balance", dataset, "--clusters", 3, "--alpha", 1)
    assert code == 0
    assert out.startswith("16 clips of the dataset; concepts by clip.clip_embedding")
    lines = [line.split() for line in out.splitlines()]
    assert ["dog", "12", "75.0%", "33.3%"] in [[word for word in line if word != "│"] for line in lines]
    for axis in ("concept", "motion", "camera"):
        assert f"{axis}: as diverse as 2.0 equal groups, 3.0 by the weights" in out
    assert "weights at alpha 1: " in out


def test_json_tells_the_same_and_the_table_is_there(rushes: Run, dataset: Path) -> None:
    code, out, _ = rushes("balance", dataset, "--clusters", 3, "--name", "even", "--alpha", 1, "--json")
    assert code == 0
    told = json.loads(out)
    assert (told["clips"], told["name"], told["alpha"]) == (len(OF), "even", 1)
    concept = next(axis for axis in told["axes"] if axis["axis"] == "concept")
    assert [(g["name"], g["clips"]) for g in concept["groups"]] == [("dog", 12), ("boat", 3), ("city", 1)]
    root = open_root(dataset)
    assert query(root, "select distinct run_id from balance").to_pylist() == [{"run_id": told["run_id"]}]
    run = next(run for run in root.runs() if run["run_id"] == told["run_id"])
    assert (run["command"], run["outcome"], run["config"]["clusters"]) == ("balance", "done", 3)


def test_weights_that_replace_the_last_ones_warn_of_nothing(rushes: Run, dataset: Path) -> None:
    for alpha in (0.5, 1):
        code, _, err = rushes("balance", dataset, "--clusters", 3, "--alpha", alpha)
        assert (code, "warning" in err) == (0, False), err


def test_many_concepts_are_shown_in_short(rushes: Run, dataset: Path) -> None:
    from pipelines.cli import balancing

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(balancing, "_SHOWN", 1)
        _, out, _ = rushes("balance", dataset, "--clusters", 3)
    assert "and 2 more" in out
    assert "boat" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--concepts", "nobody.vector"), "no expert 'nobody'"),
        (("--concepts", "vector"), "write auto, words or EXPERT.COLUMN, for instance clip.clip_embedding"),
        (("--selection", "strict"), None),
    ],
)
def test_a_mistake_is_one_line(rushes: Run, dataset: Path, arguments: tuple[str, ...], message: str | None) -> None:
    if message is None:
        open_root(dataset).write_part("selections/default", [], key="verdicts")
        message = "no selection is called 'strict' (there are: default)"
    code, out, err = rushes("balance", dataset, *arguments)
    assert (code, out) == (2, "")
    assert message in err.splitlines()[-1]
    assert not (dataset / "balance").exists()
