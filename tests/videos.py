"""Small videos made from arrays, for the tests of every room.

A numbered picture carries its own frame number as a code of 4 x 4 big blocks, which survives any codec, scaling
and a mild blur; so a test can ask of a decoded picture *which frame are you?* and, from the corner marks,
*which way up?*
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import av.container
import numpy as np
import numpy.typing as npt

os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder speaks on stderr unless told not to

Rgb = npt.NDArray[np.uint8]

GRID = 4
MAX_NUMBER = 1 << (GRID * GRID - 4)
_CORNERS = {(0, 0): 235, (0, 3): 20, (3, 0): 128, (3, 3): 20}  # top left is white, bottom left is grey

COLOURS: Mapping[str, tuple[int, int, int, str]] = {
    "bt601": (6, 6, 6, "ITU601"),
    "bt709": (1, 1, 1, "ITU709"),
    "bt2020": (9, 1, 1, "BT2020"),  # BT.709's primaries and tones: nothing but the matrix is at work
}
"""What a stream says of its colours: matrix, primaries, transfer (ITU-T H.273), and swscale's name of the matrix."""

CODECS: Mapping[str, Mapping[str, str]] = {
    "libx264": {"preset": "ultrafast", "x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=2:b-adapt=0"},
    "libx265": {
        "preset": "ultrafast",
        "x265-params": "keyint=12:min-keyint=12:scenecut=0:bframes=3:open-gop=1:log-level=none:pools=1:frame-threads=1",
    },
    "libvpx-vp9": {
        "deadline": "good",
        "cpu-used": "8",
        "g": "12",
        "lag-in-frames": "12",
        "auto-alt-ref": "1",
        "crf": "20",
        "b": "0",
    },
    "libsvtav1": {"preset": "12", "g": "12", "crf": "25", "svtav1-params": "lp=1"},
    "mpeg4": {"g": "12", "bf": "2", "qmin": "2", "qmax": "4"},
}
"""Encoders of PyAV, with the options the tests use: short groups of pictures, B-frames, HEVC with open groups.

libx265 leaves timestamps unset in a video of fewer frames than it reorders: give it 8 or more."""


