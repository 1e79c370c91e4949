"""The vocabulary file: what the zero-shot tagger chooses among, and what the detector looks for."""

from __future__ import annotations

import functools
from pathlib import Path

import yaml

from experts.base import DIMENSIONS
from media.errors import ConfigError

__all__ = ["vocabulary"]


@functools.lru_cache(maxsize=8)
def _read(path: Path, _mtime_ns: int) -> dict[str, tuple[str, ...]]:
    try:
        read = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: no vocabulary: {str(error).splitlines()[0]}") from error
    if not isinstance(read, dict) or not read:
        raise ConfigError(f"{path}: a vocabulary maps dimensions to lists of phrases, as `setting: [a beach, ...]`")
    for dimension, phrases in read.items():
        if dimension not in DIMENSIONS:
            raise ConfigError(f"{path}: {dimension!r} is no dimension of a caption (they are {', '.join(DIMENSIONS)})")
        if not isinstance(phrases, list) or len(phrases) < 2 or not all(isinstance(p, str) and p for p in phrases):
            raise ConfigError(f"{path}: {dimension}: give a list of at least two phrases")
    return {dimension: tuple(dict.fromkeys(phrases)) for dimension, phrases in read.items()}


def vocabulary(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the phrases of each dimension, in the file's order. ConfigError names the file and what is wrong in it.

    A vocabulary is a YAML that maps dimensions of a caption (`subject`, `setting`, `action`, `style` ...) to at least
    two phrases each, of which one holds in a picture: they are weighed against each other.
    """
    return _read(path, path.stat().st_mtime_ns)
