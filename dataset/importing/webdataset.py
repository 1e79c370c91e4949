"""WebDataset: tar files of videos beside their captions and metadata, as video2dataset and `rushes export` write them.

A sample is the members whose names are one up to the first dot of the last part: `.mp4` (or another ending of
`MEDIA_ENDINGS`), `.txt` (caption), `.json` (anything; what is a number there is a score, what is a word a label,
`source`, `license`, `url` and `caption` are what they say). Source: video2dataset,
`data_writer.WebDatasetSampleWriter`.

The videos are unpacked to a folder of `media` for each tar, under names made here: a name in a tar is never a path. The
folder is named by where the tar lies and the file by what it holds, so a file stays what it was when it was ingested.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import tarfile
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any, Final

from dataset.importing.records import MEDIA_ENDINGS, Format, Imported
from media.errors import ConfigError, DatasetError

__all__ = ["FORMAT"]

_CHUNK_BYTES: Final = 1 << 20
_HELD_BYTES: Final = 64 << 20  # of a video in memory, until it is known whether it is there already
_LONGEST_LABEL: Final = 1000
_SAID: Final = frozenset({"caption", "source", "license", "url"})
_TEXT_BYTES: Final = 64 << 20


@dataclass(slots=True)
class _Sample:
    key: str
    video: str | None = None
    caption: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


def _read(path: Path, media: Path | None) -> Iterator[Imported]:
    if media is None:
        raise ConfigError("webdataset: its videos must be unpacked: name a folder for them with --media")
    tars = sorted(path.rglob("*.tar")) if path.is_dir() else [path]
    if not tars:
        raise ConfigError(f"there is no .tar file below {path}")
    for tar in tars:
        yield from _records(tar, media / _file_name(tar.stem, os.fspath(tar.resolve())))


def _records(tar: Path, folder: Path) -> Iterator[Imported]:
    """Yield a tar's samples: members of one sample are neighbours."""
    sample: _Sample | None = None
    try:
        # As a stream: from front to back, whatever the members say of their places.
        with tarfile.open(tar, "r|*") as members:
            for member in members:
                key, ending = _split(member.name)
                if not member.isfile() or not key:
                    continue
                if sample is not None and sample.key != key:
                    yield from _finished(sample)
                    sample = None
                sample = sample or _Sample(key)
                content = members.extractfile(member)
                if content is not None:
                    _take(sample, ending, content, member.size, folder, f"{tar}: {member.name}")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DatasetError(f"{tar} cannot be read: {error}") from error
    if sample is not None:
        yield from _finished(sample)


def _split(name: str) -> tuple[str, str]:
    """Return a member's key and ending, as webdataset's `base_plus_ext` does."""
    folder, _, last = name.rpartition("/")
    stem, _, ending = last.partition(".")
    return f"{folder}/{stem}" if folder else stem, f".{ending.lower()}"


def _take(sample: _Sample, ending: str, content: IO[bytes], size: int, folder: Path, where: str) -> None:
    if ending in MEDIA_ENDINGS:
        sample.video = str(_unpacked(content, size, folder, sample.key, ending))
    elif ending in {".txt", ".json"}:
        if size > _TEXT_BYTES:
            raise DatasetError(f"{where}: {size} bytes of text")
        try:
            text = content.read().decode()
            if ending == ".txt":
                sample.caption = text.strip() or None
            else:
                about = json.loads(text)
                sample.about = about if isinstance(about, dict) else {}
        except ValueError as error:
            raise DatasetError(f"{where}: {error}") from error


def _file_name(shown: str, told_apart_by: str) -> str:
    """Return a name for a file or folder: `shown` in a form that is safe everywhere, and a digest of the other."""
    readable = re.sub(r"[^A-Za-z0-9-]+", "_", shown)[-60:].strip("-_")
    return f"{readable or 'video'}-{blake2b(os.fsencode(told_apart_by), digest_size=8).hexdigest()}"


def _unpacked(content: IO[bytes], size: int, folder: Path, key: str, ending: str) -> Path:
    """Write a member to a file named by its key and content, whole or not at all, unless it is there already."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    digest = blake2b(digest_size=16)
    with tempfile.SpooledTemporaryFile(_HELD_BYTES, "w+b", dir=str(folder)) as held:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
            held.write(chunk)
        target = folder / f"{_file_name(key, f'{key} {digest.hexdigest()}')}{ending}"
        if target.is_file() and target.stat().st_size == size:
            return target
        held.seek(0)
        _write(held, target)
    return target


def _write(content: IO[bytes], target: Path) -> None:
    temporary = target.with_name(f".{target.name[:40]}.{os.getpid()}-{uuid.uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            shutil.copyfileobj(content, file, _CHUNK_BYTES)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _finished(sample: _Sample) -> Iterator[Imported]:
    if sample.video is None:
        return
    about = sample.about
    words = {name: value for name, value in about.items() if isinstance(value, str) and len(value) <= _LONGEST_LABEL}
    yield Imported(
        uri=sample.video,
        caption=sample.caption or words.get("caption"),
        scores={name: float(value) for name, value in about.items() if _is_number(value)},
        labels={name: value for name, value in words.items() if value and name not in _SAID},
        source=words.get("source"),
        license=words.get("license"),
        url=words.get("url"),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


FORMAT = Format("webdataset", "tar files of mp4 (or webm ...), txt and json", _read, "unpacked", True)
