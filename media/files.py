"""Bytes: what a file is called by, where it is, and whether it is a picture."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast
from urllib.parse import unquote_to_bytes, urlsplit

from media.errors import MediaError

__all__ = ["content_id", "is_image", "local_copy"]

_CHUNK_BYTES = 1 << 20


def content_id(path: str | PathLike[str]) -> str:
    """Return the 128-bit BLAKE2b of the file's bytes: 32 hex digits. MediaError("unreadable") if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise MediaError("unreadable", f"{path}: {error.strerror or error}") from error


@contextmanager
def local_copy(uri: str | PathLike[str]) -> Iterator[Path]:
    """Give a local path to what `uri` names, for as long as the context lasts.

    Local paths and `file://` pass through. `s3://` and `gs://` are fetched through pyarrow, `http(s)://` and
    whatever else fsspec knows through fsspec, to a temporary file that is removed at the end.
    MediaError("unreadable") when the address cannot be opened or is a folder.
    """
    text = str(uri)
    scheme = urlsplit(text).scheme
    if len(scheme) <= 1 or scheme == "file":  # one letter is a drive, not a scheme
        yield _local_path(Path(os.fsdecode(unquote_to_bytes(urlsplit(text).path))) if scheme == "file" else Path(text))
        return
    with tempfile.TemporaryDirectory(prefix="rushes-") as folder:
        target = Path(folder) / ("source" + PurePosixPath(urlsplit(text).path).suffix)
        _fetch(text, target)
        yield target


def _local_path(path: Path) -> Path:
    try:
        if stat.S_ISREG(path.stat().st_mode):
            return path
    except (OSError, ValueError) as error:  # missing, forbidden, a name that none can have, a link to itself
        raise MediaError("unreadable", f"{path}: {str(getattr(error, 'strerror', None) or error).lower()}") from error
    raise MediaError("unreadable", f"{path}: not a file")


def _fetch(uri: str, target: Path) -> None:
    try:
        with _open_remote(uri) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink, _CHUNK_BYTES)
    except Exception as error:  # each transport has a tree of its own; all of them mean the same here
        raise MediaError("unreadable", f"{uri}: {error}") from error


def _open_remote(uri: str) -> IO[bytes]:
    if urlsplit(uri).scheme in {"s3", "gs", "gcs"}:
        from pyarrow import fs

        system, path = fs.FileSystem.from_uri(uri)
        return cast("IO[bytes]", system.open_input_stream(path))
    import fsspec

    opened: Any = fsspec.open(uri, "rb")
    return cast("IO[bytes]", opened.open())


def is_image(path: str | PathLike[str]) -> bool:
    """Tell by its first bytes whether the file is a picture: its name is not looked at.

    An animation (GIF, APNG, WebP, AVIF sequence) counts as a picture: of its first frame.
    """
    try:
        with open(path, "rb") as file:
            return image_format(file.read(32)) is not None
    except OSError as error:
        raise MediaError("unreadable", f"{path}: {error.strerror or error}") from error


def image_format(head: bytes) -> str | None:
    """Return the image format whose signature the bytes `head` (at least 16) begin with, or None."""
    for signature, name in _IMAGE_SIGNATURES:
        if head.startswith(signature):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp" and head[8:12] in _IMAGE_BRANDS:
        return _IMAGE_BRANDS[head[8:12]]
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0" and head[14:18] in _BMP_HEADERS:
        return "bmp"
    return None


_IMAGE_SIGNATURES = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jpeg2000"),
    (b"qoif", "qoi"),
)
_IMAGE_BRANDS = {b"avif": "avif", b"avis": "avif", b"heic": "heic", b"heix": "heic", b"mif1": "heic", b"hevc": "heic"}
_BMP_HEADERS = {size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124)}
