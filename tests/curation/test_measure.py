"""What the meter says of pictures and motions that are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.measure import Meter, measure_frames
from curation.measure.camera import Camera, classify
from curation.phash import distance, phash
from curation.planes import view_of_rgb, yuv_to_rgb
from dataset.schema import MEASURES
from tests.curation.pictures import Rgb, moving, photograph

NAMES = [column.name for column in MEASURES]


def still(image: Rgb, frames: int = 6) -> list[Rgb]:
    return [image] * frames


def grey(level: int, height: int = 180, width: int = 320) -> Rgb:
    return np.full((height, width, 3), level, np.uint8)


def limited(level: float) -> float:
    """Return the luma of a grey RGB level."""
    return 16 + level * 219 / 255


def test_every_column_is_there_in_the_schemas_order() -> None:
    assert list(measure_frames(still(photograph(1)), 25)) == NAMES
    assert list(measure_frames([photograph(1)], 25)) == NAMES
    assert list(measure_frames([], 25)) == NAMES
    assert set(measure_frames([], 25).values()) == {None}


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (15, 9), (17, 400), (700, 33), (250, 250)])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_pictures_of_any_shape_are_measured(shape: tuple[int, int], count: int) -> None:
    image = np.ascontiguousarray(photograph(2, 700, 700)[: shape[0], : shape[1]])
    values = measure_frames(still(image, count), 8)
    assert all(v is None or isinstance(v, str) or np.isfinite(v) for v in values.values())


def test_a_still_picture_moves_not_at_all() -> None:
    values = measure_frames(still(photograph(3), 30), 25)
    assert values["flow_mean_px_per_s"] == pytest.approx(0, abs=0.5)
    assert values["moving_fraction"] == pytest.approx(0, abs=0.01)
    assert values["camera_motion"] == "static"
    assert values["camera_confidence"] == 1
    assert values["frozen_fraction"] == 1
    assert values["flicker"] == 0
    assert values["temporal_information"] == 0
    assert values["static_overlay_fraction"] == 0


@pytest.mark.parametrize("level", [0, 60, 255])
def test_flat_grey_is_what_it_is(level: int) -> None:
    values = measure_frames(still(grey(level)), 25)
    assert values["luma_mean"] == pytest.approx(limited(level), abs=1)
    assert values["contrast_rms"] == pytest.approx(0, abs=0.1)
    assert values["entropy_bits"] == pytest.approx(0, abs=0.01)
    assert values["saturation_mean"] == pytest.approx(0, abs=0.5)
    assert values["noise_sigma"] == pytest.approx(0, abs=0.01)
    assert values["blockiness"] == 1
    assert values["sharpness_laplacian"] == values["sharpness_tenengrad"] == 0
    assert values["dark_clipped_fraction"] == (level == 0)
    assert values["bright_clipped_fraction"] == (level == 255)


@pytest.mark.parametrize(("rgb", "warm"), [((220, 120, 40), True), ((40, 120, 220), False)])
def test_warmth_and_colour(rgb: tuple[int, int, int], warm: bool) -> None:
    image = np.broadcast_to(np.array(rgb, np.uint8), (90, 160, 3)).copy()
    values = measure_frames(still(image, 2), 25)
    assert (values["warmth"] > 30) == warm
    assert (values["warmth"] < -30) == (not warm)
    assert values["colourfulness"] > 20
    assert values["saturation_mean"] > 40


def test_colourfulness_is_the_published_one() -> None:
    image = photograph(4).astype(np.float64)
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    rg, yb = red - green, (red + green) / 2 - blue
    published = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    assert measure_frames([photograph(4)], 25)["colourfulness"] == pytest.approx(published, rel=0.12)


@pytest.mark.parametrize("sigma", [2.0, 5.0, 12.0])
def test_noise_is_found_again(sigma: float) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, sigma, (360, 640, 1))
    image = np.clip(128 + noise, 0, 255).astype(np.uint8).repeat(3, axis=2)
    found = measure_frames([image], 25)["noise_sigma"]
    assert found == pytest.approx(np.hypot(sigma * 219 / 255, 0.6), rel=0.06)


def test_blur_lowers_sharpness_and_size_hardly_changes_it() -> None:
    grain = np.random.default_rng(5).normal(0, 25, (180, 320, 1)).astype(np.float32)
    fine = cv2.resize(grain, (1280, 720), interpolation=cv2.INTER_CUBIC)[..., None]
    image = np.clip(photograph(5, 1280, 720) + fine, 0, 255).astype(np.uint8)
    sharp = measure_frames([image], 25)
    soft = measure_frames([np.asarray(cv2.GaussianBlur(image, (0, 0), 4), np.uint8)], 25)
    half = measure_frames([np.asarray(cv2.resize(image, (640, 360), interpolation=cv2.INTER_AREA), np.uint8)], 25)
    for name in ("sharpness_laplacian", "sharpness_tenengrad", "spatial_information"):
        assert soft[name] < 0.8 * sharp[name]
        assert half[name] == pytest.approx(sharp[name], rel=0.15)


def test_blocks_are_seen() -> None:
    image = photograph(6, 320, 184)
    ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 4])
    assert ok
    blocky = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    assert measure_frames([image], 25)["blockiness"] == pytest.approx(1, abs=0.1)
    assert measure_frames([blocky], 25)["blockiness"] > 1.6


@settings(max_examples=15, deadline=None)
@given(st.tuples(*[st.integers(0, 60)] * 4), st.integers(0, 100))
def test_black_borders_are_measured_to_the_pixel(border: tuple[int, int, int, int], seed: int) -> None:
    left, top, right, bottom = border
    image = np.maximum(photograph(seed, 320, 240), 60)
    framed = np.zeros_like(image)
    framed[top : 240 - bottom, left : 320 - right] = image[top : 240 - bottom, left : 320 - right]
    values = measure_frames(still(framed, 3), 5)
    found = [values[f"border_{side}_px"] for side in ("left", "top", "right", "bottom")]
    assert np.abs(np.array(found) - np.array(border)).max() <= 1


def test_a_dark_frame_does_not_make_a_border() -> None:
    frames = [grey(0)] * 10 + [np.maximum(photograph(7), 60)] * 10
    values = measure_frames(frames, 10)
    assert values["border_left_px"] == values["border_top_px"] == 0


def test_flicker_is_the_change_of_what_keeps_still() -> None:
    image = np.clip(photograph(8).astype(int), 30, 220)
    frames = [np.asarray(image + (6 if k % 2 else 0), np.uint8) for k in range(30)]
    values = measure_frames(frames, 25)
    assert values["flicker"] == pytest.approx(6 * 219 / 255, abs=1)
    assert values["frozen_fraction"] == 0


def test_repeated_frames_are_frozen() -> None:
    frames = [f for f in moving(9, 20) for _ in range(2)]
    assert measure_frames(frames, 25)["frozen_fraction"] == pytest.approx(20 / 39)


def test_temporal_information_is_the_deviation_of_the_difference() -> None:
    a, b = photograph(10, 200, 150), photograph(11, 200, 150)
    luma = [cv2.cvtColor(x, cv2.COLOR_RGB2YUV_I420)[:150].astype(float) for x in (a, b)]
    assert measure_frames([a, b], 25)["temporal_information"] == pytest.approx((luma[1] - luma[0]).std(), rel=0.02)


@pytest.mark.parametrize("motion", ["pan_right", "tilt_up"])
def test_flow_is_in_pixels_per_second_at_360(motion: str) -> None:
    """The same motion has the same speed at any size and frame rate: a fifth of the still in two seconds."""
    speeds = []
    for width, height, fps in ((320, 180, 12.5), (640, 360, 25), (320, 180, 50)):
        frames = moving(12, int(2 * fps) + 1, motion, 0.2, width, height)
        speeds.append(measure_frames(frames, fps)["flow_mean_px_per_s"])
    side = 640 if motion == "pan_right" else 360
    assert speeds == pytest.approx([side * 0.2 / 0.8 / 2] * 3, rel=0.08)


def test_an_object_moves_before_a_still_camera() -> None:
    back = photograph(13)
    frames = []
    for k in range(30):
        frame = back.copy()
        frame[60:110, 20 + 6 * k : 80 + 6 * k] = photograph(14)[:50, :60]
        frames.append(frame)
    values = measure_frames(frames, 25)
    assert values["camera_motion"] == "static"
    assert 0.03 < values["moving_fraction"] < 0.4
    assert values["object_motion_px_per_s"] > 5
    assert abs(values["camera_dx_fraction_per_s"]) < 0.02


def test_an_object_does_not_hide_the_cameras_pan() -> None:
    frames = moving(15, 40, "pan_left", 0.2)
    for k, frame in enumerate(frames):
        frame[60:120, 40 + 4 * k : 100 + 4 * k] = photograph(16)[:60, :60]
    values = measure_frames(frames, 25)
    assert values["camera_motion"] == "pan left"
    assert values["camera_dx_fraction_per_s"] == pytest.approx(-0.25 / (39 / 25), rel=0.1)


def test_a_shaken_camera_is_handheld() -> None:
    big = photograph(17, 480, 300)
    rng = np.random.default_rng(3)
    at = np.cumsum(rng.normal(0, 3, (60, 2)), axis=0)
    at = np.clip(np.round(at - at.mean(axis=0)), -50, 50).astype(int) + 60
    frames = [np.ascontiguousarray(big[y : y + 180, x : x + 320]) for y, x in at]
    assert measure_frames(frames, 25)["camera_motion"] == "handheld"


def test_a_logo_keeps_still_while_the_picture_moves() -> None:
    frames = moving(18, 50, "pan_right", 0.4)
    plain = measure_frames([f.copy() for f in frames], 25)["static_overlay_fraction"]
    for frame in frames:
        frame[16:48, 16:80] = 0
        frame[16:48:4, 16:80] = 255
    marked = measure_frames(frames, 25)["static_overlay_fraction"]
    assert plain < 0.01
    assert marked == pytest.approx(32 * 64 / (180 * 320), rel=0.5)


def test_a_span_is_measured_as_if_it_were_the_whole() -> None:
    """What lies outside the clip does not show in it: no pair of frames reaches over its ends."""
    shots = [*moving(19, 50, "pan_left"), *moving(20, 50, "zoom_in")]
    meter = Meter()
    for k, frame in enumerate(shots):
        meter.feed(view_of_rgb(k, k / 25, 1 / 25, frame))
    assert meter.values(0, 50)["camera_motion"] == "pan left"
    assert meter.values(50, 100)["camera_motion"] == "zoom in"
    assert meter.values(50, 100)["temporal_information"] < meter.values(0, 100)["temporal_information"]
    meter.forget(50)
    assert meter.values(50, 100)["camera_motion"] == "zoom in"
    assert meter.values(0, 50)["luma_mean"] is None


def test_forgetting_bounds_what_is_kept() -> None:
    import pickle

    meter, sizes = Meter(), []
    frames = moving(21, 50)
    for k in range(400):
        view = view_of_rgb(k, k / 25, 1 / 25, frames[k % 50])
        meter.feed(view)
        meter.forget(k - 100)
        if k in (200, 399):
            sizes.append(len(pickle.dumps((meter._steps, meter._looks, meter._flows))))
    assert sizes[1] < 1.2 * sizes[0]


def pair(dx: float = 0, dy: float = 0, zoom: float = 0, roll: float = 0) -> Camera:
    return Camera(dx, dy, zoom, roll, 1.0, 16 / 9)


@pytest.mark.parametrize(
    ("camera", "name"),
    [
        (pair(dx=0.1), "pan right"),
        (pair(dx=-0.1), "pan left"),
        (pair(dy=0.1), "tilt down"),
        (pair(dy=-0.1), "tilt up"),
        (pair(zoom=0.3), "zoom in"),
        (pair(zoom=-0.3), "zoom out"),
        (pair(roll=9), "roll right"),
        (pair(roll=-9), "roll left"),
        (pair(dx=0.001), "static"),
    ],
)
def test_the_class_is_that_of_the_greatest_component(camera: Camera, name: str) -> None:
    assert classify([camera] * 5) == (name, 1.0)
    astray = pair(dx=0.9, dy=0.9, zoom=-9 * camera.zoom) if camera.dx <= 0 else pair(dy=0.9)
    if name != "tilt down":
        assert classify([camera] * 4 + [astray]) == (name, 0.8)


def test_no_pairs_have_no_class() -> None:
    assert classify([]) is None


@pytest.mark.parametrize("bt709", [True, False])
def test_yuv_becomes_the_rgb_it_came_from(bt709: bool) -> None:
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 256, (40, 50, 3)).astype(np.float64)
    kr, kb = (0.2126, 0.0722) if bt709 else (0.299, 0.114)
    y = rgb @ np.array([kr, 1 - kr - kb, kb])
    u, v = (rgb[..., 2] - y) / (2 * (1 - kb)), (rgb[..., 0] - y) / (2 * (1 - kr))
    planes = [16 + y * 219 / 255, 128 + u * 224 / 255, 128 + v * 224 / 255]
    y8, u8, v8 = (np.rint(p).astype(np.uint8) for p in planes)
    assert np.abs(yuv_to_rgb(y8, u8, v8, bt709=bt709).astype(int) - rgb).max() <= 3


@pytest.mark.parametrize(
    "change",
    [
        lambda f: cv2.resize(f, (200, 112), interpolation=cv2.INTER_AREA),
        lambda f: cv2.convertScaleAbs(f, alpha=0.85, beta=12),
        lambda f: cv2.imdecode(cv2.imencode(".jpg", f, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_COLOR),
        lambda f: cv2.GaussianBlur(f, (0, 0), 1.5),
    ],
)
def test_the_hash_survives_what_does_not_change_the_picture(change: Callable[[Rgb], Any]) -> None:
    for seed in range(5):
        image = photograph(30 + seed)
        assert distance(phash(image), phash(np.asarray(change(image), np.uint8))) <= 6


def test_hashes_of_unrelated_pictures_are_far_apart() -> None:
    hashes = [phash(photograph(40 + seed)) for seed in range(12)]
    apart = [distance(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(apart) > 12
    assert 26 < np.mean(apart) < 38
    assert all(0 <= h < 2**64 for h in hashes)


def subtitled(frames: list[Rgb], top: int = 152) -> list[Rgb]:
    """Write still, bright strokes into the lowest sixth of the pictures, as subtitles are."""
    marked = [frame.copy() for frame in frames]
    for frame in marked:
        for x in range(70, 250, 6):
            frame[top : top + 14, x : x + 2] = 250
            frame[top : top + 14, x + 2 : x + 4] = 5
    return marked


def test_a_band_of_subtitles_is_left_out_of_the_crop() -> None:
    frames = moving(50, 50, "pan_right", 0.4)
    plain, marked = measure_frames(frames, 25), measure_frames(subtitled(frames), 25)
    assert plain["subtitle_band_px"] == 0
    assert (plain["crop_width_px"], plain["crop_height_px"]) == (320, 180)
    assert 28 <= marked["subtitle_band_px"] <= 38
    assert marked["crop_height_px"] == 180 - marked["subtitle_band_px"]
    assert (marked["crop_x_px"], marked["crop_y_px"], marked["crop_width_px"]) == (0, 0, 320)


@pytest.mark.parametrize("bars", [(0, 40), (60, 0), (30, 24)])
def test_what_depends_on_the_crop_is_measured_inside_it(bars: tuple[int, int]) -> None:
    """A picture with bars around it measures like the picture, in all but its borders."""
    columns, rows = bars
    frames = [np.maximum(f, 40) for f in moving(51, 30, "pan_left", 0.3, 320, 180)]
    boxed = [np.pad(f, ((rows, rows), (columns, columns), (0, 0))) for f in frames]
    scale = (180 + 2 * rows) / 180
    inside, whole = measure_frames(boxed, 25), measure_frames(frames, 25)
    assert [inside[f"crop_{part}_px"] for part in ("x", "y", "width", "height")] == [columns, rows, 320, 180]
    for name in ("luma_mean", "contrast_rms", "entropy_bits", "colourfulness", "saturation_mean"):
        assert inside[name] == pytest.approx(whole[name], rel=0.03), name
    assert inside["dark_clipped_fraction"] == pytest.approx(whole["dark_clipped_fraction"], abs=0.01)
    # Speeds are those of a picture 360 px high, bars and all.
    assert inside["flow_mean_px_per_s"] * scale == pytest.approx(whole["flow_mean_px_per_s"], rel=0.08)
    assert inside["moving_fraction"] == pytest.approx(whole["moving_fraction"], abs=0.05)
    assert inside["camera_motion"] == whole["camera_motion"] == "pan left"


def test_quantiles_are_in_order() -> None:
    values = measure_frames([*moving(52, 40, "pan_right", 0.1), *moving(52, 40, "pan_right", 0.5)], 25)
    flows = [values[f"flow_{part}_px_per_s"] for part in ("min", "p50", "p95", "max")]
    assert flows == sorted(flows)
    assert flows[0] <= values["flow_mean_px_per_s"] <= flows[-1]
    assert values["luma_min"] <= values["luma_mean"] <= values["luma_max"]
    laplacian = values["sharpness_laplacian"]
    assert values["sharpness_laplacian_min"] <= laplacian <= values["sharpness_laplacian_max"]
    assert values["moving_fraction"] <= values["moving_fraction_max"]


def test_a_missing_stretch_of_frames_is_a_jump() -> None:
    frames = moving(53, 60, "pan_right", 0.3)
    smooth = measure_frames(frames[:50], 25)["jump_ratio"]
    assert smooth < 1.6
    assert measure_frames([*frames[:20], *frames[40:]], 25)["jump_ratio"] > 3 * smooth
