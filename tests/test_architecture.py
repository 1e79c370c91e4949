"""The house stands as docs/architecture.md says: imports go one way, and each room is ignorant of what it should be."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("media", "dataset", "experts", "curation", "captioning", "training", "generation", "evaluation", "pipelines")
KNOWS_NOTHING_OF = {
    "media": {"ray", "torch", "transformers", "duckdb"},
    "dataset": {"ray", "torch", "transformers", "av", "decord"},
    "experts": {"ray", "captioning", "training", "av", "decord"},
    "curation": {"ray", "captioning", "av", "decord"},
    "captioning": {"ray", "training", "av", "decord"},
    "training": {"ray", "experts", "av", "decord"},
    "generation": {"ray", "dataset", "av", "decord"},
    "evaluation": {"ray", "training", "av", "decord"},
    "pipelines": {"av", "decord"},
}


def modules(room: str) -> Iterator[Path]:
    return (ROOT / room).rglob("*.py")


def imports(path: Path) -> set[str]:
    """Return the first names of every module that `path` imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_above_it(room: str) -> None:
    below = set(ROOMS[ROOMS.index(room) + 1 :]) | {"tests", "benchmarks"}
    wrong = {str(p.relative_to(ROOT)): names for p in modules(room) if (names := imports(p) & below)}
    assert not wrong


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_knows_nothing_of_what_is_not_its_business(room: str) -> None:
    wrong = {str(p.relative_to(ROOT)): names for p in modules(room) if (names := imports(p) & KNOWS_NOTHING_OF[room])}
    assert not wrong


@pytest.mark.parametrize("room", ROOMS)
def test_every_module_says_what_it_is_for(room: str) -> None:
    silent = [str(p.relative_to(ROOT)) for p in modules(room) if not ast.get_docstring(ast.parse(p.read_text()))]
    assert not silent


@pytest.mark.parametrize("room", ROOMS)
def test_files_stay_under_400_lines(room: str) -> None:
    long = {str(p.relative_to(ROOT)): n for p in modules(room) if (n := len(p.read_text().splitlines())) > 400}
    assert not long


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_declares_its_public_names_and_has_them(room: str) -> None:
    code = (
        f"import {room}; missing = [n for n in {room}.__all__ if not hasattr({room}, n)]; assert not missing, missing"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, cwd=ROOT)


def test_the_command_line_imports_nothing_heavy_before_it_is_needed() -> None:
    code = (
        "import sys, pipelines.cli; "
        "heavy = {'torch', 'ray', 'transformers', 'av', 'cv2', 'duckdb', 'pyarrow', 'pydantic', 'numpy'} "
        "& set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
