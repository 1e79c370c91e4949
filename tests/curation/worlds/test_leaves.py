"""Dead leaves: reproducible pictures with the statistics of photographs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.worlds.leaves import leaves, pink_noise


@given(st.integers(0, 2**62), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=20, deadline=None)
def test_a_picture_is_a_function_of_seed_and_size(seed: int, height: int, width: int) -> None:
    picture = leaves(seed, height, width)
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, leaves(seed, height, width))


def test_seeds_give_different_pictures() -> None:
    assert len({leaves(seed, 16, 16).tobytes() for seed in range(12)}) == 12


def test_no_pixels_no_picture() -> None:
    with pytest.raises(ValueError, match="at least one pixel"):
        leaves(0, 0, 5)


@pytest.mark.parametrize("slope", [0.5, 1.0, 1.5])
def test_pink_noise_has_its_slope(slope: float) -> None:
    power = np.zeros((128, 65))
    for seed in range(12):
        noise = pink_noise(np.random.default_rng(seed), 128, 128, slope)
        assert noise.mean() == pytest.approx(0.0, abs=1e-5)
        assert noise.std() == pytest.approx(1.0, abs=1e-4)
        power += np.abs(np.fft.rfft2(noise)) ** 2
    radius = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(128)[None, :])
    band = (radius > 0.03) & (radius < 0.35)
    fit = np.polyfit(np.log(radius[band]), 0.5 * np.log(power[band]), 1)[0]
    assert fit == pytest.approx(-slope, abs=0.08)


def test_the_statistics_are_those_of_photographs() -> None:
    pictures = np.stack([leaves(seed, 96, 96) for seed in range(24)]).astype(float) / 255.0
    luma = pictures @ [0.299, 0.587, 0.114]
    chroma = pictures[..., 2] - luma
    assert 0.25 < luma.mean() < 0.6
    assert 0.1 < luma.std((1, 2)).mean() < 0.3
    assert chroma.std((1, 2)).mean() < 0.5 * luma.std((1, 2)).mean()
    # Amplitude falls about as 1/f (Field 1987), and gradients have heavy tails: edges among smooth places.
    radius = np.hypot(np.fft.fftfreq(96)[:, None], np.fft.rfftfreq(96)[None, :])
    power = (np.abs(np.fft.rfft2(luma * np.hanning(96)[:, None] * np.hanning(96)[None, :])) ** 2).mean(0)
    band = (radius > 0.03) & (radius < 0.3)
    slope = np.polyfit(np.log(radius[band]), 0.5 * np.log(power[band]), 1)[0]
    assert -1.8 < slope < -0.8
    gradient = np.diff(luma, axis=2).ravel()
    kurtosis = ((gradient - gradient.mean()) ** 4).mean() / gradient.var() ** 2
    assert kurtosis > 6.0
