"""Pseudo-videos as training rows that spend no bytes on video: the still, or where it is, and the path over it.

A reader renders them when it needs them (`media.affine.still_frames`): the pixels are those that would be encoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

import media
from dataset.schema import BASE_TABLES
from media import CutMode, Encoded, MediaError
from media.files import image_format

__all__ = ["AFFINE", "image_type", "lazy_clips", "with_affine"]

AFFINE: Final = pa.field(
    "affine",
    next(column.type for column in BASE_TABLES["clips"] if column.name == "affine"),
    metadata={
        "doc": "pseudo-videos that are not encoded: per frame, the 2x3 matrix from output to still, in normalised "
        "coordinates (-1 to 1), row-major; the still is media, or of a reference at uri"
    },
)
"""The column of `shards` that a still needs to move; null, or not there, where media is a video."""


def with_affine(schema: pa.Schema) -> pa.Schema:
    """Return a schema of shards with the column `AFFINE`."""
    return schema if AFFINE.name in schema.names else schema.append(AFFINE)


def image_type(data: bytes) -> str:
    """Return the media type of an image file's bytes; `application/octet-stream` for none that we know."""
    kind = image_format(data[:32])
    if kind is None:
        return "application/octet-stream"
    return "image/jp2" if kind == "jpeg2000" else f"image/{kind}"


def lazy_clips(rows: Sequence[Mapping[str, Any]], path: Path, mode: CutMode) -> list[Encoded | MediaError]:
    """Return, for rows of `clips` of one still, what a training row needs of it: its own bytes, or a reference.

    `path` is a local copy of the still; `mode` is copy or reference. The still is decoded once, so that none is
    promised that cannot be: a `MediaError` then stands for each row.
    """
    try:
        media.load_still(path)
        data = path.read_bytes() if mode == "copy" else b""
    except MediaError as error:
        return [error for _ in rows]
    return [Encoded(data, row["frames"], row["width_px"], row["height_px"], row["fps"], mode=mode) for row in rows]
