"""Headers that lie: sound files in which one field says what is not so. They add themselves to `hostile.MAKERS`."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from tests.hostile import ANY, OURS, Maker, base, hostile, patched, written

_U32 = struct.Struct(">I")
_HUGE, _LARGEST, _NEGATIVE = b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0"
_WIDE = 40  # in "stsd": the width of its first entry; the height follows


def lie(suffix: str, *changes: tuple[bytes, int, bytes], codec: str = "libx264") -> Maker:
    return lambda folder: written(folder, f"a{suffix}", patched(base(codec, suffix), *changes))


def fragments(*changes: tuple[bytes, int, bytes]) -> Maker:
    how = {"movflags": "frag_keyframe+empty_moov"}
    return lambda folder: written(folder, "a.mp4", patched(base(container_options=how), *changes))


def sample_sizes(value: int) -> Maker:
    def maker(folder: Path) -> Path:
        data = base()
        (count,) = _U32.unpack_from(data, data.index(b"stsz") + 12)
        return written(folder, "a.mp4", patched(data, (b"stsz", 12, _U32.pack(value) * count)))

    return maker


# ISO 14496-12; the offset is from the end of the box's name, so 4 is the first field after version and flags.
TIMES = {
    "no duration in the header": [(b"mvhd", 16, bytes(4)), (b"tkhd", 20, bytes(4)), (b"mdhd", 16, bytes(4))],
    "an endless duration": [(b"mvhd", 16, _HUGE), (b"tkhd", 20, _HUGE), (b"mdhd", 16, _HUGE)],
    "time scale 0": [(b"mvhd", 12, bytes(4)), (b"mdhd", 12, bytes(4))],
    "a negative time scale": [(b"mvhd", 12, _NEGATIVE), (b"mdhd", 12, _NEGATIVE)],
    "the largest time scale": [(b"mdhd", 12, _LARGEST)],
    "frames that last nothing (stts)": [(b"stts", 12, bytes(4))],
    "frames that last for ever (stts)": [(b"stts", 12, _LARGEST)],
    "frames that go backwards (stts)": [(b"stts", 12, b"\xff\xff\xff\xf0")],
    "four thousand million frames (stts)": [(b"stts", 8, _HUGE)],
    "more times than bytes (stts)": [(b"stts", 4, _HUGE)],
    "delays without end (ctts)": [(b"ctts", 12, _LARGEST)],
    "delays backwards (ctts)": [(b"ctts", 12, _NEGATIVE)],
    "four thousand million delays (ctts)": [(b"ctts", 8, _HUGE)],
    "an edit without end (elst)": [(b"elst", 8, _LARGEST + _LARGEST)],
    "an empty edit only (elst)": [(b"elst", 8, _LARGEST + _HUGE)],
    "an edit of rate 0 (elst)": [(b"elst", 16, bytes(4))],
}
PLACES = {
    "a thousand million samples (stsz)": [(b"stsz", 4, b"\0\0\0\1\x40\0\0\0")],
    "chunks beyond the end (stco)": [(b"stco", 8, _LARGEST)],
    "chunks over the header (stco)": [(b"stco", 8, bytes(4))],
    "four thousand million chunks (stco)": [(b"stco", 4, _HUGE)],
    "samples per chunk without end (stsc)": [(b"stsc", 12, _HUGE)],
    "no samples per chunk (stsc)": [(b"stsc", 12, bytes(4))],
    "keyframes that are none (stss)": [(b"stss", 8, b"\0\0\0\5\0\0\0\6\0\0\0\7")],
    "keyframes beyond the end (stss)": [(b"stss", 8, _HUGE * 3)],
    "0 x 0 in the header": [(b"stsd", _WIDE, bytes(4)), (b"tkhd", 76, bytes(8))],
    "65535 x 65535 in the header": [(b"stsd", _WIDE, _HUGE), (b"tkhd", 76, _HUGE * 2)],
    "a decoder set-up of ones (avcC)": [(b"avcC", 0, b"\xff" * 30)],
    "four thousand million descriptions (stsd)": [(b"stsd", 4, _HUGE)],
}
for _name, _changes in (TIMES | PLACES).items():
    hostile(_name, *({"ok"} if "duration" in _name else ANY))(lie(".mp4", *_changes))

hostile("every packet marked a keyframe", "ok")(lie(".mp4", (b"stss", -4, b"free")))
hostile("a display matrix of zeros", "ok")(lie(".mp4", (b"tkhd", 40, bytes(36))))
hostile("a display matrix of garbage", "ok")(lie(".mp4", (b"tkhd", 40, _LARGEST * 9)))
hostile("a codec that nobody knows", "undecodable")(lie(".mp4", (b"stsd", 12, b"zzzz")))
hostile("another codec's name", "undecodable")(lie(".mp4", (b"stsd", 12, b"hvc1")))
hostile("no decoder set-up (avcC)", "undecodable")(lie(".mp4", (b"avcC", -4, b"free")))
hostile("hevc without its parameter sets", "undecodable")(lie(".mp4", (b"hvcC", 22, b"\0"), codec="libx265"))
hostile("sound that shows pictures (hdlr)", "no_video")(lie(".mp4", (b"hdlr", 8, b"soun")))
hostile("samples of size 0", "truncated")(sample_sizes(0))
hostile("samples of two gigabytes", "truncated")(sample_sizes(0x7FFFFFFF))
hostile("samples of four gigabytes", "truncated")(sample_sizes(0xFFFFFFFF))
hostile("samples that overlap", "truncated")(sample_sizes(20_000))
hostile("a fragment of endless samples (trun)", *OURS)(fragments((b"trun", 4, _LARGEST)))
hostile("a fragment at the end of time (tfdt)")(fragments((b"tfdt", 4, b"\x7f" + b"\xff" * 7)))


@hostile("boxes in boxes in boxes", *OURS)
def nested(folder: Path) -> Path:
    depth = 20_000
    boxes = b"".join(_U32.pack(8 * (depth - level)) + b"moov" for level in range(depth))
    return written(folder, "a.mp4", base()[:32] + boxes)


@hostile("a hundred thousand boxes", "ok")
def small_boxes(folder: Path) -> Path:
    return written(folder, "a.mp4", base() + b"\0\0\0\x08free" * 100_000)


@hostile("a compressed index that explodes (cmov)", "no_video", "undecodable")
def compressed_index(folder: Path) -> Path:
    def box(name: bytes, body: bytes) -> bytes:
        return _U32.pack(8 + len(body)) + name + body

    packed = _LARGEST + zlib.compress(bytes(20 << 20), 9)
    index = box(b"moov", box(b"cmov", box(b"dcom", b"zlib") + box(b"cmvd", packed)))
    return written(folder, "a.mov", base()[:32] + index)


# Matroska: the size that follows an element's id (RFC 8794). -------------------------------------------------------

EBML, _SEGMENT, _CLUSTER, _TRACKS = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75", b"\x16\x54\xae\x6b"
_SCALE = b"\x2a\xd7\xb1"
BEYOND, _UNKNOWN, _NOTHING = b"\x01\0" + b"\xff" * 6, b"\x01" + b"\xff" * 7, b"\x01" + bytes(7)

hostile("a header larger than the file (mkv)", "truncated")(lie(".mkv", (EBML, 0, BEYOND)))
hostile("a segment larger than the file (mkv)", "truncated")(lie(".mkv", (_SEGMENT, 0, BEYOND)))
hostile("a segment without size (mkv)", "ok")(lie(".mkv", (_SEGMENT, 0, _UNKNOWN)))
hostile("a segment of size 0 (mkv)")(lie(".mkv", (_SEGMENT, 0, _NOTHING)))
hostile("a cluster larger than the file (mkv)")(lie(".mkv", (_CLUSTER, 0, BEYOND)))
hostile("a cluster of size 0 (mkv)")(lie(".mkv", (_CLUSTER, 0, _NOTHING)))
hostile("tracks larger than the file (mkv)")(lie(".mkv", (_TRACKS, 0, BEYOND)))
hostile("time scale 0 (mkv)")(lie(".mkv", (_SCALE, 1, bytes(3))))
hostile("a huge time scale (mkv)")(lie(".mkv", (_SCALE, 1, b"\xff\xff\xff")))
hostile("another type of document (mkv)")(lie(".mkv", (b"matroska", -8, b"gibberis")))


# AVI ---------------------------------------------------------------------------------------------------------------


def avi(mark: bytes, offset: int, value: bytes) -> Maker:
    return lie(".avi", (mark, offset, value), codec="mpeg4")


hostile("no frames (avi)", "ok")(avi(b"avih", 20, bytes(4)))
hostile("four thousand million frames (avi)", "ok")(avi(b"avih", 20, _HUGE))
hostile("rate 0 (avi)")(avi(b"strh", 24, bytes(8)))
hostile("a huge rate (avi)")(avi(b"strh", 24, b"\1\0\0\0\xff\xff\xff\xff"))
hostile("0 x 0 (avi)")(avi(b"strf", 8, bytes(8)))
hostile("an index of garbage (avi)")(avi(b"idx1", 4, np.random.default_rng(7).bytes(400)))
hostile("an index in a circle (avi)")(avi(b"idx1", 4, b"00dc\x10\0\0\0\4\0\0\0\x20\0\0\0" * 30))
hostile("an index larger than the file (avi)")(avi(b"idx1", 0, b"\xff\xff\xff\x7f"))


@hostile("a raw video of a hundred thousand by a hundred thousand", *OURS)
def raw_huge(folder: Path) -> Path:
    return written(folder, "a.y4m", b"YUV4MPEG2 W100000 H100000 F25:1 Ip A1:1 C420jpeg\nFRAME\n" + bytes(5000))


@hostile("a raw video of nothing by nothing", *OURS)
def raw_nothing(folder: Path) -> Path:
    return written(folder, "a.y4m", b"YUV4MPEG2 W0 H0 F25:1 Ip A1:1 C420jpeg\n" + b"FRAME\n" * 500)
