"""The documentation is true: every command and setting is explained, and what a page names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main
from pydantic import BaseModel

from pipelines.cli import app
from pipelines.config import RunConfig

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")


def commands() -> dict[str, str]:
    """Return every command with its help text."""
    group = typer.main.get_command(app)
    found = {}
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        if inner:
            found |= {f"{name} {sub}": c.help or "" for sub, c in inner.items()}
        else:
            found[name] = command.help or ""
    return found


def fields(model: type[BaseModel], prefix: str = "") -> dict[str, str]:
    """Return every setting of a config with its description."""
    found = {}
    for name, field in model.model_fields.items():
        found[prefix + name] = field.description or ""
        inner = [a for a in (field.annotation, *getattr(field.annotation, "__args__", ())) if isinstance(a, type)]
        for section in inner:
            if issubclass(section, BaseModel):
                found |= fields(section, f"{prefix}{name}.")
    return found


def test_the_commands_of_the_house_are_there() -> None:
    wanted = {"demo", "run", "weights", "curate", "caption", "augment", "select", "shard", "query", "plan"}
    wanted |= {"train", "generate", "evaluate", "report", "doctor"}
    assert wanted <= {name.split()[0] for name in commands()}
    assert {"weights list", "weights pull"} <= set(commands())


@pytest.mark.parametrize("name", sorted(commands()))
def test_a_command_explains_itself_with_an_example(name: str) -> None:
    assert f"Example: rushes {name}" in commands()[name]


@pytest.mark.parametrize("name", sorted(commands()))
def test_a_command_is_in_the_reference(name: str) -> None:
    assert f"`rushes {name}" in (ROOT / "docs" / "reference.md").read_text()


@pytest.mark.parametrize("name", sorted(fields(RunConfig)))
def test_a_setting_is_described(name: str) -> None:
    assert len(fields(RunConfig)[name]) > 10


@pytest.mark.parametrize("name", sorted(fields(RunConfig)))
def test_a_setting_is_in_the_reference(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "reference.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_in_the_pages_exist(page: Path) -> None:
    known = {name.split()[0] for name in commands()}
    said = set(re.findall(r"^(?:\$ )?rushes ([a-z]+)", page.read_text(), flags=re.MULTILINE))
    assert said <= known


def test_make_targets_in_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    said = set(re.findall(r"\bmake ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert said <= targets
    assert {"test", "demo"} <= said


def test_exit_codes_are_in_the_reference() -> None:
    from media.errors import EXIT_CODES

    text = (ROOT / "docs" / "reference.md").read_text()
    assert all(f"| {code} | {meaning} |" in text for code, meaning in EXIT_CODES.items())


def test_columns_are_in_the_reference() -> None:
    from dataset.schema import BASE_TABLES

    text = (ROOT / "docs" / "columns.md").read_text()
    lacking = [f"{t}.{c.name}" for t, columns in BASE_TABLES.items() for c in columns if f"`{c.name}`" not in text]
    assert not lacking