def _cells(height: int, width: int) -> Iterator[tuple[int, int, slice, slice]]:
    for row in range(GRID):
        for column in range(GRID):
            rows = slice(row * height // GRID, (row + 1) * height // GRID)
            columns = slice(column * width // GRID, (column + 1) * width // GRID)
            yield row, column, rows, columns


def numbered(number: int, width: int = 128, height: int = 96) -> Rgb:
    """Return a picture (height, width, 3) that carries `number` (0 to 4095), over a texture that drifts."""
    if not 0 <= number < MAX_NUMBER:
        raise ValueError(f"number {number} does not fit in {GRID * GRID - 4} bits")
    picture = np.zeros((height, width, 3), np.uint8)
    bit = 0
    for row, column, rows, columns in _cells(height, width):
        level = _CORNERS.get((row, column))
        if level is None:
            level = 215 if number >> bit & 1 else 40
            bit += 1
        picture[rows, columns] = level
    y, x = np.mgrid[:height, :width]
    wave = 16 * np.sin((x + 2 * number) / 7.0) * np.cos(y / 9.0)
    shown: Rgb = np.clip(picture + wave[..., None], 0, 255).astype(np.uint8)
    return shown


def read_number(picture: Rgb) -> int:
    """Return the number that a picture of `numbered` carries; ValueError when it is none, or not upright."""
    height, width = picture.shape[:2]
    number, bit = 0, 0
    for row, column, rows, columns in _cells(height, width):
        cell = picture[rows, columns].mean(axis=2)
        h, w = cell.shape
        level = float(cell[h // 4 : h - h // 4, w // 4 : w - w // 4].mean())
        expected = _CORNERS.get((row, column))
        if expected is None:
            number |= int(level > 128) << bit
            bit += 1
        elif abs(level - expected) > 45:
            raise ValueError(f"corner {(row, column)} has level {level:.0f}, not {expected}: not an upright number")
    return number


def numbered_frames(count: int, width: int = 128, height: int = 96, first: int = 0) -> Iterator[Rgb]:
    """Yield `count` numbered pictures from number `first` on."""
    for number in range(first, first + count):
        yield numbered(number, width, height)


def scene_frames(
    count: int, width: int = 160, height: int = 96, *, seed: int = 0, pan_px: tuple[float, float] = (1.0, 0.0)
) -> Iterator[Rgb]:
    """Yield `count` pictures of one shot: a smooth coloured texture of `seed` that pans by `pan_px` (x, y) a frame."""
    rng = np.random.default_rng(seed)
    base = rng.uniform(40, 200, 3)
    waves = [(rng.uniform(0.02, 0.25, 2), rng.uniform(0, 6.28), rng.uniform(-30, 30, 3)) for _ in range(12)]
    y, x = np.mgrid[:height, :width].astype(np.float64)
    for index in range(count):
        picture = np.broadcast_to(base, (height, width, 3)).copy()
        for (fx, fy), phase, amplitude in waves:
            wave = np.sin(fx * (x + index * pan_px[0]) + fy * (y + index * pan_px[1]) + phase)
            picture += wave[..., None] * amplitude
        yield np.clip(picture, 0, 255).astype(np.uint8)


def write_video(
    path: Path,
    frames: Iterable[Rgb],
    *,
    codec: str = "libx264",
    fps: Fraction | int = 25,
    pixel_format: str = "yuv420p",
    times_s: Sequence[float] | None = None,
    rotation_deg: int = 0,
    sample_aspect: Fraction | None = None,
    options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
    colour: str | None = None,
    audio: bool = False,
) -> Path:
    """Write `frames` (H, W, 3) to `path`, in the container its suffix names, and return the path.

    `times_s` gives each frame's time (variable frame rate); else frames are 1 / `fps` apart. `rotation_deg` is
    the clockwise turn a player must apply, written as a display matrix; the pictures are stored as given. `colour`
    is one of `COLOURS`; None says nothing in the stream and means BT.601.
    """
    rate = Fraction(fps)
    time_base = Fraction(1, 1000) if times_s is not None else 1 / rate
    with av.open(str(path), "w", options=dict(container_options or {})) as container:
        chosen = CODECS.get(codec, {}) if options is None else options
        stream = cast(av.VideoStream, container.add_stream(codec, rate=rate, options=dict(chosen)))
        sound = container.add_stream("aac", rate=8000, layout="mono") if audio else None
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = time_base
        stream.codec_context.thread_count = 1
        count = 0
        for index, picture in enumerate(frames):
            if index == 0:
                stream.height, stream.width = picture.shape[:2]
                if sample_aspect is not None:
                    stream.codec_context.sample_aspect_ratio = sample_aspect
                if colour is not None:
                    context = stream.codec_context
                    context.colorspace, context.color_primaries, context.color_trc, _ = COLOURS[colour]
                if rotation_deg:
                    stream.set_display_rotation(-rotation_deg)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame = frame.reformat(format=pixel_format, dst_colorspace=COLOURS[colour or "bt601"][3], threads=1)
            frame.time_base = time_base
            frame.pts = index if times_s is None else round(times_s[index] * 1000)
            container.mux(stream.encode(frame))
            count += 1
        container.mux(stream.encode(None))
        if sound is not None:
            _mux_silence(container, sound, seconds=float(count / rate))
    return path


def write_silence(path: Path, seconds: float = 1.0) -> Path:
    """Write a file with sound and no picture."""
    with av.open(str(path), "w") as container:
        _mux_silence(container, container.add_stream("aac", rate=8000, layout="mono"), seconds)
    return path


def _mux_silence(container: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    for index in range(max(1, round(seconds * 8000 / 1024))):
        block = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        block.sample_rate = 8000
        block.pts = index * 1024
        container.mux(stream.encode(block))
    container.mux(stream.encode(None))


def stream_copy(source: Path, target: Path, start_s: float) -> Path:
    """Cut `source` at `start_s` without re-encoding: the frames between the keyframe before and there are pre-roll."""
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-ss", str(start_s), "-i", str(source), "-c", "copy"]
    subprocess.run([*command, "-y", str(target)], check=True)
    return target


def restamp(source: Path, target: Path, stamps: Sequence[int]) -> Path:
    """Copy the packets of `source`, in their order, with `stamps` (milliseconds) for their timestamps, to Matroska."""
    with av.open(str(source)) as reader, av.open(str(target), "w", format="matroska") as writer:
        stream = writer.add_stream_from_template(reader.streams.video[0])
        packets = (packet for packet in reader.demux(video=0) if packet.size)
        for number, (packet, stamp) in enumerate(zip(packets, stamps, strict=True)):
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts, packet.dts = stamp, number - len(stamps)  # the muxer insists on rising decode times
            writer.mux(packet)
    return target


def truncate(source: Path, target: Path, keep: float) -> Path:
    """Write the first `keep` (0 to 1) of the bytes of `source` to `target`."""
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * keep)])
    return target
