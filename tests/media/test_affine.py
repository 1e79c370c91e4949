"""Views over a still: where each pixel is taken from, and that nothing steps, shimmers or crosses the border."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import media
from media.affine import output_size, render, still_frames
from media.errors import MediaError

Rgb = npt.NDArray[np.uint8]
WHOLE = np.array([[1, 0, 0], [0, 1, 0]], np.float32)


def noise(seed: int, height: int = 240, width: int = 320, blur: float = 2.0) -> Rgb:
    """A picture with detail everywhere, and none finer than `blur`."""
    rng = np.random.default_rng(seed)
    soft = cv2.GaussianBlur(rng.normal(0, 1, (height, width, 3)), (0, 0), blur)
    return np.clip(128 + soft * 45 / soft.std(), 0, 255).astype(np.uint8)


def crops(shifts: npt.ArrayLike, scale: float = 0.8) -> npt.NDArray[np.float32]:
    """A path of views of one size, their centres at `shifts` (x), normalised."""
    path = np.repeat(WHOLE[None] * scale, len(np.atleast_1d(shifts)), axis=0)
    path[:, 0, 2] = shifts
    return path.astype(np.float32)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(2, 50), st.integers(2, 50))
@settings(max_examples=40, deadline=None)
def test_a_plain_still_stays_plain_at_any_size(height: int, width: int, rows: int, columns: int) -> None:
    image = np.full((height, width, 3), (250, 3, 77), np.uint8)
    (frame,) = render(image, crops([0.1]), (rows, columns))
    assert frame.shape == (rows, columns, 3)
    assert (frame == (250, 3, 77)).all()


@pytest.mark.parametrize("size", [(60, 80), (61, 80), (120, 160), (240, 320), (300, 400)])
def test_the_whole_still_is_the_resized_still(size: tuple[int, int]) -> None:
    image = noise(1)
    (frame,) = render(image, WHOLE[None], size)
    assert np.abs(frame.astype(int) - media.resize(image, size=size)).mean() < 4


@given(st.integers(0, 80), st.integers(0, 60))
@settings(max_examples=20, deadline=None)
def test_a_view_shows_what_is_there(left: int, top: int) -> None:
    """A view of exactly 160 x 120 pixels of the still is the crop, but for what averaging over a pixel softens."""
    image = noise(2, blur=4.0)
    path = np.array([[[0.5, 0, (left + 80) / 160 - 1], [0, 0.5, (top + 60) / 120 - 1]]], np.float32)
    (frame,) = render(image, path, (120, 160))
    crop = image[top : top + 120, left : left + 160]
    assert np.abs(frame.astype(int) - crop)[1:-1, 1:-1].mean() < 2


def test_a_quarter_turn_is_a_quarter_turn() -> None:
    image = noise(3, 200, 200)
    path = np.array([[[0, -1, 0], [1, 0, 0]]], np.float32)
    (turned,), (whole,) = render(image, path, (100, 100)), render(image, WHOLE[None], (100, 100))
    # The output's right is the still's down: what was at the top is at the left.
    assert np.abs(turned.astype(int) - np.rot90(whole).astype(int)).mean() < 0.5


def test_mirrored_views_are_mirrored_pixels() -> None:
    image = noise(4)
    path = crops([0.07, -0.11])
    mirrored = path * np.array([[1, 1, -1], [1, 1, 1]], np.float32)
    for a, b in zip(
        render(image, path, (90, 120)),
        render(np.ascontiguousarray(image[:, ::-1]), mirrored, (90, 120)),
        strict=True,
    ):
        assert np.abs(a.astype(int) - b[:, ::-1].astype(int)).max() <= 1


def test_steps_of_a_twentieth_pixel_are_even_in_a_soft_picture() -> None:
    """Where a level covers many pixels, rounding along the way would make all of them jump at once, or none."""
    soft = noise(10, 960, 1280, 40.0)
    frames = render(soft, crops(np.arange(31) * 2 * 0.05 / 256 * 0.8), (192, 256))
    grey = [frame.astype(float).mean(axis=2) for frame in frames]
    moves = []
    for before, after in pairwise(grey):
        slope = np.gradient((before + after) / 2, axis=1)
        moves.append(((after - before) * slope).sum() / (slope**2).sum())
    assert np.mean(moves) == pytest.approx(0.05, rel=0.02)
    assert np.std(moves) < 0.01


def test_sharpness_does_not_beat_with_the_phase() -> None:
    image = noise(5, 960, 1280, 2.0)
    frames = render(image, crops(np.arange(21) * 2 * 0.05 / 256), (192, 256))
    edges = np.array([np.abs(np.diff(f.astype(float), axis=1)).mean() for f in frames])
    assert np.ptp(edges) < 0.05 * edges.mean()


def test_a_zoom_does_not_jump_from_one_picture_to_the_next() -> None:
    """Over five octaves of zoom, no step between frames is out of line with its neighbours."""
    image = noise(6, 960, 1280, 1.5)
    scales = np.geomspace(1, 1 / 8, 121)
    path = np.zeros((121, 2, 3), np.float32)
    path[:, 0, 0] = path[:, 1, 1] = scales
    frames = [f.astype(float) for f in render(image, path, (96, 128))]
    steps = np.array([np.abs(b - a).mean() for a, b in pairwise(frames)])
    spread = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))
    assert np.abs(np.diff(steps)).max() < 0.25 * steps.max()
    assert spread.min() > 0


def test_stripes_far_below_a_pixel_are_grey() -> None:
    stripes = np.zeros((720, 960, 3), np.uint8)
    stripes[:, ::2] = 255
    for frame in render(stripes, crops(np.linspace(-0.1, 0.1, 5)), (96, 128)):
        assert np.abs(frame[:, 2:-2].astype(int) - 127).max() <= 12


@given(st.lists(st.integers(0, 11), min_size=1, max_size=5), st.integers(0, 100))
@settings(max_examples=15, deadline=None)
def test_some_frames_are_those_of_the_whole(only: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = noise(seed, 90, 120)
    path = crops(rng.uniform(-0.1, 0.1, 12)) * rng.uniform(0.4, 1, (12, 1, 1)).astype(np.float32)
    every = list(render(image, path, (48, 64)))
    for number, frame in zip(only, render(image, path, (48, 64), only), strict=True):
        assert np.array_equal(frame, every[number])


def test_frames_come_one_by_one() -> None:
    frames = render(noise(7), np.repeat(WHOLE[None], 100_000, axis=0), (16, 16))
    assert next(frames).shape == (16, 16, 3)


def test_what_cannot_be_rendered_is_said() -> None:
    with pytest.raises(ValueError, match="a path is"):
        list(render(noise(8), np.zeros((3, 6), np.float32), (16, 16)))
    with pytest.raises(ValueError, match="a still is"):
        list(render(noise(8)[..., 0], WHOLE[None], (16, 16)))
    assert list(render(noise(8), np.zeros((0, 2, 3), np.float32), (16, 16))) == []


def test_sizes_keep_proportions_and_are_even() -> None:
    assert output_size(3000, 4000, 360) == (360, 480)
    assert output_size(301, 451, 1000) == (300, 450)
    assert output_size(1, 1, 360) == (2, 2)


class TestStillFrames:
    """A training row that holds a still and a path."""

    @pytest.fixture
    def row(self, tmp_path: Path) -> dict[str, object]:
        image = noise(9)
        Image.fromarray(image).save(tmp_path / "still.png")
        path = crops(np.linspace(-0.1, 0.1, 6))
        size = {"height_px": 60, "width_px": 80}
        return {"affine": path.reshape(-1, 6).tolist(), "media": None, "uri": str(tmp_path / "still.png"), **size}

    def test_bytes_and_address_give_the_same(self, row: dict[str, object]) -> None:
        inside = {**row, "media": Path(str(row["uri"])).read_bytes(), "uri": "gone.png"}
        assert np.array_equal(still_frames(row), still_frames(inside))
        assert np.array_equal(
            still_frames(row), np.stack(list(render(noise(9), crops(np.linspace(-0.1, 0.1, 6)), (60, 80))))
        )

    def test_frames_are_chosen_in_any_order(self, row: dict[str, object]) -> None:
        assert np.array_equal(still_frames(row, [4, 0, 4]), still_frames(row)[[4, 0, 4]])

    @pytest.mark.parametrize("wanted", [[6], [0, 7], [-1]])
    def test_a_frame_that_is_not_there(self, row: dict[str, object], wanted: list[int]) -> None:
        with pytest.raises(MediaError) as caught:
            still_frames(row, wanted)
        assert caught.value.reason == "truncated"

    def test_a_still_that_is_gone(self, row: dict[str, object]) -> None:
        with pytest.raises(MediaError) as caught:
            still_frames({**row, "uri": "gone.png"})
        assert caught.value.reason == "unreadable"
        with pytest.raises(MediaError):
            still_frames({**row, "media": b"no picture"})
