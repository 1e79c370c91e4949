"""Whole-file decoding: order, times, orientation, planes and colour, for every codec and for both backends."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

import media
from media.errors import BackendError, MediaError, UserError
from tests import videos

Maker = Callable[..., Path]

SOURCES = [(codec, suffix) for codec in videos.CODECS for suffix in (".mp4", ".mkv")]


def numbers(frames: list[media.Frame]) -> list[int]:
    return [videos.read_number(frame.rgb()) for frame in frames]


@pytest.mark.parametrize(("codec", "suffix"), SOURCES)
def test_frames_come_in_order_of_display_with_their_numbers(codec: str, suffix: str, numbered_video: Maker) -> None:
    frames = list(media.decode(numbered_video(codec, suffix=suffix)))
    assert numbers(frames) == list(range(40))
    assert [frame.index for frame in frames] == list(range(40))
    assert [frame.time_s for frame in frames] == pytest.approx([index / 25 for index in range(40)], abs=0.0011)
    assert [frame.duration_s for frame in frames] == pytest.approx([0.04] * 40, abs=0.0011)
    assert frames[0].key
    assert not any(frame.time_guessed or frame.interlaced for frame in frames)


@pytest.mark.parametrize("suffix", [".mov", ".avi", ".ts", ".flv"])
def test_other_containers_are_read(suffix: str, numbered_video: Maker) -> None:
    frames = list(media.decode(numbered_video("libx264" if suffix != ".avi" else "mpeg4", suffix=suffix)))
    assert numbers(frames) == list(range(40))
    assert frames[0].time_s == 0.0


def test_times_of_a_variable_rate_come_from_the_timestamps(numbered_video: Maker, varying_times_s: list[float]) -> None:
    frames = list(media.decode(numbered_video(times_s=varying_times_s)))
    assert [frame.time_s for frame in frames] == pytest.approx(varying_times_s, abs=1e-6)
    assert [frame.duration_s for frame in frames[:-1]] == pytest.approx(np.diff(varying_times_s), abs=1e-6)


@pytest.mark.parametrize(
    ("stamps", "guessed"),
    [
        ([0, 40, 80, 80, 160, 200], [3]),
        ([0, 40, 80, 50, 160, 200], [3]),
        ([500, 540, 580, 620, 3_600_000, 3_600_040], []),
    ],
    ids=["repeated", "backwards", "late start and a gap"],
)
def test_times_never_stand_still(stamps: list[int], guessed: list[int], tmp_path: Path) -> None:
    whole = videos.write_video(
        tmp_path / "whole.mkv", videos.numbered_frames(6), codec="mjpeg", pixel_format="yuvj420p", options={}
    )
    frames = list(media.decode(videos.restamp(whole, tmp_path / "broken.mkv", stamps)))
    assert numbers(frames) == list(range(6))
    assert frames[0].time_s == 0.0
    assert all(later.time_s > earlier.time_s for earlier, later in itertools.pairwise(frames))
    assert [frame.index for frame in frames if frame.time_guessed] == guessed
    assert frames[-1].time_s == pytest.approx((stamps[-1] - stamps[0]) / 1000)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_display_matrix_turns_every_view(turn: int, suffix: str, numbered_video: Maker, tmp_path: Path) -> None:
    stored = [np.ascontiguousarray(np.rot90(picture, turn // 90)) for picture in videos.numbered_frames(3)]
    path = videos.write_video(tmp_path / f"turned{suffix}", stored, rotation_deg=turn)
    probe = media.probe(path)
    assert (probe.rotation_deg, probe.width_px, probe.height_px) == (turn, 128, 96)
    for index, frame in enumerate(media.decode(path)):
        assert videos.read_number(frame.rgb()) == index
        assert videos.read_number(frame.rgb(48)) == index
        for view in (frame.luma(), frame.luma(2), frame.yuv()[0]):
            assert videos.read_number(np.repeat(view[..., None], 3, axis=2)) == index
        assert frame.luma(2).shape == (48, 64)


@pytest.mark.parametrize(("width", "height"), [(72, 128), (128, 72), (64, 64)])
def test_shapes_are_kept(width: int, height: int, numbered_video: Maker) -> None:
    frame = next(iter(media.decode(numbered_video(frames=2, width=width, height=height))))
    assert frame.rgb().shape == (height, width, 3)
    assert frame.luma().shape == (height, width)


def test_pixels_that_are_not_square_are_stretched(numbered_video: Maker) -> None:
    path = numbered_video(frames=2, sample_aspect=Fraction(4, 3))
    assert (media.probe(path).width_px, media.probe(path).coded_width_px) == (171, 128)
    frame = next(iter(media.decode(path)))
    assert frame.rgb().shape == (96, 171, 3)
    assert frame.luma().shape == (96, 171)
    assert frame.luma(2).shape[0] == 48


def test_luma_is_a_locked_view_of_the_decoders_memory(numbered_video: Maker) -> None:
    frame = next(iter(media.decode(numbered_video(frames=3))))
    first, second = frame.luma(), frame.luma()
    assert np.shares_memory(first, second)
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 1


def test_views_outlive_the_pass(numbered_video: Maker) -> None:
    path = numbered_video()
    views = [frame.luma() for frame in media.decode(path)]
    copies = [frame.luma().copy() for frame in media.decode(path)]
    assert all(np.array_equal(view, copy) for view, copy in zip(views, copies, strict=True))


def test_ten_bits_are_brought_to_eight(numbered_video: Maker) -> None:
    path = numbered_video("libx265", pixel_format="yuv420p10le")
    assert media.probe(path).pixel_format == "yuv420p10le"
    frames = list(media.decode(path))
    assert numbers(frames) == list(range(40))
    eight = next(iter(media.decode(numbered_video("libx265"))))
    assert frames[0].luma().dtype == np.uint8
    assert np.abs(frames[0].luma().astype(int) - eight.luma()).mean() < 2


@pytest.mark.parametrize("colour", [None, *videos.COLOURS])
@pytest.mark.parametrize(
    ("codec", "pixel_format"), [("libx264", "yuv420p"), ("libx265", "yuv420p10le"), ("libvpx-vp9", "yuv420p")]
)
def test_each_matrix_gives_back_the_colour(codec: str, pixel_format: str, colour: str | None, tmp_path: Path) -> None:
    paint = (200, 60, 40)
    path = videos.write_video(
        tmp_path / "paint.mp4", [np.full((64, 64, 3), paint, np.uint8)] * 8,
        codec=codec, pixel_format=pixel_format, colour=colour,
    )  # fmt: skip
    frame = next(iter(media.decode(path)))
    assert np.abs(frame.rgb()[32, 32].astype(int) - paint).max() <= 4
    assert frame.matrix == (colour or "bt601")
    assert not media.probe(path).hdr


def test_large_pictures_that_say_nothing_of_their_matrix_are_bt709(tmp_path: Path) -> None:
    picture = np.full((720, 1280, 3), (200, 60, 40), np.uint8)
    path = videos.write_video(tmp_path / "hd.mp4", [picture])  # written with BT.601, untagged
    frame = next(iter(media.decode(path)))
    assert frame.matrix == "bt709"
    shown = frame.rgb()[300, 300].astype(int)
    assert np.abs(shown - (200, 60, 40)).max() > 8  # what a player shows of it, and not what was painted


@pytest.mark.parametrize(
    ("codec", "pixel_format"),
    [("ffv1", "gray"), ("ffv1", "gray16le"), ("ffv1", "bgr0"), ("rawvideo", "nv12"), ("rawvideo", "yuyv422"),
     ("ffv1", "yuv444p16le"), ("mjpeg", "yuvj420p"), ("libx264", "yuv422p10le")],
)  # fmt: skip
def test_pixel_formats_of_any_kind_give_all_views(codec: str, pixel_format: str, numbered_video: Maker) -> None:
    path = numbered_video(codec, frames=3, suffix=".mkv", pixel_format=pixel_format, options={})
    for index, frame in enumerate(media.decode(path)):
        assert videos.read_number(frame.rgb()) == index
        y, u, v = frame.yuv()
        assert y.shape == (96, 128)
        assert u.shape == v.shape
        assert np.array_equal(y, frame.luma())
        assert np.abs(u.astype(int) - 128).max() <= 3  # the numbered pictures are grey
        assert np.abs(v.astype(int) - 128).max() <= 3


def test_interlaced_is_said(numbered_video: Maker) -> None:
    path = numbered_video(frames=4, options={"preset": "ultrafast", "flags": "+ildct+ilme", "x264-params": "tff=1"})
    assert media.probe(path).interlaced
    assert all(frame.interlaced for frame in media.decode(path))


def test_analysis_leaves_out_only_the_loop_filter(tmp_path: Path) -> None:
    path = videos.write_video(
        tmp_path / "rough.mp4", videos.numbered_frames(20), options={"crf": "40", "preset": "veryfast"}
    )
    full, analysis = list(media.decode(path)), list(media.decode(path, analysis=True))
    assert numbers(analysis) == numbers(full) == list(range(20))
    assert [frame.time_s for frame in analysis] == [frame.time_s for frame in full]
    differences = [np.abs(a.luma().astype(int) - f.luma()).mean() for a, f in zip(analysis, full, strict=True)]
    assert 0 < max(differences) < 12


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9"])
def test_threads_do_not_change_a_pixel(codec: str, numbered_video: Maker) -> None:
    path = numbered_video(codec)
    one, three = list(media.decode(path)), list(media.decode(path, threads=3))
    assert all(np.array_equal(a.luma(), b.luma()) for a, b in zip(one, three, strict=True))


def test_the_wall_limit_ends_the_pass(numbered_video: Maker) -> None:
    with pytest.raises(MediaError) as caught:
        list(media.decode(numbered_video(), wall_limit_s=0.0))
    assert caught.value.reason == "timeout"
    assert len(list(media.decode(numbered_video(), wall_limit_s=60.0))) == 40


def test_a_pass_that_is_left_early_closes_the_file(numbered_video: Maker) -> None:
    frames = media.decode(numbered_video())
    first = next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert videos.read_number(first.rgb()) == 0
    assert list(frames) == []


def test_shrinking_averages_whole_areas() -> None:
    plane = np.random.default_rng(3).integers(0, 256, (50, 71), np.uint8)
    for factor in (1, 2, 3, 4, 6, 8):
        small = media.shrink_area(plane, factor)
        rows, columns = 50 // factor, 71 // factor
        assert small.shape == (rows, columns)
        whole = plane[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
        assert np.abs(small - whole.mean(axis=(1, 3))).max() <= 1.6
    assert media.shrink_area(plane, 100).shape == (1, 1)


@pytest.fixture(scope="module")
def clip() -> bytes:
    return media.encode(videos.numbered_frames(37, 96, 64), fps=Fraction(30000, 1001), gop=10).data


@pytest.fixture(params=media.BACKENDS)
def backend(request: pytest.FixtureRequest) -> media.Backend:
    chosen: media.Backend = request.param
    if chosen == "decord":
        pytest.importorskip("decord")
    return chosen


class TestBackends:
    """What every backend promises for the files that `media.encode` writes."""

    def test_every_frame_once_in_order(self, backend: media.Backend, clip: bytes) -> None:
        pictures = media.decode_bytes(clip, backend=backend)
        assert pictures.shape == (37, 64, 96, 3)
        assert pictures.dtype == np.uint8
        assert [videos.read_number(picture) for picture in pictures] == list(range(37))

    def test_numbers_and_times(self, backend: media.Backend, clip: bytes) -> None:
        frames = list(media.decode(clip, backend=backend))
        assert [frame.index for frame in frames] == list(range(37))
        assert [frame.time_s for frame in frames] == pytest.approx([i * 1001 / 30000 for i in range(37)], abs=1e-4)
        assert [frame.duration_s for frame in frames] == pytest.approx([1001 / 30000] * 37, abs=1e-4)

    def test_paths_and_bytes_are_one(self, backend: media.Backend, clip: bytes, tmp_path: Path) -> None:
        (tmp_path / "clip.mp4").write_bytes(clip)
        from_path = [frame.rgb() for frame in media.decode(tmp_path / "clip.mp4", backend=backend)]
        assert np.array_equal(np.stack(from_path), media.decode_bytes(clip, backend=backend))

    def test_pictures_agree_with_the_default(self, backend: media.Backend, clip: bytes) -> None:
        difference = media.decode_bytes(clip, backend=backend).astype(int) - media.decode_bytes(clip)
        assert np.abs(difference).max() <= 3

    def test_views(self, backend: media.Backend) -> None:
        paint = np.full((48, 64, 3), (180, 90, 50), np.uint8)
        frame = next(iter(media.decode(media.encode([paint] * 3, fps=10, crf=8).data, backend=backend)))
        assert np.abs(frame.rgb().astype(int) - paint).max() <= 3
        assert frame.rgb(24).shape == (24, 32, 3)
        assert frame.rgb(100).shape == (48, 64, 3)
        assert frame.luma().shape == (48, 64)
        assert frame.luma(4).shape == (12, 16)
        expected = 16 + 219 / 255 * (0.2126 * 180 + 0.7152 * 90 + 0.0722 * 50)
        y, u, v = (float(plane.mean()) for plane in frame.yuv())
        assert y == pytest.approx(expected, abs=3)
        assert u == pytest.approx(128 + 224 / 255 * (50 - (expected - 16) * 255 / 219) / 1.8556, abs=3)
        assert v == pytest.approx(128 + 224 / 255 * (180 - (expected - 16) * 255 / 219) / 1.5748, abs=3)
        assert not frame.luma().flags.writeable

    def test_one_frame(self, backend: media.Backend) -> None:
        data = media.encode([videos.numbered(7)], fps=25).data
        frames = list(media.decode(data, backend=backend))
        assert numbers(frames) == [7]
        assert frames[0].duration_s == pytest.approx(0.04, abs=1e-4)

    def test_cut_off_bytes_are_truncated(self, backend: media.Backend, clip: bytes) -> None:
        with pytest.raises(MediaError) as caught:
            media.decode_bytes(clip[:-100], backend=backend)
        assert caught.value.reason == "truncated"


def test_decord_refuses_what_it_reads_wrongly(numbered_video: Maker) -> None:
    pytest.importorskip("decord")
    foreign = [
        numbered_video("libx265"), numbered_video("libsvtav1"), numbered_video(frames=4, rotation_deg=90),
        numbered_video(frames=2, sample_aspect=Fraction(4, 3)), numbered_video(suffix=".mkv"),
    ]  # fmt: skip
    for path in foreign:
        with pytest.raises(BackendError, match="pyav"):
            next(iter(media.decode(path, backend="decord")))


def test_an_unknown_backend_is_a_users_mistake(numbered_video: Maker) -> None:
    with pytest.raises(UserError, match="pyav, decord"):
        next(iter(media.decode(numbered_video(), backend="opencv")))  # type: ignore[arg-type]


def test_real_footage_agrees_with_another_reader(footage: object) -> None:
    """OpenCV has a libav of its own; on real files both must see the same pictures in the same order."""
    path = next(p for p in footage.videos if p.name == "bikes.mp4")  # type: ignore[attr-defined]
    other = cv2.VideoCapture(str(path))
    for frame in media.decode(path):
        there, bgr = other.read()
        assert there
        if frame.index % 25 == 0:
            assert np.abs(frame.rgb().astype(int) - bgr[..., ::-1]).mean() < 2
    assert not other.read()[0]
    assert frame.index == 249
