"""Spans by frame number are the frames a whole decode gives, bit by bit, however the file was made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import media
from media.bitstream import unit_doubt
from media.errors import MediaError
from tests import videos

Maker = Callable[..., Path]

OPEN_GOP = {
    "preset": "ultrafast",
    "x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=3:b-adapt=0:open-gop=1",
}
INTRA_REFRESH = {"preset": "ultrafast", "x264-params": "keyint=12:intra-refresh=1:bframes=0"}
KINDS: dict[str, dict[str, object]] = {
    **{f"{codec}.mp4": {"codec": codec, "suffix": ".mp4"} for codec in videos.CODECS},
    **{f"{codec}.mkv": {"codec": codec, "suffix": ".mkv"} for codec in videos.CODECS},
    "fragmented": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "with sound": {"audio": True},
    "transport stream": {"suffix": ".ts"},
    "open groups": {"options": OPEN_GOP},
    "intra refresh": {"options": INTRA_REFRESH},
    "one keyframe": {"options": {"preset": "ultrafast", "x264-params": "keyint=250:bframes=3"}},
    "interlaced": {"options": {"preset": "ultrafast", "flags": "+ildct+ilme", "x264-params": "tff=1:keyint=12"}},
    "VP8": {"codec": "libvpx", "suffix": ".webm", "options": {"g": "12", "deadline": "good", "cpu-used": "8"}},
}


@pytest.fixture(params=KINDS, scope="module")
def whole(request: pytest.FixtureRequest, numbered_video: Maker) -> tuple[Path, list[media.Frame]]:
    path = numbered_video(**KINDS[request.param])
    return path, list(media.decode(path))


def assert_same(span: list[media.Frame], whole: list[media.Frame], first: int, end: int) -> None:
    assert [frame.index for frame in span] == list(range(first, end))
    for frame in span:
        there = whole[frame.index]
        assert videos.read_number(frame.rgb()) == videos.read_number(there.rgb())
        assert np.array_equal(frame.luma(), there.luma())
        assert frame.time_s == pytest.approx(there.time_s, abs=1e-9)
        assert frame.duration_s == pytest.approx(there.duration_s, abs=1e-9)


def test_any_span_is_that_of_a_whole_decode(whole: tuple[Path, list[media.Frame]]) -> None:
    path, frames = whole

    @settings(max_examples=12, deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        first = data.draw(st.integers(0, len(frames) - 1))
        end = data.draw(st.integers(first + 1, len(frames)))
        assert_same(list(media.read_span(path, first, end)), frames, first, end)

    check()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("kind", ["libx264.mp4", "libx265.mp4", "libvpx-vp9.mp4", "open groups", "intra refresh"])
def test_spans_of_a_stream_copy_with_pre_roll(kind: str, suffix: str, numbered_video: Maker, tmp_path: Path) -> None:
    """Pre-roll and undecodable leading frames are in the packets and not among the frames."""
    path = videos.stream_copy(numbered_video(**KINDS[kind]), tmp_path / f"copy{suffix}", 0.72)
    frames = list(media.decode(path))
    for first, end in ((0, 3), (5, 9), (len(frames) - 2, len(frames))):
        assert_same(list(media.read_span(path, first, end)), frames, first, end)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9", "libsvtav1"])
def test_a_span_is_sought_and_not_decoded_from_the_start(
    codec: str, numbered_video: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = numbered_video(codec)
    index = media.frame_index(path)
    assert not index.doubt
    assert list(index.keys) == [0, 12, 24, 36]
    monkeypatch.setattr("media.spans.decode", _refuse)
    assert [frame.index for frame in media.read_span(path, 26, 34)] == list(range(26, 34))


def _refuse(*_: object, **__: object) -> None:
    raise AssertionError("decoded from the start")


def test_a_seek_that_lands_elsewhere_is_noticed(numbered_video: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every keyframe misnamed, what the seek gives does not fit the index, and the start is taken."""
    path = numbered_video()
    index = media.frame_index(path)
    wrong = replace(index, keys=np.array([0, 17, 29]))
    monkeypatch.setattr("media.spans.frame_index", lambda _: wrong)
    assert [videos.read_number(frame.rgb()) for frame in media.read_span(path, 30, 35)] == list(range(30, 35))


@pytest.mark.parametrize(
    ("kind", "doubt"),
    [("mpeg4.mp4", "codec"), ("transport stream", "container"), ("interlaced", "interlaced")],
)
def test_what_cannot_be_proved_is_doubted(kind: str, doubt: str, numbered_video: Maker) -> None:
    assert doubt in media.frame_index(numbered_video(**KINDS[kind])).doubt


_HEVC_HEADER = bytes([1, *[0] * 20, 3])  # a configuration record whose lengths have four bytes


@pytest.mark.parametrize(
    ("codec", "packet", "doubt"),
    [
        ("vp8", bytes([0b0001_0000]), ""),
        ("vp8", bytes([0b0000_0000]), "hidden"),
        ("vp9", bytes([0b1000_0010, 0]), ""),
        ("vp9", bytes([0b1000_0000, 0]), "hidden"),
        ("vp9", bytes([0b1000_1000, 0]), ""),  # shows an existing frame
        ("vp9", bytes([0b1000_0000, 0, 0b1100_0000]), ""),  # a superframe
        ("vp9", bytes([0b1011_0001, 0]), ""),  # profile 3
        ("vp9", bytes([0b1011_0000, 0]), "hidden"),
        ("hevc", bytes([0, 0, 0, 2, 19 << 1, 1]), ""),
        ("hevc", bytes([0, 0, 0, 2, 16 << 1, 1]), "splice"),
        ("hevc", bytes([0, 0, 0, 2, 1 << 1, 1, 0, 0, 0, 2, 36 << 1, 1]), "splice"),
        ("h264", bytes([0, 0, 0, 2, 0x65, 1]), ""),
    ],
)
def test_packets_that_may_not_show_a_picture(codec: str, packet: bytes, doubt: str) -> None:
    said = unit_doubt(codec, cast("av.Packet[av.VideoStream]", av.Packet(packet)), _HEVC_HEADER)
    assert doubt in said
    assert bool(said) == bool(doubt)


def test_an_index_that_counts_otherwise_is_not_used(numbered_video: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media.spans.decode", _refuse)
    assert len(list(media.read_span(numbered_video(), 20, 22, frames=40))) == 2
    with pytest.raises(AssertionError, match="from the start"):
        list(media.read_span(numbered_video(), 20, 22, frames=39))


def test_the_index_follows_a_file_that_changes(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    for count in (10, 25):
        videos.write_video(path, videos.numbered_frames(count))
        assert len(media.frame_index(path).pts) == count


def test_a_span_past_the_end_is_an_error(numbered_video: Maker) -> None:
    for kind in ({}, {"codec": "mpeg4"}):
        with pytest.raises(MediaError, match="ends at 40") as caught:
            list(media.read_span(numbered_video(**kind), 38, 41))
        assert caught.value.reason == "truncated"


@pytest.mark.parametrize(("first", "end"), [(-1, 3), (5, 5), (7, 3)])
def test_an_empty_span_is_a_mistake(first: int, end: int, numbered_video: Maker) -> None:
    with pytest.raises(ValueError, match="first < end"):
        next(iter(media.read_span(numbered_video(), first, end)))
