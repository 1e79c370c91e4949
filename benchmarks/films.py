"""Films of any length for benchmarks: the footage in packages, scaled, encoded once, its packets repeated."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np
import numpy.typing as npt

import media
from experts import weights

__all__ = ["FPS", "film"]

FPS: Final = 25
_SOURCES: Final = ("bigbuckbunny.mp4", "bikes.mp4")
_ENCODER: Final = {"preset": "medium", "crf": "21"}
"""x264's own default preset, at about the rate that video sites use."""


def film(path: Path, height: int, seconds: float) -> Path:
    """Write H.264 of `height` rows, 16:9, 25 frames a second, to `path` (an .mp4), and return it.

    Fifteen seconds with a hard cut every two or three; repeated until `seconds` are full.
    """
    once = path.with_name(f"once-{height}.mp4")
    if not once.exists():
        _encode(once, height)
    _repeat(once, path, round(seconds * FPS))
    return path


def _frames(height: int) -> Iterator[npt.NDArray[np.uint8]]:
    by_name = {video.name: video for video in weights.footage().videos}
    width = round(height * 16 / 9 / 2) * 2
    for name in _SOURCES:
        for frame in media.decode(by_name[name]):
            rgb = frame.rgb()
            rows, columns = rgb.shape[:2]
            scale = max(height / rows, width / columns)
            size = max(width, round(columns * scale)), max(height, round(rows * scale))
            scaled = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
            top, left = (size[1] - height) // 2, (size[0] - width) // 2
            yield np.ascontiguousarray(scaled[top : top + height, left : left + width])


def _encode(path: Path, height: int) -> None:
    frames = _frames(height)
    first = next(frames)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=FPS, options=dict(_ENCODER))
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        for number, picture in enumerate(chain([first], frames)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _repeat(once: Path, path: Path, frames: int) -> None:
    """Write the packets of `once` one after the other, again and again; the last round is a whole one as well."""
    with av.open(str(once)) as source:
        video = source.streams.video[0]
        packets = [(bytes(p), p.pts, p.dts, p.duration, p.is_keyframe) for p in source.demux(video) if p.size]
        base = video.time_base or Fraction(1, FPS)
        length = round(len(packets) / FPS / base)
        with av.open(str(path), "w") as container:
            stream = container.add_stream_from_template(video)
            for round_ in range(max(1, round(frames / len(packets)))):
                for data, pts, dts, duration, key in packets:
                    packet = av.Packet(data)
                    packet.stream, packet.time_base, packet.is_keyframe = stream, base, key
                    packet.pts, packet.dts = (pts or 0) + round_ * length, (dts or 0) + round_ * length
                    packet.duration = duration or 0
                    container.mux(packet)
