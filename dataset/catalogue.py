"""The catalogue: a dataset seen through DuckDB.

Tables are Arrow datasets registered as views, so DuckDB reads only the columns and rows that a query asks for, from
a local disk or an object store, and needs no extension. Once the views are made the connection is locked: it
cannot open a file, load an extension, or change a setting back.

Views: `videos`, `clips`, `captions`, `shards`, `selections`, `duplicates`, `balance`, `grades`, `runs`, one
`expert_<name>` for each expert, `caption_lint` (what the captions share with each other), `rejects` (a row per clip
and rule that rejected it), `funnel` (a row per rule), `removals` (sources that were taken out, of which no other view
shows anything), and `wide` (a row per clip: the clip, its caption, its verdict in the selection named `default`, and
every expert). They exist, empty, when the tables do not.
"""

from __future__ import annotations

import json
import re
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from dataset.messages import explain
from dataset.root import Root, schema_of
from dataset.schema import CAPTION_LINT, CAPTION_LINT_COLUMNS, arrow_schema
from dataset.tombstones import REMOVALS, living
from dataset.uniqueness import unique_tables
from dataset.wide import views_needed, wide_columns, wide_sql
from media.errors import CorruptionError, QueryError

__all__ = ["DEFAULT_SELECTION", "RULES_KEY", "connect", "query", "query_on", "view_columns"]

DEFAULT_SELECTION: Final = "default"
"""The selection whose verdicts `wide` shows."""

RULES_KEY: Final = b"rules"
"""Where a selection's part keeps its rules: in the schema's metadata, a JSON list of [name, predicate, nulls]."""

_SETS: Final = {"shards": "shard_set", "uncut": "shard_set", "selections": "selection",
                "duplicates": "duplicate_set", "balance": "balance_set", "grades": "grade_set"}  # fmt: skip
