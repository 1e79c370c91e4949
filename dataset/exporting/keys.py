"""File names of clips: safe on every file system, unique, and turned back into the id they were made of."""

from __future__ import annotations

import re
from typing import Final

from media.errors import DatasetError

__all__ = ["KEY_BYTES", "clip_id_of", "key_of"]

KEY_BYTES: Final = 200
"""The longest key, so that an extension, and what a trainer adds for its caches, still fit into 255 bytes."""

_PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-")
_KEY: Final = re.compile(r"(?:[a-z0-9-]|_[0-9a-f]{2})+")


def key_of(clip_id: str) -> str:
    """Return the key of `clip_id`: a-z, 0-9 and `-` as they are, other bytes of its UTF-8 as `_` and two hex digits.

    So `9f:0-48@zoom_in` is `9f_3a0-48_40zoom_5fin`. A key has no dot (WebDataset ends it at the first one), no capital
    (some file systems do not tell them apart) and no leading `-`. Raises DatasetError for an id that is empty, or
    whose key would be longer than `KEY_BYTES`.
    """
    data = clip_id.encode("utf-8", "surrogatepass")
    key = "".join(chr(b) if b in _PLAIN and (i or b != ord("-")) else f"_{b:02x}" for i, b in enumerate(data))
    if not 0 < len(key) <= KEY_BYTES:
        raise DatasetError(f"clip id {clip_id[:60]!r}: its file name would have {len(key)} bytes, 1 to {KEY_BYTES} fit")
    return key


def clip_id_of(key: str) -> str:
    """Return the clip id that `key` was made of. Raises ValueError for what is no key."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is not the key of a clip")
    data = re.sub(rb"_([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), key.encode())
    return data.decode("utf-8", "surrogatepass")
