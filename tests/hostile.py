"""Files that would break a reader: each maker writes one and says which ends are right for it.

The endings are "ok" and the reasons of `media.errors.Reason`. Where decoders may honestly differ a maker allows
several; where there is one right answer it allows that one.
"""

from __future__ import annotations

import io
import os
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import av
import numpy as np
from PIL import Image

from media.errors import Reason
from tests import videos

REASONS = frozenset(get_args(Reason))
OURS = REASONS - {"crashed", "timeout"}
"""What a file may come to by itself: a reader that had to be killed is a bug that a test should show."""

Maker = Callable[[Path], Path]
Endings = frozenset[str]

ANY: Endings = OURS | {"ok"}

MAKERS: dict[str, tuple[Maker, Endings]] = {}
"""Name -> (what writes the file into a folder, the endings that are right); `tests.hostile_headers` adds its own."""


def hostile(name: str, *endings: str) -> Callable[[Maker], Maker]:
    def add(maker: Maker) -> Maker:
        assert name not in MAKERS
        MAKERS[name] = (maker, frozenset(endings) or ANY)
        return maker

    return add


_BASES: dict[str, bytes] = {}


def base(codec: str = "libx264", suffix: str = ".mp4", frames: int = 40, **how: Any) -> bytes:
    """Return a sound file of numbered pictures, made once for the same arguments."""
    key = repr((codec, suffix, frames, sorted(how.items())))
    if key not in _BASES:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"base{suffix}")
            pictures = videos.numbered_frames(frames, 128, 96)
            _BASES[key] = videos.write_video(path, pictures, codec=codec, **how).read_bytes()
    return _BASES[key]


def index_first(**how: Any) -> bytes:
    return base(container_options={"movflags": "+faststart"}, **how)


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def patched(data: bytes, *changes: tuple[bytes, int, bytes]) -> bytes:
    """Overwrite, for each (mark, offset, bytes), what lies `offset` bytes after the end of the first `mark`."""
    changed = bytearray(data)
    for mark, offset, value in changes:
        at = data.index(mark) + len(mark) + offset
        changed[at : at + len(value)] = value
    return bytes(changed)


# Bytes that are no video ---------------------------------------------------------------------------------------------

for _name, _data, _ending in (
    ("empty", b"", "empty_file"),
    ("one byte", b"\0", "not_media"),
    ("text", b"once upon a time\n" * 400, "not_media"),
    ("zeros", bytes(70_000), "not_media"),
    ("noise", np.random.default_rng(5).bytes(100_000), "not_media"),
    ("html", b"<!doctype html><html><body>404 not found</body></html>", "not_media"),
    ("a script", b"#!/bin/sh\nexit 1\n", "not_media"),
    ("zip", b"PK\3\4" + bytes(300), "not_media"),
    ("a playlist of itself", b"#EXTM3U\n#EXTINF:2,\na.mp4\n#EXT-X-ENDLIST\n", "not_media"),
    ("a concat script of a device", b"ffconcat version 1.0\nfile /dev/zero\n", "not_media"),
):
    hostile(_name, _ending)(lambda folder, data=_data: written(folder, "a.mp4", data))  # type: ignore[misc]


def zeros(folder: Path, size: int = 1 << 27) -> Path:
    """Write a file of zeros that takes no room on the disk."""
    path = folder / "a.mp4"
    with path.open("wb") as file:
        file.truncate(size)
    return path


hostile("an eighth of a gigabyte of zeros", "not_media")(zeros)


@hostile("a pipe that nobody writes to", "unreadable")
def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "a.mp4")
    return folder / "a.mp4"


@hostile("a device without end", "unreadable")
def device(folder: Path) -> Path:
    return Path("/dev/zero")


@hostile("a link to a device without end", "unreadable")
def device_link(folder: Path) -> Path:
    (folder / "a.mp4").symlink_to("/dev/zero")
    return folder / "a.mp4"


@hostile("links in a circle", "unreadable")
def circle(folder: Path) -> Path:
    (folder / "a.mp4").symlink_to(folder / "b.mp4")
    (folder / "b.mp4").symlink_to(folder / "a.mp4")
    return folder / "a.mp4"


@hostile("a folder", "unreadable")
def directory(folder: Path) -> Path:
    (folder / "a.mp4").mkdir()
    return folder / "a.mp4"


@hostile("a zero byte in its name", "unreadable")
def zero_name(folder: Path) -> Path:
    return folder / "a\0b.mp4"


# Sound files under odd names, and files of other kinds -------------------------------------------------------------


@hostile("mkv named mp4", "ok")
def mkv_named_mp4(folder: Path) -> Path:
    return written(folder, "a.mp4", base(suffix=".mkv"))


@hostile("mp4 named jpg", "ok")
def mp4_named_jpg(folder: Path) -> Path:
    return written(folder, "a.jpg", base())


@hostile("a name full of traps", "ok")
def odd_name(folder: Path) -> Path:
    return written(folder, "-i concat:%03d\n'x'|$(y) #é?.mp4", base())


