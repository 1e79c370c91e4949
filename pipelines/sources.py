"""Which files a source means: a file, a folder and all below it, a pattern, or an address.

A folder stands for every file below it that is not hidden, whatever its name ends in: what a file is, its bytes say.
A dataset that lies in the folder, very often the one being made, is no source: nothing of it is taken.
Folders and patterns of an object store mean what they mean on a disk; its files keep the address's query string,
so that they are opened with the same options (`?endpoint_override=...`).
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from dataset.root import MARKER
from media.errors import BackendError, ConfigError

__all__ = ["expand"]

_STORES = {"s3", "gs", "gcs"}
_LEGAL = "/:@!$&'()*+,;=~"  # what a path may hold as it is (RFC 3986), beside letters, digits and `-._`


def expand(uris: Iterable[str]) -> list[str]:
    """Return the addresses of single files, sorted and without repeats.

    Local paths become absolute, so that every worker means the same file. `s3://` and `gs://` are listed; any other
    address (`http://` ...) passes through as one file. `*`, `**` and `[...]` make a pattern, on a disk `?` as well.

    Raises:
        ConfigError: nothing is there, no file is below it, nothing matches, or it is no address.
        BackendError: the store does not answer as it should.
    """
    found: set[str] = set()
    for uri in uris:
        scheme = urlsplit(uri).scheme if "://" in uri else ""
        if scheme in _STORES:
            files = _remote(uri)
        elif scheme and scheme != "file":
            files = [uri]
        else:
            files = _local(uri, Path(unquote(urlsplit(uri).path)) if scheme else Path(uri).expanduser())
        found.update(map(_writable, files))
    return sorted(found)


def _writable(address: str) -> str:
    """Return a path as it can stand in a table: one that is not UTF-8 as a `file://` address."""
    try:
        address.encode()
    except UnicodeEncodeError:
        return Path(address).as_uri()
    return address


def _local(uri: str, path: Path) -> list[str]:
    if path.is_file():
        return [str(path.resolve())]
    if path.is_dir():
        if not (files := _files(path)):
            raise ConfigError(_nothing_below(uri, dataset=(path / MARKER).is_file()))
        return files
    start, pattern = _split(str(path))
    if not pattern:
        raise ConfigError(f"sources: there is no file or folder {uri}")
    files = []
    for match in map(Path, glob.glob(str(path), recursive=True)):
        above = [Path(start), *(Path(start) / p for p in match.relative_to(start or ".").parents if p.parts)]
        if not any((folder / MARKER).is_file() for folder in above):
            files += [str(match.resolve())] if match.is_file() else _files(match)
    if not files:
        raise ConfigError(f"sources: nothing matches {uri}")
    return files


def _files(folder: Path) -> list[str]:
    files: list[str] = []
    for place, folders, names in os.walk(folder):
        if MARKER in names:  # a dataset
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        shown = (Path(place, name) for name in names if not name.startswith("."))
        files += [str(path.resolve()) for path in shown if path.is_file()]
    return files


def _remote(uri: str) -> list[str]:
    base, question, query = uri.partition("?")
    scheme, _, rest = base.partition("://")
    bucket, slash, key = rest.partition("/")
    # What is typed may hold blanks, accents or `#`, which an address must not; what is escaped already stays so.
    address = f"{scheme}://{bucket}{slash}{quote(key, safe=_LEGAL + '%')}{question}{query}"
    with _store(uri):
        system, path = pafs.FileSystem.from_uri(address)
        start, pattern = _split(path)
        if not start.strip("/"):
            raise ConfigError(f"sources: {uri} names no bucket")
        kind = system.get_file_info(path).type
        if kind == pafs.FileType.File:
            keys = [path]
        elif kind == pafs.FileType.Directory:
            listed = _listed(system, path)
            if not (keys := _shown(listed, path)):
                raise ConfigError(_nothing_below(uri, dataset=f"{path.rstrip('/')}/{MARKER}" in listed))
        elif not pattern:
            raise ConfigError(f"sources: there is no file or folder {uri}")
        else:
            shown = _shown(_listed(system, start), start)
            keys = [key for key in shown if _matches(key[len(start) :].strip("/").split("/"), pattern)]
            if not keys:
                raise ConfigError(f"sources: nothing matches {uri}")
    owner = bucket.rpartition("@")[0]  # credentials, where the address holds them
    return [f"{scheme}://{owner}{'@' if owner else ''}{quote(key, safe=_LEGAL)}{question}{query}" for key in keys]


def _listed(system: pafs.FileSystem, folder: str) -> list[str]:
    selector = pafs.FileSelector(folder, allow_not_found=True, recursive=True)
    return [info.path for info in system.get_file_info(selector) if info.type == pafs.FileType.File]


def _shown(keys: Iterable[str], folder: str) -> list[str]:
    """Return the files below `folder` that are neither hidden nor part of a dataset."""
    keys = list(keys)
    datasets = {key.removesuffix(MARKER) for key in keys if key.endswith(f"/{MARKER}")}
    shown = []
    for key in keys:
        below = key[len(folder) :].strip("/").split("/")
        above = (key[: at + 1] for at, letter in enumerate(key) if letter == "/")
        if not any(part.startswith(".") for part in below) and datasets.isdisjoint(above):
            shown.append(key)
    return shown


def _split(path: str) -> tuple[str, list[str]]:
    """Return the folder before the first part that is a pattern, and the parts from there on."""
    parts = path.split("/")
    first = next((at for at, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return "/".join(parts[:first]) or ("/" if path.startswith("/") else ""), parts[first:]


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the file, or a folder it lies in, is one that the pattern means."""
    if not pattern:
        return True
    if pattern[0] == "**" and _matches(parts, pattern[1:]):
        return True
    if not parts or not (pattern[0] == "**" or fnmatchcase(parts[0], pattern[0])):
        return False
    return _matches(parts[1:], pattern if pattern[0] == "**" else pattern[1:])


@contextmanager
def _store(uri: str) -> Iterator[None]:
    """Turn what a store says into an error of the tree, in one line."""
    try:
        yield
    except pa.ArrowInvalid as error:
        raise ConfigError(f"sources: {uri} is not an address of a store: {_line(error)}") from error
    except (OSError, pa.ArrowException) as error:
        raise BackendError(f"sources: {uri}: the store does not answer as it should: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _nothing_below(uri: str, *, dataset: bool) -> str:
    return f"sources: {uri} is a dataset; name the footage" if dataset else f"sources: no file below {uri}"
