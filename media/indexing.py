"""Which frame is where in a file, read from its packets alone.

A file's packets are read once, undecoded: the order of their timestamps is the order of display, so the frame number
of each is its rank. That holds if every packet gives one picture, which is doubted for whatever cannot be shown to
(`FrameIndex.doubt`); and a decoder may start only at pictures that the codec's own rules make a clean start.
"""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from os import PathLike

import av
import numpy as np
import numpy.typing as npt

from media.bitstream import droppable, starts_clean, temporal_layer, unit_doubt
from media.errors import MediaError
from media.source import Source, open_source

__all__ = ["FrameIndex", "frame_index"]

_CONTAINERS = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
_CODECS = {"h264", "hevc", "vp8", "vp9", "av1"}
_PROGRESSIVE = {0, 1}  # AV_FIELD_UNKNOWN, AV_FIELD_PROGRESSIVE


@dataclass(frozen=True, slots=True, eq=False)
class FrameIndex:
    """Where each frame is: `pts[n]` is the timestamp of frame n, in `time_base` seconds; rising.

    `keys` are the numbers of the frames at which decoding may start. `sizes` are those of the packets, in bytes;
    `droppable` frames are ones that no other is predicted from. `doubt` says why the ranks cannot be trusted as
    frame numbers, and the other arrays may be empty then; it is empty when they can.
    """

    pts: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]
    time_base: Fraction
    doubt: str
    sizes: npt.NDArray[np.int64]
    droppable: npt.NDArray[np.bool_]

    @property
    def frames(self) -> int:
        """Return the number of frames."""
        return len(self.pts)

    def key_before(self, number: int) -> int:
        """Return the last frame at or before `number` at which decoding may start."""
        return int(self.keys[np.searchsorted(self.keys, number, side="right") - 1])

    def number(self, pts: int | None) -> int | None:
        """Return the frame with exactly this timestamp."""
        if pts is None:
            return None
        place = int(np.searchsorted(self.pts, pts))
        return place if place < len(self.pts) and self.pts[place] == pts else None

    def time_s(self, number: int) -> float:
        """Return the seconds from the first frame to frame `number`."""
        ticks = int(self.pts[number]) - int(self.pts[0])
        return ticks * self.time_base.numerator / self.time_base.denominator  # rounded once: exact to the last bit


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
    stamps, keys, sizes = array("q"), array("q"), array("q")  # of a film there are many: no objects
    layers, alone = array("b"), array("b")
    try:
        for packet in source.container.demux(source.stream) if not doubt else ():
            if not packet.size:
                continue
            if packet.pts is None or packet.is_discard or packet.is_corrupt:
                doubt = "a packet without a timestamp, or not to be shown"
                break
            doubt = unit_doubt(codec, packet, extradata)
            if doubt:
                break
            stamps.append(packet.pts)
            sizes.append(packet.size)
            layers.append(temporal_layer(codec, packet, extradata))
            alone.append(droppable(codec, packet, extradata))
            if packet.is_keyframe and starts_clean(codec, packet, extradata):
                keys.append(packet.pts)
    except (av.FFmpegError, ValueError) as error:
        doubt = f"while reading: {error}"  # the decoder, which meets it in its place, gives the reason
    order = np.argsort(np.array(stamps, np.int64), kind="stable")
    pts = np.array(stamps, np.int64)[order]
    promised = source.stream.frames if source.is_iso else 0
    if not doubt and not stamps:
        doubt = "no packets"
    elif not doubt and len(stamps) < promised:
        doubt = "fewer packets than the header promises"
    elif not doubt and len(np.unique(pts)) != len(stamps):
        doubt = "timestamps that occur twice"
    elif not doubt and (not keys or stamps[0] != keys[0] or stamps[0] != pts[0]):
        doubt = "frames before the first keyframe"
    starts = np.searchsorted(pts, np.array(sorted(keys), np.int64))
    outermost = np.array(layers) == max(layers, default=0)
    return FrameIndex(
        pts,
        starts,
        source.time_base,
        doubt,
        np.array(sizes, np.int64)[order],
        (np.array(alone, np.bool_) & outermost)[order],
    )


def _stream_doubt(source: Source, codec: str) -> str:
    if source.container.format.name not in _CONTAINERS:
        return f"container {source.container.format.name}"
    if codec not in _CODECS:
        return f"codec {codec}"
    if source.stream.codec_context.field_order not in _PROGRESSIVE:
        return "interlaced"
    return ""
