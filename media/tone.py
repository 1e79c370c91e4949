"""Tones and primaries: pictures of HDR and of wide gamuts brought to 8-bit RGB of BT.709 primaries.

Numbers of transfers and primaries are those of ITU-T H.273 (tables 3 and 2). Light is linear; 1.0 is SDR white, which
ITU-R BT.2408 puts at 203 cd/m2 ("nits") of an HDR picture.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from av.sidedata.sidedata import SideData
    from av.video.frame import VideoFrame

__all__ = [
    "HDR_TRANSFERS",
    "WHITE_CODE",
    "Rendering",
    "bt709_oetf",
    "eetf",
    "hlg_inverse_oetf",
    "inverse_bt709_oetf",
    "inverse_pq",
    "mastering_peak_nits",
    "pq_eotf",
    "primaries_matrix",
    "render",
    "rendering",
    "srgb_oetf",
]

Array = npt.NDArray[np.float64]

PQ, HLG = 16, 18
HDR_TRANSFERS = frozenset({PQ, HLG})
SDR_WHITE_NITS = 203.0
_HLG_PEAK_NITS, _HLG_GAMMA = 1000.0, 1.2
_PQ_TOP_NITS = 10_000.0

_UNSPECIFIED, _BT709, _BT2020 = 2, 1, 9
_SDR_TRANSFERS = frozenset({1, 2, 6, 14, 15})  # one curve under five names
_D65 = (0.3127, 0.3290)
_CHROMATICITIES: Mapping[int, tuple[tuple[float, float], ...]] = {  # x, y of red, green, blue and white
    _BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    _BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),  # P3-D65, SMPTE EG 432-1
}
_CODES = 1 << 16
WHITE_CODE = 255 << 8
"""White in 16-bit RGB as swscale makes it: 256 codes to a level of 8 bits."""


def pq_eotf(signal: Array) -> Array:
    """Return the light in nits of a PQ signal of 0 to 1 (SMPTE ST 2084, equation 4.1; BT.2100, table 4)."""
    power = np.clip(signal, 0, 1) ** (1 / _M2)
    light: Array = _PQ_TOP_NITS * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)
    return light


def inverse_pq(nits: Array) -> Array:
    """Return the PQ signal of light in nits (SMPTE ST 2084, equation 5.2; BT.2100, table 4)."""
    power = (np.maximum(nits, 0) / _PQ_TOP_NITS) ** _M1
    signal: Array = ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2
    return signal


_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def hlg_inverse_oetf(signal: Array) -> Array:
    """Return the light of the scene, 0 to 1, of an HLG signal of 0 to 1 (BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    low = signal**2 / 3
    high = (np.exp((signal - c) / a) + b) / 12
    return np.where(signal <= 0.5, low, high)


def bt709_oetf(light: Array) -> Array:
    """Return the signal of linear light, both 0 to 1 (BT.709, item 1.2; BT.2020, table 4, with its exact constants)."""
    return np.where(light < _BETA, 4.5 * light, _ALPHA * np.maximum(light, _BETA) ** 0.45 - (_ALPHA - 1))


def inverse_bt709_oetf(signal: Array) -> Array:
    """Return the linear light of a signal: `bt709_oetf` turned round."""
    return np.where(signal < 4.5 * _BETA, signal / 4.5, ((signal + (_ALPHA - 1)) / _ALPHA) ** (1 / 0.45))


_ALPHA, _BETA = 1.09929682680944, 0.018053968510807


def srgb_oetf(light: Array) -> Array:
    """Return the sRGB signal of linear light, both 0 to 1 (IEC 61966-2-1)."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055)


def eetf(nits: Array, peak_nits: float, white_nits: float = SDR_WHITE_NITS) -> Array:
    """Compress light of 0 to `peak_nits` into 0 to `white_nits`: the same below a knee, a Hermite spline above it.

    The EETF of ITU-R BT.2408-7, annex 5 (BT.2390 before), for black levels of 0. It never falls; from `peak_nits` on
    it is `white_nits`.
    """
    top = float(inverse_pq(np.asarray(max(peak_nits, white_nits))))
    highest = float(inverse_pq(np.asarray(white_nits))) / top
    knee = 1.5 * highest - 0.5
    level = np.minimum(inverse_pq(nits) / top, 1)
    if knee >= 1:
        return np.minimum(nits, white_nits)
    t = (np.maximum(level, knee) - knee) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * highest
    return np.where(level < knee, nits, pq_eotf(spline * top))


def primaries_matrix(source: int) -> Array:
    """Return the (3, 3) matrix from linear RGB of the primaries `source` to BT.709 (SMPTE RP 177, section 3.3)."""
    return np.asarray(np.linalg.solve(_to_xyz(_BT709), _to_xyz(source)))


def _to_xyz(primaries: int) -> Array:
    xy = np.array(_CHROMATICITIES[primaries])
    columns = np.stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(axis=1)) / xy[:, 1]])  # X, Y, Z at Y = 1
    return columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3])


def mastering_peak_nits(picture: VideoFrame) -> float | None:
    """Return the peak of the display a picture was mastered on (SMPTE ST 2086), from its side data; None if unsaid.

    libav's `AVMasteringDisplayMetadata` is 22 numbers of 32 bits: rationals for the three primaries, white, the least
    and the greatest luminance, and two flags.
    """
    try:
        items = list(cast("Iterable[SideData]", picture.side_data))  # PyAV iterates over the items, not their names
    except ValueError:  # side data of a kind that PyAV has no name for
        return None
    data = next((bytes(item) for item in items if item.type.name == "MASTERING_DISPLAY_METADATA"), b"")
    if len(data) < 88:
        return None
    numerator, denominator, _, said = struct.unpack_from("<4i", data, 72)
    return numerator / denominator if said and numerator > 0 and denominator > 0 else None


@dataclass(frozen=True, slots=True, eq=False)
class Rendering:
    """The way from one kind of 16-bit RGB to 8-bit RGB, as tables.

    `decode`: signal (16 bits) to light; `matrix`: (3, 3) to BT.709; `luminance`: (1, 3), the weights of the HLG
    system gamma, None for others; `tones`: the tone curve, by the square root of light, None for SDR; `encode`: light
    (16 bits) to 8 bits.
    """

    decode: npt.NDArray[np.float32]
    matrix: npt.NDArray[np.float32]
    luminance: npt.NDArray[np.float32] | None
    tones: npt.NDArray[np.float32] | None
    encode: npt.NDArray[np.uint8]


_LIGHT_TOP = 2 * _PQ_TOP_NITS / SDR_WHITE_NITS  # a pure primary of BT.2020 is up to 1.66 of BT.709's


def rendering(transfer: int, primaries: int, peak_nits: float | None = None) -> Rendering | None:
    """Return how pictures of these tags are rendered; None when they are SDR of BT.709 or of like primaries.

    PQ: light by ST 2084, primaries to BT.709, the EETF from `peak_nits` (else 1000) to 203 nits, sRGB. HLG: the same
    after the inverse OETF and the OOTF of BT.2100 at 1000 nits. SDR of wide gamut: primaries only, in light by the
    inverse of its OETF. HDR that does not name its primaries has those of BT.2020. The primaries of BT.601 and the
    older film and broadcast ones are near BT.709 and taken for it.
    """
    if transfer in HDR_TRANSFERS:
        peak = min(max(peak_nits or 1000.0, SDR_WHITE_NITS), _PQ_TOP_NITS) if transfer == PQ else _HLG_PEAK_NITS
        return _rendering(transfer, _BT2020 if primaries == _UNSPECIFIED else primaries, round(peak))
    if transfer in _SDR_TRANSFERS and primaries in _CHROMATICITIES and primaries != _BT709:
        return _rendering(_BT709, primaries, 0)
    return None


@lru_cache(maxsize=16)
def _rendering(transfer: int, primaries: int, peak_nits: int) -> Rendering:
    signal = np.minimum(np.arange(_CODES) / WHITE_CODE, 1)
    codes = np.arange(_CODES) / (_CODES - 1)
    matrix = primaries_matrix(primaries if primaries in _CHROMATICITIES else _BT709)
    luminance, tones, encode = None, None, srgb_oetf(codes)
    if transfer == PQ:
        light = pq_eotf(signal) / SDR_WHITE_NITS
    elif transfer == HLG:
        light = hlg_inverse_oetf(signal)
        luminance = (_to_xyz(_BT709)[1:2]).astype(np.float32)
    else:
        light, encode = inverse_bt709_oetf(signal), bt709_oetf(codes)
    if transfer in HDR_TRANSFERS:
        tones = (eetf(codes**2 * (_LIGHT_TOP * SDR_WHITE_NITS), peak_nits) / SDR_WHITE_NITS).astype(np.float32)
    eight = np.rint(encode * 255).astype(np.uint8)
    return Rendering(light.astype(np.float32), matrix.astype(np.float32), luminance, tones, eight)


def render(picture: npt.NDArray[np.uint16], how: Rendering) -> npt.NDArray[np.uint8]:
    """Bring a picture (H, W, 3), RGB of 0 to `WHITE_CODE`, to 8-bit RGB of BT.709 primaries, the same shape.

    The tone curve is read at the largest of the three components and multiplies all three: hue and saturation stay,
    and nothing clips on the way. Colours outside of BT.709 are clipped to its edge, component by component.
    """
    eight = np.empty(picture.shape, np.uint8)
    rows = max(1, _BAND_PIXELS // picture.shape[1])
    for top in range(0, len(picture), rows):
        light = cv2.transform(np.take(how.decode, picture[top : top + rows], mode="clip"), how.matrix)
        if how.luminance is not None:
            # BT.2100, table 5: F = peak Ys^(gamma - 1) E. Luminance is the same number in any primaries.
            luminance = np.maximum(cv2.transform(light, how.luminance), 0)
            light = _times(light, cv2.pow(luminance, _HLG_GAMMA - 1) * (_HLG_PEAK_NITS / SDR_WHITE_NITS))
        if how.tones is not None:
            largest = np.maximum(cv2.max(cv2.max(light[..., 0], light[..., 1]), light[..., 2]), np.float32(1e-9))
            place = cv2.sqrt(largest) * ((_CODES - 1) / _LIGHT_TOP**0.5)
            light = _times(light, np.take(how.tones, place.astype(np.int32), mode="clip") / largest)
        flat = light.reshape(len(light), -1)  # a scalar meets only the first channel of three
        codes = cv2.multiply(flat, float(_CODES - 1), dtype=cv2.CV_16U)  # rounds, and clips to 0 and 1
        np.take(how.encode, codes.reshape(light.shape), out=eight[top : top + rows], mode="clip")
    return eight


_BAND_PIXELS = 1 << 14  # a band's arrays stay in the processor's cache


def _times(light: npt.NDArray[np.float32], factor: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Multiply (H, W, 3) by (H, W): numpy's own broadcast takes four times as long."""
    product: npt.NDArray[np.float32] = cv2.multiply(light, cv2.merge([factor, factor, factor]))
    return product
