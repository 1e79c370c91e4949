"""What was written, opened again and held against what went in: a file is believed for what it decodes to.

Encoded pictures: each that goes into the encoder leaves a sparse sample of its luma; the written bytes are decoded as
any reader would decode them, counted, timed, and each frame is held against its sample. That proves that every frame
is there, once, in its place, and looks like its source; not that chroma is right, nor a pixel between the samples.

Copied packets: see `check_copy`.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from media.errors import MediaError
from media.layouts import layout_of, samples
from media.source import Deadline, Source, geometry_of, open_source, pictures

if TYPE_CHECKING:
    from collections.abc import Iterable

    import av
    from av.packet import Packet
    from av.video.frame import VideoFrame

__all__ = [
    "MEAN_FLOOR_DB",
    "WORST_FLOOR_DB",
    "CopiedPacket",
    "Quality",
    "Witness",
    "check_copy",
    "configuration_of",
    "first_picture",
    "picture_hash",
]

MEAN_FLOOR_DB: Final = 20.0
"""The least PSNR of a clip. On animation and camera footage a right clip has 39 to 51 dB at CRF 18, 29 or more at
CRF 35, 22 or more at CRF 51 with the preset ultrafast; the wrong scene has 11 to 18."""

WORST_FLOOR_DB: Final = 18.0
"""The least PSNR of any frame: a right one has 28 dB or more at CRF 35, 21 at CRF 51; of a wrong scene 17 at best."""

_SAMPLES = 4096
# PSNR alone cannot tell the next frame from the right one where little moves. But every right clip of 8 frames of the
# same footage fits the neighbours of its sources with at least 0.91 of the error with which it fits its own, at any CRF
# (0.97 up to CRF 35); one that is a frame off fits them with at most 0.84 up to CRF 28. Above, and where next to
# nothing moves, the two cannot be told apart by looking. Of shorter clips a right one may have 0.67.
_SHIFTED_SHARE, _SHIFTED_SHARE_SHORT, _SHORT_FRAMES = 0.85, 0.5, 8
_PERFECT_DB = 99.0

Samples = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Quality:
    """PSNR of the luma samples: of a whole clip (from the mean of squares over all its frames) and of its worst frame.

    No loss at all counts as 99 dB.
    """

    psnr_db: float
    psnr_worst_db: float


class Witness:
    """Sees every picture that goes into an encoder, and is asked about what came out.

    It holds about 4,096 bytes a frame, of whatever size: luma on a grid whose step is odd, so that it does not fall on
    the same place of every block.
    """

    def __init__(self) -> None:
        self._samples: list[Samples] = []
        self._stamps: list[int] = []

    def watch(self, stamped: Iterable[tuple[VideoFrame, int]]) -> Iterator[tuple[VideoFrame, int]]:
        """Pass the pictures on, and remember a sample and the timestamp of each."""
        for picture, stamp in stamped:
            self._samples.append(_sample(picture))
            self._stamps.append(stamp)
            yield picture, stamp

    def check(self, data: bytes, time_base: Fraction) -> Quality:
        """Decode `data` and hold it against what was seen; timestamps were in units of `time_base`.

        MediaError("verify_failed") for another number of frames, another time, a PSNR below `MEAN_FLOOR_DB` or below
        `WORST_FLOOR_DB` in one frame, or frames that fit the neighbours of their sources better than their own.
        """
        shown: list[Samples] = []
        with open_source(data) as source:
            times: list[Fraction | None] = []
            for picture in pictures(source, Deadline.after(None)):
                shown.append(_sample(picture))
                times.append(None if picture.pts is None else picture.pts * source.time_base)
        if len(shown) != len(self._samples):
            raise MediaError("verify_failed", f"{len(self._samples)} frames went in, {len(shown)} come out")
        for number, (time, stamp) in enumerate(zip(times, self._stamps, strict=True)):
            meant = (stamp - self._stamps[0]) * time_base
            if time != meant:
                raise MediaError("verify_failed", f"written frame {number} is at {time} s and not at {meant} s")
        return _held(self._samples, shown)


def _sample(picture: VideoFrame) -> Samples:
    step = math.isqrt(picture.width * picture.height // _SAMPLES) | 1
    luma: Samples = samples(picture.planes[0], layout_of(picture.format.name))
    return luma[step // 2 :: step, step // 2 :: step].copy()


def _error(one: Samples, other: Samples) -> float:
    """Return the mean square of the difference, in levels."""
    difference = one.astype(np.float32) - other
    return float(np.dot(difference.ravel(), difference.ravel())) / difference.size


def _decibels(error: float) -> float:
    return _PERFECT_DB if error <= 0 else min(_PERFECT_DB, 10 * math.log10(255**2 / error))


def _held(went_in: Sequence[Samples], came_out: Sequence[Samples]) -> Quality:
    if came_out[0].shape != went_in[0].shape:
        raise MediaError("verify_failed", "the written frames are of another size")
    errors = [_error(a, b) for a, b in zip(went_in, came_out, strict=True)]
    quality = Quality(_decibels(float(np.mean(errors))), _decibels(max(errors)))
    if quality.psnr_db < MEAN_FLOOR_DB or quality.psnr_worst_db < WORST_FLOOR_DB:
        said = f"PSNR {quality.psnr_db:.1f} dB, {quality.psnr_worst_db:.1f} dB in frame {int(np.argmax(errors))}"
        raise MediaError("verify_failed", f"{said}; the floors are {MEAN_FLOOR_DB:g} and {WORST_FLOOR_DB:g} dB")
    _refuse_shifted(went_in, came_out, errors)
    return quality


def _refuse_shifted(went_in: Sequence[Samples], came_out: Sequence[Samples], errors: Sequence[float]) -> None:
    share = _SHIFTED_SHARE if len(errors) >= _SHORT_FRAMES else _SHIFTED_SHARE_SHORT
    for name, ours, theirs in (
        ("after", slice(None, -1), slice(1, None)),
        ("before", slice(1, None), slice(None, -1)),
    ):
        shifted = [_error(a, b) for a, b in zip(went_in[theirs], came_out[ours], strict=True)]
        if shifted and sum(shifted) < share * sum(errors[ours]):
            raise MediaError("verify_failed", f"the written frames are the ones {name} their sources: shifted by one")


@dataclass(frozen=True, slots=True)
class CopiedPacket:
    """A packet of the source: its bytes, its time after the first packet's in seconds, and whether it is a keyframe."""

    payload: bytes
    time_s: Fraction
    key: bool

    @property
    def hash(self) -> bytes:
        """The checksum of its bytes: 128-bit BLAKE2b."""
        return blake2b(self.payload, digest_size=16).digest()


