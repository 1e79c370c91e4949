"""Stills: any kind of picture file becomes upright RGB."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

import media
from media.errors import MediaError
from media.stills import decode_still
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


RAMP = np.zeros((40, 60, 3), np.uint8)
RAMP[..., 0] = np.linspace(0, 255, 60)
RAMP[..., 1] = 100
RAMP[..., 2] = np.linspace(255, 0, 40)[:, None]
GREY = np.repeat(RAMP[..., :1], 3, axis=2)


def far(path: Path, expected: videos.Rgb) -> float:
    """How far the loaded still is from what it should be, levels, in the mean."""
    shown = media.load_still(path)
    assert shown.shape == expected.shape
    assert shown.dtype == np.uint8
    return float(np.abs(shown.astype(int) - expected.astype(int)).mean())


class TestDeepPictures:
    """More than 8 bits, and values that do not say their range."""

    @pytest.mark.parametrize("kind", ["png", "tiff"])
    def test_sixteen_bits_in_colour_and_grey(self, kind: str, tmp_path: Path) -> None:
        bgr = RAMP[..., ::-1].astype(np.uint16) * 257
        cv2.imwrite(str(tmp_path / f"rgb.{kind}"), bgr)
        cv2.imwrite(str(tmp_path / f"grey.{kind}"), bgr[..., 2])
        assert far(tmp_path / f"rgb.{kind}", RAMP) < 0.6
        assert far(tmp_path / f"grey.{kind}", GREY) < 0.6

    def test_sixteen_bits_with_alpha(self, tmp_path: Path) -> None:
        alpha = np.full((40, 60), 65535, np.uint16)
        alpha[:20] = 0
        cv2.imwrite(str(tmp_path / "a.png"), np.dstack([RAMP[..., ::-1].astype(np.uint16) * 257, alpha]))
        shown = media.load_still(tmp_path / "a.png")
        assert shown[:20].max() == 0
        assert np.abs(shown[20:].astype(int) - RAMP[20:]).max() <= 1

    @pytest.mark.parametrize(("kind", "scale"), [(np.float32, 1 / 255), (np.float32, 1.0), (np.int32, 257)])
    def test_values_without_a_range(self, kind: type, scale: float, tmp_path: Path) -> None:
        Image.fromarray((GREY[..., 0].astype(float) * scale).astype(kind)).save(tmp_path / "x.tiff")
        assert far(tmp_path / "x.tiff", GREY) < 0.6

    def test_numbers_that_are_none_are_black(self, tmp_path: Path) -> None:
        values = GREY[..., 0].astype(np.float32)
        values[3, 4], values[5, 6] = np.nan, np.inf
        Image.fromarray(values).save(tmp_path / "x.tiff")
        shown = media.load_still(tmp_path / "x.tiff")
        assert shown[3, 4].tolist() == [0, 0, 0]
        assert np.abs(shown[10:].astype(int) - GREY[10:]).max() <= 1


class TestColourModels:
    """What printers and designers save."""

    @pytest.mark.parametrize("kind", ["jpg", "tiff"])
    def test_cmyk(self, kind: str, tmp_path: Path) -> None:
        Image.fromarray(RAMP).convert("CMYK").save(tmp_path / f"x.{kind}")
        assert far(tmp_path / f"x.{kind}", RAMP) < 2

    def test_lab(self, tmp_path: Path) -> None:
        to_lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        lab = ImageCms.profileToProfile(Image.fromarray(RAMP), *to_lab, outputMode="LAB")
        assert lab is not None
        lab.save(tmp_path / "x.tiff")
        assert far(tmp_path / "x.tiff", RAMP) < 3

    @pytest.mark.parametrize("kind", ["png", "gif"])
    def test_palettes(self, kind: str, tmp_path: Path) -> None:
        Image.fromarray(RAMP).convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / f"x.{kind}")
        assert far(tmp_path / f"x.{kind}", RAMP) < 5

    def test_a_palette_with_a_transparent_colour(self, tmp_path: Path) -> None:
        picture = Image.new("P", (8, 8), 1)
        picture.putpalette([200, 0, 0, 0, 200, 0])
        picture.paste(0, (0, 0, 4, 8))
        picture.save(tmp_path / "x.png", transparency=0)
        shown = media.load_still(tmp_path / "x.png")
        assert shown[0, 0].tolist() == [0, 0, 0]
        assert shown[0, 7].tolist() == [0, 200, 0]

    @pytest.mark.parametrize("kind", ["png", "webp", "tiff", "avif"])
    def test_half_transparency_lies_over_black(self, kind: str, tmp_path: Path) -> None:
        rgba = np.dstack([RAMP, np.full((40, 60), 255, np.uint8)])
        rgba[:20, :, 3] = 128
        how = {"lossless": True} if kind == "webp" else {"quality": 98} if kind == "avif" else {}
        Image.fromarray(rgba).save(tmp_path / f"x.{kind}", **how)
        expected = RAMP.copy()
        expected[:20] //= 2
        assert far(tmp_path / f"x.{kind}", expected) < 3


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "tiff", "avif"])
def test_animations_of_every_kind_give_their_first_frame(kind: str, tmp_path: Path) -> None:
    frames = [Image.fromarray(np.roll(RAMP, 9 * k, axis=1)) for k in range(4)]
    how = {"lossless": True} if kind == "webp" else {}
    frames[0].save(tmp_path / f"x.{kind}", save_all=True, append_images=frames[1:], **how)
    assert media.is_image(tmp_path / f"x.{kind}")
    assert far(tmp_path / f"x.{kind}", RAMP) < 6


@pytest.mark.parametrize("kind", ["jpg", "webp", "png", "tiff", "avif"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_turns_every_format(kind: str, orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(_UNDO[orientation](RAMP)))
    stored.save(tmp_path / f"x.{kind}", exif=exif, **({} if kind in {"png", "tiff"} else {"quality": 98}))
    assert far(tmp_path / f"x.{kind}", RAMP) < 3
    probe = media.probe(tmp_path / f"x.{kind}")
    assert (probe.width_px, probe.height_px) == (60, 40)
    assert (probe.coded_width_px, probe.coded_height_px) == stored.size


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from(["1", "L", "P", "RGB", "RGBA", "LA", "CMYK"]))
def test_every_size_and_mode_becomes_upright_rgb(height: int, width: int, mode: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.resize(RAMP, (height, width, 3))).convert(mode).save(buffer, "TIFF")
    shown = decode_still(buffer.getvalue())
    assert shown.shape == (height, width, 3)
    assert shown.dtype == np.uint8


def test_bytes_and_file_give_the_same(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(_png(PICTURE))
    assert np.array_equal(decode_still(_png(PICTURE)), media.load_still(tmp_path / "x.png"))


def outcome(data: bytes) -> str:
    try:
        return "a picture" if decode_still(data).ndim == 3 else "something else"
    except MediaError as error:
        return error.reason


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"]))
def test_a_damaged_picture_is_a_picture_or_a_reason(seed: int, damage: int, kind: str) -> None:
    """Whatever bytes are turned over, nothing but a MediaError comes out."""
    rng = np.random.default_rng(seed)
    buffer = io.BytesIO()
    Image.fromarray(RAMP).save(buffer, kind)
    data = np.frombuffer(buffer.getvalue(), np.uint8).copy()
    data[rng.integers(0, len(data), damage)] = rng.integers(0, 256, damage)
    data = data[: rng.integers(1, len(data) + 1)]
    assert outcome(data.tobytes()) in {"a picture", "not_media", "truncated", "undecodable"}
