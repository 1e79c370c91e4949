"""What the doctor says, of machines that are well and of machines that are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experts import weights
from pipelines import doctor

Installed = Callable[..., None]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    """Say which versions of packages are installed; every other is not."""

    def say(**versions: str) -> None:
        known = {name.replace("_", "-"): version for name, version in versions.items()}
        monkeypatch.setattr(doctor, "_version", lambda name: known.get(name.replace("_", "-")))

    return say


@pytest.fixture
def nothing_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RUSHES_HOME", str(tmp_path / "home"))


def profile(folder: Path, roles: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(f"name: mine\nroles:\n{roles}")
    return str(path)


@pytest.mark.parametrize("version", ["2.13.0", "2.13.0+cpu", "2.13.0+cu130"])
def test_a_torchaudio_of_the_same_release_and_build_is_no_problem(installed: Installed, version: str) -> None:
    installed(torch=version, torchaudio=version)
    assert doctor._problems() == []


@pytest.mark.parametrize(
    ("torch", "audio"), [("2.13.0+cpu", "2.13.0"), ("2.13.0+cpu", "2.13.0+cu130"), ("2.13.0+cpu", "2.9.1+cpu")]
)
def test_a_torchaudio_of_another_release_or_build_is_a_problem(installed: Installed, torch: str, audio: str) -> None:
    installed(torch=torch, torchaudio=audio)
    (problem,) = doctor._problems()
    assert f"torchaudio {audio} is not made for torch {torch}" in problem


def test_no_torchaudio_is_no_problem(installed: Installed) -> None:
    installed(torch="2.13.0+cpu")
    assert doctor._problems() == []


def test_two_opencvs_are_a_problem(installed: Installed) -> None:
    installed(opencv_python="5.0", opencv_python_headless="4.14")
    (problem,) = doctor._problems()
    assert "opencv-python and opencv-python-headless" in problem
    installed(opencv_python_headless="4.14")
    assert doctor._problems() == []


@pytest.mark.usefixtures("nothing_fetched")
def test_what_lacks_is_got_in_the_way_of_its_source(tmp_path: Path) -> None:
    there = tmp_path / "there.onnx"
    there.write_bytes(b"weights")
    name = profile(
        tmp_path,
        "  carried: {model: a, license: MIT, carrier: timm, file: x.txt}\n"
        "  packed: {model: b, license: MIT, package: rapidocr, file: no/such.onnx}\n"
        "  foreign: {model: c, license: MIT, package: no_such_package, file: x.onnx}\n"
        f"  local: {{model: d, license: MIT, path: {tmp_path / 'gone.onnx'}}}\n"
        f"  here: {{model: e, license: MIT, path: {there}}}\n",
    )
    found = doctor.examine(name)
    assert found.lacking == ["carried", "foreign", "local", "packed"]
    assert found.remedies == {
        f"run `rushes weights pull --profile {name}`": ["carried"],
        "install the Python package no_such_package": ["foreign"],
        f"put them at {tmp_path / 'gone.onnx'}, or correct the profile": ["local"],
        "run `pip install -e '.[embedded]'` in the checkout (it brings rapidocr)": ["packed"],
        "run `rushes weights pull --footage`": ["footage"],
    }
    text = str(found)
    assert f"Lacking: local. To get it: put them at {tmp_path / 'gone.onnx'}" in text
    assert "All is there" not in text


@pytest.mark.usefixtures("nothing_fetched")
def test_footage_that_is_not_here_is_said_and_is_no_missing_model(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"weights")
    found = doctor.examine(profile(tmp_path, f"  tags: {{model: a, license: MIT, path: {tmp_path / 'x.onnx'}}}\n"))
    assert found.lacking == []
    assert [row["present"] for row in found.footage] == [False] * 3
    assert "To get it: run `rushes weights pull --footage`" in str(found)


def test_footage_that_is_here_is_listed() -> None:
    files = weights.footage().files
    found = doctor._footage()
    assert sum(row["files"] for row in found) == len(files)
    assert all(row["present"] for row in found)


def test_the_text_names_the_extra_that_a_package_comes_with() -> None:
    packages: dict[str, dict[str, str | None]] = {"embedded": {"rapidocr": "3.10.0", "xllamacpp": None}, "core": {}}
    row: dict[str, Any] = {"role": "tags", "model": "a", "license": "MIT", "source": "timm", "present": True}
    well = doctor.Examination({"cores": 2}, packages, "embedded", [row], [], {}, [])
    lines = str(well).split("\n")
    assert "  embedded  rapidocr 3.10.0; not installed: xllamacpp  (pip install -e '.[embedded]')" in lines
    assert lines[-1].startswith("All is there.")
    ill = doctor.Examination({}, {}, "embedded", [row], [], {}, ["something is wrong"])
    assert str(ill).endswith("\nProblem: something is wrong")
