"""Each metric measures what its definition says, in its unit."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import evaluation.metrics
from evaluation import METRICS, Missing, Sample
from evaluation.view import View, ViewSpec, make_view
from tests.evaluation import scenes

SPEC = ViewSpec(short_side_px=144, window_s=8, fps=8, pairs=8, stills=4)


def view(frames: scenes.Frames, fps: float = 24.0, prompt: str | None = None) -> View:
    return make_view(Sample("x", prompt, frames, fps), SPEC)


def value(name: str, frames: scenes.Frames, fps: float = 24.0) -> float:
    score = METRICS[name].measure(view(frames, fps))
    assert not isinstance(score, Missing), score
    return score


def test_each_metric_has_a_file_of_its_name() -> None:
    folder = Path(evaluation.metrics.__file__).parent
    assert set(METRICS) == {p.stem for p in folder.glob("*.py")} - {"__init__", "base"}


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_declares_unit_direction_and_definition(name: str) -> None:
    metric = METRICS[name]
    assert metric.name == name
    assert metric.unit
    assert metric.better in {"higher", "lower"}
    assert len(metric.definition) > 150
    assert "CLIP score" not in metric.title
    assert re.search(r"\d{4}|[Dd]efinition of our own", metric.definition), "the source"


@pytest.mark.parametrize("name", [n for n in METRICS if n not in {"alignment", "clarity", "richness"}])
def test_one_frame_is_a_reason_not_a_number(name: str) -> None:
    score = METRICS[name].measure(view(scenes.texture(96, 96)[None]))
    assert isinstance(score, Missing)
    assert len(score.reason) > 8


@pytest.mark.parametrize("px", [1, 2, 4])
def test_motion_is_in_pixels_per_second_at_360(px: int) -> None:
    world = scenes.texture(144, 300)
    frames = np.stack([world[:, i * px : i * px + 192] for i in range(24)])
    assert value("motion", frames, fps=8.0) == pytest.approx(px * 8 * 360 / 144, rel=0.1)


def test_motion_does_not_depend_on_the_frame_rate() -> None:
    world = scenes.texture(144, 400)
    slow = np.stack([world[:, i * 3 : i * 3 + 192] for i in range(16)])
    fast = np.stack([world[:, i : i + 192] for i in range(48)])
    assert value("motion", fast, fps=24.0) == pytest.approx(value("motion", slow, fps=8.0), rel=0.05)


def test_noise_and_cuts_are_little_motion() -> None:
    static = np.random.default_rng(0).integers(0, 256, (16, 144, 192, 3)).astype(np.uint8)
    scenes_cut = np.stack([scenes.texture(144, 192, seed=i) for i in range(8)])
    fast_pan = value("motion", scenes.pan(px=4), fps=8.0)
    assert value("motion", static, fps=8.0) < 0.4 * fast_pan
    assert value("motion", scenes_cut, fps=8.0) < 0.4 * fast_pan


def test_dynamic_degree_is_one_for_motion_and_zero_for_stills() -> None:
    assert value("dynamic_degree", scenes.pan(px=4), fps=8.0) == 1.0
    assert value("dynamic_degree", np.repeat(scenes.texture(144, 192)[None], 12, 0)) == 0.0


def test_an_even_pan_is_smooth_and_a_jump_is_not() -> None:
    even = scenes.pan(px=2)
    assert value("smoothness", even) > 0.985
    uneven = even[[0, 1, 2, 2, 4, 5, 6, 6, 8, 9, 10, 10, 12, 13, 14, 14, 16]]
    assert value("smoothness", uneven) < value("smoothness", even)


@pytest.mark.parametrize("levels", [2, 5, 10])
def test_flicker_reads_the_change_of_brightness_in_levels(levels: int) -> None:
    base = (scenes.texture(144, 192) * 0.7 + 30).astype(np.uint8)
    frames = np.stack([base + np.uint8(levels * (i % 2)) for i in range(16)])
    assert value("flicker", frames) == pytest.approx(levels, abs=0.3)


def test_a_pan_is_not_flicker_nor_is_a_moving_object() -> None:
    assert value("flicker", scenes.pan()) < 0.6
    assert value("flicker", scenes.still()) < 0.3


def test_flicker_has_no_value_where_nothing_stands_still() -> None:
    cuts = np.stack([scenes.texture(144, 192, seed=i) for i in range(8)])
    assert METRICS["flicker"].measure(view(cuts)) == Missing("nothing stands still for long enough to see flicker")


def test_white_noise_has_little_clarity() -> None:
    grain = np.random.default_rng(0).integers(0, 256, (4, 144, 192, 3)).astype(np.uint8)
    assert value("clarity", grain) < 0.15 * value("clarity", scenes.pan())


def test_clarity_compares_across_resolutions() -> None:
    large = np.stack([scenes.texture(288, 384)])
    enlarged = np.repeat(np.repeat(large, 2, 1), 2, 2)
    assert value("clarity", enlarged) == pytest.approx(value("clarity", large), rel=0.05)


def test_richness_of_a_flat_picture_is_zero() -> None:
    assert value("richness", np.full((4, 144, 192, 3), 128, np.uint8)) == 0.0


def test_frozen_counts_frames_that_repeat() -> None:
    frames = scenes.still(16)
    frames[5] = frames[4]
    frames[10] = frames[9]
    assert value("frozen", frames) == pytest.approx(2 / 15)
    assert value("frozen", np.repeat(frames[:1], 9, 0)) == 1.0


def test_frozen_sees_what_a_slower_sampling_would_hide() -> None:
    doubled = np.repeat(scenes.still(12), 2, axis=0)
    assert value("frozen", doubled, fps=24.0) == pytest.approx(12 / 23)