@hostile("sound only", "no_video")
def sound(folder: Path) -> Path:
    return videos.write_silence(folder / "a.mp4")


def _ffmpeg(*arguments: str | Path) -> None:
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True)


@hostile("sound with a cover", "no_video")
def cover(folder: Path) -> Path:
    Image.fromarray(videos.numbered(1)).save(folder / "cover.png")
    sound = videos.write_silence(folder / "sound.m4a")
    target = folder / "a.m4a"
    how = ("-map", "0", "-map", "1", "-c", "copy", "-disposition:v:0", "attached_pic")
    _ffmpeg("-i", sound, "-i", folder / "cover.png", *how, target)
    return target


@hostile("one frame", "too_short")
def one_frame(folder: Path) -> Path:
    return videos.write_video(folder / "a.mp4", videos.numbered_frames(1))


@hostile("subtitles only", "no_video", "not_media")
def subtitles(folder: Path) -> Path:
    (folder / "a.srt").write_text("1\n00:00:00,000 --> 00:00:02,000\nnothing to see\n")
    _ffmpeg("-i", folder / "a.srt", "-c:s", "mov_text", folder / "a.mp4")
    return folder / "a.mp4"


# Cut off ---------------------------------------------------------------------------------------------------------

_WHOLE: dict[str, Callable[[], tuple[str, bytes]]] = {
    "mp4": lambda: ("a.mp4", base()),
    "mp4, index first": lambda: ("a.mp4", index_first()),
    "mp4, fragments": lambda: ("a.mp4", base(container_options={"movflags": "frag_keyframe+empty_moov"})),
    "mkv": lambda: ("a.mkv", base(suffix=".mkv")),
    "webm": lambda: ("a.webm", base("libvpx-vp9", ".webm")),
    "avi": lambda: ("a.avi", base("mpeg4", ".avi")),
}
for _kind, _whole in _WHOLE.items():
    for _keep in (0.001, 0.03, 0.25, 0.5, 0.75, 0.95):

        def _cut(folder: Path, whole: Callable[[], tuple[str, bytes]] = _whole, keep: float = _keep) -> Path:
            name, data = whole()
            return written(folder, name, data[: max(1, int(len(data) * keep))])

        # What is left of the first bytes may be too little to know the container by.
        hostile(f"{_kind}, cut off at {_keep:.1%}", *(("truncated", "not_media") if _keep < 0.01 else ("truncated",)))(
            _cut
        )