_LOCK: Final = (
    "SET enable_progress_bar = false",
    # Arrow scans tell no sizes, so a guess would choose what a join holds in memory: let it be what is written right.
    "SET disabled_optimizers = 'build_side_probe_side'",
    "SET python_enable_replacements = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
_UNIQUE: Final = "/unique"
"""The connection's own view of the views that have one row for each id; its name is none that a dataset can have."""

_READING: Final = frozenset({"SELECT", "EXPLAIN"})
_UNREADABLE: Final = re.compile(r"reading the stream registered as '.*' failed")
_RULES: Final = pa.schema(
    {"selection": pa.string(), "position": pa.int32(), "rule": pa.string(), "predicate": pa.string(),
     "rejected_null": pa.int64()}
)  # fmt: skip
_RUNS: Final = pa.schema(
    [(name, pa.string()) for name in ("run_id", "command", "outcome", "started", "finished", "config_hash")]
    + [("wall_s", pa.float64())]
    + [(name, pa.string()) for name in ("config", "versions", "counts")]
)
_REJECTS: Final = """
CREATE VIEW rejects AS
SELECT selection, clip_id, unnest(rejected_by) AS rule, len(rejected_by) = 1 AS alone
FROM selections WHERE NOT kept
"""
_FUNNEL: Final = """
CREATE VIEW funnel AS
WITH totals AS (SELECT selection, count(*) AS total, count(*) FILTER (kept) AS kept FROM selections GROUP BY ALL),
counts AS (SELECT selection, rule, count(*) AS n, count(*) FILTER (alone) AS alone FROM rejects GROUP BY ALL)
SELECT selection, rule, predicate, coalesce(n, 0) AS rejected, coalesce(alone, 0) AS rejected_alone,
       rejected_null, coalesce(total, 0) AS total, coalesce(kept, 0) AS kept
FROM selection_rules LEFT JOIN totals USING (selection) LEFT JOIN counts USING (selection, rule)
ORDER BY selection, position
"""


def connect(root: Root) -> duckdb.DuckDBPyConnection:
    """Return a connection that sees `root` as it is now, and nothing else; see the module for its views.

    What is written later is seen by the next connection. Large sorts and joins spill into a temporary folder.
    """
    connection = duckdb.connect(":memory:")
    spill = Path(tempfile.gettempdir(), f"rushes-spill-{uuid.uuid4().hex}")
    connection.execute(f"SET temp_directory = {_text(str(spill))}")
    schemas = {table: _register(connection, root, table, table) for table in ("videos", "clips", "captions", REMOVALS)}
    for name in root.names("experts"):
        schemas[f"expert_{name}"] = _register(connection, root, f"experts/{name}", f"expert_{name}")
    for group, column in _SETS.items():
        schemas[group] = _union(connection, root, group, column)
    connection.register("caption_lint", _caption_lint(root))
    connection.register("selection_rules", _rules(root))
    connection.register("runs", _runs(root))
    unique = [view for table in sorted(unique_tables(root)) if (view := _view_of(table))]
    connection.register(_UNIQUE, pa.table({"view": pa.array(unique, pa.string())}))
    for statement in (_REJECTS, _FUNNEL, wide_sql(schemas, DEFAULT_SELECTION, unique=unique), *_LOCK):
        connection.execute(statement)
    return connection


def query(root: Root, sql: str) -> pa.Table:
    """Run one SELECT over the views of `root`.

    Raises QueryError, in one line, for SQL that does not run; it names the nearest column or view.
    """
    connection = connect(root)
    try:
        return query_on(connection, sql)
    finally:
        connection.close()


def query_on(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    """Run one SELECT on a connection that `connect` made; see `query`."""
    columns = view_columns(connection)
    try:
        statements = connection.extract_statements(sql)
        if len(statements) != 1:
            raise QueryError(f"a query is one statement; this has {len(statements)}")
        kind = _kind(statements[0])
        if kind not in _READING:
            raise QueryError(f"a query only reads: SELECT, DESCRIBE, SHOW or EXPLAIN, not {kind}")
        with _trimmed_wide(connection, sql, columns):
            return connection.sql(sql).to_arrow_table()
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        if _UNREADABLE.search(str(error)) or not isinstance(error, duckdb.Error):
            said = " ".join(str(error).split())
            raise CorruptionError(f"the dataset is damaged; `rushes verify` says where. {said}") from error
        raise QueryError(explain(error, (name for names in columns.values() for name in names), columns)) from error


def _kind(statement: duckdb.Statement) -> str:
    try:
        return str(statement.type).rpartition(".")[2]
    except ValueError:  # DuckDB has kinds of statements that its Python enumeration has no name for
        return "this statement"


@contextmanager
def _trimmed_wide(
    connection: duckdb.DuckDBPyConnection, sql: str, columns: Mapping[str, Sequence[str]]
) -> Iterator[None]:
    """Let `wide` join, for the time of one query, only the tables that the query mentions: each join costs seconds."""
    tree = json.loads(connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()[0][0])
    schemas = {view: pa.schema([(name, pa.null()) for name in names]) for view, names in columns.items()}
    views = None if tree.get("error") else views_needed(tree, wide_columns(schemas))
    if views is None:
        yield
        return
    unique = _unique(connection)
    connection.execute(wide_sql(schemas, DEFAULT_SELECTION, views, unique))
    try:
        yield
    finally:
        connection.execute(wide_sql(schemas, DEFAULT_SELECTION, unique=unique))


def _view_of(table: str) -> str | None:
    """Return the view that shows what `wide` joins of a table; None for a selection that it does not show."""
    group, _, name = table.partition("/")
    if group == "experts":
        return f"expert_{name}"
    return group if name in ("", DEFAULT_SELECTION) else None


def _unique(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [str(row[0]) for row in connection.execute(f'SELECT view FROM "{_UNIQUE}"').fetchall()]


def view_columns(connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """Return the columns of every view of a connection that `connect` made."""
    found: dict[str, list[str]] = {}
    rows = connection.execute("SELECT table_name, column_name FROM information_schema.columns ORDER BY ALL").fetchall()
    for view, column in rows:
        if "/" not in view:
            found.setdefault(view, []).append(column)
    return found


def _register(connection: duckdb.DuckDBPyConnection, root: Root, table: str, view: str) -> pa.Schema:
    schema = root.schema(table)
    connection.register(view, root.dataset(table, schema) if root.exists(table) else schema.empty_table())
    return schema


def _union(connection: duckdb.DuckDBPyConnection, root: Root, group: str, column: str) -> pa.Schema:
    """Make the view of all tables of a group, with a column that says which of them a row is from."""
    names = root.names(group)
    for name in names:
        _register(connection, root, f"{group}/{name}", f"{group}/{name}")
    if not names:
        connection.register(f"{group}/", schema_of(f"{group}/x").empty_table())
    selects = [f'SELECT {_text(name)} AS {column}, * FROM "{group}/{name}"' for name in names]
    empty = f"SELECT '' AS {column}, * FROM \"{group}/\""
    connection.execute(f"CREATE VIEW {group} AS {' UNION ALL BY NAME '.join(selects or [empty])}")
    return schema_of(f"{group}/x")


def _caption_lint(root: Root) -> ds.Dataset | pa.Table:
    schema = arrow_schema(CAPTION_LINT_COLUMNS)
    if root.size(CAPTION_LINT) is None:
        return schema.empty_table()
    content = ds.dataset(root.location(CAPTION_LINT), schema=schema, format="parquet", filesystem=root.filesystem)
    kept = living("caption_lint", schema, root.removed())
    return content if kept is None else content.filter(kept)


def _rules(root: Root) -> pa.Table:
    rows = []
    for selection in root.names("selections"):
        metadata = root.part_schema(f"selections/{selection}", root.parts(f"selections/{selection}")[0]).metadata or {}
        for position, values in enumerate(json.loads(metadata.get(RULES_KEY, b"[]"))):
            described = dict(zip(("rule", "predicate", "rejected_null"), values, strict=True))
            rows.append({"selection": selection, "position": position, **described})
    return pa.Table.from_pylist(rows, schema=_RULES)


def _runs(root: Root) -> pa.Table:
    def plain(value: Any) -> Any:
        return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value

    rows = [{name: plain(run.get(name)) for name in _RUNS.names} for run in root.runs()]
    return pa.Table.from_pylist(rows, schema=_RUNS)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
