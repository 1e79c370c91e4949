"""What an export is made of: a clip's bytes, its caption, and what is known of it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pyarrow as pa

from dataset.exporting.keys import key_of
from dataset.shards import media_hash, row_hash
from media.errors import CorruptionError

__all__ = ["COLUMNS", "RECORD", "Sample", "sample_of", "shown_address", "why_not"]

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.:-]*")
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:]*)(:[0-9]+)?")

_OUTCOMES: Final = frozenset({"ok", "repaired", "template"})
_str, _int, _float = pa.string(), pa.int64(), pa.float64()

RECORD: Final = pa.schema(
    [
        ("clip_id", _str),
        ("caption", _str),
        ("caption_length", _str),
        ("caption_outcome", _str),
        ("license", _str),
        ("source", _str),
        ("uri", _str),
        ("video_id", _str),
        ("kind", _str),
        ("first_frame", _int),
        ("end_frame", _int),
        ("frames", _int),
        ("fps", _float),
        ("duration_s", _float),
        ("width_px", _int),
        ("height_px", _int),
        ("media_hash", _str),
    ]
)
"""What travels with every clip, whatever the format; `media_hash` is of the exported bytes, `uri` a `shown_address`."""

_MADE: Final = ("caption", "caption_length", "media_hash")
_KEPT: Final = tuple(name for name in RECORD.names if name not in _MADE)
COLUMNS: Final = (
    *_KEPT,
    "media",
    "media_type",
    "media_hash",
    "cut",
    "in_frame",
    "out_frame",
    "short",
    "medium",
    "dense",
)
"""The columns of a shard that an export reads."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One clip to write: `key` is its file name without extension, `media` an MP4 of exactly its frames."""

    key: str
    media: bytes
    caption: str
    record: Mapping[str, Any]


def why_not(row: Mapping[str, Any], caption: str) -> str | None:
    """Return why `row` cannot be exported with the caption of this length; None if it can."""
    outcome = row.get("caption_outcome")
    if row.get("cut") == "reference" or row.get("media") is None:
        return "cut by reference: no media in the row"
    if (kind := row.get("media_type") or "video/mp4") != "video/mp4":
        return f"media type {kind}"
    if outcome is not None and outcome not in _OUTCOMES:
        return f"caption outcome {outcome}"
    if outcome is None or not (row.get(caption) or "").strip():
        return f"no {caption} caption"
    return None


def shown_address(uri: str) -> str:
    """Return what may be shown to others of where a source was read from.

    Of a local path that is its last part, which tells nothing of folders and users; of an address its scheme, host and
    path, without user, password, query and fragment, which may hold keys and signatures.
    """
    scheme, is_address, rest = uri.partition("://")
    if not is_address or not _SCHEME.fullmatch(scheme):
        return uri.rpartition("/")[2]
    if scheme.lower() == "file":
        return unquote(rest).rpartition("/")[2]
    rest = re.split("[?#]", rest, maxsplit=1)[0]
    host, slash, path = rest.partition("/")
    host = host.rpartition("@")[2]
    if not _HOST.fullmatch(host):  # no host and port: a password with a "/" in it, as keys of S3 have, goes on
        host, slash, path = path.partition("@")[2].partition("/")
        host = host.rpartition("@")[2]
    return f"{scheme}://{host}{slash}{path}"


def sample_of(row: Mapping[str, Any], caption: str) -> Sample:
    """Return the sample of a row that `why_not` has nothing against.

    Raises CorruptionError if the media does not have its checksum, MediaError if a copied cut cannot be decoded.
    """
    if row_hash(row) != row["media_hash"]:
        raise CorruptionError(f"the media of clip {row['clip_id']} does not have its checksum; nothing was exported")
    media = _exact_media(row)
    text = str(row[caption]).strip()
    made = {"caption": text, "caption_length": caption, "media_hash": media_hash(media)}
    if row.get("uri") is not None:
        made["uri"] = shown_address(row["uri"])
    record = {name: made[name] if name in made else row.get(name) for name in RECORD.names}
    return Sample(key_of(row["clip_id"]), media, text, record)


def _exact_media(row: Mapping[str, Any]) -> bytes:
    """Return the clip's MP4; of a copied cut that holds frames before or after the clip, encoded anew without them.

    Other projects' loaders know nothing of `in_frame` and `out_frame`: they take a file whole.
    """
    media: bytes = row["media"]
    if row.get("cut") != "copy" or row.get("out_frame") is None:
        return media
    from media import cut, frame_index

    first, end = row.get("in_frame") or 0, row["out_frame"]
    with tempfile.TemporaryDirectory(prefix="rushes-export-") as folder:
        path = Path(folder, "copied.mp4")
        path.write_bytes(media)
        index = frame_index(path)
        if first == 0 and index.frames == end and not index.doubt:
            return media
        return cut(path, first, end).data
