"""Clips copied out of a source: its own packets in an MP4 of their own, with no generation lost and nothing decoded.

A copy begins at the last clean start at or before its first frame, and goes on, in decoding order, to the last packet
that a frame before its end needs. So it may hold frames before and after those that are meant; `Encoded.in_frame` and
`out_frame` say which are, as frame numbers of the written file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from typing import TYPE_CHECKING, Literal

import av

from media.encoding import Encoded, mp4
from media.errors import MediaError
from media.frames import AvFrame
from media.indexing import FrameIndex, frame_index
from media.source import Deadline, Source, geometry_of, open_source, pictures
from media.spans import read_span
from media.verifying import CopiedPacket, check_copy, configuration_of, first_picture, picture_hash

if TYPE_CHECKING:
    from av.packet import Packet

__all__ = ["CopyCheck", "Span", "copy_spans"]

Span = tuple[int, int]
"""Source frame numbers, half-open."""

CopyCheck = Literal["packets", "decode"]


_LONGEST_BEFORE_S = 20.0
"""Seconds of frames before the clip that a copy may bring along."""


@dataclass(frozen=True, slots=True)
class _Reel:
    """Packets in decoding order from the clean start `key` on, enough for every frame of a span; `fps` of the span."""

    packets: list[Packet[av.VideoStream]]
    key: int
    span: Span
    fps: float


def copy_spans(
    path: str | PathLike[str], spans: Sequence[Span], *, check: CopyCheck = "packets", wall_limit_s: float | None = None
) -> Iterator[tuple[int, Encoded | MediaError]]:
    """Copy `spans` of the file at `path`; yield each one's place in `spans` and its outcome, in the order of the file.

    Every copy is opened again and held against its source (`media.verifying.check_copy`); with `check` "decode" both
    are decoded from end to end, and the hashes of all frames must be equal. A span that cannot be copied is a
    MediaError of its own: "uncopyable" where the file's index has doubts or MP4 cannot hold the codec, "truncated"
    past the end, "verify_failed". The file is opened once. MediaError is raised where it cannot be opened.
    """
    deadline = Deadline.after(wall_limit_s)
    index = frame_index(path)
    with open_source(path) as source:
        for place in sorted(range(len(spans)), key=lambda i: spans[i]):
            try:
                reel = _read(source, index, spans[place], deadline)
                encoded = _copied(source, reel)
                if check == "decode":
                    _check_all_frames(path, encoded, spans[place], wall_limit_s)
                outcome: Encoded | MediaError = encoded
            except MediaError as error:
                outcome = error
            yield place, outcome


def _refusal(why: str) -> MediaError:
    return MediaError("uncopyable", f"{why}; cut it as exact")


def _read(source: Source, index: FrameIndex, span: Span, deadline: Deadline) -> _Reel:
    """Collect the packets of a span; those of frames before the clean start (an open group's leading ones) are left."""
    first, end = span
    if index.doubt:
        raise _refusal(index.doubt)
    if end > index.frames:
        raise MediaError("truncated", f"frames {first} to {end} were asked for, it ends at {index.frames}")
    codec = source.stream.codec_context.codec.canonical_name
    key = index.key_before(first)
    before_s = index.time_s(first) - index.time_s(key)
    if before_s > _LONGEST_BEFORE_S:
        raise _refusal(f"the keyframe before it is {before_s:.0f} s earlier, and all between would be copied too")
    packets: list[Packet[av.VideoStream]] = []
    missing = end - key
    try:
        source.container.seek(int(index.pts[key]), stream=source.stream)
        for packet in source.container.demux(source.stream):
            deadline.check()
            number = index.number(packet.pts) if packet.size else None
            if not packets and number != key:
                continue  # the seek landed earlier
            if number is None or packet.has_sidedata("new_extradata"):
                raise _refusal("its configuration or its timestamps change on the way")
            if number < key and codec != "hevc":
                raise _refusal(f"frame {number} is shown before the keyframe that it follows")
            if number >= key:
                packets.append(packet)
                missing -= number < end
            if not missing:
                break
    except (av.FFmpegError, OSError) as error:
        raise MediaError("undecodable", f"while reading frames {key} to {end}: {error}") from error
    if missing:
        raise MediaError("truncated", f"{missing} of the frames {key} to {end} are not where the index has them")
    return _Reel(packets, key, span, _mean_fps(index, span, packets))


def _mean_fps(index: FrameIndex, span: Span, packets: Sequence[Packet[av.VideoStream]]) -> float:
    first, end = span
    if end < index.frames:
        ticks = int(index.pts[end] - index.pts[first])
    else:
        last = next(packet for packet in packets if packet.pts == index.pts[end - 1])
        steps = int(index.pts[end - 1] - index.pts[first])
        ticks = steps + (
            last.duration or round(steps / max(1, end - 1 - first)) or round(Fraction(1, 25) / index.time_base)
        )
    return float((end - first) / (ticks * index.time_base))


def _copied(source: Source, reel: _Reel) -> Encoded:
    """Mux the packets and check what was written."""
    first, end = reel.span
    origin = reel.packets[0].pts or 0
    copied = [
        CopiedPacket(bytes(packet), ((packet.pts or 0) - origin) * source.time_base, packet.is_keyframe)
        for packet in reel.packets
    ]
    picture, key_hash = first_picture(source, reel.packets[0])
    data = _mux(source, reel.packets)
    check_copy(data, copied, configuration_of(source), key_hash)
    width_px, height_px = geometry_of(source, picture).display(picture.width, picture.height)
    return Encoded(data, end - first, width_px, height_px, reel.fps, "copy", first - reel.key)


def _mux(source: Source, packets: Sequence[Packet[av.VideoStream]]) -> bytes:
    """Write packets as they are, their display times counted from the first one's, to MP4."""
    origin = packets[0].pts or 0
    shown = [(packet.pts or 0) - origin for packet in packets]
    # Decoding times that rise and are never after the time of display: the times of display in order, moved ahead.
    ordered = sorted(shown)
    ahead = max(early - own for early, own in zip(ordered, shown, strict=True))
    with mp4() as (container, buffer):
        try:
            stream = container.add_stream_from_template(source.stream, opaque=True)
        except ValueError as error:
            raise _refusal(f"MP4 does not hold {source.stream.codec_context.codec.canonical_name}") from error
        context = stream.codec_context
        context.sample_aspect_ratio = source.sample_aspect
        for packet, pts, turn in zip(packets, shown, ordered, strict=True):
            packet.stream = stream
            packet.pts, packet.dts, packet.time_base = pts, turn - ahead, source.time_base
            container.mux_one(packet)
    return buffer.getvalue()


def _check_all_frames(path: str | PathLike[str], copy: Encoded, span: Span, wall_limit_s: float | None) -> None:
    """Decode the span and the copy, and compare the hashes of all frames."""
    with open_source(copy.data) as written:
        shown = [picture_hash(written, picture) for picture in pictures(written, Deadline.after(wall_limit_s))]
    wanted = shown[copy.in_frame : copy.out_frame]
    if len(wanted) != copy.frames:
        raise MediaError("verify_failed", f"{len(wanted)} of {copy.frames} frames are in the copy")
    with open_source(path) as source:
        for count, frame in enumerate(read_span(path, *span, wall_limit_s=wall_limit_s)):
            same = isinstance(frame, AvFrame) and picture_hash(source, frame.picture) == wanted[count]
            if not same:
                raise MediaError("verify_failed", f"frame {frame.index} is not the source's in the copy")
