"""`rushes select --what-if`: the funnel, and where every threshold could stand, as text and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from curation.sweep import SHARES
from dataset import open_root
from tests.curation.test_select import clip
from tests.pipelines.conftest import Run


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    rows = [clip(i, luma_mean=i) for i in range(40)]
    open_root(tmp_path / "D", create=True).write_part("clips", rows, key="aa")
    (tmp_path / "r.yaml").write_text("light: luma_mean >= 20\nreal: kind = 'clip'\n")
    return tmp_path / "D"


def test_the_text_has_a_row_for_each_threshold(rushes: Run, dataset: Path) -> None:
    code, out, _ = rushes("select", dataset, "--rules", dataset.parent / "r.yaml", "--what-if")
    assert code == 0
    funnel, thresholds = out.strip().split("\n\n")
    assert funnel.splitlines()[-1] == "kept 20 of 40 clips"
    names, _, row = thresholds.splitlines()
    assert names.split("  ")[0] == "rule"
    assert [word.strip() for word in row.split("  ") if word] == [
        "light", "luma_mean >= 20", "20", "19: +1 = 21", "18: +2 = 22", "15: +5 = 25"
    ]  # fmt: skip
    assert not (dataset / "selections").exists()
    assert not (dataset / "runs").exists()


def test_json_has_it_all(rushes: Run, dataset: Path) -> None:
    code, out, _ = rushes("select", dataset, "--rules", dataset.parent / "r.yaml", "--what-if", "--json")
    assert code == 0
    told = json.loads(out)
    assert (told["total"], told["kept"], [row["rule"] for row in told["rows"]]) == (40, 20, ["light", "real"])
    (light,) = told["thresholds"]
    assert {name: light[name] for name in ("rule", "column", "sign", "value", "rejected_alone")} == {
        "rule": "light", "column": "luma_mean", "sign": ">=", "value": 20, "rejected_alone": 20
    }  # fmt: skip
    assert [move["share"] for move in light["moves"]] == list(SHARES)
    assert light["moves"][0] == {
        "share": 0.05, "value": 19, "gained": 1, "kept": 21, "predicate": "luma_mean >= 19"
    }  # fmt: skip


def test_a_move_can_be_tried_as_it_is_told(rushes: Run, dataset: Path) -> None:
    asked = ("select", dataset, "--rules", dataset.parent / "r.yaml", "--what-if", "--json")
    move = json.loads(rushes(*asked)[1])["thresholds"][0]["moves"][2]
    told = json.loads(rushes(*asked, "--change", f"light={move['predicate']}")[1])
    assert (told["kept_after"], told["gained"], told["lost"]) == (move["kept"], move["gained"], 0)


def test_rules_without_a_threshold_have_no_second_table(rushes: Run, dataset: Path) -> None:
    (dataset.parent / "r.yaml").write_text("real: kind = 'clip'\n")
    code, out, _ = rushes("select", dataset, "--rules", dataset.parent / "r.yaml", "--what-if")
    assert code == 0
    assert out.splitlines()[-1] == "kept 40 of 40 clips"
