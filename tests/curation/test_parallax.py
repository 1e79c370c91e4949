"""A camera that moves past things: near ones move more, nothing is torn open, and a flat scene is a plain pan."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation import PseudoConfig, pseudo
from curation.pseudo import DEPTH_MOTIONS, affines, render, render_parallax
from curation.pseudo.parallax import PARALLAX, nearness
from media.errors import UserError
from tests.curation.pictures import Rgb, photograph

SIZE = (120, 160)
PLAIN = {
    "truck_left": "pan_left",
    "truck_right": "pan_right",
    "pedestal_up": "tilt_up",
    "pedestal_down": "tilt_down",
    "dolly_in": "zoom_in",
    "dolly_out": "zoom_out",
}


def scene() -> tuple[Rgb, npt.NDArray[np.float32]]:
    """A red disc, near, before a blue wall with green stripes, far; and how near each is."""
    y, x = np.mgrid[:360, :480]
    image = np.zeros((360, 480, 3), np.uint8)
    image[..., 2] = 120
    image[:, ::40, 1] = image[:, 1::40, 1] = image[:, 2::40, 1] = image[:, 3::40, 1] = 255
    disc = (x - 240) ** 2 + (y - 180) ** 2 < 60**2
    image[disc] = (230, 20, 20)
    return image, disc.astype(np.float32)


def disc_at(frame: Rgb) -> float:
    """The middle of what is red, pixels."""
    red = (frame[..., 0] > 120) & (frame[..., 1] < 100)
    return float(np.nonzero(red)[1].mean())


def stripe_at(frame: Rgb) -> float:
    """The first green stripe at the top, far from the disc, pixels."""
    row = frame[4, :, 1].astype(float)
    first = int(np.argmax(row > 60))
    near = slice(first, first + 5)
    return float((np.arange(len(row))[near] * row[near]).sum() / row[near].sum())


@pytest.mark.parametrize("motion", DEPTH_MOTIONS)
def test_a_flat_scene_is_the_plain_motion(motion: str) -> None:
    image = photograph(1, 480, 360)
    path = affines(motion, 5, aspect=4 / 3)
    assert np.array_equal(path, affines(PLAIN[motion], 5, aspect=4 / 3))
    flat = render_parallax(image, np.full((90, 120), 7, np.uint8), path, SIZE)
    for seen, plain in zip(flat, render(image, path, SIZE), strict=True):
        assert np.abs(seen.astype(int) - plain).mean() < 1.5


def test_near_things_move_more_than_far_ones() -> None:
    image, depth = scene()
    path = affines("truck_right", 9, travel=0.15, aspect=4 / 3, parallax=PARALLAX)
    frames = list(render_parallax(image, depth, path, SIZE))
    moved = (path[-1, 0, 2] - path[0, 0, 2]) / 2 * SIZE[1] / path[0, 0, 0]
    near = disc_at(frames[0]) - disc_at(frames[-1])
    assert near == pytest.approx(moved * (1 + PARALLAX), rel=0.04)
    # A stripe is as good as the next: the far side is right to within their distance.
    pitch = 40 / 480 * SIZE[1] / path[0, 0, 0]
    far = (stripe_at(frames[0]) - stripe_at(frames[-1])) % pitch
    assert far == pytest.approx((moved * (1 - PARALLAX)) % pitch, abs=0.7)


def test_the_middle_of_the_path_is_the_still() -> None:
    image, depth = scene()
    path = affines("truck_left", 9, travel=0.15, aspect=4 / 3, parallax=PARALLAX)
    seen = list(render_parallax(image, depth, path, SIZE))[4]
    (plain,) = render(image, path[4:5], SIZE)
    assert np.abs(seen.astype(int) - plain).mean() < 2


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(DEPTH_MOTIONS), st.integers(0, 1000))
def test_nothing_is_torn_open_and_no_border_is_seen(motion: str, seed: int) -> None:
    """Of a picture that is nowhere black nothing black is shown, whatever the depths."""
    rng = np.random.default_rng(seed)
    image = np.maximum(photograph(seed, 240, 180), 90)
    depth = rng.uniform(0, 1, (18, 24)).astype(np.float32).repeat(10, 0).repeat(10, 1)
    path = affines(motion, 4, travel=0.2, aspect=4 / 3, parallax=PARALLAX)
    for frame in render_parallax(image, depth, path, (90, 120)):
        assert frame.min() >= 89
    # The nearest and the farthest both stay inside the still.
    middle, corners = path[[0, -1]].mean(axis=0), np.array([[x, y, 1] for x in (-1, 1) for y in (-1, 1)]).T
    for pace in (1 - PARALLAX, 1 + PARALLAX):
        assert np.abs((middle + pace * (path - middle)) @ corners).max() <= 1 + 1e-5


def test_what_is_near_covers_what_is_far() -> None:
    image, depth = scene()
    path = affines("truck_right", 9, travel=0.15, aspect=4 / 3, parallax=PARALLAX)
    for frame in render_parallax(image, depth, path, SIZE):
        red = (frame[..., 0] > 120) & (frame[..., 1] < 100)
        row = np.flatnonzero(red[60])
        assert len(row) == row[-1] - row[0] + 1  # no wall shows through
        assert len(row) == pytest.approx(120 / 480 * SIZE[1] / path[0, 0, 0], abs=5)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 1000), st.floats(-100, 100), st.integers(0, 100))
def test_nearness_does_not_depend_on_units(scale: float, shift: float, seed: int) -> None:
    depth = np.random.default_rng(seed).uniform(0, 1, (20, 30))
    assert np.allclose(nearness(depth), nearness(depth * scale + shift), atol=2e-3)
    assert nearness(depth).min() >= 0
    assert nearness(depth).max() <= 1


@pytest.mark.parametrize("depth", [np.zeros((4, 4, 3), np.float32), np.full((4, 4), np.nan, np.float32)])
def test_what_is_no_depth_map_is_said(depth: npt.NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match="a depth map is"):
        nearness(depth)


class TestRows:
    """Rows of motions that need depth."""

    CONFIG = PseudoConfig(motions=("truck_left", "dolly_in"), frames=12, fps=12, height_px=96)

    def test_they_are_measured_and_rendered_again(self) -> None:
        image, depth = photograph(4, 400, 300), np.tile(np.linspace(0, 1, 100, dtype=np.float32), (75, 1))
        truck, dolly = pseudo.pseudo_clips("a.png", "a" * 32, image, self.CONFIG, run_id="r", depth=depth)
        assert truck["clip_id"] == f"{'a' * 32}:0-12@truck_left"
        assert truck["camera_dx_fraction_per_s"] < 0
        assert dolly["camera_zoom_per_s"] > 0
        again = list(pseudo.render_clip(truck, image, depth=depth))
        assert len(again) == 12
        # What is near, at the right, moves more than what is far.
        drift = [np.abs(a.astype(int) - b).mean(axis=(0, 2)) for a, b in pairwise(again)]
        assert np.mean(drift, axis=0)[80:].mean() > 1.3 * np.mean(drift, axis=0)[:48].mean()

    def test_without_a_map_they_cannot_be(self) -> None:
        with pytest.raises(UserError, match="needs a depth map"):
            pseudo.pseudo_clips("a.png", "a" * 32, photograph(4), self.CONFIG, run_id="r")
