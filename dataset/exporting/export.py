"""Run an export: rows in, a finished folder out, or nothing at all."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dataset.exporting.formats import Writer, format_of
from dataset.exporting.licenses import Licenses
from dataset.exporting.samples import COLUMNS, sample_of, why_not
from dataset.root import Root
from dataset.shards import ShardReader
from media.errors import ConfigError, DatasetError, UserError

__all__ = ["CAPTIONS", "LICENSES", "ExportReport", "export"]

CAPTIONS: Final = ("dense", "medium", "short")
"""The captions that can go with the clips, in English."""

LICENSES: Final = "LICENSES.json"
"""The file, in every export, that sums up licences and sources."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export wrote: clips, the rows it left out by reason, its files and their bytes."""

    rows: int
    skipped: Mapping[str, int]
    files: int
    bytes: int


def export(
    root: Root,
    shards: str,
    out: str | os.PathLike[str],
    format: str,
    *,
    caption: str = "dense",
    progress: Callable[[int, int], None] | None = None,
) -> ExportReport:
    """Write the rows of `shards/<shards>` as the folder `out`, in `format`, one of `FORMATS`.

    Rows go in the order of the shards, each id once, one row group in memory at a time. A row is left out, and counted,
    if its media is not in it (`cut` is "reference") or it has no usable caption of this length. `out` appears whole or
    not at all, and the same shards and `out` give the same bytes; `progress` is called with rows done and rows in all.

    Raises ConfigError for an unknown format or caption, UserError if `out` is there already or cannot be written,
    DatasetError if the shards are missing or no row is left, CorruptionError for media without its checksum.
    """
    chosen = format_of(format)
    if caption not in CAPTIONS:
        raise ConfigError(f"caption {caption!r}: there are {', '.join(CAPTIONS)}")
    target = _target(out)
    reader = ShardReader(root, shards)
    with _whole(target) as folder:
        licenses = Licenses()
        skipped = _copy(reader, caption, chosen.open(folder, target), licenses, progress)
        if not licenses.clips:
            left_out = "; ".join(f"{reason}: {n}" for reason, n in skipped.items()) or "the shards are empty"
            raise DatasetError(f"{root.uri}: shards/{shards} has no row to export: {left_out}")
        summary = {"format": chosen.name, "shards": shards, "caption": caption, **licenses.summary()}
        (folder / LICENSES).write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return ExportReport(licenses.clips, skipped, len(sizes), sum(sizes))


def _copy(
    reader: ShardReader,
    caption: str,
    writer: Writer,
    licenses: Licenses,
    progress: Callable[[int, int], None] | None,
) -> dict[str, int]:
    """Hand every usable row to `writer` and tally it; return the others, counted by reason."""
    total = reader.root.count(reader.table)
    skipped: Counter[str] = Counter()
    seen: set[str] = set()
    for done, row in enumerate(reader.iter_rows(COLUMNS), start=1):
        reason = "the clip's id occurs twice" if row["clip_id"] in seen else why_not(row, caption)
        seen.add(row["clip_id"])
        if reason is None:
            sample = sample_of(row, caption)
            writer.add(sample)
            licenses.add(sample.record)
        else:
            skipped[reason] += 1
        if progress is not None:
            progress(done, total)
    if licenses.clips:
        writer.finish()
    return dict(sorted(skipped.items()))


def _target(out: str | os.PathLike[str]) -> Path:
    text = os.fspath(out)
    if "://" in text:
        raise UserError(f"{text}: an export is a local folder; copy it into the store when it is done")
    target = Path(os.path.abspath(os.path.expanduser(text)))
    if os.path.lexists(target):
        raise UserError(f"{text} is there already: name a folder that is not, or remove it")
    return target


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target` that takes its name in the end; if anything fails it is removed."""
    folder = target.with_name(f".{target.name}.{os.getpid()}-{uuid.uuid4().hex}.partial")
    try:
        folder.mkdir(parents=True)
        yield folder
        folder.rename(target)
    except OSError as error:
        raise UserError(f"{target}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
