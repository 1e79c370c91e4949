"""Copies: the source's own packets, of which the frames meant are the source's, bit by bit, wherever the cut falls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import media
from media import remuxing
from media.errors import MediaError
from media.source import Deadline, open_source, pictures
from media.verifying import _reordering, picture_hash
from tests import videos

Maker = Callable[..., Path]

LONG_GROUPS = {"preset": "ultrafast", "x264-params": "keyint=250:bframes=3:b-pyramid=normal:b-adapt=0:scenecut=0"}
PYRAMID = {"preset": "ultrafast", "x264-params": "keyint=15:min-keyint=15:bframes=3:b-pyramid=normal:b-adapt=0"}
OPEN_GROUPS = {"preset": "ultrafast", "x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=3:open-gop=1"}
KINDS: dict[str, dict[str, Any]] = {
    "H.264": {},
    "H.264 in Matroska": {"suffix": ".mkv"},
    "H.264, long groups": {"options": LONG_GROUPS},
    "H.264, a pyramid of B-frames": {"options": PYRAMID},
    "H.264, open groups": {"options": OPEN_GROUPS},
    "HEVC, open groups": {"codec": "libx265"},
    "HEVC, open groups, in Matroska": {"codec": "libx265", "suffix": ".mkv"},
    "HEVC, 10 bits": {"codec": "libx265", "pixel_format": "yuv420p10le"},
    "VP9": {"codec": "libvpx-vp9"},
    "VP9 in WebM": {"codec": "libvpx-vp9", "suffix": ".webm"},
    "AV1": {"codec": "libsvtav1"},
    "turned": {"rotation_deg": 90},
    "turned, in Matroska": {"rotation_deg": 270, "suffix": ".mkv"},
    "wide pixels": {"sample_aspect": Fraction(4, 3)},
    "wide pixels, in Matroska": {"sample_aspect": Fraction(4, 3), "suffix": ".mkv"},
    "BT.2020": {"colour": "bt2020"},
    "VP9 of BT.709 in WebM": {"codec": "libvpx-vp9", "suffix": ".webm", "colour": "bt709"},
    "odd size": {"width": 130, "height": 98, "suffix": ".mkv"},
    "with sound": {"audio": True},
    "fragments": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "29.97 a second": {"fps": Fraction(30000, 1001)},
}


@pytest.fixture(params=[*KINDS, "variable rate", "variable rate in Matroska"], scope="module")
def source(request: pytest.FixtureRequest, numbered_video: Maker, varying_times_s: list[float]) -> Path:
    if request.param.startswith("variable"):
        return numbered_video(times_s=varying_times_s, suffix=".mkv" if "Matroska" in request.param else ".mp4")
    return numbered_video(**KINDS[request.param])


def hashes(video: Path | bytes) -> list[tuple[bytes, Fraction]]:
    """Each frame's samples, colours and turn, with its time after the first."""
    with open_source(video) as opened:
        shown = [
            (picture_hash(opened, p), (p.pts or 0) * opened.time_base) for p in pictures(opened, Deadline.after(None))
        ]
    return [(found, time - shown[0][1]) for found, time in shown]


def test_a_copy_holds_the_frames_of_the_source_bit_by_bit(source: Path) -> None:
    there = hashes(source)

    @settings(max_examples=10, deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        first = data.draw(st.integers(0, len(there) - 1))
        end = data.draw(st.integers(first + 1, len(there)))
        copy = media.cut(source, first, end, mode="copy", verify=data.draw(st.sampled_from(["packets", "decode"])))
        here = hashes(copy.data)[copy.in_frame : copy.out_frame]
        assert [found for found, _ in here] == [found for found, _ in there[first:end]]
        assert [time - here[0][1] for _, time in here] == [time - there[first][1] for _, time in there[first:end]]
        assert (copy.mode, copy.frames, copy.psnr_db) == ("copy", end - first, None)
        assert copy.data == media.cut(source, first, end, mode="copy").data

    check()


def test_pictures_are_shown_as_the_source_shows_them(source: Path) -> None:
    whole = list(media.decode(source))
    copy = media.cut(source, 14, 20, mode="copy")
    shown = list(media.decode(copy.data))[copy.in_frame : copy.out_frame]
    for mine, theirs in zip(shown, whole[14:20], strict=True):
        assert np.array_equal(mine.rgb(), theirs.rgb())
    assert shown[0].rgb().shape[:2] == (copy.height_px, copy.width_px)
    assert copy.fps == pytest.approx(6 / (whole[20].time_s - whole[14].time_s), rel=1e-3)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9"])
def test_a_copy_begins_at_the_keyframe_before_and_holds_no_more_than_it_must(codec: str, numbered_video: Maker) -> None:
    copy = media.cut(numbered_video(codec), 14, 20, mode="copy")
    assert (copy.in_frame, copy.out_frame) == (2, 8)
    assert 8 <= len(hashes(copy.data)) <= 8 + 3  # of B-frames, the one that they look ahead to
    assert media.cut(numbered_video(codec), 24, 30, mode="copy").in_frame == 0


def test_nothing_is_decoded_but_the_first_keyframe(numbered_video: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("media.remuxing.pictures", refuse)
    monkeypatch.setattr("media.remuxing.read_span", refuse)
    assert media.cut(numbered_video(), 14, 20, mode="copy").frames == 6


def test_the_index_stands_at_the_front_and_no_date_is_written(numbered_video: Maker) -> None:
    data = media.cut(numbered_video(), 3, 9, mode="copy").data
    assert data.index(b"moov") < data.index(b"mdat")
    assert b"Lavf" not in data


def test_a_copy_can_be_cut_again(numbered_video: Maker, tmp_path: Path) -> None:
    copy = media.cut(numbered_video("libx265"), 14, 30, mode="copy")
    (tmp_path / "copy.mp4").write_bytes(copy.data)
    again = media.cut(tmp_path / "copy.mp4", copy.in_frame + 3, copy.in_frame + 8, mode="copy")
    shown = media.decode_bytes(again.data)[again.in_frame : again.out_frame]
    assert [videos.read_number(picture) for picture in shown] == list(range(17, 22))


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ({"codec": "mpeg4"}, "codec mpeg4"),
        ({"suffix": ".ts"}, "container mpegts"),
        (
            {"codec": "libvpx", "suffix": ".webm", "options": {"deadline": "realtime", "cpu-used": "8"}},
            "does not hold vp8",
        ),
        ({"options": {"preset": "ultrafast", "flags": "+ildct+ilme", "x264-params": "tff=1"}}, "interlaced"),
    ],
)
def test_what_cannot_be_copied_is_said_and_not_done_otherwise(
    kind: dict[str, Any], why: str, numbered_video: Maker
) -> None:
    with pytest.raises(MediaError, match=f"uncopyable: .*{why}.*cut it as exact"):
        media.cut(numbered_video(**kind), 3, 9, mode="copy")


