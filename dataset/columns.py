"""Every column, explained: the documents travel in the Parquet files' own metadata."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from dataset.root import GROUPS, Root, schema_of
from dataset.wide import wide_columns

__all__ = ["ColumnDoc", "column_docs"]


@dataclass(frozen=True, slots=True)
class ColumnDoc:
    """One column of one table; a field within a nested column is named `column.field`."""

    table: str
    column: str
    type: str
    doc: str


def column_docs(root: Root | None = None) -> list[ColumnDoc]:
    """Return the columns of every table that `root` holds, then those of the view `wide`.

    Without a root: the fixed columns, that every dataset has.
    """
    if root is None:
        tables = ["videos", "clips", "captions", "removals", *(f"{group}/<name>" for group in GROUPS)]
        schemas = {table: schema_of(table.replace("<name>", "name")) for table in tables}
    else:
        schemas = {table: root.schema(table) for table in root.tables()}
    found = [ColumnDoc(table, *row) for table, schema in schemas.items() for field in schema for row in _explain(field)]
    views = {table: schemas.get(table, schema_of(table)) for table in ("videos", "clips", "captions")}
    views["selections"] = schema_of("selections/name")
    views |= {
        f"expert_{table.partition('/')[2]}": schema
        for table, schema in schemas.items()
        if table.startswith("experts/") and "<" not in table
    }
    for column in wide_columns(views):
        found.append(ColumnDoc("wide", column.name, str(column.field.type), _doc(column.field)))
    return found


def _explain(field: pa.Field, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    name, kind = f"{prefix}{field.name}", field.type
    yield name, _short(kind), _doc(field)
    inner = kind.value_type if pa.types.is_list(kind) else kind
    if pa.types.is_struct(inner):
        for child in inner:
            yield from _explain(child, f"{name}.")


def _short(kind: pa.DataType) -> str:
    """Return a type's name; what is within a struct is listed below it."""
    if pa.types.is_struct(kind):
        return "struct"
    if pa.types.is_list(kind):
        return f"list<{_short(kind.value_type)}>"
    return str(kind)


def _doc(field: pa.Field) -> str:
    return bytes((field.metadata or {}).get(b"doc", b"")).decode()
