"""Two datasets, or two runs, side by side: diff."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.common import JsonFlag, print_json, table

if TYPE_CHECKING:
    from dataset.diff import Difference

__all__ = ["register"]

_SHOWN_COLUMNS = 6
_FIRST = ("videos", "clips")


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(short_help="Compare two datasets, or two runs.")(diff)


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A dataset, or DATASET@RUN_ID: what that run wrote of it.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 6 if they differ.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Compare two datasets, or two runs, by id: rows on one side only, rows that say something else, columns, funnels.

    Example: rushes diff yesterday/dataset today/dataset

    Two runs: rushes diff dataset@20261101T100000-0a1b2c3d dataset@20261102T100000-4e5f6071
    """
    from dataset.diff import compare, side

    found = compare(side(a), side(b))
    if as_json:
        print_json({"same": found.same, **dataclasses.asdict(found)})
    else:
        print(_text(found))
    if exit_code and not found.same:
        raise typer.Exit(6)


def _text(found: Difference) -> str:
    if found.same and not found.settings:
        return f"A and B say the same: {sum(one.both for one in found.tables)} rows of {len(found.tables)} tables"
    parts = [f"A  {found.a}\nB  {found.b}", table([_row(one) for one in found.tables])]
    # Where clips are on one side only, so is what was said of them: their ids are shown once.
    explained = {kind for one in found.tables if one.table == "clips" for kind in one.examples}
    for one in found.tables:
        lines = [f"  only in {name}: {column}" for name, columns in (("A", one.columns_a), ("B", one.columns_b))
                 for column in columns]  # fmt: skip
        most = sorted(one.changed_columns.items(), key=lambda item: -item[1])
        lines += [f"  changed {column}: {count} rows" for column, count in most[:_SHOWN_COLUMNS]]
        lines += [f"  and {len(most) - _SHOWN_COLUMNS} more columns"] if len(most) > _SHOWN_COLUMNS else []
        names = {"only_a": "only in A", "only_b": "only in B", "changed": "changed"}
        lines += [
            f"  {names[kind]}, for instance: {', '.join(ids)}"
            for kind, ids in one.examples.items()
            if kind == "changed" or one.table in _FIRST or kind not in explained
        ]
        parts += ["\n".join([one.table, *lines])] if lines else []
    rules = [r for r in found.funnel if (r.predicate_a, r.rejected_a) != (r.predicate_b, r.rejected_b)]
    if rules:
        parts.append("Rules that differ\n" + table([dataclasses.asdict(rule) for rule in rules]))
    if found.settings:
        parts.append("Settings\n" + table([{"setting": k, "A": v[0], "B": v[1]} for k, v in found.settings.items()]))
    return "\n\n".join(parts)


def _row(one: Any) -> dict[str, Any]:
    return {
        "table": one.table,
        "only in A": one.only_a,
        "only in B": one.only_b,
        "both": one.both,
        "changed": one.changed,
    }
