"""`rushes card`: what it writes, says and refuses; and the licences of models, from the profiles that name them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dataset import Root, remove
from dataset.schema import expert_schema
from pipelines.licences import licence_of
from tests.dataset.build import RUN, caption_row
from tests.dataset.test_removal import A, full_dataset
from tests.pipelines.conftest import Run


@pytest.fixture
def root(tmp_path: Path) -> Root:
    root = full_dataset(tmp_path)
    said = {"backend": "embedded", "model": "SmolLM2-135M-Instruct-Q4_1", "model_hash": "b179c9523d0e"}
    root.write_part("captions", [caption_row("bb:0-10", **said)], key="bb")
    return root


def test_both_files_are_written_and_named(rushes: Run, root: Root) -> None:
    code, out, err = rushes("card", root.path, "--title", "Walks", "--creator", "us", "--version", "1.2.0")
    assert code == 0, err
    assert out.splitlines() == [f"{root.path}/README.md and croissant.json: written"]
    assert "# Walks" in Path(root.path, "README.md").read_text()
    made = json.loads(Path(root.path, "croissant.json").read_text())
    assert (made["name"], made["version"], made["creator"]["name"]) == ("Walks", "1.2.0", "us")


def test_the_language_model_s_licence_is_that_of_its_profile(rushes: Run, root: Root) -> None:
    rushes("card", root.path)
    line = next(row for row in Path(root.path, "README.md").read_text().splitlines() if "SmolLM2" in row)
    assert "| Apache-2.0 |" in line


def test_what_limits_its_use_is_said_at_once(rushes: Run, root: Root) -> None:
    said = {"version": "1", "model": "a net of nobody", "model_hash": "1", "clip_id": "aa:0-10", "run_id": RUN}
    root.write_part("experts/look", [said], expert_schema(()), key="a")
    code, out, _ = rushes("card", root.path, "--json")
    assert code == 0
    assert json.loads(out)["warnings"] == ["The licence of these models is not stated: a net of nobody."]


def test_a_profile_of_one_s_own_tells_the_licences_of_its_models(rushes: Run, root: Root, tmp_path: Path) -> None:
    said = {"version": "1", "model": "a net of nobody", "model_hash": "1", "clip_id": "aa:0-10", "run_id": RUN}
    root.write_part("experts/look", [said], expert_schema(()), key="a")
    role = {"model": "a net of nobody", "license": "MIT", "path": "net.onnx"}
    profile = tmp_path / "mine.yaml"
    profile.write_text(json.dumps({"name": "mine", "extends": "embedded", "roles": {"look": role}}))
    rushes("card", root.path, "--profile", profile)
    assert "| look | 1 | a net of nobody | 1 | MIT | 1 |" in Path(root.path, "README.md").read_text()


def test_a_dataset_that_stores_removed_rows_is_not_described(rushes: Run, root: Root) -> None:
    remove(root, A, run_id=RUN)
    code, _, err = rushes("card", root.path)
    assert (code, "run `rushes compact` before it is published" in err) == (2, True)
    rushes("compact", root.path)
    assert rushes("card", root.path)[0] == 0


@pytest.mark.parametrize(
    ("model", "license"),
    [
        (None, None),
        ("a net of nobody", None),
        ("my-noncommercial-finetune-of-all-MiniLM-L6-v2", None),
        ("SmolLM2-135M-Instruct-Q4_1", "Apache-2.0"),
        ("conse(efficientnet-lite0, all-MiniLM-L6-v2)", "Apache-2.0"),
    ],
)
def test_a_model_s_licence_is_known_by_its_name(model: str | None, license: str | None) -> None:
    assert licence_of(model) == license
