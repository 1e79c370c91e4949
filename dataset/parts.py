"""One Parquet part: its name, its rows, its bytes. No file system here.

A part is named by a hash of its key, so whoever retries a piece of work overwrites what the first attempt left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from media.errors import DatasetError

__all__ = ["PART_GLOB", "ROW_GROUP_BYTES", "is_part", "part_name", "serialise", "to_table"]

PART_GLOB: Final = "part-*.parquet"
"""What the name of a finished part looks like; nothing unfinished matches it."""

ROW_GROUP_BYTES: Final = 64 << 20
"""Uncompressed size that a row group aims at: large enough to scan fast, small enough to hold."""

_ROW_GROUP_ROWS: Final = 122_880
_ZSTD_LEVEL: Final = 3


def part_name(key: str) -> str:
    """Return the file name of the part with this `key`: `part-<128-bit BLAKE2b, hex>.parquet`."""
    return f"part-{blake2b(key.encode(), digest_size=16).hexdigest()}.parquet"


def is_part(name: str) -> bool:
    """Whether a file of this name is a finished part."""
    return name.startswith("part-") and name.endswith(".parquet")


def to_table(rows: Sequence[Mapping[str, Any]] | pa.Table, schema: pa.Schema, *, table: str) -> pa.Table:
    """Return `rows` as an Arrow table of exactly `schema`; a column that a row does not name is null.

    Raises DatasetError, naming `table`, row and column, for a column that the schema lacks, a value of the
    wrong type, or a null where none is allowed.
    """
    if isinstance(rows, pa.Table):
        return _conform(rows, schema, table)
    known = set(schema.names)
    for index, row in enumerate(rows):
        if unknown := set(row) - known:
            raise DatasetError(f"table {table}: row {index} has unknown columns: {', '.join(sorted(unknown))}")
    arrays = [_array([row.get(field.name) for row in rows], field, table) for field in schema]
    return _without_nulls(pa.Table.from_arrays(arrays, schema=schema), table)


def serialise(table: pa.Table, *, row_group_bytes: int = ROW_GROUP_BYTES) -> pa.Buffer:
    """Return `table` as the bytes of a Parquet file; the same table gives the same bytes.

    Text and numbers are compressed (zstd); columns of bytes hold JPEG and MP4 and are stored as they are.
    """
    binary = {path for field in table.schema for path, type_ in _leaves(field) if _is_binary(type_)}
    paths = [path for field in table.schema for path, _ in _leaves(field)]
    strings = [path for field in table.schema for path, type_ in _leaves(field) if pa.types.is_string(type_)]
    repeating = [path for path in strings if path != "clip_id"]  # which is another in every row: no dictionary helps
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression={path: "NONE" if path in binary else "ZSTD" for path in paths},
        compression_level={path: _ZSTD_LEVEL for path in paths if path not in binary},
        use_dictionary=repeating,
        write_statistics=[path for path in paths if path not in binary],
        write_page_checksum=True,
    ) as writer:
        writer.write_table(table, row_group_size=_rows_per_group(table, row_group_bytes))
    return sink.getvalue()


def _rows_per_group(table: pa.Table, row_group_bytes: int) -> int:
    bytes_per_row = max(1, table.nbytes // max(1, table.num_rows))
    return int(max(1, min(_ROW_GROUP_ROWS, row_group_bytes // bytes_per_row)))


def _array(values: list[Any], field: pa.Field, table: str) -> pa.Array:
    try:
        return pa.array(values, field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        for index, value in enumerate(values):
            try:
                pa.array([value], field.type)
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as cause:
                where = f"table {table}: row {index}, column {field.name}"
                raise DatasetError(f"{where} wants {field.type}: {cause}") from error
        raise DatasetError(f"table {table}: column {field.name} wants {field.type}: {error}") from error


def _conform(rows: pa.Table, schema: pa.Schema, table: str) -> pa.Table:
    if unknown := set(rows.column_names) - set(schema.names):
        raise DatasetError(f"table {table}: unknown columns: {', '.join(sorted(unknown))}")
    columns = []
    for field in schema:
        if field.name not in rows.column_names:
            columns.append(pa.nulls(rows.num_rows, field.type))
            continue
        try:
            columns.append(rows.column(field.name).cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DatasetError(f"table {table}: column {field.name} wants {field.type}: {error}") from error
    return _without_nulls(pa.Table.from_arrays(columns, schema=schema), table)


def _without_nulls(table: pa.Table, name: str) -> pa.Table:
    for field in table.schema:
        column = table.column(field.name)
        if not field.nullable and column.null_count:
            row = column.is_null().index(pa.scalar(True)).as_py()
            raise DatasetError(f"table {name}: row {row} lacks {field.name}, which may not be null")
    return table


def _leaves(field: pa.Field, prefix: str = "") -> Iterator[tuple[str, pa.DataType]]:
    """Yield the Parquet path and type of every leaf column under `field`."""
    path = f"{prefix}{field.name}"
    kind = field.type
    if pa.types.is_struct(kind):
        for child in kind:
            yield from _leaves(child, f"{path}.")
    elif pa.types.is_map(kind):
        yield from _leaves(kind.key_field.with_name("key"), f"{path}.key_value.")
        yield from _leaves(kind.item_field.with_name("value"), f"{path}.key_value.")
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _leaves(kind.value_field.with_name("element"), f"{path}.list.")
    else:
        yield path, kind


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
