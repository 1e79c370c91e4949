"""HDR and wide gamuts: light that is known goes in, and levels that the standards give must come out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import media
from media import tone
from tests import videos
from tests.patches import LUMA, SDR_PATCHES, X265, Float, centres, first, frame_of, painted, to_rgb, to_yuv, write

TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])  # BT.2087, table 1
FROM_2020 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])  # BT.2407
"""Linear BT.709 to BT.2020 and back."""


def pq(nits: float) -> float:
    y = max(nits, 0) / 10000
    return float(((0.8359375 + 18.8515625 * y**0.1593017578125) / (1 + 18.6875 * y**0.1593017578125)) ** 78.84375)


def from_pq(signal: float) -> float:
    x = signal ** (1 / 78.84375)
    return float(10000 * (max(x - 0.8359375, 0) / (18.8515625 - 18.6875 * x)) ** (1 / 0.1593017578125))


def compressed(nits: float, peak: float) -> float:
    """BT.2408-7, annex 5, steps 1 to 4 with black at 0, from `peak` to 203."""
    if nits <= 0 or peak <= 203:
        return min(max(nits, 0.0), 203.0)
    e1, target = min(pq(nits) / pq(peak), 1), pq(203) / pq(peak)
    ks = 1.5 * target - 0.5
    if e1 < ks:
        return nits
    t = (e1 - ks) / (1 - ks)
    e2 = (2 * t**3 - 3 * t**2 + 1) * ks + (t**3 - 2 * t**2 + t) * (1 - ks) + (-2 * t**3 + 3 * t**2) * target
    return from_pq(e2 * pq(peak))


def srgb(light: float) -> float:
    return 255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055)


def expected_sdr(nits_2020: npt.ArrayLike, peak: float) -> list[float]:
    """Return the levels of light (BT.2020, nits) after primaries, the curve at the largest component, and sRGB."""
    light = np.maximum(FROM_2020 @ np.asarray(nits_2020, np.float64), 0)
    factor = compressed(light.max(), peak) / max(light.max(), 1e-9)
    return [srgb(min(float(c) * factor / 203, 1)) for c in light]


HDR_709_NITS = [
    [(36.54,) * 3, (203,) * 3, (1000,) * 3, (1,) * 3],
    [(100, 0, 0), (0, 100, 0), (0, 0, 100), (600, 200, 50)],
]
"""18% grey, SDR white, a highlight, near black; BT.709's primaries at half of white; a bright orange."""


def stored_nits(signal: Float) -> Float:
    """Return the light of a PQ picture's patches as ten bits keep it: they are coarse for the least component."""
    planes = [centres(plane) / 4 for plane in to_yuv(signal, "bt2020", 10)]
    return np.vectorize(from_pq)(to_rgb(planes, "bt2020", full=False) / 255)


def hdr_file(path: Path, signal: Float, transfer: int, *, params: str = "", pixel_format: str = "yuv420p10le") -> Path:
    options = {**X265, "x265-params": X265["x265-params"] + params}
    picture = frame_of(to_yuv(signal, "bt2020", 10), pixel_format)
    return write(path, picture, "libx265", tags=(9, 9, transfer), full=False, options=options)


def master(peak: int) -> str:
    primaries = "G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)"
    return f":hdr10=1:repeat-headers=1:master-display={primaries}L({peak * 10000},50)"


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv444p10le"])
@pytest.mark.parametrize(("params", "peak"), [("", 1000), (master(4000), 4000), (master(600), 600), (master(100), 203)])
def test_pq_comes_out_at_sdr_levels(params: str, peak: float, pixel_format: str, tmp_path: Path) -> None:
    nits = np.array(HDR_709_NITS) @ TO_2020.T
    signal = np.vectorize(pq)(painted(nits))
    path = hdr_file(tmp_path / "pq.mp4", signal, 16, params=params, pixel_format=pixel_format)
    frame = first(path)
    assert frame.hdr
    assert frame.matrix == "bt2020"
    assert media.probe(path).hdr
    expected = np.array([[expected_sdr(patch, peak) for patch in row] for row in stored_nits(signal)])
    for shown in (frame.rgb(), frame.rgb(32)):
        assert np.abs(centres(shown) - expected).max() <= 3
    grey, white, highlight, dark = centres(frame.rgb())[0, :, 0]
    if peak == 1000:
        assert (grey, white) == (pytest.approx(118, abs=2), pytest.approx(229, abs=2))  # 118: 18% grey in sRGB
        assert white < highlight <= 255
    assert dark < grey < white


def test_a_pure_primary_stays_pure(tmp_path: Path) -> None:
    signal = np.vectorize(pq)(painted(np.array(HDR_709_NITS) @ TO_2020.T))
    shown = centres(first(hdr_file(tmp_path / "p.mkv", signal, 16, pixel_format="yuv444p10le")).rgb())
    for channel in range(3):
        assert shown[1, channel, channel] == pytest.approx(srgb(compressed(100, 1000) / 203), abs=2)
        assert np.delete(shown[1, channel], channel).max() <= 30  # ten bits of PQ are coarse near black


