"""Footage that arrives in Debian's packages: fetched by apt, without installing anything, and kept with the weights."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from experts import carriers

DATA = "usr/share/doc/opencv-doc/examples/data"


def opencv_example(name: str) -> Path:
    """Return a file of opencv-doc's examples; skip the test where Debian's archive cannot be had."""
    kept = carriers.home() / "debian" / name
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
            _download(Path(scratch))
            (Path(scratch) / DATA / name).rename(kept)
    return kept


def _download(into: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip("footage of Debian's package opencv-doc: this machine has no apt")
    done = subprocess.run(["apt-get", "download", "opencv-doc"], cwd=into, capture_output=True, text=True, check=False)
    packages = list(into.glob("*.deb"))
    if done.returncode != 0 or not packages:
        pytest.skip(f"footage of Debian's package opencv-doc: {done.stderr.strip()[-200:]}")
    subprocess.run(["dpkg-deb", "-x", packages[0].name, "."], cwd=into, capture_output=True, check=True)
