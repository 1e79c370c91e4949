"""The decord backend: whole reads of our own encodings, where it is exact and fast.

decord counts pre-roll frames, misses frames on random access in open groups of pictures, prefetches without bound
and ignores rotation; none of that touches a short H.264 file with closed groups, read from end to end.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO

from media.errors import BackendError, MediaError
from media.frames import ArrayFrame
from media.source import Deadline, MediaInput, geometry_of, open_source, pictures

__all__ = ["decode_whole"]

_BATCH = 16


def decode_whole(media: MediaInput, *, threads: int = 1) -> Iterator[ArrayFrame]:
    """Yield every frame of an upright, progressive H.264 MP4. BackendError for anything else, or without decord."""
    try:
        import decord
    except ImportError as error:
        raise BackendError("decord is not installed on this machine; use the backend 'pyav'") from error
    _refuse_foreign(media)
    try:
        reader = decord.VideoReader(_file(media), num_threads=threads)
        count = len(reader)
        for first in range(0, count, _BATCH):
            numbers = list(range(first, min(first + _BATCH, count)))
            batch = reader.get_batch(numbers).asnumpy()
            spans = reader.get_frame_timestamp(numbers)
            for number, picture, (start, end) in zip(numbers, batch, spans, strict=True):
                origin = float(reader.get_frame_timestamp(0)[0])
                yield ArrayFrame(number, float(start) - origin, float(end - start), picture)
    except decord.DECORDError as error:
        raise MediaError("undecodable", str(error).splitlines()[0]) from error


def _file(media: MediaInput) -> IO[bytes] | str:
    return io.BytesIO(media) if isinstance(media, bytes) else str(media)


def _refuse_foreign(media: MediaInput) -> None:
    with open_source(media) as source:
        first = next(pictures(source, Deadline.after(None)))
        geometry = geometry_of(source, first)
        codec = source.stream.codec_context.codec.canonical_name
        odd = geometry.rotation_deg or geometry.mirrored or geometry.sample_aspect != 1 or first.interlaced_frame
        if codec != "h264" or not source.is_iso or odd:
            raise BackendError(
                "the backend 'decord' reads only upright, progressive H.264 in MP4, as media.encode writes it; "
                f"this is {codec} in {source.container.format.name}. Use the backend 'pyav'"
            )
