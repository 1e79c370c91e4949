"""Cuts: the very frames that were asked for, at their times, looked at again before they are handed over."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import media
from media import encoding
from media.errors import MediaError
from media.frames import AvFrame
from media.verifying import MEAN_FLOOR_DB, WORST_FLOOR_DB, Witness
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


def _tampered(change: Callable[[list[Any]], Iterable[Any]]) -> Callable[..., Any]:
    """Encode something else than what was handed over."""
    write = encoding._write

    def tampered(container: Any, stream: Any, pictures: Iterable[Any], time_base: Fraction) -> Any:
        return write(container, stream, iter(change(list(pictures))), time_base)

    return tampered


def _dark(picture: Any) -> Any:
    return av.VideoFrame.from_ndarray(255 - picture.to_ndarray(), format="yuv420p")


CHANGES: dict[str, Callable[[list[Any]], Iterable[Any]]] = {
    "a frame lost": lambda pairs: pairs[:-1],
    "a frame too many": lambda pairs: itertools.chain(pairs, [(pairs[-1][0], pairs[-1][1] + 14_400)]),
    "other pictures": lambda pairs: [(_dark(picture), stamp) for picture, stamp in pairs],
    "one other picture": lambda pairs: [(_dark(p) if i == 4 else p, stamp) for i, (p, stamp) in enumerate(pairs)],
    "one off": lambda pairs: [(pairs[max(0, i - 1)][0], stamp) for i, (_, stamp) in enumerate(pairs)],
    "other times": lambda pairs: [(picture, stamp + 500 * i) for i, (picture, stamp) in enumerate(pairs)],
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("max_height", [None, 48])
def test_what_does_not_match_its_source_is_refused(
    change: str, max_height: int | None, numbered_video: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media.encoding._write", _tampered(CHANGES[change]))
    with pytest.raises(MediaError) as caught:
        media.cut(numbered_video(), 5, 15, max_height=max_height)
    assert caught.value.reason == "verify_failed"


@pytest.mark.parametrize("off", [-1, 1])
@pytest.mark.parametrize("crf", [18, 28])
def test_real_footage_one_frame_off_is_refused(
    off: int, crf: float, footage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where little moves, the next frame has a PSNR as good as many a right one."""
    frames = [frame.picture for frame in media.decode(_named(footage, "carphone")) if isinstance(frame, AvFrame)][:41]
    ours, theirs = (frames[1:], frames[:-1]) if off > 0 else (frames[:-1], frames[1:])
    witness = Witness()
    for _ in witness.watch((picture, number) for number, picture in enumerate(theirs)):
        pass
    stamped = [(picture, number) for number, picture in enumerate(ours)]
    written = encoding.encode_timed(stamped, time_base=Fraction(1, 25), rate=Fraction(25), crf=crf)
    with pytest.raises(MediaError, match="shifted by one"):
        witness.check(written.data, Fraction(1, 25))


@pytest.mark.parametrize("name", ["bikes", "bigbuckbunny", "carphone"])
@pytest.mark.parametrize(("crf", "preset", "mean_db", "worst_db"), [(18, "veryfast", 39, 37), (35, "lean", 27, 25)])
def test_right_clips_are_far_above_the_floors(
    name: str, crf: float, preset: media.Preset, mean_db: float, worst_db: float, footage: Any
) -> None:
    encoded = media.cut(_named(footage, name), 60, 90, crf=crf, preset=preset)
    assert encoded.psnr_db is not None
    assert encoded.psnr_worst_db is not None
    assert encoded.psnr_db > mean_db > MEAN_FLOOR_DB
    assert encoded.psnr_db >= encoded.psnr_worst_db > worst_db > WORST_FLOOR_DB
    small = media.cut(_named(footage, name), 60, 62, crf=crf, preset=preset, max_height=100)
    assert small.psnr_db is not None


def test_the_fidelity_told_is_that_of_the_luma(numbered_video: Maker) -> None:
    """At 128 x 96 every pixel is in the sample."""
    path = numbered_video()
    encoded = media.cut(path, 5, 15, crf=30)
    source = np.stack([frame.luma() for frame in media.read_span(path, 5, 15)]).astype(float)
    written = np.stack([frame.luma() for frame in media.decode(encoded.data)])
    errors = ((source - written) ** 2).mean(axis=(1, 2))
    assert encoded.psnr_db == pytest.approx(10 * np.log10(255**2 / errors.mean()), abs=1e-3)
    assert encoded.psnr_worst_db == pytest.approx(10 * np.log10(255**2 / errors.max()), abs=1e-3)


def _named(footage: Any, name: str) -> Path:
    return next(Path(path) for path in footage.videos if path.name.startswith(name))


def test_the_coarsest_quality_still_verifies(footage: Any) -> None:
    assert media.cut(_named(footage, "bikes"), 100, 110, crf=51, preset="ultrafast").frames == 10


# Planes from the decoder to the encoder


