"""Stills: any kind of picture file becomes upright RGB."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

import media
from media.errors import MediaError
from tests import videos

PICTURE = videos.numbered(1234, 128, 96)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "bmp", "tiff", "gif", "avif", "jpeg2000"])
def test_formats(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.dat"  # the name tells nothing
    Image.fromarray(PICTURE).save(path, format=kind.upper())
    assert media.is_image(path)
    assert videos.read_number(media.load_still(path)) == 1234
    probe = media.probe(path)
    assert probe.is_still
    assert (probe.width_px, probe.height_px, probe.container, probe.frames_header) == (128, 96, kind, 1)


_UNDO = {  # what must be done to an upright picture so that the EXIF orientation brings it back
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, 1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: np.rot90(p, -1),
}


@pytest.mark.parametrize("orientation", _UNDO)
def test_exif_turns_the_picture_upright(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(_UNDO[orientation](PICTURE))
    Image.fromarray(stored).save(tmp_path / "turned.png", exif=exif)
    shown = media.load_still(tmp_path / "turned.png")
    assert np.array_equal(shown, PICTURE)
    probe = media.probe(tmp_path / "turned.png")
    assert (probe.width_px, probe.height_px) == (128, 96)
    assert (probe.coded_height_px, probe.coded_width_px) == stored.shape[:2]


@pytest.mark.parametrize("mode", ["L", "P", "LA", "CMYK", "1", "RGBA", "YCbCr"])
def test_modes_become_rgb(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.tiff"
    Image.fromarray(PICTURE).convert("RGB").convert(mode).save(path)
    shown = media.load_still(path)
    assert shown.shape == (96, 128, 3)
    assert shown.dtype == np.uint8
    if mode != "1":
        assert videos.read_number(shown) == 1234


def test_sixteen_bits_are_scaled_and_not_cut_off(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(8, axis=0)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    shown = media.load_still(tmp_path / "ramp.png")
    assert np.abs(shown[0, :, 0].astype(int) - np.arange(256)).max() <= 1


def test_transparency_lies_over_black(tmp_path: Path) -> None:
    rgba = np.full((8, 8, 4), 200, np.uint8)
    rgba[:, :4, 3] = 0
    rgba[:, 4:, 3] = 255
    Image.fromarray(rgba).save(tmp_path / "glass.png")
    shown = media.load_still(tmp_path / "glass.png")
    assert shown[:, :4].max() == 0
    assert (shown[:, 4:] == 200).all()


def test_an_embedded_profile_is_applied(tmp_path: Path) -> None:
    """Of a profile whose red and blue primaries are exchanged, the numbers of red mean blue."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exchanged = srgb.replace(b"rXYZ", b"????", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"????", b"bXYZ", 1)
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    for name, profile, expected in (
        ("srgb", srgb, (255, 0, 0)),
        ("exchanged", exchanged, (0, 0, 255)),
        ("broken", b"no profile at all", (255, 0, 0)),
    ):
        Image.fromarray(red).save(tmp_path / f"{name}.png", icc_profile=profile)
        assert np.abs(media.load_still(tmp_path / f"{name}.png")[4, 4].astype(int) - expected).max() <= 2, name


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.fromarray(picture) for picture in videos.numbered_frames(4)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert videos.read_number(media.load_still(tmp_path / "moving.gif")) == 0


def _png(picture: videos.Rgb) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty_file"),
        (b"not a picture", "not_media"),
        (_png(PICTURE)[:600], "truncated"),
        (_png(PICTURE)[:500] + bytes(len(_png(PICTURE)) - 500), "undecodable"),
    ],
)
def test_bad_pictures(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(MediaError) as caught:
        media.load_still(tmp_path / "bad.png")
    assert caught.value.reason == reason


def test_a_missing_picture(tmp_path: Path) -> None:
    for call in (media.load_still, media.probe, media.is_image):
        with pytest.raises(MediaError) as caught:
            call(tmp_path / "nothing.png")
        assert caught.value.reason == "unreadable"


def test_a_picture_too_large_to_be_honest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    Image.fromarray(PICTURE).save(tmp_path / "bomb.png")
    with pytest.raises(MediaError) as caught:
        media.load_still(tmp_path / "bomb.png")
    assert caught.value.reason == "undecodable"


@pytest.mark.parametrize("quality", [50, 90])
def test_jpeg_there_and_back(quality: int) -> None:
    data = media.jpeg(PICTURE, quality)
    assert data == media.jpeg(PICTURE.copy(), quality)
    assert videos.read_number(media.decode_jpeg(data)) == 1234
    paint = np.full((32, 32, 3), (200, 60, 40), np.uint8)
    assert np.abs(media.decode_jpeg(media.jpeg(paint)).astype(int) - paint).max() <= 6


@pytest.mark.parametrize(("data", "reason"), [(b"", "empty_file"), (b"nonsense", "undecodable")])
def test_bytes_that_are_no_jpeg(data: bytes, reason: str) -> None:
    with pytest.raises(MediaError) as caught:
        media.decode_jpeg(data)
    assert caught.value.reason == reason


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 60), columns=st.integers(1, 60), height=st.integers(1, 90))
def test_resizing_keeps_the_shape(rows: int, columns: int, height: int) -> None:
    picture = np.full((rows, columns, 3), 77, np.uint8)
    scaled = media.resize(picture, height)
    assert scaled.shape == (height, max(1, round(columns * height / rows)), 3)
    assert (scaled == 77).all()


def test_resizing_to_a_size() -> None:
    assert media.resize(PICTURE, size=(50, 70)).shape == (50, 70, 3)
    assert videos.read_number(media.resize(PICTURE, 48)) == 1234
    assert videos.read_number(media.resize(PICTURE, 200)) == 1234
    half = media.resize(PICTURE, size=(48, 64)).astype(float)
    assert np.abs(half - PICTURE.reshape(48, 2, 64, 2, 3).mean(axis=(1, 3))).max() <= 1
    assert media.resize(PICTURE, size=(96, 128)) is PICTURE
    for wrong in ({}, {"height": 5, "size": (5, 5)}):
        with pytest.raises(ValueError, match="either"):
            media.resize(PICTURE, **wrong)  # type: ignore[arg-type]
