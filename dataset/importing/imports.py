"""Data sets in other projects' forms, read record by record."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa

from dataset.importing import openvid, panda70m, webdataset
from dataset.importing.records import Format, Imported
from dataset.messages import nearest, spelt
from dataset.schema import Column, expert_schema
from media.errors import ConfigError

__all__ = ["FORMATS", "IMPORTED", "format_named", "imported_schema", "read_import"]

FORMATS: Final[dict[str, Format]] = {module.FORMAT.name: module.FORMAT for module in (panda70m, openvid, webdataset)}
"""Every format that can be imported, by its name."""

IMPORTED: Final = (
    Column("caption", pa.string(), "the caption that came with the data set; no caption of ours, and not checked"),
    Column("scores", pa.map_(pa.string(), pa.float64()), "the numbers that came with it, by their names"),
    Column("labels", pa.map_(pa.string(), pa.string()), "the words that came with it, by their names"),
    Column("format", pa.string(), "panda-70m | openvid | webdataset"),
    Column("data_set", pa.string(), "the data set that the caption and its span are of: its format and path"),
    Column("said_from_s", pa.float64(), "begin of the span of the source that it was said of; null for all of it"),
    Column("said_to_s", pa.float64(), "end of that span"),
    Column("covered_fraction", pa.float32(), "share of the clip that lies in that span"),
)
"""What was said of a clip where it came from: the value columns of the table `experts/imported`."""


def imported_schema() -> pa.Schema:
    """Return the schema of `experts/imported`."""
    return expert_schema(IMPORTED)


def format_named(name: str) -> Format:
    """Return the format called `name`; capitals, `-` and `_` do not matter.

    Raises ConfigError, with the nearest name, for one that is not there.
    """
    if known := spelt(name, FORMATS):
        return FORMATS[known]
    near = nearest(name.replace("_", "-"), FORMATS)
    hint = f"did you mean {near}?" if near else f"there are {', '.join(FORMATS)}"
    raise ConfigError(f"there is no import format {name!r}; {hint}")


def read_import(
    path: str | os.PathLike[str], format: str, media: str | os.PathLike[str] | None = None
) -> Iterator[Imported]:
    """Yield the records of the data set at `path`, a local file or folder.

    `media` is the folder of the videos: where they lie, or where a format that holds them unpacks them to (a video
    that is there already is not written again). Nothing is fetched: a record whose video is not here says so.

    Raises ConfigError for an unknown format, a path that is not there, a folder that is needed, a column that is not
    there; DatasetError, naming file and line, for a record that cannot be read.
    """
    chosen = format_named(format)
    given = Path(path).expanduser()
    if not given.exists():
        raise ConfigError(f"there is no file or folder {given}")
    if media is None and chosen.media_needed:
        use = "where its videos lie" if chosen.media_use == "found" else "that its videos are unpacked to"
        raise ConfigError(f"{chosen.name}: name the folder {use} with --media")
    return chosen.read(given, None if media is None else Path(media).expanduser())
