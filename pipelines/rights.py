"""What is known of the rights of each source: from the config, and file by file from a manifest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from dataset import Root
from dataset.removal import blocked
from dataset.schema import RIGHTS, RIGHTS_BASES, arrow_schema
from dataset.spdx import spdx
from media.errors import ConfigError
from pipelines.sources import expand

if TYPE_CHECKING:
    from pipelines.config import SourceConfig

__all__ = ["Rights", "rights_of", "sources_with_rights"]


@dataclass(frozen=True, slots=True)
class Rights:
    """The columns of `videos` that speak of rights; see `dataset.schema.RIGHTS`."""

    source: str | None = None
    license: str | None = None
    source_url: str | None = None
    rights_basis: str | None = None
    retrieved_at: datetime | None = None
    opt_out: bool | None = None

    def under(self, other: Rights) -> Rights:
        """Return these rights, with what `other` says before what is said here."""
        return replace(self, **{name: value for name, value in asdict(other).items() if value is not None})


_NAMES: Final = tuple(field.name for field in fields(Rights))
_KEY: Final = "uri"


def rights_of(source: SourceConfig) -> Callable[[str], Rights]:
    """Return what is known of each file of a source, by its address as `pipelines.sources.expand` gives it.

    Raises ConfigError for a manifest that cannot be used.
    """
    return _Known(source).of


class _Known:
    """What a source's entry and its manifest say; `unused` are the manifest's addresses that nobody asked for."""

    def __init__(self, source: SourceConfig) -> None:
        self._common = Rights(
            source.source, _spelt(source.license), source.source_url, source.rights_basis, None, source.opt_out
        )
        self.manifest = source.rights
        self._told = {} if source.rights is None else _manifest(Path(source.rights))
        self.unused = set(self._told)

    def of(self, uri: str) -> Rights:
        """Return the rights of the file at an address."""
        key = next((name for name in (uri, uri.rpartition("/")[2]) if name in self._told), None)
        if key is None:
            return self._common
        self.unused.discard(key)
        return self._common.under(self._told[key])


def sources_with_rights(
    root: Root, sources: Iterable[SourceConfig], known: Mapping[str, Rights]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return `uri` and `rights` of every file of `sources`, but for those that were removed; and what should be said.

    What `known` says of an address stands before what its source does. A file that is fetched has the time of now.
    """
    is_blocked = blocked(root)
    now = datetime.now(UTC)
    items: list[dict[str, Any]] = []
    notes: list[str] = []
    out = 0
    for source in sources:
        told = _Known(source)
        for uri in expand(source.uris):
            rights = told.of(uri).under(known.get(uri, Rights()))
            if is_blocked(uri, rights.source_url):
                out += 1
                continue
            if rights.retrieved_at is None and "://" in uri and not uri.startswith("file://"):
                rights = replace(rights, retrieved_at=now)
            items.append({"uri": uri, "rights": asdict(rights)})
        if told.unused:
            first = min(told.unused)
            notes.append(f"warning: {told.manifest}: {len(told.unused)} rows speak of no file here, such as {first}")
    if out:
        notes.append(f"{out} sources were removed, and stay out: `rushes remove {root.uri} --list`")
    return items, notes + _opted_out_late(root, items)


def _opted_out_late(root: Root, items: Iterable[Mapping[str, Any]]) -> list[str]:
    """Say which sources were taken in before their owner opted out: a setting does not take them out again."""
    reserved = {item["uri"] for item in items if item["rights"]["opt_out"]}
    taken = root.read("videos", ["uri"], pc.field("status") == "ok")["uri"].to_pylist() if reserved else []
    late = sorted(reserved & set(taken))
    if not late:
        return []
    return [f"warning: {len(late)} sources were opted out after they were taken in: `rushes remove --source {late[0]}`"]


def _spelt(license: str | None) -> str | None:
    return None if license is None else spdx(license) or license


def _manifest(path: Path) -> dict[str, Rights]:
    """Return a manifest's rows by address: CSV, JSON lines or Parquet, by its ending.

    A local path that is not absolute is looked for beside the manifest; a name without a folder stands for itself.
    """
    table = _read(path)
    if _KEY not in table.column_names or not set(_NAMES) & set(table.column_names):
        has = ", ".join(table.column_names) or "nothing"
        raise ConfigError(f"{path}: a manifest has a column uri and some of {', '.join(_NAMES)}; this has {has}")
    known = arrow_schema(column for column in RIGHTS if column.name in table.column_names)
    columns: dict[str, pa.ChunkedArray] = {_KEY: table[_KEY]}
    for field in known:
        try:
            columns[field.name] = _cast(table[field.name], field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ConfigError(f"{path}: column {field.name} wants {field.type}: {error}") from error
    found: dict[str, Rights] = {}
    for number, row in enumerate(pa.table(columns).to_pylist(), start=1):
        uri, told = row.pop(_KEY), {name: value for name, value in row.items() if value not in (None, "")}
        if not uri:
            raise ConfigError(f"{path}: row {number} has no uri")
        if told.get("rights_basis", RIGHTS_BASES[0]) not in RIGHTS_BASES:
            basis = told["rights_basis"]
            raise ConfigError(f"{path}: row {number}: rights_basis is {basis!r}, not {' | '.join(RIGHTS_BASES)}")
        rights = Rights(**{**told, "license": _spelt(told.get("license"))})
        if found.setdefault(_address(str(uri), path), rights) != rights:
            raise ConfigError(f"{path}: row {number} says other things of {uri} than a row before it")
    return found


def _read(path: Path) -> pa.Table:
    import pyarrow.csv
    import pyarrow.json
    import pyarrow.parquet

    readers: Mapping[str, Callable[[str], Any]] = {
        ".csv": lambda name: pyarrow.csv.read_csv(
            name, convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True)
        ),
        ".jsonl": pyarrow.json.read_json,
        ".parquet": pyarrow.parquet.read_table,
    }
    if (reader := readers.get(path.suffix.lower())) is None:
        raise ConfigError(f"{path}: a manifest of rights ends in {', '.join(readers)}")
    try:
        return reader(os.fspath(path))
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_timestamp(kind):
        if pa.types.is_string(column.type):
            return pa.chunked_array([[_moment(text) for text in column.to_pylist()]], kind)
        if pa.types.is_date(column.type) or (pa.types.is_timestamp(column.type) and column.type.tz is None):
            return pc.assume_timezone(column.cast(pa.timestamp("ms")), "UTC")
    return column.cast(kind)


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise pa.ArrowInvalid(f"{text!r} is no time in ISO 8601") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _address(uri: str, manifest: Path) -> str:
    if "://" in uri or os.path.isabs(uri):
        return uri
    beside = (manifest.parent / uri).resolve()
    return str(beside) if "/" in uri or beside.is_file() else uri
