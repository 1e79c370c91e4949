"""Still pictures: loading any of them upright as RGB, JPEG bytes, resizing."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from media.errors import MediaError
from media.frames import Rgb

if TYPE_CHECKING:
    from PIL import Image

    from media.probing import Probe

__all__ = ["decode_jpeg", "decode_still", "jpeg", "load_still", "probe_still", "resize"]

_SIXTEEN_BIT = {"I;16", "I;16L", "I;16B", "I;16N"}
_TRANSPOSED = {5: 90, 6: 90, 7: 270, 8: 270}
_ROTATION = {3: 180, 4: 180, **_TRANSPOSED}
_ORIENTATION_TAG = 0x0112


def load_still(path: str | PathLike[str]) -> Rgb:
    """Return the picture at `path`, upright (EXIF), as RGB (H, W, 3); of an animation, its first frame.

    Transparency is laid over black; 16 bits and fractions are scaled to 8; CMYK, Lab, palettes and grey become RGB; an
    embedded colour profile is brought to sRGB. MediaError: "unreadable", "empty_file", "not_media", "truncated",
    "undecodable" (also for a picture too large to be honest).
    """
    return decode_still(_read(path))


def decode_still(data: bytes) -> Rgb:
    """Return the picture in the bytes of an image file of any format: see `load_still`."""
    with _opened(data) as image:
        from PIL import ImageOps

        image.load()
        return _to_rgb(ImageOps.exif_transpose(image))


def probe_still(path: str | PathLike[str]) -> Probe:
    """Return the `Probe` of a still picture, without decoding it."""
    from media.probing import Probe

    with _opened(_read(path)) as image:
        orientation = int(image.getexif().get(_ORIENTATION_TAG, 1))
        turned = orientation in _TRANSPOSED
        width, height = image.size
        if turned and image.format == "TIFF":  # whose size Pillow gives upright
            width, height = height, width
        return Probe(
            container=(image.format or "unknown").lower(),
            codec=(image.format or "unknown").lower(),
            pixel_format=image.mode,
            width_px=height if turned else width,
            height_px=width if turned else height,
            rotation_deg=_ROTATION.get(orientation, 0),
            sample_aspect=Fraction(1),
            frames_header=1,
            duration_s=0.0,
            fps=0.0,
            has_audio=False,
            size_bytes=Path(path).stat().st_size,
            coded_width_px=width,
            coded_height_px=height,
            mirrored=orientation in {2, 4, 5, 7},
            is_still=True,
        )


def _read(path: str | PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise MediaError("unreadable", f"{path}: {error.strerror or error}") from error


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """Open with Pillow, and turn whatever it raises, then or later, into a MediaError."""
    from PIL import Image, UnidentifiedImageError

    if not data:
        raise MediaError("empty_file", "0 bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of oddities in metadata that do not touch the picture
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                yield image
    except UnidentifiedImageError as error:
        raise MediaError("not_media", "no image format that we know") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise MediaError("undecodable", str(error)) from error
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, RuntimeError) as error:
        reason = str(error)
        short = isinstance(error, EOFError) or "truncated" in reason.lower()
        raise MediaError("truncated" if short else "undecodable", reason) from error


def _to_rgb(image: Image.Image) -> Rgb:
    from PIL import Image

    if image.mode in _SIXTEEN_BIT:
        return _grey_to_rgb(np.asarray(image).astype(np.float64) / 257.0)
    if image.mode in {"I", "F"}:
        return _grey_to_rgb(_levels(np.nan_to_num(np.asarray(image).astype(np.float64), posinf=0.0), image.mode))
    if image.mode in {"P", "PA", "LA", "La", "RGBa"} or (image.mode in {"L", "RGB"} and "transparency" in image.info):
        image = image.convert("RGBA")
    image = _to_srgb(image)
    if image.mode == "RGBA":
        backdrop = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(backdrop, image)
    rgb: Rgb = np.array(image.convert("RGB"))
    return rgb


def _levels(values: npt.NDArray[np.float64], mode: str) -> npt.NDArray[np.float64]:
    """Bring values that say nothing of their range to 0 to 255: it is 1 (fractions only), 255 or 65535."""
    highest = values.max(initial=0)
    if highest > 255:
        return values / 257.0
    return values * 255.0 if mode == "F" and highest <= 1 else values


def _grey_to_rgb(levels: npt.NDArray[np.float64]) -> Rgb:
    grey = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _to_srgb(image: Image.Image) -> Image.Image:
    """Apply an embedded ICC profile; a profile that does not fit the picture is as good as none."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if not profile or image.mode not in {"RGB", "RGBA", "CMYK", "L"}:
        return image
    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        converted = ImageCms.profileToProfile(image, embedded, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return converted or image


def jpeg(rgb: Rgb, quality: int = 90) -> bytes:
    """Return `rgb` (H, W, 3) as JPEG bytes, 4:2:0; the same picture gives the same bytes."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"a picture of shape {rgb.shape} cannot be written as JPEG")
    return bytes(data)


def decode_jpeg(data: bytes) -> Rgb:
    """Return the picture (H, W, 3) in JPEG bytes. MediaError("empty_file" | "undecodable")."""
    if not data:
        raise MediaError("empty_file", "no JPEG bytes")
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if decoded is None:
        raise MediaError("undecodable", f"{len(data)} bytes are no JPEG picture")
    rgb: Rgb = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    return rgb


def resize(rgb: Rgb, height: int | None = None, *, size: tuple[int, int] | None = None) -> Rgb:
    """Scale `rgb` (H, W, 3) to `height` rows, keeping its shape, or to `size` = (height, width) exactly.

    Areas are averaged when shrinking; enlarging is bicubic.
    """
    rows, columns = rgb.shape[:2]
    if (height is None) == (size is None):
        raise ValueError("give either height or size=(height, width)")
    if size is None:
        assert height is not None
        size = (height, max(1, round(columns * height / rows)))
    if size == (rows, columns):
        return rgb
    shrinks = size[0] <= rows and size[1] <= columns
    scaled: Rgb = cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return scaled
