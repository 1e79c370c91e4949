"""The row of a source whose reading ended from outside: its process was killed, died, or failed as nobody foresaw."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import media
from dataset.schema import BASE_TABLES
from media import Guard, MediaError

__all__ = ["id_of_address", "quarantined_row"]

_LIMIT_S = 60.0


class _Identity(NamedTuple):
    """What can be said of a source without decoding it."""

    video_id: str
    media: str
    size_bytes: int | None


def quarantined_row(
    uri: str,
    error: MediaError,
    *,
    run_id: str,
    rights: Mapping[str, Any] | None = None,
    guard: Guard | None = None,
    limit_s: float = _LIMIT_S,
) -> dict[str, Any]:
    """Return the row of `videos` that says `error` of the source at `uri`; it has no clips.

    Its `video_id` is that of the content, as in every other row, if the content can be read again within `limit_s`
    (seconds; only with a `guard`, in whose child it is read); else it stands for the address, as it does for a source
    that cannot be read, or may not: one that was opted out is not opened. `rights` are columns of `dataset.RIGHTS`.
    """
    identity = _Identity(id_of_address(uri), "video", None)
    with contextlib.suppress(MediaError, OSError, ValueError):
        if error.reason == "opted_out":
            raise error
        identity = _identify(uri) if guard is None else guard.run(_identify, uri, limit_s=limit_s)
    row: dict[str, Any] = {column.name: None for column in BASE_TABLES["videos"]}
    row.update(identity._asdict(), **(rights or {}), uri=uri, run_id=run_id)
    row.update(status="quarantined", reason=error.reason, detail=error.detail)
    return row


def _identify(uri: str) -> _Identity:
    with media.local_copy(uri) as path:
        kind = "image" if media.is_image(path) else "video"
        return _Identity(media.content_id(path), kind, path.stat().st_size)


def id_of_address(uri: str) -> str:
    """Stand in for the content's id where the content cannot be read: the BLAKE2b of the address."""
    return hashlib.blake2b(b"address:" + uri.encode(), digest_size=16).hexdigest()
