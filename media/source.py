"""A container opened for reading: the one door to libav, which turns its errors into reasons."""

from __future__ import annotations

import io
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from typing import IO, TYPE_CHECKING, cast

import av
import av.container
from av.stream import Discard, Disposition

from media.errors import MediaError
from media.files import image_format
from media.frames import Geometry
from media.structure import check_complete, is_container

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from av.packet import Packet
    from av.sidedata.sidedata import SideData
    from av.video.frame import VideoFrame

__all__ = ["Deadline", "MediaInput", "Source", "geometry_of", "open_source", "pictures"]

MediaInput = str | PathLike[str] | bytes
"""A local path, or the bytes of a file."""

_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,live_flv,mpegts,mpeg,mpegvideo,m4v,h264,hevc,vvc,ivf,obu,asf,ogg,"
    "gif,mxf,nut,rm,dv,swf,yuv4mpegpipe,mjpeg,wtv,gxf,nsv,bink,roq,smk,"
    "wav,mp3,flac,aac,ac3,eac3,dts,amr,aiff,au,caf,w64,wv,ape,tta,mpc,mpc8,opus"
)
"""The demuxers that may open a file. Playlists and scripts (hls, dash, concat ...) may not: they open other files."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A wall limit that is looked at between packets."""

    limit_s: float | None
    ends_at: float

    @classmethod
    def after(cls, limit_s: float | None) -> Deadline:
        """Begin to count now; None never ends."""
        return cls(limit_s, float("inf") if limit_s is None else time.monotonic() + limit_s)

    def check(self) -> None:
        """Raise MediaError("timeout") when the limit is over."""
        if time.monotonic() > self.ends_at:
            raise MediaError("timeout", f"over the wall limit of {self.limit_s:g} s")


@dataclass(frozen=True, slots=True)
class Source:
    """An open container, its one video stream, its size and its first 64 bytes."""

    container: av.container.InputContainer
    stream: av.VideoStream
    size_bytes: int
    head: bytes

    @property
    def is_iso(self) -> bool:
        """Whether it is MP4 or QuickTime, whose sample table promises a number of packets."""
        return "mp4" in self.container.format.name

    @property
    def time_base(self) -> Fraction:
        """Seconds per tick of the stream's timestamps."""
        return self.stream.time_base or Fraction(1, 90_000)

    @property
    def sample_aspect(self) -> Fraction:
        """Width over height of a stored pixel; 1 where the header says nothing credible."""
        aspect = self.stream.sample_aspect_ratio
        return aspect if aspect and Fraction(1, 4) <= aspect <= 4 else Fraction(1)


@contextmanager
def open_source(
    media: MediaInput, *, threads: int = 1, analysis: bool = False, wall_limit_s: float | None = None
) -> Iterator[Source]:
    """Open `media` and choose its video stream; the decoder is set up but not started.

    MediaError: "unreadable", "empty_file", "truncated" (by its structure), "not_media", "no_video", "undecodable".
    """
    with _opened(media) as file:
        head = file.read(64)
        check_complete(file)
        size_bytes = file.seek(0, os.SEEK_END)
    if image_format(head) not in {None, "gif"}:
        raise MediaError("no_video", f"a still picture ({image_format(head)})")
    container = _open_container(media, head, wall_limit_s)
    try:
        source = Source(container, _video_stream(container, threads, analysis), size_bytes, head)
        _check_sample_table(source)
        yield source
    finally:
        container.close()


@contextmanager
def _opened(media: MediaInput) -> Iterator[IO[bytes]]:
    if isinstance(media, bytes):
        yield io.BytesIO(media)
        return
    try:
        file = open(media, "rb")  # noqa: SIM115
    except OSError as error:
        raise MediaError("unreadable", f"{media}: {error.strerror or error}") from error
    with file:
        yield file


def _open_container(media: MediaInput, head: bytes, wall_limit_s: float | None) -> av.container.InputContainer:
    # An absolute path cannot be taken for a protocol ("concat:..."), whatever the file is called.
    file = io.BytesIO(media) if isinstance(media, bytes) else os.path.abspath(media)
    options = {"format_whitelist": _FORMATS}
    try:
        return av.open(file, "r", container_options=options, metadata_errors="ignore", timeout=wall_limit_s)
    except av.error.ExitError as error:
        raise MediaError("timeout", f"not open after {wall_limit_s:g} s") from error
    except (av.FFmpegError, ValueError, OSError) as error:
        if is_container(head):
            raise MediaError("undecodable", f"the container cannot be read: {_words(error)}") from error
        raise MediaError("not_media", "no container that we know begins like this") from error


