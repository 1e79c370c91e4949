"""Cuts: the very frames that were asked for, at their times, looked at again before they are handed over."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import media
from media.encoding import encode_timed
from media.errors import MediaError
from tests import videos

Maker = Callable[..., Path]


def numbers(data: bytes) -> list[int]:
    return [videos.read_number(picture) for picture in media.decode_bytes(data)]


@pytest.mark.parametrize("codec", videos.CODECS)
@pytest.mark.parametrize(("first", "end"), [(0, 5), (7, 30), (12, 13), (38, 40)])
def test_the_frames_asked_for_and_no_others(codec: str, first: int, end: int, numbered_video: Maker) -> None:
    encoded = media.cut(numbered_video(codec), first, end)
    assert numbers(encoded.data) == list(range(first, end))
    assert encoded.frames == end - first
    assert encoded.fps == pytest.approx(25)
    assert (encoded.width_px, encoded.height_px) == (128, 96)


def test_the_same_cut_gives_the_same_bytes(numbered_video: Maker) -> None:
    path = numbered_video("libx265")
    assert media.cut(path, 5, 25).data == media.cut(path, 5, 25, threads=3).data


def test_a_turned_source_is_cut_upright(tmp_path: Path) -> None:
    stored = [np.ascontiguousarray(np.rot90(picture, 1)) for picture in videos.numbered_frames(12)]
    path = videos.write_video(tmp_path / "turned.mp4", stored, rotation_deg=90)
    encoded = media.cut(path, 3, 9)
    assert numbers(encoded.data) == list(range(3, 9))
    (tmp_path / "clip.mp4").write_bytes(encoded.data)
    assert media.probe(tmp_path / "clip.mp4").rotation_deg == 0


@pytest.mark.parametrize(("max_height", "size"), [(48, (64, 48)), (47, (60, 46)), (500, (128, 96)), (96, (128, 96))])
def test_scaling_keeps_the_shape_and_even_sizes(max_height: int, size: tuple[int, int], numbered_video: Maker) -> None:
    encoded = media.cut(numbered_video(), 4, 8, max_height=max_height)
    assert (encoded.width_px, encoded.height_px) == size
    assert numbers(encoded.data) == [4, 5, 6, 7]


def test_a_crop_is_taken_before_scaling(tmp_path: Path) -> None:
    framed = [np.pad(picture, ((10, 14), (8, 16), (0, 0))) for picture in videos.numbered_frames(10)]
    path = videos.write_video(tmp_path / "framed.mp4", framed)
    encoded = media.cut(path, 2, 6, crop=(8, 10, 128, 96))
    assert (encoded.width_px, encoded.height_px) == (128, 96)
    assert numbers(encoded.data) == [2, 3, 4, 5]
    small = media.cut(path, 2, 6, crop=(8, 10, 128, 96), max_height=48)
    assert (small.width_px, small.height_px) == (64, 48)
    assert numbers(small.data) == [2, 3, 4, 5]


@pytest.mark.parametrize("crop", [(-1, 0, 20, 20), (0, 0, 129, 20), (100, 0, 40, 20), (0, 90, 20, 10), (0, 0, 1, 20)])
def test_a_crop_lies_inside_the_picture(crop: tuple[int, int, int, int], numbered_video: Maker) -> None:
    with pytest.raises(ValueError, match="128 x 96"):
        media.cut(numbered_video(), 0, 3, crop=crop)


def test_a_variable_rate_keeps_its_times(numbered_video: Maker, varying_times_s: list[float]) -> None:
    encoded = media.cut(numbered_video(times_s=varying_times_s), 10, 30)
    times = [frame.time_s for frame in media.decode(encoded.data)]
    assert times == pytest.approx([time - varying_times_s[10] for time in varying_times_s[10:30]], abs=1e-4)
    assert numbers(encoded.data) == list(range(10, 30))


@pytest.mark.parametrize(("fps", "frames"), [(25, 20), (50, 40), (12.5, 10), (10, 8), (Fraction(30000, 1001), 24)])
def test_resampling_shows_what_was_on_screen(fps: float | Fraction, frames: int, numbered_video: Maker) -> None:
    encoded = media.cut(numbered_video(), 10, 30, fps=fps)
    assert encoded.frames == frames
    middles = [(index + 0.5) / float(fps) for index in range(frames)]
    assert numbers(encoded.data) == [10 + int(middle * 25) for middle in middles]


def test_resampling_a_variable_rate(numbered_video: Maker, varying_times_s: list[float]) -> None:
    encoded = media.cut(numbered_video(times_s=varying_times_s), 0, 30, fps=50)
    ends = [*varying_times_s[1:31]]
    expected = []
    for index in range(round(ends[-1] * 50)):
        middle = (index + 0.5) / 50
        expected.append(next(number for number, end in enumerate(ends) if middle < end))
    assert numbers(encoded.data) == expected
    assert encoded.fps == pytest.approx(50)


def test_a_span_shorter_than_an_output_frame_gives_one(numbered_video: Maker) -> None:
    encoded = media.cut(numbered_video(), 10, 11, fps=2)
    assert numbers(encoded.data) == [10]


def _tampered(change: Callable[[list[Any]], Iterable[Any]]) -> Callable[..., media.Encoded]:
    def encode(stamped: Iterable[Any], **how: Any) -> media.Encoded:
        return encode_timed(change(list(stamped)), **how)

    return encode


@pytest.mark.parametrize(
    "change",
    [
        lambda pairs: pairs[:-1],
        lambda pairs: itertools.chain(pairs, [(pairs[-1][0], pairs[-1][1] + 14_400)]),
        lambda pairs: [(255 - picture, stamp) for picture, stamp in pairs],
    ],
    ids=["a frame lost", "a frame too many", "other pictures"],
)
def test_what_does_not_match_its_source_is_refused(
    change: Callable[[list[Any]], Iterable[Any]], numbered_video: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media.cutting.encode_timed", _tampered(change))
    with pytest.raises(MediaError) as caught:
        media.cut(numbered_video(), 5, 15)
    assert caught.value.reason == "verify_failed"


def test_the_coarsest_quality_still_verifies(footage: Any) -> None:
    path = next(p for p in footage.videos if p.name == "bikes.mp4")
    assert media.cut(path, 100, 110, crf=51, preset="ultrafast").frames == 10