def test_a_span_past_the_end_is_truncated(numbered_video: Maker) -> None:
    outcomes = dict(media.cut_many(numbered_video(), [(38, 41), (0, 5), (36, 40)], mode="copy"))
    assert isinstance(outcomes[0], MediaError)
    assert outcomes[0].reason == "truncated"
    assert [outcomes[place].frames for place in (1, 2)] == [5, 4]  # type: ignore[union-attr]


def test_pictures_stay_as_they_are(numbered_video: Maker) -> None:
    for change in ({"max_height": 48}, {"crop": (0, 0, 64, 64)}, {"fps": 10}):
        with pytest.raises(ValueError, match="keeps pictures as they are"):
            media.cut(numbered_video(), 3, 9, mode="copy", **change)


def _spoilt(spoil: Callable[[bytes, Sequence[Any]], bytes]) -> Callable[..., bytes]:
    mux = remuxing._mux

    def spoilt(source: Any, packets: Sequence[Any]) -> bytes:
        return spoil(mux(source, packets), packets)

    return spoilt


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


SPOILT: dict[str, Callable[[bytes, Sequence[Any]], bytes]] = {
    "a bit of the last packet": lambda data, packets: _flip(data, data.index(bytes(packets[-1])) + 20),
    "a bit of the keyframe": lambda data, packets: _flip(data, data.index(bytes(packets[0])) + 60),
    "a bit of the configuration": lambda data, _: _flip(data, data.index(b"avcC") + 12),
    "a bit of the turn": lambda data, _: _flip(data, data.index(b"tkhd") + 48),
    "a bit of the times": lambda data, _: _flip(data, data.index(b"stts") + 19),
}


@pytest.mark.parametrize("what", SPOILT)
def test_what_was_spoilt_on_the_way_is_refused(
    what: str, numbered_video: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media.remuxing._mux", _spoilt(SPOILT[what]))
    with pytest.raises(MediaError) as caught:
        media.cut(numbered_video(), 14, 20, mode="copy")
    assert caught.value.reason in {"verify_failed", "undecodable", "truncated"}


@pytest.mark.parametrize("lost", [slice(1, None), slice(None, -1), slice(0, 0)], ids=["first", "last", "all"])
def test_a_lost_packet_is_refused(lost: slice, numbered_video: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    mux = remuxing._mux
    monkeypatch.setattr("media.remuxing._mux", lambda source, packets: mux(source, packets[lost] or packets[:1]))
    with pytest.raises(MediaError) as caught:
        media.cut(numbered_video(), 14, 20, mode="copy")
    assert caught.value.reason == "verify_failed"


@pytest.mark.parametrize("off", [-1, 1])
def test_decoding_all_catches_what_is_one_off(off: int, numbered_video: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = remuxing._copied

    def shifted(*args: Any) -> media.Encoded:
        copy = copied(*args)
        return replace(copy, in_frame=copy.in_frame + off)

    monkeypatch.setattr("media.remuxing._copied", shifted)
    with pytest.raises(MediaError, match=r"frame 14 is not the source's|frames are in the copy"):
        media.cut(numbered_video(), 14, 20, mode="copy", verify="decode")


@given(st.permutations(range(8)))
def test_reordering_counts_the_pictures_that_wait(order: list[int]) -> None:
    waiting = [sum(other > number for other in order[:place]) for place, number in enumerate(order)]
    assert _reordering([Fraction(number) for number in order]) == max(waiting)


def test_a_copy_does_not_bring_half_a_film_along(numbered_video: Maker) -> None:
    """One keyframe, and frames a second apart: what lies before the clip is as much as the film."""
    path = numbered_video(options={"preset": "ultrafast", "x264-params": "keyint=250:scenecut=0"}, fps=1)
    assert media.cut(path, 10, 12, mode="copy").in_frame == 10
    with pytest.raises(MediaError, match=r"keyframe before it is 30 s earlier.*cut it as exact") as caught:
        media.cut(path, 30, 32, mode="copy")
    assert caught.value.reason == "uncopyable"
