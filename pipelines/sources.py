"""Which files a source means: a file, a folder and all below it, a pattern, or an address."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from media.errors import ConfigError

__all__ = ["expand"]


def expand(uris: Iterable[str]) -> list[str]:
    """Return the addresses of single files, sorted and without repeats.

    Local paths become absolute, so that every worker means the same file. A folder stands for every file below
    it that is not hidden, whatever its name ends in: what a file is, its bytes say.

    Raises:
        ConfigError: a local path that is not there, or a pattern that matches nothing.
    """
    found: set[str] = set()
    for uri in uris:
        if "://" in uri:
            found.update(_remote(uri))
            continue
        path = Path(uri).expanduser()
        if any(c in uri for c in "*?[") and not path.exists():
            matches = [Path(m) for m in glob.glob(str(path), recursive=True)]
            if not matches:
                raise ConfigError(f"sources: nothing matches {uri}")
        elif path.exists():
            matches = [path]
        else:
            raise ConfigError(f"sources: there is no file or folder {uri}")
        for match in matches:
            found.update(_files(match))
    return sorted(found)


def _files(path: Path) -> list[str]:
    if path.is_file():
        return [str(path.resolve())]
    return [
        str(p.resolve())
        for p in path.rglob("*")
        if p.is_file() and not any(part.startswith(".") for part in p.relative_to(path).parts)
    ]


def _remote(uri: str) -> list[str]:
    if not uri.endswith("/") and "*" not in uri:
        return [uri]
    import fsspec

    scheme = uri.split("://", 1)[0]
    system, path = fsspec.core.url_to_fs(uri)
    names = system.glob(path) if "*" in uri else system.find(path)
    return [f"{scheme}://{name}" for name in names]
