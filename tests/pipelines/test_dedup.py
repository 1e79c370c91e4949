"""`rushes dedup`: what is printed and written, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dataset import open_root
from tests.curation.test_duplicates import RULE, clip, with_vectors
from tests.curation.test_duplicates import dataset as made
from tests.curation.test_duplicates_parts import A, B, C, flipped
from tests.pipelines.conftest import Run


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    made(tmp_path, [clip("a", [A]), clip("b", [flipped(A, [0, 1, 2, 3])]), clip("c", [B]), clip("d", [C])])
    return tmp_path / "D"


def test_the_text_tells_what_was_found_and_the_run_is_recorded(rushes: Run, dataset: Path) -> None:
    code, out, _ = rushes("dedup", dataset)
    assert code == 0
    assert "of 4 clips 1 repeat another (0 exact, 1 near, 0 semantic), in 1 clusters: duplicates/default" in out
    run = next(run for run in open_root(dataset).runs() if run["command"] == "dedup")
    assert (run["outcome"], run["counts"]["rows"]) == ("done", {"duplicates/default": 2})
    assert run["config"]["distance"] == 8


def test_json_tells_the_same(rushes: Run, dataset: Path) -> None:
    code, out, _ = rushes("dedup", dataset, "--name", "strict", "--distance", 2, "--json")
    assert code == 0
    told = json.loads(out)
    assert (told["name"], told["clips"], told["clusters"], told["duplicates"]["near"]) == ("strict", 4, 0, 0)
    assert open_root(dataset).names("duplicates") == ["strict"]


def test_embeddings_add_semantic_duplicates(rushes: Run, dataset: Path) -> None:
    with_vectors(open_root(dataset), {"c": [1.0, 0.0], "d": [1.0, 0.01]})
    _, out, _ = rushes("dedup", dataset, "--embedding", "eyes.vector", "--json")
    assert json.loads(out)["duplicates"] == {"exact": 0, "near": 1, "semantic": 1}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--distance", 40], "distance"),
        (["--embedding", "eyes"], "`embedding`: write EXPERT.COLUMN, for instance clip.clip_embedding; not 'eyes'"),
        (["--embedding", "eyes.vector"], "no expert 'eyes'"),
        (["--name", "../x"], "is no table"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(rushes: Run, dataset: Path, arguments: list[str], says: str) -> None:
    code, _, err = rushes("dedup", dataset, *arguments)
    assert code == 2
    assert says in err


def test_a_search_that_replaces_the_last_one_or_has_another_name_warns_of_nothing(rushes: Run, dataset: Path) -> None:
    rushes("dedup", dataset)
    for arguments in (["--distance", 2], ["--name", "strict"]):
        code, _, err = rushes("dedup", dataset, *arguments)
        assert (code, "warning" in err) == (0, False), err


def test_the_selection_whose_clips_come_first_can_be_named(rushes: Run, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("not_a: \"clip_id not like 'a:%'\"\n")
    assert rushes("select", dataset, "--rules", tmp_path / "rules.yaml", "--name", "strict")[0] == 0
    for given, best in (("strict", "b:0-10"), ("all", "a:0-10")):
        code, _, err = rushes("dedup", dataset, "--selection", given)
        assert code == 0, err
        assert set(open_root(dataset).read("duplicates/default")["representative_id"].to_pylist()) == {best}
    code, _, err = rushes("dedup", dataset)
    assert (code, "no selection is called 'default' (there are: strict)" in err) == (2, True)


def test_select_takes_a_rule_that_drops_duplicates(rushes: Run, dataset: Path, tmp_path: Path) -> None:
    rushes("dedup", dataset)
    (tmp_path / "rules.yaml").write_text(f'no_duplicate: "{RULE}"\n')
    code, out, _ = rushes("select", dataset, "--rules", tmp_path / "rules.yaml", "--what-if")
    assert code == 0
    assert out.splitlines()[-1] == "kept 3 of 4 clips"
