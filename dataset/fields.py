"""A column of a table: its name, Arrow type and meaning, and the Arrow schema that is made of several."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

__all__ = ["Column", "arrow_schema", "struct_type"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, Arrow type, meaning, and whether a null is allowed."""

    name: str
    type: pa.DataType
    doc: str
    nullable: bool = True


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """Return the Arrow schema of `columns`, each field carrying its document as metadata."""
    return pa.schema(pa.field(c.name, c.type, nullable=c.nullable, metadata={"doc": c.doc}) for c in columns)


def struct_type(*columns: Column) -> pa.StructType:
    """Return the Arrow struct of `columns`, each field carrying its document as metadata."""
    return pa.struct(list(arrow_schema(columns)))
