"""The invariants of stills that move (reference: the ways in which integer steps go wrong)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import media
from curation import PseudoConfig, pseudo
from curation.measure import measure_frames
from curation.pseudo import MOTIONS, affines, output_size, render
from media.errors import UserError
from tests.curation.pictures import Rgb, photograph

SIZE = (96, 128)
REVERSES = {
    "zoom_in": "zoom_out",
    "pan_left": "pan_right",
    "tilt_up": "tilt_down",
    "pan_up_left": "pan_down_right",
    "pan_up_right": "pan_down_left",
    "roll_left": "roll_right",
}
motions = st.sampled_from(MOTIONS)
travels = st.floats(0.02, 0.6)
lengths = st.integers(2, 40)


def frames_of(image: Rgb, motion: str, frames: int = 9, **how: Any) -> list[Rgb]:
    aspect = image.shape[1] / image.shape[0]
    return list(render(image, affines(motion, frames, aspect=aspect, **how), SIZE))


def difference(a: Rgb, b: Rgb) -> float:
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


@pytest.fixture(scope="module")
def image() -> Rgb:
    return photograph(1, 400, 300)


def test_the_first_frame_of_a_zoom_in_is_the_resized_original(image: Rgb) -> None:
    (first, *_) = frames_of(image, "zoom_in")
    assert difference(first, media.resize(image, size=SIZE)) < 1.5


@pytest.mark.parametrize(("motion", "reverse"), REVERSES.items())
def test_a_motion_backwards_is_the_opposite_motion(motion: str, reverse: str, image: Rgb) -> None:
    forwards, backwards = frames_of(image, motion), frames_of(image, reverse)
    assert max(difference(a, b) for a, b in zip(forwards[::-1], backwards, strict=True)) < 0.1


def test_left_is_right_in_the_mirror(image: Rgb) -> None:
    left, right = frames_of(image, "pan_left"), frames_of(np.ascontiguousarray(image[:, ::-1]), "pan_right")
    assert max(difference(a, b[:, ::-1]) for a, b in zip(left, right, strict=True)) < 0.5


@given(motions, travels, st.floats(0.3, 3.5))
def test_one_frame_is_the_whole_still(motion: str, travel: float, aspect: float) -> None:
    assert affines(motion, 1, travel=travel, aspect=aspect).tolist() == [[[1, 0, 0], [0, 1, 0]]]


@given(motions, lengths, travels, st.floats(1, 40), st.floats(0.3, 3.5), st.sampled_from(["linear", "smooth"]))
def test_no_view_reaches_past_the_border(
    motion: str, frames: int, travel: float, roll: float, aspect: float, easing: str
) -> None:
    path = affines(motion, frames, travel=travel, roll_deg=roll, aspect=aspect, easing=easing)
    corners = np.array([[x, y, 1] for x in (-1, 1) for y in (-1, 1)]).T
    assert np.abs(path @ corners).max() <= 1 + 1e-5


@given(st.sampled_from(["pan_left", "pan_right", "tilt_up", "tilt_down", "pan_up_left"]), lengths, travels)
def test_a_pan_moves_equally_far_in_each_step_and_to_the_end(motion: str, frames: int, travel: float) -> None:
    shifts = affines(motion, frames, travel=travel)[:, :, 2].astype(float)
    steps = np.diff(shifts, axis=0)
    assert np.allclose(steps, steps[0], atol=1e-6)
    assert np.isclose(np.abs(shifts[-1] - shifts[0]).max(), 2 * travel, atol=1e-5)


@given(motions, lengths, st.sampled_from(["smooth", "ease_in", "ease_out"]))
def test_easing_keeps_where_a_motion_begins_and_ends(motion: str, frames: int, easing: str) -> None:
    linear, bent = affines(motion, frames), affines(motion, frames, easing=easing)
    assert np.allclose(linear[0], bent[0], atol=1e-6)
    assert np.allclose(linear[-1], bent[-1], atol=1e-6)
    began, ended = (np.abs(np.diff(path, axis=0)).max(axis=(1, 2)) for path in (linear, bent))
    if easing != "ease_out":
        assert ended[0] <= began[0] + 1e-6  # it starts more slowly
    if easing != "ease_in":
        assert ended[-1] <= began[-1] + 1e-6


@given(motions, lengths)
def test_smooth_easing_goes_the_same_way_from_rest_to_rest(motion: str, frames: int) -> None:
    linear, smooth = affines(motion, frames), affines(motion, frames, easing="smooth")
    assert np.allclose(linear[0], smooth[0], atol=1e-6)
    assert np.allclose(linear[-1], smooth[-1], atol=1e-6)
    assert np.abs(smooth[1] - smooth[0]).max() <= np.abs(linear[1] - linear[0]).max() + 1e-6


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(16, 2000))
def test_sizes_are_even_and_never_enlarged(height: int, width: int, asked: int) -> None:
    rows, columns = output_size(height, width, asked)
    assert rows % 2 == columns % 2 == 0
    assert rows <= max(2, min(height, asked))


def test_no_border_pixels_are_seen() -> None:
    """A white still shows white in every frame: nothing outside it is ever sampled."""
    white = np.full((240, 320, 3), 255, np.uint8)
    for motion in MOTIONS:
        assert min(int(f.min()) for f in frames_of(white, motion, 5, roll_deg=30.0)) == 255


@pytest.mark.parametrize("motion", ["pan_right", "zoom_in"])
def test_steps_are_sub_pixel_and_without_jitter(motion: str) -> None:
    """The edge of a plain picture moves by the same fraction of a pixel in each frame of a pan, on and on in a zoom."""
    step = np.zeros((300, 400, 3), np.uint8)
    step[:, 230:] = 250
    travel = 0.05 if motion == "pan_right" else 0.3
    edges = [f[48, :, 0].astype(float).sum() / 250 for f in frames_of(step, motion, 41, travel=travel)]
    moves = np.diff(edges)
    assert (moves > 0).all() or (moves < 0).all()
    if motion == "pan_right":
        assert np.abs(moves - moves.mean()).max() < 0.05
        assert 0.1 < moves.mean() < 0.3


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (7, 400), (40, 30), (79, 81)])
def test_stills_of_any_size_move(height: int, width: int) -> None:
    image = photograph(3, 200, 200)[:height, :width]
    for motion in ("zoom_in", "pan_left", "roll_right"):
        size = output_size(height, width, 64)
        frames = list(render(image, affines(motion, 4, aspect=width / height), size))
        assert [f.shape for f in frames] == [(*size, 3)] * 4


def test_fine_texture_does_not_shimmer() -> None:
    """One-pixel stripes, far under a pixel in the output, stay the grey they average to."""
    stripes = np.zeros((720, 960, 3), np.uint8)
    stripes[:, ::2] = 255
    for frame in frames_of(stripes, "pan_right", 6):
        assert np.abs(frame[:, 2:-2].astype(int) - 127).max() <= 12


def test_frames_come_lazily(image: Rgb) -> None:
    frames = render(image, affines("zoom_in", 10**6), (16, 16))
    assert next(frames).shape == (16, 16, 3)


def test_an_unknown_motion_is_named() -> None:
    with pytest.raises(UserError, match="spin"):
        affines("spin", 4)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """Every motion over one still."""
    config = PseudoConfig(motions=MOTIONS, frames=25, fps=12.5, height_px=120)
    return pseudo.pseudo_clips("a.png", "f" * 32, photograph(5, 480, 360), config, run_id="r1")


class TestRows:
    def test_rows_fit_the_table(self, rows: list[dict[str, Any]]) -> None:
        import pyarrow as pa

        from dataset import schema_of

        table = pa.Table.from_pylist(rows, schema=schema_of("clips"))
        assert table["clip_id"].to_pylist() == [f"{'f' * 32}:0-25@{m}" for m in MOTIONS]
        assert set(table["kind"].to_pylist()) == {"pseudo"}
        assert set(rows[0]) == set(schema_of("clips").names)

    def test_the_camera_is_measured_as_it_was_moved(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            seen = row["camera_motion"].replace(" ", "_")
            assert seen == row["motion"] or seen.split("_")[1] in row["motion"], (row["motion"], seen)
            assert row["camera_confidence"] > 0.8

    def test_speeds_are_measured_as_they_were_asked(self, rows: list[dict[str, Any]]) -> None:
        by_motion = {row["motion"]: row for row in rows}
        for motion, column, per_speed in (
            ("pan_left", "camera_dx_fraction_per_s", -1),
            ("pan_right", "camera_dx_fraction_per_s", 1),
            ("tilt_up", "camera_dy_fraction_per_s", -1),
            ("tilt_down", "camera_dy_fraction_per_s", 1),
            ("roll_left", "camera_roll_deg_per_s", -360),
            ("roll_right", "camera_roll_deg_per_s", 360),
        ):
            row = by_motion[motion]
            assert row[column] == pytest.approx(row["motion_speed_per_s"] * per_speed, rel=0.02), motion
        for motion, way in (("zoom_in", 1), ("zoom_out", -1)):
            octaves = by_motion[motion]["motion_speed_per_s"] * way / np.log(2)
            assert by_motion[motion]["camera_zoom_per_s"] == pytest.approx(octaves, rel=0.02), motion

    def test_a_still_has_no_motion_of_its_own(self, rows: list[dict[str, Any]]) -> None:
        assert all(row["object_motion_px_per_s"] < 0.2 * row["flow_mean_px_per_s"] + 3 for row in rows)
        assert all(row["frozen_fraction"] == 0 for row in rows)

    def test_the_row_alone_renders_the_same_frames(self, rows: list[dict[str, Any]]) -> None:
        row = rows[2]
        frames = list(pseudo.render_clip(row, photograph(5, 480, 360)))
        assert len(frames) == row["frames"]
        assert frames[0].shape == (row["height_px"], row["width_px"], 3)
        again = measure_frames(frames, row["fps"])
        assert {k: row[k] for k in again} == again

    def test_it_can_be_rendered_smaller(self, rows: list[dict[str, Any]]) -> None:
        (frame, *_) = pseudo.render_clip(rows[0], photograph(5, 480, 360), max_height=60)
        assert frame.shape == (60, 80, 3)

    def test_keyframes_are_spread_over_the_clip(self, rows: list[dict[str, Any]]) -> None:
        frames = [k["frame"] for k in rows[0]["keyframes"]]
        assert len(frames) == 3
        assert frames[0] < 9 < frames[1] < 16 < frames[2]
        assert media.decode_jpeg(rows[0]["keyframes"][0]["jpeg"]).shape == (120, 160, 3)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([m for m in MOTIONS if m.count("_") == 1]), st.floats(0.12, 0.35))
def test_the_camera_is_named_right_on_any_picture(seed: int, motion: str, travel: float) -> None:
    image = photograph(seed, 480, 360)
    path = affines(motion, 17, travel=travel, roll_deg=100 * travel / 3, aspect=4 / 3)
    assert measure_frames(render(image, path, (144, 192)), 8.0)["camera_motion"] == motion.replace("_", " ")


def test_one_frame_measures_without_motion() -> None:
    (row,) = pseudo.pseudo_clips(
        "a.png", "0" * 32, photograph(6), PseudoConfig(motions=("zoom_in",), frames=1), run_id="r"
    )
    assert row["flow_mean_px_per_s"] is None
    assert row["camera_motion"] is None
    assert row["sharpness_laplacian"] > 0
    assert row["motion_speed_per_s"] == 0
    assert len(row["keyframes"]) == 1
