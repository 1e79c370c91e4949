"""A skim leaves frames out and changes none of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import media
from media.errors import MediaError
from tests import videos

Maker = Callable[..., Path]

PYRAMID = {"preset": "ultrafast", "x264-params": "keyint=24:bframes=4:b-adapt=0:b-pyramid=normal:scenecut=0"}
LAYERS = {
    "preset": "ultrafast",
    "x265-params": "keyint=16:bframes=3:b-adapt=0:b-pyramid=1:temporal-layers=3:log-level=none:pools=1:frame-threads=1",
}
KINDS: dict[str, dict[str, object]] = {
    "h264": {},
    "h264, pyramid": {"options": PYRAMID},
    "h264, mkv": {"suffix": ".mkv"},
    "hevc, open groups": {"codec": "libx265"},
    "hevc, temporal layers": {"codec": "libx265", "options": LAYERS},
    "vp9": {"codec": "libvpx-vp9", "suffix": ".webm"},
    "av1": {"codec": "libsvtav1"},
}


@pytest.fixture(params=KINDS, scope="module")
def whole(request: pytest.FixtureRequest, numbered_video: Maker) -> tuple[Path, list[media.Frame]]:
    path = numbered_video(**KINDS[request.param])
    return path, list(media.decode(path, analysis=True))


def test_what_is_wanted_is_as_a_whole_decode_gives_it(whole: tuple[Path, list[media.Frame]]) -> None:
    path, frames = whole
    index = media.frame_index(path)
    assert not index.doubt

    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.booleans(), min_size=40, max_size=40), st.integers(0, 39), st.integers(1, 40))
    def holds(wanted: list[bool], first: int, length: int) -> None:
        end = min(40, first + length)
        seen = list(media.skim(path, index, np.array(wanted), first, end))
        assert [frame.index for frame in seen] == [n for n in range(first, end) if wanted[n]]
        for frame in seen:
            there = frames[frame.index]
            assert np.array_equal(frame.luma(), there.luma())
            assert frame.time_s == pytest.approx(there.time_s, abs=1e-9)
            assert frame.duration_s == pytest.approx(there.duration_s, abs=1e-9)

    holds()


@pytest.mark.parametrize("kind", ["h264", "h264, pyramid", "hevc, open groups", "hevc, temporal layers"])
def test_frames_that_no_other_needs_are_known(kind: str, numbered_video: Maker) -> None:
    index = media.frame_index(numbered_video(**KINDS[kind]))
    assert 0.2 < index.droppable.mean() < 0.8
    assert not index.droppable[index.keys].any()
    assert (index.sizes > 0).all()


def test_unwanted_droppable_frames_are_not_decoded(numbered_video: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    path = numbered_video()
    index = media.frame_index(path)
    decoded: list[int] = []
    pictures = media.source.pictures

    def counting(source: object, deadline: object, wanted: object = None) -> object:
        for picture in pictures(source, deadline, wanted):  # type: ignore[arg-type]
            decoded.append(picture.pts)
            yield picture

    monkeypatch.setattr("media.spans.pictures", counting)
    list(media.skim(path, index, ~index.droppable))
    assert len(decoded) == int((~index.droppable).sum()) < 40


def test_a_doubtful_file_is_not_skimmed(numbered_video: Maker) -> None:
    path = numbered_video(codec="mpeg4")
    index = media.frame_index(path)
    with pytest.raises(media.SkimError, match="codec"):
        next(iter(media.skim(path, index, np.ones(index.frames, np.bool_))))


def test_an_index_of_another_file_is_noticed(numbered_video: Maker) -> None:
    path = numbered_video()
    index = media.frame_index(path)
    wrong = replace(index, pts=np.sort(np.append(index.pts, index.pts[20] + 1)), droppable=np.zeros(41, np.bool_))
    with pytest.raises(media.SkimError, match="expected"):
        list(media.skim(path, wrong, np.ones(41, np.bool_), 15, 35))


def test_a_damaged_packet_ends_the_skim(numbered_video: Maker, tmp_path: Path) -> None:
    data = bytearray(numbered_video(container_options={"movflags": "+faststart"}).read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = np.random.default_rng(1).bytes(len(data) - start)
    path = tmp_path / "garbage.mp4"
    path.write_bytes(data)
    index = media.frame_index(path)
    with pytest.raises(media.SkimError):
        list(media.skim(path, index, np.ones(index.frames, np.bool_)))


def test_time_is_limited(numbered_video: Maker) -> None:
    path = numbered_video()
    with pytest.raises(MediaError) as caught:
        list(media.skim(path, media.frame_index(path), np.ones(40, np.bool_), wall_limit_s=1e-9))
    assert caught.value.reason == "timeout"


def test_times_of_a_variable_rate(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.2, 0.21, 0.5, 1.0, 1.001, 1.3]
    path = videos.write_video(tmp_path / "v.mkv", videos.numbered_frames(8), times_s=times)
    seen = list(media.skim(path, media.frame_index(path), np.ones(8, np.bool_), 2, 6))
    assert [round(frame.time_s, 3) for frame in seen] == times[2:6]
