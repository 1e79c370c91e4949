"""Two datasets, or two runs, compared: which ids are in one only, which rows say something else, and the funnels.

Rows are joined by their ids, so neither order nor parts matter. What tells when and by which run a row was written
(`run_id`, `wall_s`) is no difference, nor are bytes compared: media by `media_hash`, keyframes not at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from dataset.catalogue import query
from dataset.root import Root, open_root
from dataset.tombstones import REMOVALS
from media.errors import UserError

__all__ = ["Difference", "RuleDiff", "Side", "TableDiff", "compare", "side"]

_RUN: Final = re.compile(r"(?P<root>.+)@(?P<run>\d{8}T\d{6}-[0-9a-f]{8})")
_KEYS: Final = {"videos": "video_id", "grades": "sample_id"}
_NO_DIFFERENCE: Final = frozenset({"run_id", "wall_s", "retrieved_at"})
_EXAMPLES: Final = 3


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: a dataset, or what one run wrote of it."""

    root: Root
    run_id: str | None = None

    def __str__(self) -> str:
        return self.root.uri + (f"@{self.run_id}" if self.run_id else "")


@dataclass(frozen=True, slots=True)
class TableDiff:
    """One table: how many ids are on one side only, on both, and on both with other values; and its columns."""

    table: str
    only_a: int
    only_b: int
    both: int
    changed: int
    changed_columns: dict[str, int]
    """How many rows of `both` have another value in a column; columns without any are left out."""

    columns_a: list[str]
    """Columns, with their types, that only the first side has."""

    columns_b: list[str]
    examples: dict[str, list[str]]
    """Some ids, the least first, under `only_a`, `only_b` and `changed`."""

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.only_a or self.only_b or self.changed or self.columns_a or self.columns_b)


@dataclass(frozen=True, slots=True)
class RuleDiff:
    """One rule of a selection: clips that it rejects on either side, None where the side does not have the rule."""

    selection: str
    rule: str
    predicate_a: str | None
    predicate_b: str | None
    rejected_a: int | None
    rejected_b: int | None


@dataclass(frozen=True, slots=True)
class Difference:
    """All that differs. `settings` are of two runs: path -> the value on either side."""

    a: str
    b: str
    tables: list[TableDiff]
    funnel: list[RuleDiff]
    settings: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        """Whether nothing differs; settings that left no trace in a row do not count."""
        rules = all((r.predicate_a, r.rejected_a) == (r.predicate_b, r.rejected_b) for r in self.funnel)
        return rules and all(table.same for table in self.tables)


def side(named: str) -> Side:
    """Return the side that `DATASET` or `DATASET@RUN_ID` names. Raises UserError for a run that left no record."""
    if (match := _RUN.fullmatch(named)) is None:
        return Side(open_root(named))
    root, run_id = open_root(match["root"]), match["run"]
    runs = [run["run_id"] for run in root.runs()]
    if run_id not in runs:
        raise UserError(f"{root.uri} has no run {run_id}; the newest are {', '.join(reversed(runs[-3:])) or 'none'}")
    return Side(root, run_id)


def compare(a: Side, b: Side) -> Difference:
    """Compare two sides. Memory is bounded by the ids of the largest table and what DuckDB spills to disk."""
    tables = [table for table in dict.fromkeys([*a.root.tables(), *b.root.tables()]) if table != REMOVALS]
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        found = [_table(connection, table, a, b) for table in tables]
    settings = _settings(a, b) if a.run_id and b.run_id else {}
    # A selection is one for the whole dataset: two runs of one have no funnels of their own.
    funnel = [] if a.run_id and b.run_id and a.root.uri == b.root.uri else _funnel(a.root, b.root)
    return Difference(str(a), str(b), [one for one in found if one is not None], funnel, settings)


