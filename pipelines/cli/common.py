"""What the commands share: options, tables, JSON."""

from __future__ import annotations

import datetime as dt
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

import typer

__all__ = ["Dataset", "JsonFlag", "Profile", "Workers", "emit", "funnel_text", "print_json", "table"]

Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="The dataset root: a local folder, s3:// or gs://.")]
Profile = Annotated[str, typer.Option(help="Which models fill the experts' roles: embedded, standard, or a YAML file.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Workers = Annotated[int | None, typer.Option(help="Workers; default: one a core.", min=1)]
EngineKind = Annotated[
    Literal["ray", "local"], typer.Option("--engine", help="ray, or local: one process without Ray.")
]

CELL = 60


def print_json(value: Any) -> None:
    """Print `value` as JSON on standard output."""
    sys.stdout.write(json.dumps(_plain(value), indent=2, ensure_ascii=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(v) for v in value]
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, (dt.datetime, dt.date)):
        return value.isoformat()
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    return str(value)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    text = " ".join(str(_plain(value)).split())
    return text if len(text) <= CELL else text[: CELL - 1] + "…"


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> str:
    """Return `rows` as an aligned text table; numbers to the right."""
    names = list(columns or (rows[0].keys() if rows else ()))
    cells = [[_cell(row.get(n)) for n in names] for row in rows]
    widths = [max([len(n), *(len(line[i]) for line in cells)]) for i, n in enumerate(names)]
    right = [all(isinstance(r.get(n), (int, float, type(None))) for r in rows) for n in names]

    def line(values: Iterable[str]) -> str:
        return "  ".join(
            v.rjust(w) if r else v.ljust(w) for v, w, r in zip(values, widths, right, strict=True)
        ).rstrip()

    return "\n".join([line(names), line("─" * w for w in widths), *map(line, cells)])


def emit(rows: Sequence[Mapping[str, Any]], as_json: bool, columns: Sequence[str] | None = None) -> None:
    """Print rows as JSON or as a table."""
    if as_json:
        print_json(rows)
    elif rows:
        print(table(rows, columns))
    else:
        print("(no rows)")


def funnel_text(funnel: Any) -> str:
    """Return a selection's funnel as text: what each rule rejects, and what it alone rejects."""
    rows = [
        {
            "rule": row.rule,
            "rejected": row.rejected,
            "by it alone": row.rejected_alone,
            "not measured": row.rejected_null,
            "predicate": " ".join(row.predicate.split()),
        }
        for row in funnel.rows
    ]
    return f"{table(rows)}\nkept {funnel.kept} of {funnel.total} clips"