@hostile("a transport stream cut off", "ok", "too_short", "undecodable")
def cut_ts(folder: Path) -> Path:
    data = base(suffix=".ts")
    return written(folder, "a.ts", data[: len(data) * 2 // 3])


# Timestamps and packets ------------------------------------------------------------------------------------------


def _stamped(stamps: list[int]) -> Maker:
    def maker(folder: Path) -> Path:
        return videos.restamp(written(folder, "base.mp4", base("mpeg4")), folder / "a.mkv", stamps)

    return maker


for _name, _stamps in (
    ("timestamps that repeat", [0] * 40),
    ("timestamps that repeat in pairs", [40 * (n // 2) for n in range(40)]),
    ("timestamps backwards", [40 * (39 - n) for n in range(40)]),
    ("timestamps that begin again", [40 * (n % 10) for n in range(40)]),
    ("timestamps that jump for years", [40 * n + (n // 20) * 10**12 for n in range(40)]),
):
    hostile(_name, *ANY)(_stamped(_stamps))


def packets(source: bytes, target: Path, keep: Callable[[int, Any], bool]) -> Path:
    """Copy the packets for which `keep(number, packet)` holds."""
    with av.open(io.BytesIO(source), "r") as reader, av.open(str(target), "w") as writer:
        stream = writer.add_stream_from_template(reader.streams.video[0])
        for number, packet in enumerate(p for p in reader.demux(video=0) if p.size):
            if keep(number, packet):
                packet.stream = stream
                writer.mux(packet)
    return target


@hostile("no keyframe at all", "undecodable", "too_short", "ok")
def no_keyframe(folder: Path) -> Path:
    return packets(base(), folder / "a.mkv", lambda number, packet: not packet.is_keyframe)


@hostile("keyframes missing but the first", "ok", "undecodable")
def first_keyframe_only(folder: Path) -> Path:
    return packets(base(), folder / "a.mkv", lambda number, packet: number == 0 or not packet.is_keyframe)


@hostile("every other packet missing", "ok", "undecodable", "too_short")
def half_the_packets(folder: Path) -> Path:
    return packets(base(), folder / "a.mkv", lambda number, packet: number % 2 == 0)


@hostile("a size that changes in the middle", "ok", "undecodable")
def resized(folder: Path) -> Path:
    first = base(suffix=".ts", frames=30)
    videos.write_video(folder / "b.ts", videos.numbered_frames(30, 192, 64))
    return written(folder, "a.ts", first + (folder / "b.ts").read_bytes())


@hostile("a codec that changes in the middle", "ok", "undecodable")
def recoded(folder: Path) -> Path:
    return written(folder, "a.ts", base(suffix=".ts", frames=30) + base("libx265", ".ts", frames=30))


# Sizes -----------------------------------------------------------------------------------------------------------


def _black(width: int, height: int, frames: int = 16) -> Iterator[videos.Rgb]:
    picture = np.zeros((height, width, 3), np.uint8)
    return (picture for _ in range(frames))


def _sized(width: int, height: int, frames: int = 16) -> Maker:
    def maker(folder: Path) -> Path:
        options = {"preset": "ultrafast", "x264-params": "keyint=100:ref=1"}
        return videos.write_video(folder / "a.mp4", _black(width, height, frames), options=options)

    return maker


@hostile("a pixel format that changes in the middle", "ok", "undecodable")
def reformatted(folder: Path) -> Path:
    videos.write_video(folder / "b.ts", videos.numbered_frames(30), pixel_format="yuv444p")
    return written(folder, "a.ts", base(suffix=".ts", frames=30) + (folder / "b.ts").read_bytes())


@hostile("a depth that changes in the middle", "ok", "undecodable")
def deepened(folder: Path) -> Path:
    videos.write_video(folder / "b.ts", videos.numbered_frames(30), pixel_format="yuv420p10le")
    return written(folder, "a.ts", base(suffix=".ts", frames=30) + (folder / "b.ts").read_bytes())


hostile("16 x 16", "ok")(_sized(16, 16))
hostile("2 x 2", "ok", "undecodable")(_sized(2, 2))
hostile("8192 wide", "ok")(_sized(8192, 64))
hostile("8192 high", "ok")(_sized(64, 8192))
hostile("16384 wide", "ok")(_sized(16384, 64))
hostile("8192 x 8192, black, in a few kilobytes", "too_short")(_sized(8192, 8192, 1))


# Stills ----------------------------------------------------------------------------------------------------------


def still(kind: str, picture: Image.Image | None = None) -> bytes:
    """Return a picture in the format that Pillow calls `kind`."""
    held = io.BytesIO()
    (picture or Image.fromarray(videos.numbered(3, 120, 90))).save(held, kind)
    return held.getvalue()


def _png_of(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(100_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


for _name, _still, _endings in (
    ("a picture of 2.5 gigapixels in a few bytes", lambda: _png_of(50_000, 50_000), {"undecodable"}),
    ("a picture of no pixels", lambda: _png_of(0, 0), {"undecodable", "not_media"}),
    ("a picture of one pixel", lambda: still("PNG", Image.new("RGB", (1, 1))), {"ok"}),
    ("a picture one pixel high", lambda: still("PNG", Image.new("RGB", (20000, 1))), {"ok"}),
    ("a picture with less data than it promises", lambda: _png_of(4000, 4000), {"truncated", "undecodable", "ok"}),
    ("a picture cut off", lambda: still("JPEG")[:-900], {"truncated", "undecodable"}),
    ("a picture's first bytes only", lambda: b"\xff\xd8\xff", {"not_media", "truncated", "undecodable"}),
    ("a gif of 65535 x 65535", lambda: patched(still("GIF"), (b"GIF87a", 0, b"\xff" * 4)), {"undecodable", "ok"}),
    ("tiff directories in a circle", lambda: b"II*\0\x08\0\0\0\0\0\x08\0\0\0" + bytes(20), OURS),
):
    hostile(_name, *_endings)(lambda folder, make=_still: written(folder, "a.jpg", make()))  # type: ignore[misc]


@hostile("a gif without delays", "ok")
def gif_without_delays(folder: Path) -> Path:
    pictures = [Image.fromarray(picture) for picture in videos.numbered_frames(20)]
    pictures[0].save(folder / "a.gif", save_all=True, append_images=pictures[1:], duration=0, loop=0)
    return folder / "a.gif"


# Mutations -------------------------------------------------------------------------------------------------------

STREAMS: dict[str, Callable[[], bytes]] = {
    "h264.mp4": index_first,
    "vp9.mkv": lambda: base("libvpx-vp9", ".mkv"),
    "mpeg4.avi": lambda: base("mpeg4", ".avi"),
    "hevc.mp4": lambda: base("libx265"),
}
STILLS = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP")


def mutated(data: bytes, seed: int) -> bytes:
    """Flip 1 to 32 bytes; of every three files one only in its first 2 kilobytes, where headers mostly are, and one
    only in its last."""
    rng = np.random.default_rng(seed)
    low, high = ((0, len(data)), (0, min(len(data), 2048)), (max(0, len(data) - 2048), len(data)))[seed % 3]
    changed = bytearray(data)
    for at in rng.integers(low, high, 1 << int(rng.integers(0, 6))):
        changed[at] ^= int(rng.integers(1, 256))
    return bytes(changed)


def mutation(folder: Path, number: int) -> Path:
    """Write mutation `number` of the streams, taken in turns."""
    name, make = list(STREAMS.items())[number % len(STREAMS)]
    return written(folder, name, mutated(make(), number // len(STREAMS)))