@pytest.mark.parametrize("peak", [700, 1000, 4000])
def test_tones_never_fall_and_highlights_are_kept_apart(peak: float) -> None:
    codes = np.arange(64, 941)
    ramp = np.rint((codes - 64) / 876 * tone.WHITE_CODE).astype(np.uint16)
    how = tone.rendering(16, 9, peak)
    assert how is not None
    shown = tone.render(np.repeat(ramp[None, :, None], 3, axis=2), how)[0].astype(int)
    assert np.array_equal(shown[:, 0], shown[:, 1])
    assert (np.diff(shown[:, 0]) >= 0).all()
    levels = [shown[round(pq(nits) * 876), 0] for nits in (0, 50, 203, peak * 0.35, peak, 10_000)]
    assert levels[0] == 0
    assert levels[1] < levels[2] < levels[3] < levels[4] == levels[5] == 255


def test_hlg_comes_out_at_sdr_levels(tmp_path: Path) -> None:
    def light(signal: float) -> float:  # BT.2100, table 5
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        return signal**2 / 3 if signal <= 0.5 else (float(np.exp((signal - c) / a)) + b) / 12

    patches = [
        [(0.75,) * 3, (0.38,) * 3, (1.0,) * 3, (0.1,) * 3],
        [(0.6, 0.3, 0.2), (0.2, 0.5, 0.3), (0.2, 0.3, 0.7), (0.9, 0.7, 0.4)],
    ]
    frame = first(hdr_file(tmp_path / "hlg.mp4", painted(patches), 18))
    scene = np.vectorize(light)(np.array(patches))
    display = 1000 * (scene @ LUMA["bt2020"])[..., None] ** 0.2 * scene
    assert display[0, 0, 0] == pytest.approx(203, abs=1)  # BT.2408: 75% of HLG is reference white
    expected = np.array([[expected_sdr(patch, 1000) for patch in row] for row in display])
    assert frame.hdr
    assert np.abs(centres(frame.rgb()) - expected).max() <= 4


TO_P3 = np.array([[0.8225, 0.1775, 0], [0.0332, 0.9668, 0], [0.0171, 0.0724, 0.9105]])  # BT.709 to P3-D65


@pytest.mark.parametrize(
    ("codec", "bits", "primaries", "transfer"),
    [("libx264", 8, 9, 1), ("libx265", 10, 9, 14), ("libx265", 10, 9, 15), ("libx264", 8, 12, 1)],
)
def test_sdr_of_wide_gamut_has_its_primaries_converted(
    codec: str, bits: int, primaries: int, transfer: int, tmp_path: Path
) -> None:
    def curve(x: float) -> float:  # BT.2020, table 4, and its inverse
        return 4.5 * x if x < 0.0181 else 1.0993 * x**0.45 - 0.0993

    def inverse(x: float) -> float:
        return x / 4.5 if x < 0.08145 else float(((x + 0.0993) / 1.0993) ** (1 / 0.45))

    matrix = TO_2020 if primaries == 9 else TO_P3
    signal = np.vectorize(curve)(np.vectorize(inverse)(painted(SDR_PATCHES) / 255) @ matrix.T)
    pixel_format = "yuv444p" if bits == 8 else "yuv444p10le"
    picture = frame_of(to_yuv(signal, "bt2020", bits), pixel_format)
    frame = first(write(tmp_path / "wide.mkv", picture, codec, tags=(9, primaries, transfer)))
    assert not frame.hdr
    assert np.abs(centres(frame.rgb()) - SDR_PATCHES).max() <= 5
    stored = to_rgb([centres(plane) for plane in frame.yuv()], "bt2020", False)
    assert np.abs(stored - SDR_PATCHES).max() > 8  # the planes are as they were written


def test_curves_and_their_inverses() -> None:
    nits = np.array([0.0, 0.005, 1, 36.54, 203, 1000, 10_000])
    assert tone.inverse_pq(nits) == pytest.approx([pq(n) for n in nits], abs=1e-12)
    assert tone.pq_eotf(tone.inverse_pq(nits)) == pytest.approx(nits, rel=1e-9, abs=1e-9)
    assert tone.pq_eotf(np.array([0.508, 0.581, 0.752])) == pytest.approx([100, 203, 1000], rel=0.01)
    assert tone.hlg_inverse_oetf(np.array([0, 0.5, 1.0])) == pytest.approx([0, 1 / 12, 1], abs=1e-6)
    signal = np.linspace(0, 1, 1001)
    assert tone.bt709_oetf(tone.inverse_bt709_oetf(signal)) == pytest.approx(signal, abs=1e-9)
    assert tone.primaries_matrix(9) == pytest.approx(FROM_2020, abs=1e-4)
    assert tone.primaries_matrix(1) == pytest.approx(np.eye(3), abs=1e-12)
    assert tone.eetf(nits, 1000) == pytest.approx([compressed(float(n), 1000) for n in nits], rel=1e-9)
    assert tone.rendering(1, 1) is tone.rendering(6, 6) is tone.rendering(2, 2) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (4, 1), (3, 20_000)])
@pytest.mark.parametrize("transfer", [16, 18, 1])
def test_pictures_of_any_shape_are_rendered(transfer: int, shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), 30_000, np.uint16)
    how = tone.rendering(transfer, 9)
    assert how is not None
    shown = tone.render(picture, how)
    assert shown.shape == picture.shape
    assert shown.dtype == np.uint8
    assert np.ptp(shown) <= 1


def test_side_data_that_has_no_name_says_nothing_of_the_peak() -> None:
    class Picture:
        @property
        def side_data(self) -> object:
            raise ValueError("31 is not a valid Type")  # PyAV, of a kind younger than it

    assert tone.mastering_peak_nits(Picture()) is None  # type: ignore[arg-type]


def test_an_array_is_not_hdr() -> None:
    assert not media.ArrayFrame(0, 0.0, None, videos.numbered(1)).hdr
