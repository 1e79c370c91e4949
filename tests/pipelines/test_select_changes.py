"""`rushes select --what-if --change`: what is printed, as text and as JSON, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dataset import open_root
from tests.curation.test_select import CLIPS, RULES
from tests.pipelines.conftest import Run


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    open_root(tmp_path / "D", create=True).write_part("clips", CLIPS, key="aa")
    (tmp_path / "r.yaml").write_text(
        "".join(f"{name}: {text.split('--')[0]}\n" for name, text in RULES.predicates.items())
    )
    return tmp_path / "D"


def test_the_text_tells_before_and_after_with_the_funnel_after(rushes: Run, dataset: Path) -> None:
    code, out, _ = rushes(
        "select", dataset, "--rules", dataset.parent / "r.yaml", "--what-if",
        "--change", "motion=flow_mean_px_per_s < 100", "--change", "sharp=",
    )  # fmt: skip
    assert code == 0
    lines = out.splitlines()
    assert lines[-1] == "kept 2 -> 5 of 6 clips: 3 gained, 0 lost"
    assert lines[-3] == "motion: flow_mean_px_per_s between 2 and 100 -> flow_mean_px_per_s < 100"
    assert [line.split()[0] for line in lines[2:4]] == ["motion", "kinds"]
    assert not (dataset / "selections").exists()
    assert not (dataset / "runs").exists()


def test_json_tells_the_same(rushes: Run, dataset: Path) -> None:
    code, out, _ = rushes(
        "select",
        dataset,
        "--rules",
        dataset.parent / "r.yaml",
        "--what-if",
        "--change",
        "kinds=kind = 'pseudo'",
        "--json",
    )
    assert code == 0
    told = json.loads(out)
    numbers = ("total", "kept_before", "kept_after", "gained", "lost")
    assert [told[name] for name in numbers] == [6, 2, 1, 0, 1]
    assert told["changes"] == [{"rule": "kinds", "before": "kind in ('clip', 'pseudo')", "after": "kind = 'pseudo'"}]
    assert (told["funnel"]["kept"], [row["rule"] for row in told["funnel"]["rows"]]) == (
        1,
        ["motion", "sharp", "kinds"],
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--change", "motion=true"), "--change only tries: add --what-if"),
        (("--what-if", "--change", "motion"), "rule=predicate"),
        (("--what-if", "--change", "motion=flow_mean > 1"), "did you mean flow_mean_px_per_s?"),
    ],
)
def test_a_mistake_is_one_line(rushes: Run, dataset: Path, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = rushes("select", dataset, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
