"""Interlaced frames: `rgb` shows the field that was taken first, whole, in its place, in its own colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.filter import Graph

import media
from media.fields import fill_lines
from tests import videos

WIDTH, HEIGHT = 128, 96
ENCODERS: dict[str, tuple[str, dict[str, str], str]] = {
    "libx264": ("yuv420p", {"preset": "ultrafast", "qp": "4", "flags": "+ildct+ilme"}, ".mp4"),
    "libx264 4:2:2 10 bits": ("yuv422p10le", {"preset": "ultrafast", "qp": "4", "flags": "+ildct+ilme"}, ".mkv"),
    "mpeg2video": ("yuv420p", {"qmin": "1", "qmax": "2", "flags": "+ildct+ilme"}, ".mpg"),
    "prores_ks": ("yuv422p10le", {"flags": "+ildct"}, ".mov"),
}


def flagged(frame: av.VideoFrame, mode: str) -> av.VideoFrame:
    """Return the frame marked as `tff`, `bff` or `prog`: what PyAV has no attribute for, a filter has."""
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 25)
    )
    graph.link_nodes(source, graph.add("setfield", mode), graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()


def woven(top: videos.Rgb, bottom: videos.Rgb) -> videos.Rgb:
    picture = top.copy()
    picture[1::2] = bottom[1::2]
    return picture


def field_frame(top: videos.Rgb, bottom: videos.Rgb, pixel_format: str) -> av.VideoFrame:
    """Return a frame of two fields, each subsampled for itself, as a camera does."""
    frames = [av.VideoFrame.from_ndarray(p, "rgb24").reformat(format=pixel_format) for p in (top[::2], bottom[1::2])]
    whole = av.VideoFrame(top.shape[1], top.shape[0], pixel_format)
    for index, plane in enumerate(whole.planes):
        lines = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)  # type: ignore[call-overload]
        for parity, frame in enumerate(frames):
            part = frame.planes[index]
            values = np.frombuffer(part, np.uint8).reshape(part.height, -1)  # type: ignore[call-overload]
            used = min(values.shape[1], lines.shape[1])
            lines[parity::2, :used] = values[:, :used]
    return whole


def write(
    path: Path,
    pairs: Sequence[tuple[videos.Rgb, videos.Rgb]],
    mode: str,
    encoder: str = "libx264",
    rotation_deg: int = 0,
) -> Path:
    pixel_format, options, suffix = ENCODERS[encoder]
    path = path.with_suffix(suffix)
    with av.open(str(path), "w") as container:
        stream = cast(av.VideoStream, container.add_stream(encoder.split()[0], rate=25, options=dict(options)))
        stream.width, stream.height, stream.pix_fmt = pairs[0][0].shape[1], pairs[0][0].shape[0], pixel_format
        stream.codec_context.thread_count = 1
        if rotation_deg:
            stream.set_display_rotation(-rotation_deg)
        for number, (top, bottom) in enumerate(pairs):
            frame = field_frame(top, bottom, pixel_format)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(flagged(frame, mode)))
        container.mux(stream.encode(None))
    return path


def numbered_pairs(count: int, mode: str) -> list[tuple[videos.Rgb, videos.Rgb]]:
    """Return (top, bottom) pictures: the field taken first of frame n is number 2n, the other 2n + 1."""
    pairs = [(videos.numbered(2 * n, WIDTH, HEIGHT), videos.numbered(2 * n + 1, WIDTH, HEIGHT)) for n in range(count)]
    return pairs if mode == "tff" else [(b, a) for a, b in pairs]


@pytest.mark.parametrize("mode", ["tff", "bff"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_field_taken_first_is_shown(encoder: str, mode: str, tmp_path: Path) -> None:
    frames = list(media.decode(write(tmp_path / "fields", numbered_pairs(6, mode), mode, encoder)))
    assert [frame.index for frame in frames] == list(range(6))
    assert [frame.time_s for frame in frames] == pytest.approx([n / 25 for n in range(6)], abs=0.0011)
    for frame in frames:
        assert frame.interlaced
        for height in (None, 72, 49, 48, 24):
            shown = frame.rgb(height)
            assert shown.shape[0] == (height or HEIGHT)
            assert videos.read_number(shown) == 2 * frame.index
        assert frame.luma().shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize("mode", ["tff", "bff"])
def test_neither_luma_nor_chroma_combs(mode: str, tmp_path: Path) -> None:
    first, second = (200, 60, 40), (40, 90, 200)
    pictures = [np.full((HEIGHT, WIDTH, 3), paint, np.uint8) for paint in (first, second)]
    top, bottom = pictures if mode == "tff" else pictures[::-1]
    frame = next(iter(media.decode(write(tmp_path / "paint", [(top, bottom)] * 3, mode))))
    for height in (None, 64, 48, 24):
        assert np.abs(frame.rgb(height).astype(int) - first).max() <= 4
    combed = frame.luma().astype(int)
    assert np.abs(np.diff(combed, axis=0)).min() > 5  # the planes hold both fields


@pytest.mark.parametrize("mode", ["tff", "bff"])
def test_a_still_scene_does_not_move(mode: str, tmp_path: Path) -> None:
    """Both fields show one picture: what is rebuilt from either lies where the picture lies, to a tenth of a line."""
    slope = np.broadcast_to(20 + 2 * np.arange(HEIGHT)[:, None, None], (HEIGHT, WIDTH, 3))
    still = slope.astype(np.uint8)
    frame = next(iter(media.decode(write(tmp_path / "still", [(still, still)] * 3, mode))))
    inside = slice(4, -4)
    assert abs((frame.rgb().astype(float) - slope)[inside].mean()) < 0.8  # two levels are a line


def test_turned_interlaced_pictures_are_upright(tmp_path: Path) -> None:
    stored = [tuple(np.ascontiguousarray(np.rot90(picture)) for picture in pair) for pair in numbered_pairs(3, "tff")]
    path = write(tmp_path / "turned", [(a, b) for a, b in stored], "tff", rotation_deg=90)
    for frame in media.decode(path):
        assert frame.rgb().shape == (HEIGHT, WIDTH, 3)
        assert videos.read_number(frame.rgb()) == 2 * frame.index
        assert videos.read_number(frame.rgb(40)) == 2 * frame.index


def test_a_progressive_frame_of_an_interlaced_stream_keeps_every_line(numbered_video: Callable[..., Path]) -> None:
    options = {"preset": "ultrafast", "qp": "4", "x264-params": "fake-interlaced=1"}
    frame = next(iter(media.decode(numbered_video(frames=3, options=options))))
    assert not frame.interlaced
    plain = next(iter(media.decode(numbered_video(frames=3, options={"preset": "ultrafast", "qp": "4"}))))
    assert np.abs(frame.rgb().astype(int) - plain.rgb()).mean() < 1


@pytest.mark.parametrize("top", [True, False])
@pytest.mark.parametrize("rows", [6, 7])
def test_lines_keep_their_places(rows: int, top: bool) -> None:
    lines = np.array([10, 30, 70], np.uint8)[:, None, None].repeat(2, axis=1).repeat(3, axis=2)
    filled = fill_lines(lines, top, rows)[:, 0, 0].tolist()
    expected = [10, 20, 30, 50, 70, 70] if top else [10, 10, 20, 30, 50, 70]
    assert filled == expected + expected[-1:] * (rows - 6)


def test_hdr_can_be_interlaced(tmp_path: Path) -> None:
    pixel_format, options, _ = ENCODERS["libx264 4:2:2 10 bits"]
    path = tmp_path / "hlg.mkv"
    with av.open(str(path), "w") as container:
        stream = cast(av.VideoStream, container.add_stream("libx264", rate=25, options=dict(options)))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc = 9, 9, 18
        pictures = [np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in (97, 191)]  # 38% and 75% of HLG
        for number in range(3):
            frame = field_frame(pictures[0], pictures[1], pixel_format)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(flagged(frame, "tff")))
        container.mux(stream.encode(None))
    frame = next(iter(media.decode(path)))
    assert frame.interlaced
    assert frame.hdr
    for height in (None, 48):
        shown = frame.rgb(height).astype(int)
        assert np.ptp(shown) <= 3
        assert shown.mean() == pytest.approx(101, abs=4)  # 38% of HLG is 26 nits (BT.2408, table 1)
