"""The step of the experts: what is lacking is computed, and what another model or version said is computed again."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

import experts
from dataset import Root, open_root, schema_of, verify
from media.errors import MissingModelError
from pipelines.engine import LocalEngine
from pipelines.progress import Reporter
from pipelines.renewal import forget_stale
from pipelines.steps import Work, expert_names, preflight, run_experts
from tests.pipelines.report_data import clips

EXPERT = """
from pathlib import Path

import pyarrow as pa

from dataset.schema import Column
from experts import weights
from experts.base import Resources


class Stamp:
    name = "{name}"
    version = "{version}"
    needs = "keyframes"
    roles = ("{name}_model",)
    columns = (Column("{name}_value", pa.{kind}(), "what the model's file says"),)
    resources = Resources()

    def __init__(self, profile, override, threads):
        found = weights.resolve("{name}_model", profile, override)
        self.model = found.ref
        self.value = {kind_of}(found.path.read_text())

    def measure(self, views):
        return [{{"{name}_value": self.value}} for view in views]

    def state(self, view, values):
        return []
"""


class House:
    """A dataset of clips, and a profile with two experts whose models are files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.profile = str(folder / "mine.yaml")
        for name in ("stamp", "seal"):
            self.write(name)
            self.model(name, "7")
        given = {
            "name": "mine",
            "roles": {
                f"{name}_model": {"license": "MIT", "model": f"{name}-net", "path": str(folder / f"{name}.bin")}
                for name in self.names
            },
            "experts": {name: f"{name}.py" for name in self.names},
        }
        (folder / "mine.yaml").write_text(yaml.safe_dump(given))
        self.root: Root = open_root(str(folder / "dataset"), create=True)
        self.root.write_part("clips", clips("r0"), schema_of("clips"), key="all")
        self.wanted = {row["clip_id"] for row in clips("r0") if row["kind"] != "pseudo"}

    names = ("stamp", "seal")

    def write(self, name: str, version: str = "1", kind: str = "int64") -> None:
        kind_of = "int" if kind == "int64" else "str"
        (self.folder / f"{name}.py").write_text(EXPERT.format(name=name, version=version, kind=kind, kind_of=kind_of))

    def model(self, name: str, content: str) -> None:
        (self.folder / f"{name}.bin").write_text(content)

    def run(self, run_id: str, names: Sequence[str] = names) -> tuple[dict[str, int], str]:
        """Run the step; return the rows that it wrote, by table, and what it told."""
        told = io.StringIO()
        work = Work(self.root, LocalEngine(), Reporter(stream=told), run_id)
        run_experts(work, self.profile, names)
        return {table: n for table, n in work.rows.items() if n}, told.getvalue()

    def rows(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.root.read(f"experts/{name}").to_pylist()
        assert sorted(row["clip_id"] for row in found) == sorted(self.wanted)  # one row a clip, never two
        return found

    def parts(self, name: str) -> dict[str, bytes]:
        table = f"experts/{name}"
        return {part: self.root.read_bytes(f"{table}/{part}") or b"" for part in self.root.parts(table)}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def of(rows: list[dict[str, Any]], column: str) -> set[Any]:
    return {row[column] for row in rows}


def test_rows_name_their_model_and_what_is_there_is_not_done_again(house: House) -> None:
    wrote, _ = house.run("r1")
    assert wrote == {"experts/stamp": 4, "experts/seal": 4}
    assert of(house.rows("stamp"), "model") == {"stamp-net"}
    assert {len(value) for value in of(house.rows("stamp"), "model_hash")} == {12}
    before = house.parts("stamp")
    wrote, told = house.run("r2")
    assert wrote == {}
    assert "again" not in told
    assert house.parts("stamp") == before


def test_another_model_computes_its_experts_table_again_and_no_other(house: House) -> None:
    house.run("r1")
    old, other = of(house.rows("stamp"), "model_hash"), house.parts("seal")
    house.model("stamp", "8")
    wrote, told = house.run("r2")
    assert wrote == {"experts/stamp": 4}
    rows = house.rows("stamp")
    assert of(rows, "stamp_value") == {8}
    assert of(rows, "run_id") == {"r2"}
    assert of(rows, "model_hash").isdisjoint(old)
    assert house.parts("seal") == other
    (line,) = [line for line in told.splitlines() if "again" in line]
    assert "expert stamp: 4 rows of stamp-net (" in line
    assert next(iter(old)) in line
    assert house.run("r3")[0] == {}
    wrong = {problem.kind for problem in verify(house.root) if problem.table.startswith("experts/")}
    assert wrong <= {"unknown_run"}  # the runs of this test leave no record


def test_another_version_may_have_other_columns(house: House) -> None:
    house.run("r1")
    house.write("stamp", version="2", kind="string")
    assert house.run("r2")[0] == {"experts/stamp": 4}
    assert of(house.rows("stamp"), "stamp_value") == {"7"}
    assert of(house.rows("stamp"), "version") == {"2"}


def test_rows_of_today_stay_beside_those_that_go(house: House) -> None:
    house.run("r1")
    rows = house.root.read("experts/stamp").to_pylist()
    old = {**rows[0], "model_hash": "0" * 12}
    for part in house.parts("stamp"):
        (house.folder / "dataset" / "experts" / "stamp" / part).unlink()
    schema = experts.schema(experts.load("stamp", house.profile))
    house.root.write_part("experts/stamp", [old, *rows[1:]], schema, key="mixed")
    assert house.run("r2")[0] == {"experts/stamp": 1}
    assert {row["clip_id"] for row in house.rows("stamp") if row["run_id"] == "r2"} == {old["clip_id"]}


def test_a_run_that_dies_after_letting_go_is_finished_by_the_next(house: House) -> None:
    house.run("r1")
    house.model("stamp", "9")
    have, told = forget_stale(house.root, "stamp", house.profile)
    assert (have, told is None) == (set(), False)
    assert house.root.count("experts/stamp") == 0
    assert house.run("r2")[0] == {"experts/stamp": 4}
    assert of(house.rows("stamp"), "stamp_value") == {9}


def test_without_the_model_nothing_is_let_go(house: House) -> None:
    house.run("r1")
    (house.folder / "stamp.bin").unlink()
    with pytest.raises(MissingModelError, match="stamp_model"):
        house.run("r2")
    assert of(house.rows("stamp"), "stamp_value") == {7}


def test_the_experts_of_a_profile_are_asked_for_by_name_and_their_models_found_first(house: House) -> None:
    assert set(house.names) < set(expert_names(house.profile))
    assert expert_names(house.profile, ["seal"]) == ["seal"]
    assert "seal" not in expert_names("embedded")
    preflight(house.profile, ["seal"])
    (house.folder / "seal.bin").unlink()
    with pytest.raises(MissingModelError, match="seal_model"):
        preflight(house.profile, ["seal"])
