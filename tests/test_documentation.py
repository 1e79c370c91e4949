"""The documentation is true: every command and setting is explained, and what a page names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dataset.schema import BASE_TABLES
from pipelines import reference
from pipelines.config import RunConfig

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")
COMMANDS = reference.commands()


def test_the_commands_of_the_house_are_there() -> None:
    wanted = {"demo", "run", "weights", "curate", "caption", "augment", "select", "shard", "query", "plan"}
    wanted |= {"train", "generate", "evaluate", "report", "doctor"}
    assert wanted <= {name.split()[0] for name in COMMANDS}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_explains_itself_with_an_example(name: str) -> None:
    assert f"Example: rushes {name}" in (COMMANDS[name].help or "")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_of_a_command_is_explained(name: str) -> None:
    silent = [p.name for p in COMMANDS[name].params if p.name != "help" and not getattr(p, "help", None)]
    assert not silent


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, _, t in reference.settings(RunConfig)])
def test_a_setting_is_described(name: str, text: str) -> None:
    assert len(text) > 10


@pytest.mark.parametrize("table", BASE_TABLES)
def test_every_column_of_the_contract_is_explained(table: str) -> None:
    silent = [column.name for column in BASE_TABLES[table] if len(column.doc) < 5]
    assert not silent


@pytest.mark.parametrize(
    ("page", "make"),
    [("reference", reference.reference_page), ("columns", reference.columns_page), ("models", reference.models_page)],
)
def test_the_written_reference_is_up_to_date(page: str, make: object) -> None:
    assert callable(make)
    assert (ROOT / "docs" / f"{page}.md").read_text() == make(), "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_in_the_pages_exist(page: Path) -> None:
    known = {name.split()[0] for name in COMMANDS}
    assert set(re.findall(r"^(?:\$ )?rushes ([a-z]+)", page.read_text(), flags=re.MULTILINE)) <= known


def test_make_targets_in_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    said = set(re.findall(r"\bmake ([a-z][a-z-]+)", (ROOT / "README.md").read_text()))
    assert said <= targets
    assert {"test", "demo"} <= said


def test_no_path_of_a_developers_machine_is_committed() -> None:
    tracked = [p for room in ("docs", "pipelines", "benchmarks") for p in (ROOT / room).rglob("*.[mp][dy]")]
    assert not [
        str(p) for p in (*tracked, ROOT / "README.md") if re.search(r"(?<![\w.])/(?:work|home|root)/", p.read_text())
    ]
