"""What a record of another data set says: where its video is, the span meant, and what was said of it."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from media.errors import ConfigError, DatasetError

__all__ = ["MEDIA_ENDINGS", "Format", "Imported", "Row", "table_rows", "videos_in"]

MEDIA_ENDINGS: Final = (".mp4", ".webm", ".mkv", ".mov", ".avi", ".m4v")
"""Endings of the files that are taken for videos, in the order in which they are looked for."""


@dataclass(frozen=True, slots=True)
class Imported:
    """One record. `start_s` and `end_s` are seconds of the video at `uri`; both None where all of it is meant.

    `uri` is an absolute path if the video is on this machine; else `missing` tells why it is not, and `uri` is the
    address that the data set gives, or the path at which it was looked for. `url` is
    where it was published. `scores` are numbers, `labels` words.
    """

    uri: str
    caption: str | None
    start_s: float | None = None
    end_s: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    source: str | None = None
    license: str | None = None
    url: str | None = None
    missing: str | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """A format that can be read: `read(path, media)` yields its records.

    `media` is the folder of the videos: where they lie, or, of a format that holds them, where they are unpacked to.
    `media_use` says what for; `media_needed` whether nothing can be read without.
    """

    name: str
    doc: str
    read: Callable[[Path, Path | None], Iterator[Imported]]
    media_use: Literal["found", "unpacked"]
    media_needed: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a CSV file, by the names of its columns, in lower case with `_` for blanks."""

    where: str
    values: Mapping[str, str]

    def text(self, column: str) -> str | None:
        """Return a value without blanks around it; None where it is empty or there is no such column."""
        return self.values.get(column, "").strip() or None

    def number(self, column: str) -> float | None:
        """Return a number, None where there is none. DatasetError for what is no number."""
        value = self.text(column)
        if value is None:
            return None
        try:
            return float(value)
        except ValueError as error:
            raise DatasetError(f"{self.where}: {column} is {value[:40]!r}, not a number") from error


def table_rows(path: Path, needed: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of a CSV file with a head, in UTF-8.

    Raises ConfigError where it lacks one of the columns `needed`; DatasetError for a row with more or fewer values.
    """
    csv.field_size_limit(min(sys.maxsize, 1 << 30))  # a film's spans and captions stand in one value
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            names = [name.strip().lower().replace(" ", "_") for name in next(reader, [])]
            if lacking := [name for name in needed if name not in names]:
                has = ", ".join(names) or "nothing"
                raise ConfigError(f"{path}: it has no column {lacking[0]}; its first line has {has}")
            for values in reader:
                where = f"{path}, line {reader.line_num}"
                if values and len(values) != len(names):
                    raise DatasetError(f"{where}: {len(values)} values under {len(names)} columns")
                if values:
                    yield Row(where, dict(zip(names, values, strict=True)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def videos_in(folder: Path | None) -> dict[str, str]:
    """Return the paths of the videos below `folder`, as ingest writes them, by their names with and without ending."""
    found: dict[str, str] = {}
    if folder is None:
        return found
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder} to look for videos in")
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names, key=lambda name: MEDIA_ENDINGS.index(end) if (end := _ending(name)) else -1):
            if _ending(name):
                path = os.path.realpath(os.path.join(place, name))
                found.setdefault(name, path)
                found.setdefault(name.rpartition(".")[0], path)
    return found


def _ending(name: str) -> str:
    ending = os.path.splitext(name)[1].lower()
    return ending if ending in MEDIA_ENDINGS else ""
