"""Spans of a file by source frame number, exact or from the start.

A seek is used only where the packets prove what it gives. The file's packets are read once, undecoded: the order of
their timestamps is the order of display, so the frame number of each is its rank. That holds if every packet gives
one picture, which is doubted for whatever cannot be shown to (`FrameIndex.doubt`); and a decoder may start only at
pictures that the codec's own rules make a clean start. What a seek gives is checked against the index, picture by
picture; at the first difference, and wherever there is doubt, the file is decoded from its beginning.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from os import PathLike

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

from media.bitstream import starts_clean, unit_doubt
from media.decoding import decode
from media.errors import MediaError
from media.frames import AvFrame, Frame
from media.source import Deadline, Source, geometry_of, open_source, pictures

__all__ = ["FrameIndex", "frame_index", "read_span"]

_CONTAINERS = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
_CODECS = {"h264", "hevc", "vp8", "vp9", "av1"}
_PROGRESSIVE = {0, 1}  # AV_FIELD_UNKNOWN, AV_FIELD_PROGRESSIVE


@dataclass(frozen=True, slots=True, eq=False)
class FrameIndex:
    """Where each frame is: `pts[n]` is the timestamp of frame n, in `time_base` seconds; rising.

    `keys` are the numbers of the frames at which decoding may start. `doubt` says why the ranks cannot be trusted
    as frame numbers; empty when they can.
    """

    pts: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]
    time_base: Fraction
    doubt: str

    def number(self, pts: int | None) -> int | None:
        """Return the frame with exactly this timestamp."""
        if pts is None:
            return None
        place = int(np.searchsorted(self.pts, pts))
        return place if place < len(self.pts) and self.pts[place] == pts else None

    def time_s(self, number: int) -> float:
        """Return the seconds from the first frame to frame `number`."""
        return float(int(self.pts[number] - self.pts[0]) * self.time_base)


def frame_index(path: str | PathLike[str]) -> FrameIndex:
    """Read the packets of the file at `path`, undecoded, and number its frames. The last few indices are kept."""
    absolute = os.path.abspath(path)
    try:
        status = os.stat(absolute)
    except OSError as error:
        raise MediaError("unreadable", f"{path}: {error.strerror or error}") from error
    return _cached_index(absolute, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _cached_index(path: str, mtime_ns: int, size: int) -> FrameIndex:
    with open_source(path) as source:
        return _read_index(source)


def _read_index(source: Source) -> FrameIndex:
    codec = source.stream.codec_context.codec.canonical_name
    doubt = _stream_doubt(source, codec)
    extradata = source.stream.codec_context.extradata or b""
    stamps: list[int] = []
    keys: list[int] = []
    if not doubt:
        for packet in source.container.demux(source.stream):
            if not packet.size:
                continue
            if packet.pts is None or packet.is_discard or packet.is_corrupt:
                doubt = "a packet without a timestamp, or not to be shown"
                break
            doubt = unit_doubt(codec, packet, extradata)
            if doubt:
                break
            stamps.append(packet.pts)
            if packet.is_keyframe and starts_clean(codec, packet, extradata):
                keys.append(packet.pts)
    pts = np.unique(np.array(stamps, np.int64))
    if not doubt and not stamps:
        doubt = "no packets"
    elif not doubt and len(pts) != len(stamps):
        doubt = "timestamps that occur twice"
    elif not doubt and (not keys or stamps[0] != keys[0] or stamps[0] != pts[0]):
        doubt = "frames before the first keyframe"
    return FrameIndex(pts, np.searchsorted(pts, np.array(sorted(keys), np.int64)), source.time_base, doubt)


def _stream_doubt(source: Source, codec: str) -> str:
    if source.container.format.name not in _CONTAINERS:
        return f"container {source.container.format.name}"
    if codec not in _CODECS:
        return f"codec {codec}"
    if source.stream.codec_context.field_order not in _PROGRESSIVE:
        return "interlaced"
    return ""


def read_span(
    path: str | PathLike[str],
    first: int,
    end: int,
    *,
    frames: int | None = None,
    threads: int = 1,
    wall_limit_s: float | None = None,
) -> Iterator[Frame]:
    """Yield frames `first` to `end` (half-open) of the file at `path`: the same, bit by bit, as `decode` gives.

    `frames` is the file's count of decoded frames, if known: an index that counts otherwise is not used.
    ValueError for an empty span; MediaError("truncated") when the file ends before `end`.
    """
    if not 0 <= first < end:
        raise ValueError(f"frames {first} to {end}: a span needs 0 <= first < end")
    deadline = Deadline.after(wall_limit_s)
    index = frame_index(path)
    done = first
    if not index.doubt and frames in {None, len(index.pts)}:
        key = int(index.keys[np.searchsorted(index.keys, first, side="right") - 1])
        for sought in _sought(path, index, key, (first, end), threads, deadline):
            yield sought
            done = sought.index + 1
    if done < end:
        for frame in decode(path, threads=threads, wall_limit_s=wall_limit_s):
            if frame.index >= done:
                yield frame
                done = frame.index + 1
            if done >= end:
                return
        raise MediaError("truncated", f"frames {first} to {end} were asked for, it ends at {done}")


def _sought(
    path: str | PathLike[str], index: FrameIndex, key: int, span: tuple[int, int], threads: int, deadline: Deadline
) -> Iterator[AvFrame]:
    """Yield frames of `span` decoded from `key` on; end early, having yielded only right ones, if a check fails."""
    first, end = span
    reformatter = VideoReformatter()
    with open_source(path, threads=threads) as source:
        if key:
            try:
                source.container.seek(int(index.pts[key]), stream=source.stream)
            except (av.FFmpegError, OSError):
                return
        geometry = None
        expected: int | None = None
        stream = pictures(source, deadline)
        while True:
            try:
                picture = next(stream, None)
            except MediaError as error:
                if error.reason == "timeout":
                    raise
                return  # whatever it is, the pass from the start meets it in its place
            number = None if picture is None else index.number(picture.pts)
            if picture is None or number is None:
                return
            if expected is None and number < key:
                continue  # a leading picture of an open group: its references were not decoded
            if number != (key if expected is None else expected):
                return
            expected = number + 1
            if geometry is None:
                geometry = geometry_of(source, picture)
            if number < first:
                continue
            last = number + 1 == len(index.pts)
            tail = float(picture.duration * source.time_base) or None
            duration = tail if last else index.time_s(number + 1) - index.time_s(number)
            yield AvFrame(number, index.time_s(number), duration, False, picture, geometry, reformatter)
            if number + 1 == end:
                return
