"""Experts without a model: colours by name, light, motion and quality in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset.schema import MEASURES
from experts.base import Statement
from experts.colour import COLOURS, Colour, colour_shares
from experts.count import number_word
from experts.light import Light
from experts.motion import CAMERA_WORDS, Motion
from experts.quality import DEFECTS, Quality
from tests.experts.conftest import view_of

SWATCHES = {
    "red": [(255, 0, 0), (139, 0, 0), (220, 20, 60), (128, 0, 0)],
    "orange": [(255, 165, 0), (255, 140, 0), (224, 120, 30)],
    "brown": [(139, 69, 19), (101, 67, 33), (160, 120, 80)],
    "yellow": [(255, 255, 0), (255, 215, 0), (240, 230, 140)],
    "green": [(0, 128, 0), (0, 255, 0), (34, 139, 34), (86, 125, 70)],
    "teal": [(0, 128, 128), (64, 200, 190)],
    "blue": [(0, 0, 255), (0, 0, 128), (135, 206, 235), (70, 130, 180)],
    "purple": [(128, 0, 128), (75, 0, 130), (238, 130, 238)],
    "pink": [(255, 192, 203), (255, 105, 180)],
    "black": [(0, 0, 0), (20, 20, 22)],
    "grey": [(128, 128, 128), (190, 190, 190), (80, 82, 80)],
    "white": [(255, 255, 255), (245, 245, 240)],
}


def spoken(statements: list[Statement]) -> list[str]:
    return [f"{s.subject} {s.predicate} {s.value}" for s in statements]


def stated(expert: Any, **row: Any) -> list[Statement]:
    view = view_of([], **row)
    found: list[Statement] = expert.state(view, expert.measure([view])[0])
    return found


@pytest.mark.parametrize(("name", "rgb"), [(name, rgb) for name, swatches in SWATCHES.items() for rgb in swatches])
def test_a_swatch_has_its_name(name: str, rgb: tuple[int, int, int]) -> None:
    shares = colour_shares(np.full((9, 7, 3), rgb, np.uint8))
    assert COLOURS[shares.argmax()] == name
    assert shares.max() == 1.0


def test_every_colour_has_a_swatch() -> None:
    assert set(SWATCHES) == set(COLOURS)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_shares_are_a_partition_whatever_the_picture(height: int, width: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    shares = colour_shares(picture)
    assert shares.shape == (len(COLOURS),)
    assert (shares >= 0).all()
    assert shares.sum() == pytest.approx(1)
    assert colour_shares(picture[::-1, ::-1].copy()) == pytest.approx(shares)


def test_a_colour_is_said_by_its_share_and_sure_by_its_frames() -> None:
    def striped(red: float) -> np.ndarray[Any, np.dtype[np.uint8]]:
        picture = np.full((60, 60, 3), (0, 0, 255), np.uint8)
        picture[: round(60 * red)] = (220, 0, 0)
        return picture

    view = view_of([striped(0.2), striped(0.2), striped(0.2), striped(0.0)])
    statements = Colour().state(view, Colour().measure([view])[0])
    assert spoken(statements) == ["picture is mostly blue", "picture has some red"]
    assert [s.confidence for s in statements] == [0.95, 0.75]


def test_light_of_frames_that_disagree_is_not_said() -> None:
    dark, bright = np.full((20, 20, 3), 10, np.uint8), np.full((20, 20, 3), 240, np.uint8)
    assert spoken(Light().state(view_of([dark]), Light().measure([view_of([dark])])[0])) == [
        "picture is dark",
        "contrast is low",
    ]
    mixed = view_of([dark, bright])
    assert Light().state(mixed, Light().measure([mixed])[0]) == []


@pytest.mark.parametrize(("tint", "word"), [((30, 0, -60), "warm"), ((-60, -10, 40), "cool"), ((0, 0, 0), "neutral")])
def test_a_tint_is_a_temperature(tint: tuple[int, int, int], word: str) -> None:
    picture = np.clip(np.full((20, 20, 3), 130) + np.array(tint), 0, 255).astype(np.uint8)
    assert Light().measure([view_of([picture])])[0]["temperature"] == word


def test_every_measured_camera_motion_has_words_that_tell_the_direction() -> None:
    doc = next(column.doc for column in MEASURES if column.name == "camera_motion")
    assert set(doc.split(" | ")) == set(CAMERA_WORDS)
    assert len(set(CAMERA_WORDS.values())) == len(CAMERA_WORDS)
    for motion, (predicate, value) in CAMERA_WORDS.items():
        if " " in motion:
            verb, direction = motion.split()
            assert (predicate, value) == (f"{verb}s", direction)


@pytest.mark.parametrize(
    ("row", "sentences"),
    [
        (
            {
                "camera_motion": "pan left",
                "camera_confidence": 0.9,
                "camera_dx_fraction_per_s": -0.5,
                "flow_mean_px_per_s": 300.0,
                "object_motion_px_per_s": 0.4,
            },
            ["camera pans left", "camera moves quickly", "scene shows almost no motion"],
        ),
        (
            {
                "camera_motion": "zoom in",
                "camera_confidence": 0.8,
                "camera_zoom_per_s": 0.05,
                "flow_mean_px_per_s": 30.0,
                "object_motion_px_per_s": 30.0,
            },
            ["camera zooms in", "camera moves slowly", "scene shows clear motion"],
        ),
        (
            {
                "camera_motion": "static",
                "camera_confidence": 1.0,
                "flow_mean_px_per_s": 4.0,
                "object_motion_px_per_s": 90.0,
            },
            ["camera stays still", "scene shows gentle motion"],
        ),
        ({"camera_motion": "tilt up", "camera_confidence": 0.4}, []),
        ({"camera_motion": None, "flow_mean_px_per_s": 200.0}, ["scene shows strong motion"]),
        ({}, []),
    ],
)
def test_motion_is_said_from_what_was_measured(row: dict[str, Any], sentences: list[str]) -> None:
    assert spoken(stated(Motion(), **row)) == sentences


def test_the_camera_is_as_sure_as_it_was_measured_and_motion_less_sure_at_an_edge() -> None:
    (camera, *_) = stated(Motion(), camera_motion="static", camera_confidence=0.7)
    assert camera.confidence == 0.7
    (well_inside,) = stated(Motion(), flow_mean_px_per_s=30.0)
    (at_the_edge,) = stated(Motion(), flow_mean_px_per_s=12.01)
    assert well_inside.confidence == pytest.approx(0.9)
    assert at_the_edge.confidence == pytest.approx(0.6, abs=0.01)


@given(st.floats(0, 1e5))
def test_every_flow_has_a_level_and_a_confidence(flow: float) -> None:
    (statement,) = stated(Motion(), flow_mean_px_per_s=flow)
    assert 0.6 <= statement.confidence <= 0.9


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_is_said_past_its_threshold_and_surer_further_on(defect: str) -> None:
    column, threshold, above = DEFECTS[defect]
    good = {name: limit * (0.5 if up else 2.0) for name, limit, up in DEFECTS.values()}
    assert stated(Quality(), **good) == []

    def past(factor: float) -> Statement:
        (statement,) = stated(Quality(), **{**good, column: threshold * (factor if above else 1 / factor)})
        return statement

    assert (past(1.1).predicate, past(1.1).value) == ("is", defect)
    assert past(1.1).confidence == pytest.approx(0.635)
    assert past(2.0).confidence == past(9.0).confidence == pytest.approx(0.95)


def test_defects_are_measured_columns() -> None:
    assert {column for column, _, _ in DEFECTS.values()} <= {column.name for column in MEASURES}


def test_a_sharp_picture_is_called_sharp_unless_it_has_a_defect() -> None:
    assert spoken(stated(Quality(), sharpness_laplacian=900.0)) == ["picture is sharp"]
    assert spoken(stated(Quality(), sharpness_laplacian=900.0, noise_sigma=20.0)) == ["picture is noisy"]
    assert stated(Quality()) == []


def test_clarity_grades_between_nothing_and_everything() -> None:
    grades = [Quality().grade(view_of([], sharpness_laplacian=value)) for value in (0.0, 10.0, 173.2, 3000.0, 1e6)]
    assert grades == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.0], abs=1e-3)
    assert Quality().grade(view_of([])) is None


def test_numbers_are_words_up_to_ten() -> None:
    assert [number_word(n) for n in (0, 1, 2, 10, 11, 134)] == ["no", "one", "two", "ten", "11", "134"]