def _table(connection: duckdb.DuckDBPyConnection, table: str, a: Side, b: Side) -> TableDiff | None:
    schemas = a.root.schema(table), b.root.schema(table)
    key = _KEYS.get(table.partition("/")[0], "clip_id")
    own = [[f"{f.name} {f.type}" for f in schema] for schema in schemas]
    shared = [f for f in schemas[0] if f"{f.name} {f.type}" in own[1] and f.name != key and _comparable(f)]
    for name, one, schema in zip("ab", (a, b), schemas, strict=True):
        connection.register(f"all_{name}", _rows(one, table, schema))
        _once(connection, name, key, shared, with_address=table == "videos")
    differs = [f"{_value('a', f)} IS DISTINCT FROM {_value('b', f)} AS d{i}" for i, f in enumerate(shared)]
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE joined AS
        SELECT coalesce(a.key_of_row, b.key_of_row) AS id,
               b.key_of_row IS NULL AS only_a, a.key_of_row IS NULL AS only_b
               {"".join(f", {one}" for one in differs)}
        FROM a FULL JOIN b USING (key_of_row)
    """)
    both = "NOT only_a AND NOT only_b"
    changed = " OR ".join(f"d{i}" for i in range(len(shared))) or "false"
    counts = [f"count(*) FILTER ({both} AND d{i})" for i in range(len(shared))]
    sql = f"""
        SELECT count(*) FILTER (only_a), count(*) FILTER (only_b), count(*) FILTER ({both}),
               count(*) FILTER ({both} AND ({changed})) {"".join(f", {one}" for one in counts)} FROM joined
    """
    only_a, only_b, in_both, n_changed, *per_column = connection.execute(sql).fetchall()[0]
    if not (only_a or only_b or in_both) and a.run_id and b.run_id:
        return None
    wheres = {"only_a": "only_a", "only_b": "only_b", "changed": f"{both} AND ({changed})"}
    return TableDiff(
        table=table,
        only_a=only_a,
        only_b=only_b,
        both=in_both,
        changed=n_changed,
        changed_columns={f.name: n for f, n in zip(shared, per_column, strict=True) if n},
        columns_a=[column for column in own[0] if column not in own[1]] if b.root.exists(table) else [],
        columns_b=[column for column in own[1] if column not in own[0]] if a.root.exists(table) else [],
        examples={name: ids for name, where in wheres.items() if (ids := _examples(connection, where))},
    )


def _once(
    connection: duckdb.DuckDBPyConnection, name: str, key: str, shared: Sequence[pa.Field], *, with_address: bool
) -> None:
    """Make the view `name` of `all_<name>` with each key once: of rows that share it, the same one wherever they lie.

    A source is a row for each of its addresses.
    """
    made = f"{key} || ' ' || uri" if with_address else key
    rows = f"(SELECT *, {made} AS key_of_row FROM all_{name})"
    total, keys = connection.execute(f"SELECT count(*), count(DISTINCT key_of_row) FROM {rows}").fetchall()[0]
    chosen = f"SELECT * FROM {rows}"
    if keys < total:
        values = ", ".join(["0", *(_value("r", f) for f in shared)])
        chosen = f"SELECT DISTINCT ON (key_of_row) * FROM {rows} r ORDER BY key_of_row, hash(row({values}))"
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {chosen}")


def _value(of: str, column: pa.Field) -> str:
    """Return the expression of a column's value; in which order a map has its keys is no difference."""
    value = f"{of}.{_quoted(column.name)}"
    return f"list_sort(map_entries({value}))" if pa.types.is_map(column.type) else value


def _examples(connection: duckdb.DuckDBPyConnection, where: str) -> list[str]:
    rows = connection.execute(f"SELECT id FROM joined WHERE {where} ORDER BY id LIMIT {_EXAMPLES}").fetchall()
    return [str(row[0]) for row in rows]


def _rows(one: Side, table: str, schema: pa.Schema) -> Any:
    if not one.root.exists(table):
        return schema.empty_table()
    rows = one.root.dataset(table, schema)
    return rows if one.run_id is None else rows.filter(pc.field("run_id") == one.run_id)


def _comparable(column: pa.Field) -> bool:
    return column.name not in _NO_DIFFERENCE and not any(_is_binary(kind) for kind in _leaves(column.type))


def _leaves(kind: pa.DataType) -> Iterator[pa.DataType]:
    if pa.types.is_map(kind):
        yield from _leaves(kind.key_type)
        yield from _leaves(kind.item_type)
    elif pa.types.is_struct(kind):
        for child in kind:
            yield from _leaves(child.type)
    elif pa.types.is_nested(kind):
        yield from _leaves(kind.value_type)
    else:
        yield kind


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _funnel(a: Root, b: Root) -> list[RuleDiff]:
    sql = "SELECT selection, rule, predicate, rejected FROM funnel"
    found: list[dict[tuple[str, str], tuple[str, int]]] = [
        {(row["selection"], row["rule"]): (row["predicate"], row["rejected"]) for row in query(root, sql).to_pylist()}
        for root in (a, b)
    ]
    nothing = (None, None)
    rules = []
    for selection, rule in dict.fromkeys([*found[0], *found[1]]):
        (predicate_a, rejected_a), (predicate_b, rejected_b) = (one.get((selection, rule), nothing) for one in found)
        rules.append(RuleDiff(selection, rule, predicate_a, predicate_b, rejected_a, rejected_b))
    return rules


def _settings(a: Side, b: Side) -> dict[str, tuple[Any, Any]]:
    """Return what differs between two runs' configs, versions and counts, by their paths."""
    told = [next(run for run in one.root.runs() if run["run_id"] == one.run_id) for one in (a, b)]
    flat = [
        dict(_flat({k: run.get(k) for k in ("command", "config", "versions", "counts", "outcome")})) for run in told
    ]
    paths = [path for path in dict.fromkeys([*flat[0], *flat[1]]) if "seconds" not in path]
    return {p: (flat[0].get(p), flat[1].get(p)) for p in paths if flat[0].get(p) != flat[1].get(p)}


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path, json.loads(json.dumps(value, default=str))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