def _video_stream(container: av.container.InputContainer, threads: int, analysis: bool) -> av.VideoStream:
    candidates = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not candidates:
        kinds = sorted({stream.type for stream in container.streams})
        raise MediaError("no_video", f"streams: {', '.join(kinds) or 'none'}")
    stream = next((s for s in candidates if s.disposition & Disposition.default), candidates[0])
    try:
        context = stream.codec_context
    except Exception as error:
        raise MediaError("undecodable", f"no decoder for its video stream: {error}") from error
    if context is None:
        raise MediaError("undecodable", "no decoder for its video stream")
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    context.thread_count = threads
    context.thread_type = "AUTO" if threads > 1 else "SLICE"
    if analysis:
        context.options = {"skip_loop_filter": "all"}
    return stream


def _check_sample_table(source: Source) -> None:
    """Hold the last sample of an MP4's table against the bytes there are."""
    entries = source.stream.index_entries
    if not source.is_iso or not len(entries):
        return
    last = entries[len(entries) - 1]
    if last.pos + last.size > source.size_bytes:
        ends = last.pos + last.size
        raise MediaError("truncated", f"the last sample ends at byte {ends}, the file at {source.size_bytes}")


def pictures(
    source: Source, deadline: Deadline, wanted: Callable[[Packet[av.VideoStream]], bool] | None = None
) -> Iterator[VideoFrame]:
    """Yield the decoder's pictures, in order of display.

    Packets that are not `wanted` are not decoded. A packet that cannot be decoded ends it with
    MediaError("undecodable"), except before the first picture: a recording may begin between keyframes; so does a
    picture of another size than the first. Fewer packets than an MP4's table promises is MediaError("truncated").
    """
    packets, shown = 0, 0
    size: tuple[int, int] | None = None
    failed: Exception | None = None
    for packet in _demux(source):
        deadline.check()
        packets += packet.size > 0
        if wanted is not None and packet.size and not wanted(packet):
            continue
        try:
            decoded = packet.decode()
        except (av.FFmpegError, ValueError) as error:
            if shown:
                raise MediaError("undecodable", f"after frame {shown - 1}: {_words(error)}") from error
            failed = error
            continue
        for picture in decoded:
            size = size or (picture.width, picture.height)
            if (picture.width, picture.height) != size:
                sizes = f"{picture.width} x {picture.height}, those before are {size[0]} x {size[1]}"
                raise MediaError("undecodable", f"frame {shown} is {sizes}")
            shown += 1
            yield picture
    promised = source.stream.frames if source.is_iso else 0
    if packets < promised:
        raise MediaError("truncated", f"the header promises {promised} frames, {packets} are there")
    if not shown:
        words = _words(failed) if failed else f"{packets} packets gave no picture"
        raise MediaError("undecodable", f"{words}") from failed


def _demux(source: Source) -> Iterator[Packet[av.VideoStream]]:
    try:
        yield from source.container.demux(source.stream)
    except av.error.ExitError as error:
        raise MediaError("timeout", "a read took longer than the wall limit") from error
    except (av.FFmpegError, ValueError) as error:
        raise MediaError("undecodable", f"while reading: {_words(error)}") from error


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def geometry_of(source: Source, picture: VideoFrame) -> Geometry:
    """Read from the first picture's display matrix how it is to be shown (ISO 14496-12, 8.2.2: x' = ax + cy)."""
    a, b, c, d = 1, 0, 0, 1
    try:
        items = list(cast("Iterable[SideData]", picture.side_data))  # PyAV iterates over the items, not their names
    except ValueError:  # side data of a kind that PyAV has no name for, as EXIF's
        items = []
    data = next((bytes(item) for item in items if item.type.name == "DISPLAYMATRIX"), b"")
    if len(data) >= 36:
        matrix = struct.unpack("<9i", data[:36])
        a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    rotation = (0 if a >= 0 else 180) if abs(a) >= abs(b) else (90 if b > 0 else 270)
    return Geometry(mirrored, rotation, source.sample_aspect)
