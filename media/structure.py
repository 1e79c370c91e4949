"""Whether the bytes of a container are all there, read from its outermost structure alone.

libav decodes what it finds of a cut-off file and is content. So the promise is held against the bytes first: the
boxes of MP4 and QuickTime (ISO 14496-12), the Segment of Matroska and WebM (RFC 8794), the chunks of AVI.
Only headers are read, so this takes the same time for any length.
"""

from __future__ import annotations

import os
from typing import IO

from media.errors import MediaError

__all__ = ["check_complete", "is_container"]

_ISO_BOXES = {b"ftyp", b"styp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"pnot", b"uuid"}
_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_AVI_SLACK_BYTES = 8  # some writers count the padding of the last chunk


def is_container(head: bytes) -> bool:
    """Tell whether `head`, the first 16 bytes, begin a container this module knows."""
    return head[4:8] in _ISO_BOXES or head[:4] == _EBML or _is_avi(head)


def check_complete(file: IO[bytes]) -> None:
    """Raise MediaError("empty_file") or ("truncated") when the bytes are fewer than the container promises.

    A container that is not one of those above passes.
    """
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        raise MediaError("empty_file", "0 bytes")
    file.seek(0)
    head = file.read(16)
    if head[4:8] in _ISO_BOXES:
        _check_boxes(file, size)
    elif head[:4] == _EBML:
        _check_segment(file, size)
    elif _is_avi(head):
        _check_chunks(file, size)
    file.seek(0)


def _check_boxes(file: IO[bytes], size: int) -> None:
    kinds: list[bytes] = []
    at = 0
    while at + 8 <= size:
        file.seek(at)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if not all(0x20 <= byte < 0x7F or byte == 0xA9 for byte in kind):
            break  # padding, or a tail that is not ours to judge
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:
            length = size - at
        if length < 8:
            break
        if at + length > size:
            name = kind.decode("latin-1")
            raise MediaError("truncated", f"box '{name}' promises {length} bytes, the file holds {size - at} of them")
        kinds.append(kind)
        at += length
    if b"moov" not in kinds:
        raise MediaError("truncated", "no 'moov' box: the file ends before its index was written")
    if kinds[-1] == b"moof":
        raise MediaError("truncated", "the last fragment has no 'mdat' box")


def _check_segment(file: IO[bytes], size: int) -> None:
    file.seek(4)
    at = 4
    length, width = _ebml_size(file.read(8))
    at += width + (length or 0)
    if at > size:
        raise MediaError("truncated", f"the EBML header promises {length} bytes, the file holds {size}")
    file.seek(at)
    header = file.read(12)
    if not header:
        raise MediaError("truncated", "the file ends before its first segment")
    if header[:4] != _SEGMENT:
        return
    length, width = _ebml_size(header[4:])
    if length is None:
        return  # a live stream: no promise was made
    promised = at + 4 + width + length
    if promised > size:
        raise MediaError("truncated", f"the segment promises {promised} bytes, the file holds {size}")


def _ebml_size(data: bytes) -> tuple[int | None, int]:
    """Return the value of a variable-length EBML size (None: unknown) and its width in bytes."""
    if not data or data[0] == 0:
        return None, 1
    width = 9 - data[0].bit_length()
    value = int.from_bytes(data[:width], "big") & ((1 << 7 * width) - 1)
    return (None if value == (1 << 7 * width) - 1 else value), width


def _is_avi(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"AVI "


def _check_chunks(file: IO[bytes], size: int) -> None:
    at = 0
    while at + 12 <= size:
        file.seek(at)
        header = file.read(12)
        length = int.from_bytes(header[4:8], "little")
        if header[:4] != b"RIFF" or length == 0:  # zero: the writer never came back to fill it in
            return
        if at + 8 + length > size + _AVI_SLACK_BYTES:
            raise MediaError("truncated", f"a RIFF chunk promises {length} bytes, the file holds {size - at - 8}")
        at += 8 + length + length % 2
