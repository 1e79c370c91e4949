"""Colours, sizes and times of every kind of SDR file: `rgb`, and the planes with what is said of them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import media
from tests.patches import SDR_PATCHES, Float, centres, first, frame_of, painted, to_rgb, to_yuv, write


def assert_shows(frame: media.Frame, patches: Float, tolerance: float) -> None:
    """Hold `rgb`, and what the planes say by `matrix` and `full_range`, against the patches (rows, columns, 3)."""
    grid = patches.shape[:2]
    for shown in (frame.rgb(), frame.rgb(frame.rgb().shape[0] // 2)):
        assert np.abs(centres(shown, *grid) - patches).max() <= tolerance
    planes = frame.yuv()
    from_planes = to_rgb([centres(plane, *grid) for plane in planes], frame.matrix, frame.full_range)
    assert np.abs(from_planes - patches).max() <= tolerance + 1
    assert np.array_equal(frame.luma(), planes[0])
    assert np.abs(centres(frame.luma(2), *grid) - centres(planes[0], *grid)).max() <= 1


PLANAR = [
    ("libx264", "yuv420p", 8, None, ".mp4"), ("libx264", "yuv422p", 8, None, ".mp4"),
    ("libx264", "yuv444p", 8, None, ".mkv"), ("libx264", "yuvj420p", 8, True, ".mp4"),
    ("libx264", "yuv444p", 8, True, ".mp4"), ("libx264", "yuv420p10le", 10, None, ".mp4"),
    ("libx264", "yuv422p10le", 10, False, ".mp4"), ("libx264", "yuv444p10le", 10, True, ".mkv"),
    ("libx265", "yuv420p10le", 10, False, ".mp4"), ("libx265", "yuv422p10le", 10, None, ".mp4"),
    ("libx265", "yuv444p12le", 12, None, ".mkv"), ("prores_ks", "yuv422p10le", 10, None, ".mov"),
    ("prores_ks", "yuv444p10le", 10, None, ".mov"), ("ffv1", "yuv411p", 8, None, ".mkv"),
    ("ffv1", "yuv440p", 8, None, ".mkv"), ("ffv1", "yuv420p16le", 16, None, ".mkv"),
    ("ffv1", "yuva420p", 8, None, ".mkv"),
]  # fmt: skip


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
@pytest.mark.parametrize(("codec", "pixel_format", "bits", "full", "suffix"), PLANAR)
def test_planes_of_every_kind_give_the_colours(
    codec: str, pixel_format: str, bits: int, full: bool | None, suffix: str, matrix: str, tmp_path: Path
) -> None:
    planes = to_yuv(painted(SDR_PATCHES) / 255, matrix, bits, bool(full))
    if "yuva" in pixel_format:
        planes.append(np.full_like(planes[0], 255))
    tags = (6, 6, 6) if matrix == "bt601" else (1, 1, 1)
    frame = first(write(tmp_path / f"p{suffix}", frame_of(planes, pixel_format), codec, tags=tags, full=full))
    assert (frame.matrix, frame.full_range, frame.hdr) == (matrix, bool(full), False)
    assert_shows(frame, np.array(SDR_PATCHES), tolerance=3)


@pytest.mark.parametrize(
    ("codec", "pixel_format", "suffix"),
    [("libx264rgb", "rgb24", ".mp4"), ("qtrle", "rgb24", ".mov"), ("png", "rgb24", ".mov"), ("ffv1", "bgr0", ".mkv"),
     ("ffv1", "gbrp10le", ".mkv")],
)  # fmt: skip
def test_rgb_is_kept_and_its_planes_are_bt601(codec: str, pixel_format: str, suffix: str, tmp_path: Path) -> None:
    picture = av.VideoFrame.from_ndarray(painted(SDR_PATCHES).astype(np.uint8), "rgb24").reformat(format=pixel_format)
    frame = first(write(tmp_path / f"rgb{suffix}", picture, codec))
    assert (frame.matrix, frame.full_range) == ("bt601", False)
    assert_shows(frame, np.array(SDR_PATCHES), tolerance=2)


@pytest.mark.parametrize(
    ("codec", "bits", "full"),
    [("ffv1", 8, None), ("ffv1", 8, True), ("libx265", 8, False), ("libx265", 10, False), ("libx265", 10, True)],
)
def test_grey_is_grey_whatever_its_range(codec: str, bits: int, full: bool | None, tmp_path: Path) -> None:
    grey = painted([[[v] * 3 for v in (0, 40, 128, 255)], [[v] * 3 for v in (16, 90, 200, 235)]])
    luma = to_yuv(grey / 255, "bt601", bits, full is not False)[:1]
    path = write(tmp_path / "grey.mkv", frame_of(luma, "gray" if bits == 8 else f"gray{bits}le"), codec, full=full)
    frame = first(path)
    assert frame.full_range is (full is not False)
    assert_shows(frame, centres(grey), tolerance=2)


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(4, 3), Fraction(16, 11)])
@pytest.mark.parametrize(("width", "height"), [(128, 64), (64, 128)])
def test_sizes_and_places_of_turned_and_stretched_pictures(
    width: int, height: int, aspect: Fraction, turn: int, tmp_path: Path
) -> None:
    patches = np.array(SDR_PATCHES)[:, :: (1 if width > height else 2)]  # four columns, or two
    stored = np.repeat(np.repeat(patches, height // 2, axis=0), width // patches.shape[1], axis=1)
    picture = frame_of(to_yuv(stored / 255, "bt601"), "yuv420p")
    path = write(tmp_path / "shape.mp4", picture, rotation_deg=turn, sample_aspect=aspect)
    shown = np.rot90(patches, -turn // 90)
    columns, rows = round(width * aspect), height
    columns, rows = (rows, columns) if turn % 180 else (columns, rows)
    frame, probe = first(path), media.probe(path)
    assert frame.rgb().shape == (rows, columns, 3)
    assert (probe.width_px, probe.height_px, probe.sample_aspect) == (columns, rows, aspect)
    assert frame.rgb(40).shape == (40, round(columns * 40 / rows), 3)
    y, u, v = frame.yuv()
    assert y.shape == frame.luma().shape == (rows, columns)
    assert u.shape == v.shape
    assert abs(u.shape[0] * 2 - rows) <= 1 >= abs(u.shape[1] * 2 - columns)
    assert_shows(frame, shown, tolerance=4)


@pytest.mark.parametrize("turn", [0, 90])
@pytest.mark.parametrize(
    ("codec", "pixel_format"), [("libvpx-vp9", "yuv420p"), ("libvpx-vp9", "yuv422p"), ("libx264", "yuv444p")]
)
def test_odd_sizes_are_kept(codec: str, pixel_format: str, turn: int, tmp_path: Path) -> None:
    picture = frame_of(to_yuv(painted(SDR_PATCHES)[:63, :127] / 255, "bt601"), pixel_format)
    options = {"lossless": "1", "cpu-used": "8"} if codec == "libvpx-vp9" else None
    frame = first(write(tmp_path / "odd.mp4", picture, codec, options=options, rotation_deg=turn))
    assert frame.rgb().shape == ((127, 63, 3) if turn else (63, 127, 3))
    assert frame.luma().shape == frame.rgb().shape[:2]
    assert frame.luma(2).shape == ((63, 31) if turn else (31, 63))
    assert_shows(frame, np.rot90(np.array(SDR_PATCHES), -turn // 90), tolerance=3)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("offset", [0, 12])
@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(50)])
def test_times_start_at_nought_and_follow_the_timestamps(
    rate: Fraction, offset: int, suffix: str, tmp_path: Path
) -> None:
    """With B-frames, and with a late start that MP4 writes as an edit list."""
    picture = frame_of(to_yuv(painted(SDR_PATCHES) / 255, "bt601"), "yuv420p")
    steps = [0, 1, 2, 3, 5, 6, 10, 11, 12, 13, 14, 30]
    options = {"preset": "veryfast", "x264-params": "bframes=2:b-adapt=0"}
    path = write(tmp_path / f"t{suffix}", picture, rate=rate, stamps=[s + offset for s in steps], options=options)
    frames = list(media.decode(path))
    tolerance = 0.00101 if suffix == ".mkv" else 1e-4  # Matroska counts milliseconds
    assert [f.time_s for f in frames] == pytest.approx([s / float(rate) for s in steps], abs=tolerance)
    assert frames[0].time_s == 0
    assert [f.duration_s for f in frames[:-1]] == pytest.approx(np.diff(steps) / float(rate), abs=2 * tolerance)
    assert not any(f.time_guessed for f in frames)


def test_constant_luminance_is_read_as_the_usual_matrix(tmp_path: Path) -> None:
    picture = frame_of(to_yuv(painted(SDR_PATCHES) / 255, "bt2020"), "yuv444p")
    assert_shows(first(write(tmp_path / "cl.mkv", picture, tags=(10, 1, 1))), np.array(SDR_PATCHES), tolerance=3)
