"""The command `rushes explain`: one clip, in tables that a person can read."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pipelines.cli.common import Dataset, JsonFlag, print_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from pipelines.explain import Explanation

__all__ = ["explain", "register", "render"]

_LONGEST: Final = 160
_PIPED: Final = 140
"""Columns of the tables where no terminal says how many it has."""
_IDENTITY: Final = ("kind", "uri", "width_px", "height_px", "frames", "fps", "start_s", "end_s", "cut_in", "cut_out",
                    "motion", "run_id")  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(short_help="Print all that experts said of one clip.")(explain)


def explain(
    dataset: Dataset,
    clip_id: Annotated[str, typer.Argument(metavar="CLIP_ID", help="A clip's id, or enough of its beginning.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Its keyframes go into a folder here that is named for the clip.")
    ] = Path(),
    as_json: JsonFlag = False,
) -> None:
    """Print everything each expert said of one clip, by which model, and what was measured; write its keyframes.

    Example: rushes explain dataset CLIP_ID --out frames
    """
    import dataclasses

    from dataset import open_root
    from pipelines.explain import explain as gather
    from pipelines.explain import folder_name, write_keyframes

    found = gather(open_root(dataset), clip_id)
    pictures = write_keyframes(found, out / folder_name(found.clip_id))
    if as_json:
        print_json({**dataclasses.asdict(found), "keyframes": [str(path) for path in pictures]})
        return
    from rich.console import Console

    width = None if sys.stdout.isatty() else _PIPED
    render(found, pictures, Console(width=width, highlight=False, markup=False, emoji=False))


def render(found: Explanation, pictures: Iterable[Path], console: Console) -> None:
    """Print an explanation: the clip, the statements, the experts, their columns, the measured columns, the files."""
    console.print(_text(f"clip {found.clip_id}"), style="bold")
    shown = {name: found.clip[name] for name in _IDENTITY if found.clip.get(name) is not None}
    console.print(_text(", ".join(f"{name} {_value(value)}" for name, value in shown.items())))
    if found.said_of != found.clip_id:
        console.print(_text(f"The experts looked at its still, {found.said_of}."))
    if not found.said:
        console.print("No expert has looked at it: `rushes curate` runs them.")
    else:
        for table in (_statements(found), _experts(found), _columns(found)):
            console.print("", table)
    measured = _table("measured", "column", "value")
    for group, values in found.measured.items():
        _section(measured, group, values)
    console.print("", measured, "")
    console.print(_text("\n".join(["keyframes:", *(f"  {path}" for path in pictures)])))


def _table(*heads: str) -> Table:
    from rich.table import Table

    made = Table(title_justify="left", show_edge=False, pad_edge=False)
    for head in heads:
        made.add_column(head, overflow="fold")
    return made


def _statements(found: Explanation) -> Table:
    table = _table("expert", "dimension", "statement", "confidence", "frames")
    for said in found.said:
        for one in said.statements:
            sentence = f"{one['subject']} {one['predicate']} {one['value']}"
            frames = f"{one['first_frame']} to {one['end_frame'] - 1}"
            cells = (said.expert, one["dimension"], sentence, f"{one['confidence']:.2f}", frames)
            table.add_row(*map(_text, cells))
    if not table.rows:
        table.add_row("", "", "nothing was sure enough to be said")
    return table


def _experts(found: Explanation) -> Table:
    table = _table("expert", "version", "model", "hash", "statements", "error")
    for said in found.said:
        model = said.model or "no model: classical measures"
        cells = (said.expert, said.version, model, said.model_hash or "", len(said.statements), said.error or "")
        table.add_row(*map(_text, cells), style="red" if said.error else None)
    return table


def _columns(found: Explanation) -> Table:
    table = _table("expert", "column", "value")
    for said in found.said:
        _section(table, said.expert, said.values)
    return table


def _section(table: Table, group: str, values: Mapping[str, Any]) -> None:
    table.add_section()
    for at, (name, value) in enumerate(values.items()):
        table.add_row(*map(_text, (group if at == 0 else "", name, _value(value))))


def _value(value: Any) -> str:
    """Return a value as a person reads it: few digits, and of a long list its beginning and its length."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} {_value(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        parts = [_value(part) for part in value]
        length = 0
        for kept, part in enumerate(parts):
            length += len(part) + 2
            if length > _LONGEST and kept:
                return f"{', '.join(parts[:kept])} ... ({len(parts)} in all)"
        return ", ".join(parts) or "none"
    return str(value) or '""'


def _text(value: object) -> Any:
    """Return what rich prints as it is: no markup, and nothing that a terminal would obey."""
    from rich.text import Text

    return Text("".join(c if c.isprintable() or c == "\n" else "�" for c in str(value)))