def test_planes_that_need_nothing_go_through_as_they_are(
    numbered_video: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("converted to RGB")

    path = numbered_video()
    monkeypatch.setattr(AvFrame, "rgb", refuse)
    encoded = media.cut(path, 5, 15, crf=1)
    for mine, theirs in zip(media.decode(encoded.data), media.read_span(path, 5, 15), strict=True):
        for a, b in zip(mine.yuv(), theirs.yuv(), strict=True):
            assert np.abs(a.astype(int) - b).mean() < 1
    assert media.cut(path, 5, 15, max_height=48).height_px == 48


@pytest.mark.parametrize("colour", [None, "bt601", "bt709", "bt2020"])
@pytest.mark.parametrize("max_height", [None, 72])
@pytest.mark.parametrize("size", [(128, 96), (1280, 720)])
def test_colours_are_read_as_those_of_the_source(
    colour: str | None, max_height: int | None, size: tuple[int, int], numbered_video: Maker
) -> None:
    """A matrix that the stream does not name is the one of its size; a smaller clip must not be read by another."""
    path = numbered_video(frames=10, width=size[0], height=size[1], colour=colour)
    theirs = next(iter(media.read_span(path, 4, 6)))
    encoded = media.cut(path, 4, 6, max_height=max_height, crf=8)
    mine = next(iter(media.decode(encoded.data)))
    assert mine.matrix == theirs.matrix
    assert np.abs(mine.rgb().astype(int) - theirs.rgb(max_height)).mean() < 3


@pytest.mark.parametrize(
    "how",
    [
        {"pixel_format": "yuv444p"},
        {"codec": "libx265", "pixel_format": "yuv420p10le"},
        {"pixel_format": "yuvj420p"},
        {"sample_aspect": Fraction(4, 3)},
        {"rotation_deg": 180},
        {"width": 130, "height": 99, "pixel_format": "yuv444p"},
    ],
    ids=str,
)
def test_other_pictures_are_converted(how: dict[str, Any], numbered_video: Maker) -> None:
    path = numbered_video(**how)
    encoded = media.cut(path, 5, 15, crf=8)
    for mine, theirs in zip(media.decode(encoded.data), media.read_span(path, 5, 15), strict=True):
        shown = theirs.rgb()[: encoded.height_px, : encoded.width_px]
        assert mine.matrix == "bt709"
        assert np.abs(mine.rgb().astype(int) - shown).mean() < 4


@pytest.mark.parametrize("preset", media.PRESETS[:5])
def test_presets_of_x264_and_our_own(preset: media.Preset, numbered_video: Maker) -> None:
    assert (
        media.cut(numbered_video(), 5, 15, preset=preset).data == media.cut(numbered_video(), 5, 15, preset=preset).data
    )


def test_a_preset_that_is_none(numbered_video: Maker) -> None:
    with pytest.raises(ValueError, match="there are lean, ultrafast"):
        media.cut(numbered_video(), 5, 15, preset="quick")  # type: ignore[arg-type]


def test_groups_are_as_long_as_asked(numbered_video: Maker, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(media.cut(numbered_video(), 5, 30, gop=10).data)
    keys = media.frame_index(tmp_path / "clip.mp4").keys
    assert max(np.diff([*keys, 25])) <= 10


# Many spans of one file


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4"])
@pytest.mark.parametrize("mode", ["exact", "copy"])
def test_many_cuts_are_those_made_one_by_one(codec: str, mode: media.CutMode, numbered_video: Maker) -> None:
    path = numbered_video(codec)
    if codec == "mpeg4" and mode == "copy":
        pytest.skip("not to be copied")

    @settings(max_examples=8, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 38), st.integers(1, 12)), min_size=1, max_size=6))
    def check(starts: list[tuple[int, int]]) -> None:
        spans = [(first, min(40, first + length)) for first, length in starts]
        outcomes = dict(media.cut_many(path, spans, mode=mode, preset="ultrafast"))
        assert sorted(outcomes) == list(range(len(spans)))
        for place, (first, end) in enumerate(spans):
            assert outcomes[place] == media.cut(path, first, end, mode=mode, preset="ultrafast")

    check()


@pytest.mark.parametrize(
    ("spans", "passes"),
    [
        ([(0, 5), (5, 12), (12, 20)], [(0, 20)]),  # adjacent
        ([(26, 30), (2, 10)], [(2, 10), (26, 30)]),  # a keyframe lies between
        ([(13, 15), (17, 20)], [(13, 20)]),  # none does
        ([(0, 10), (5, 15)], [(0, 10), (5, 15)]),  # one over the other
    ],
)
def test_the_source_is_decoded_once_along_the_spans(
    spans: list[tuple[int, int]], passes: list[tuple[int, int]], numbered_video: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def counted(path: Path, first: int, end: int, **how: Any) -> Iterator[media.Frame]:
        read.append((first, end))
        return media.read_span(path, first, end, **how)

    monkeypatch.setattr("media.cutting.read_span", counted)
    assert len(dict(media.cut_many(numbered_video(), spans))) == len(spans)
    assert read == passes


def test_one_bad_span_does_not_take_the_others_with_it(numbered_video: Maker) -> None:
    outcomes = dict(media.cut_many(numbered_video(), [(30, 39), (35, 44), (0, 10), (10, 20)]))
    assert isinstance(outcomes[1], MediaError)
    assert outcomes[1].reason == "truncated"
    assert all(isinstance(outcomes[place], media.Encoded) for place in (0, 2, 3))


@pytest.mark.parametrize("mode", ["exact", "copy", "reference"])
@pytest.mark.parametrize("span", [(-1, 3), (5, 5), (7, 3)])
def test_an_empty_span_is_a_mistake(mode: media.CutMode, span: tuple[int, int], numbered_video: Maker) -> None:
    with pytest.raises(ValueError, match="first < end"):
        media.cut(numbered_video(), *span, mode=mode)


# References


def test_a_reference_is_a_span_and_no_bytes(numbered_video: Maker) -> None:
    reference = media.cut(numbered_video(rotation_deg=90), 14, 20, mode="reference")
    assert (reference.data, reference.mode) == (b"", "reference")
    assert (reference.in_frame, reference.out_frame, reference.frames) == (14, 20, 6)
    assert (reference.width_px, reference.height_px) == (96, 128)
    assert reference.fps == pytest.approx(25)
    with pytest.raises(MediaError, match="ends at 40"):
        media.cut(numbered_video(), 38, 41, mode="reference")
    with pytest.raises(ValueError, match="keeps pictures as they are"):
        media.cut(numbered_video(), 3, 9, mode="reference", max_height=48)