def check_copy(data: bytes, copied: Sequence[CopiedPacket], configuration: bytes, key_hash: bytes) -> None:
    """Open `data` and hold its packets against those that were copied into it, in decoding order.

    Checked: the number of packets; the bytes, the time and the keyframe mark of each; that none is hidden by an edit
    list; the decoder's `configuration`; that the decoder knows how far frames are reordered; and that the first
    packet, decoded, gives the picture whose `picture_hash` is `key_hash`, shape, colours and turn included. Equal
    coded pictures with an equal configuration, from a clean start, decode to equal pictures, so this proves all of
    them where the start is clean, without decoding more than one. It trusts `FrameIndex` for where starts are clean;
    `verify="decode"` of `media.cut` does not. MediaError("verify_failed") at the first difference.
    """
    with open_source(data) as source:
        packets = [packet for packet in source.container.demux(source.stream) if packet.size]
        if len(packets) != len(copied):
            raise MediaError("verify_failed", f"{len(copied)} packets were copied, {len(packets)} are in the file")
        for number, (packet, meant) in enumerate(zip(packets, copied, strict=True)):
            time_s = None if packet.pts is None else (packet.pts - (packets[0].pts or 0)) * source.time_base
            if blake2b(bytes(packet), digest_size=16).digest() != meant.hash:
                raise MediaError("verify_failed", f"packet {number} has other bytes than its source")
            if time_s != meant.time_s or packet.is_keyframe != meant.key or packet.is_discard:
                raise MediaError("verify_failed", f"packet {number} has another time or mark than its source")
        if configuration_of(source) != configuration:
            raise MediaError("verify_failed", "the decoder's configuration is not that of the source")
        needed = _reordering([packet.time_s for packet in copied])
        if source.stream.codec_context.reorder_depth < needed:
            raise MediaError("verify_failed", f"a decoder does not learn from it that frames are reordered by {needed}")
        if first_picture(source, packets[0])[1] != key_hash:
            raise MediaError("verify_failed", "the first keyframe does not decode to the source's picture")


def configuration_of(source: Source) -> bytes:
    """Return what a decoder must know before the first packet; empty for codecs whose keyframes tell it all."""
    context = source.stream.codec_context
    return (context.extradata or b"") if context.codec.canonical_name in {"h264", "hevc", "av1"} else b""


def first_picture(source: Source, packet: Packet[av.VideoStream]) -> tuple[VideoFrame, bytes]:
    """Decode one keyframe's packet alone; return the picture and its hash. MediaError("undecodable") if it is none."""
    import av

    context = source.stream.codec_context
    try:
        shown = [*context.decode(packet), *context.decode(None)]
    except (av.FFmpegError, ValueError) as error:
        raise MediaError("undecodable", f"a keyframe cannot be decoded: {error}") from error
    context.flush_buffers()
    if len(shown) != 1:
        raise MediaError("undecodable", f"a keyframe gave {len(shown)} pictures")
    return shown[0], picture_hash(source, shown[0])


def picture_hash(source: Source, picture: VideoFrame) -> bytes:
    """Return the checksum of all that is shown of a picture: every sample of every plane, its colours and its turn."""
    layout = layout_of(picture.format.name)
    about = (
        picture.format.name, picture.width, picture.height, picture.color_range, picture.colorspace,
        picture.color_primaries, picture.color_trc, picture.interlaced_frame, geometry_of(source, picture),
    )  # fmt: skip
    digest = blake2b(repr(about).encode(), digest_size=16)
    for plane in picture.planes:
        if layout.planar:
            digest.update(samples(plane, layout).tobytes())
        else:
            digest.update(bytes(plane))
    return digest.digest()


def _reordering(times_s: Sequence[Fraction]) -> int:
    """Return how many pictures of later display at most precede one in the order of decoding."""
    seen: list[Fraction] = []
    most = 0
    for time_s in times_s:
        place = bisect(seen, time_s)
        most = max(most, len(seen) - place)
        seen.insert(place, time_s)
    return most
