"""The dataset root: a folder, local or in an object store, that holds the tables as Parquet parts.

Every write appears whole or not at all. On a local disk a part is written under `.tmp/` and renamed; in an object
store it is one upload, which the store shows only when it is complete. So every table is valid after a kill at any
moment, and readers look only at names that `is_part` knows.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from dataset.parts import ROW_GROUP_BYTES, is_part, part_name, serialise, to_table
from dataset.schema import BASE_TABLES, arrow_schema, expert_schema, grade_schema
from dataset.stores import again, patient
from dataset.tombstones import REMOVALS, living
from media.errors import BackendError, CorruptionError, DatasetError

__all__ = ["GROUPS", "MARKER", "SCRATCH", "Root", "open_root", "schema_of"]

MARKER: Final = "dataset.json"
"""The file that makes a folder a dataset; it holds the version of the layout."""

SCRATCH: Final = "scratch"
"""The folder for what one stage hands to the next; nothing below it is part of the dataset."""

GROUPS: Final = ("experts", "selections", "duplicates", "balance", "shards", "uncut", "grades")
"""Tables that come in named sets: `experts/<name>`, `shards/<name>` ..."""

_LAYOUT: Final = 1
_SINGLE: Final = ("videos", "clips", "captions", REMOVALS)
_TABLE: Final = re.compile(rf"({'|'.join(_SINGLE)})|({'|'.join(GROUPS)})/[A-Za-z0-9][A-Za-z0-9_.-]*")
_STORE: Final = re.compile(r"AWS Error|google::cloud|[Cc]url")
_FOOTER_THREADS: Final = 16


def schema_of(table: str) -> pa.Schema:
    """Return the fixed columns of `table`: `clips`, `selections/<name>`, `shards/<name>`, `experts/<name>` ...

    An expert and a set of grades add columns of their own; what a dataset really holds is `Root.schema`.
    Raises DatasetError for a name that is no table.
    """
    base = _check(table).partition("/")[0]
    if base == "experts":
        return expert_schema(())
    return grade_schema(()) if base == "grades" else arrow_schema(BASE_TABLES[base])


def open_root(uri: str | os.PathLike[str], create: bool = False) -> Root:
    """Open the dataset at `uri`: a local folder, `s3://bucket/prefix` or `gs://bucket/prefix`.

    With `create` it is made if it is missing. Raises DatasetError if it is missing, or is not a dataset. A store
    that speaks S3 elsewhere is named by `AWS_ENDPOINT_URL`, or by `?endpoint_override=host:port&scheme=http`.
    """
    root = Root(os.fspath(uri))
    marker = root.read_bytes(MARKER)
    if marker is None and not create:
        raise DatasetError(_missing(root))
    if marker is None:
        root.write_bytes(MARKER, json.dumps({"format": "rushes dataset", "layout": _LAYOUT}).encode() + b"\n")
    elif (layout := _layout(marker)) != _LAYOUT:
        raise DatasetError(f"{root.uri}: its layout is {layout}, this version of rushes reads {_LAYOUT}")
    return root


class Root:
    """A dataset's tables: reads and writes of whole parts. Made by `open_root`; can be pickled."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.filesystem, self.path = _filesystem(uri)
        self.local = isinstance(self.filesystem, pafs.LocalFileSystem)
        self._removed: tuple[tuple[str, ...], frozenset[str]] = (), frozenset()

    def __reduce__(self) -> tuple[type[Root], tuple[str]]:
        return type(self), (self.uri,)

    def __repr__(self) -> str:
        return f"Root({self.uri!r})"

    # Writing

    def write_part(
        self,
        table: str,
        rows: Sequence[Mapping[str, Any]] | pa.Table,
        schema: pa.Schema | None = None,
        *,
        key: str,
        row_group_bytes: int = ROW_GROUP_BYTES,
    ) -> str:
        """Write `rows`, in their order, as one part of `table`, and return the part's file name.

        The name comes from `key` alone (a video's id, a batch's name): writing again with the same key replaces
        the part. No rows give an empty part, which tells that this key is done. `schema` is `schema_of(table)`
        unless given. Raises DatasetError if a row does not fit it.
        """
        content = to_table(rows, _complete(table, schema), table=table)
        name = part_name(key)
        self.write_bytes(f"{table}/{name}", serialise(content, row_group_bytes=row_group_bytes))
        return name

    def write_bytes(self, name: str, data: bytes | pa.Buffer) -> None:
        """Write the file `name`, relative to the root, whole or not at all."""
        with self.storage(name):
            if not self.local:
                again(lambda: self._upload(name, data))
                return
            target = Path(self.path, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            staging = Path(self.path, ".tmp")
            staging.mkdir(exist_ok=True)
            temporary = staging / f"{target.name}.{os.getpid()}-{uuid.uuid4().hex}"
            try:
                with temporary.open("wb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)

    def _upload(self, name: str, data: bytes | pa.Buffer) -> None:
        with self.filesystem.open_output_stream(self.location(name)) as stream:
            stream.write(data)

    def remove(self, folder: str) -> None:
        """Remove the folder `folder` below `SCRATCH`, with what is in it; it need not be there."""
        if folder.partition("/")[0] != SCRATCH:
            raise ValueError(f"{folder} is not below {SCRATCH}/")
        with self.storage(folder):
            if self.filesystem.get_file_info(self.location(folder)).type == pafs.FileType.Directory:
                self.filesystem.delete_dir(self.location(folder))

    def remove_part(self, table: str, key: str) -> bool:
        """Remove the part of `table` that was written with `key`; return whether there was one."""
        name = f"{_check(table)}/{part_name(key)}"
        with self.storage(name):
            if self.filesystem.get_file_info(self.location(name)).type != pafs.FileType.File:
                return False
            self.filesystem.delete_file(self.location(name))
        return True

    def write_run(self, run: Mapping[str, Any]) -> str:
        """Write `runs/<run_id>.json`, replacing what this run wrote before, and return the run's id."""
        run_id = str(run["run_id"])
        self.write_bytes(f"runs/{run_id}.json", json.dumps(run, indent=2, sort_keys=True, default=str).encode() + b"\n")
        return run_id

    # Reading

    def read(self, table: str, columns: Sequence[str] | None = None, filter: pc.Expression | None = None) -> pa.Table:
        """Return `table`, parts in the order of their names; only `columns` are read. Empty if it is missing.

        Raises CorruptionError, naming the part, if one is damaged; DatasetError for a column it lacks.
        """
        schema = self.schema(table)
        if columns is not None and (unknown := [name for name in columns if name not in schema.names]):
            raise DatasetError(f"{self.uri}: table {table} has no column {unknown[0]!r}")
        if not self.parts(table):
            empty = schema.empty_table()
            return empty if columns is None else empty.select(list(columns))
        with self.storage(table):
            return self.dataset(table, schema).to_table(columns=columns, filter=filter)

    def dataset(self, table: str, schema: pa.Schema | None = None) -> ds.Dataset:
        """Return `table` as an Arrow dataset, without the rows of removed sources: nothing is read yet."""
        paths = [self.location(f"{table}/{name}") for name in self.parts(table)]
        schema = self.schema(table) if schema is None else schema
        content = ds.dataset(paths, schema=schema, format="parquet", filesystem=self.filesystem)
        kept = None if table == REMOVALS else living(table, schema, self.removed())
        return content if kept is None else content.filter(kept)

    def removed(self) -> frozenset[str]:
        """Return the ids of the sources that were removed; see `dataset.removal`. What is written now is seen now."""
        parts = tuple(self.parts(REMOVALS))
        if parts != self._removed[0]:
            ids = self.read(REMOVALS, ["video_id"])["video_id"] if parts else ()
            self._removed = parts, frozenset(str(video_id) for video_id in ids if video_id.is_valid)
        return self._removed[1]

    def schema(self, table: str) -> pa.Schema:
        """Return the columns that `table` has: the fixed ones first, then what its parts add."""
        fixed = schema_of(table)
        names = self.parts(table)
        if table.partition("/")[0] not in {"experts", "grades", "shards"}:
            return fixed
        if not names:
            return fixed
        with ThreadPoolExecutor(_FOOTER_THREADS) as pool:
            found = list(pool.map(lambda name: self.part_schema(table, name), names))
        return _union(fixed, found, where=f"{self.uri}: table {table}")

    def part_schema(self, table: str, name: str) -> pa.Schema:
        """Return the columns of one part, from its footer."""
        with self.storage(f"{table}/{name}"):
            return pq.read_schema(self.location(f"{table}/{name}"), filesystem=self.filesystem)

    def ids(self, table: str, column: str = "clip_id") -> set[str]:
        """Return the distinct values of an id column: what is already there, for resuming."""
        return set(self.read(table, [column]).column(column).to_pylist())

    def parts(self, table: str) -> list[str]:
        """Return the file names of the finished parts of `table`, sorted."""
        return sorted(name for name in self._files(_check(table)) if is_part(name))

    def exists(self, table: str) -> bool:
        """Whether `table` has a part, be it empty."""
        return bool(self.parts(table))

    def count(self, table: str) -> int:
        """Return the number of rows of `table`, from the footers."""
        with self.storage(table):
            return int(self.dataset(table, schema_of(table)).count_rows()) if self.exists(table) else 0

    def names(self, group: str) -> list[str]:
        """Return the names of the tables of a group, one of `GROUPS`, sorted."""
        with self.storage(group):
            found = self.filesystem.get_file_info(pafs.FileSelector(self.location(group), allow_not_found=True))
        folders = [f"{group}/{info.base_name}" for info in found if info.type == pafs.FileType.Directory]
        tables = [table for table in folders if _TABLE.fullmatch(table) and self.exists(table)]
        return sorted(table.partition("/")[2] for table in tables)

    def tables(self) -> list[str]:
        """Return every table that has a part."""
        single = [table for table in _SINGLE if self.exists(table)]
        return single + [f"{group}/{name}" for group in GROUPS for name in self.names(group)]

    def read_bytes(self, name: str) -> bytes | None:
        """Return the content of the file `name`, relative to the root; None if there is none."""
        with self.storage(name):
            if self.filesystem.get_file_info(self.location(name)).type != pafs.FileType.File:
                return None
            with self.filesystem.open_input_stream(self.location(name)) as stream:
                return bytes(stream.read())

    def size(self, name: str) -> int | None:
        """Return the size in bytes of the file `name`, relative to the root; None if there is none."""
        with self.storage(name):
            info = self.filesystem.get_file_info(self.location(name))
        return int(info.size) if info.type == pafs.FileType.File else None

    def runs(self) -> list[dict[str, Any]]:
        """Return what the runs left, oldest first."""
        contents = (self.read_bytes(f"runs/{name}") for name in sorted(self._files("runs")) if name.endswith(".json"))
        found = [json.loads(content) for content in contents if content]
        return sorted(found, key=lambda run: (str(run.get("started", "")), str(run["run_id"])))

    def leftovers(self) -> list[str]:
        """Return what writers and runs that were killed, or are at work, have not cleared away; no reader sees it."""
        with self.storage(SCRATCH):
            found = self.filesystem.get_file_info(pafs.FileSelector(self.location(SCRATCH), allow_not_found=True))
        scratch = [f"{SCRATCH}/{info.base_name}" for info in found]
        return sorted([f".tmp/{name}" for name in self._files(".tmp")] + scratch)

    # Under the tables

    def location(self, name: str) -> str:
        """Return the path, on `filesystem`, of the file `name` relative to the root."""
        return self._prefix + name

    @cached_property
    def _prefix(self) -> str:
        return self.path.rstrip("/") + "/"

    def _files(self, folder: str) -> list[str]:
        with self.storage(folder):
            found = self.filesystem.get_file_info(pafs.FileSelector(self.location(folder), allow_not_found=True))
        return [info.base_name for info in found if info.type == pafs.FileType.File]

    @contextmanager
    def storage(self, name: str) -> Iterator[None]:
        """While the file or table `name` is in use, turn what a file system says into an error of the tree."""
        try:
            yield
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise CorruptionError(f"{self.uri}: {name} cannot be read: {error}") from error
        except OSError as error:
            if error.errno is None and not _STORE.search(str(error)):  # neither the system nor the store: the content
                raise CorruptionError(f"{self.uri}: {name} cannot be read: {error}") from error
            if self.local:
                raise DatasetError(f"{self.uri}: {name}: {error}") from error
            raise BackendError(f"{self.uri}: {name}: the store does not answer as it should: {error}") from error


def _check(table: str) -> str:
    if not _TABLE.fullmatch(table):
        named = ", ".join(f"{group}/<name>" for group in GROUPS)
        raise DatasetError(f"{table!r} is no table; there are {', '.join(_SINGLE)}, {named}")
    return table


def _complete(table: str, schema: pa.Schema | None) -> pa.Schema:
    """Return the schema to write `table` with; a given one must hold the fixed columns."""
    fixed = schema_of(table)
    if schema is None:
        return fixed
    for field in fixed:
        if field.name not in schema.names or schema.field(field.name).type != field.type:
            raise DatasetError(f"table {table}: its schema needs a column {field.name} of type {field.type}")
    return schema


def _filesystem(uri: str) -> tuple[pafs.FileSystem, str]:
    if "://" not in uri:
        return pafs.LocalFileSystem(), os.path.abspath(os.path.expanduser(uri))
    try:
        filesystem, path = pafs.FileSystem.from_uri(uri)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise DatasetError(f"{uri}: not an address a dataset can have (a folder, s3://, gs://): {error}") from error
    return filesystem if isinstance(filesystem, pafs.LocalFileSystem) else patient(filesystem), path


def _layout(marker: bytes) -> object:
    try:
        content = json.loads(marker)
    except ValueError:
        return "unknown"
    return content.get("layout", "unknown") if isinstance(content, dict) else "unknown"


def _missing(root: Root) -> str:
    if root.local and Path(root.path, "dataset", MARKER).is_file():
        return f"{root.uri} is not a dataset; did you mean {os.path.join(root.uri, 'dataset')}?"
    if root.local and Path(root.path).parent.joinpath(MARKER).is_file():
        return f"{root.uri} is not a dataset; did you mean {Path(root.path).parent}?"
    if root.local and not Path(root.path).exists():
        return f"there is no dataset at {root.uri}: no such folder"
    return f"{root.uri} is not a dataset: it has no {MARKER}; `rushes curate` makes one"


def _union(fixed: pa.Schema, found: Sequence[pa.Schema], *, where: str) -> pa.Schema:
    fields = {field.name: field for field in fixed}
    for schema in found:
        for field in schema:
            known = fields.setdefault(field.name, field)
            if known.type != field.type:
                differ = f"{known.type} in one part, {field.type} in another"
                raise CorruptionError(f"{where}: column {field.name} is {differ}")
    return pa.schema(list(fields.values()))
