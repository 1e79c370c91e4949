"""What should stay in view: people and faces before what stands out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.saliency import keep_box, people_box, saliency, salient_box
from tests.curation.pictures import Rgb, photograph


def with_patch(left: int, top: int, side: int = 50, width: int = 320, height: int = 240) -> Rgb:
    """A soft grey picture with one colourful, textured square."""
    image = np.full((height, width, 3), 110, np.uint8)
    image[:] += (np.linspace(0, 25, width)[None, :, None]).astype(np.uint8)
    image[top : top + side, left : left + side] = photograph(3, side, side) // 2 + np.array([110, 20, 10], np.uint8)
    return image


def found(left: float, top: float, width: float, height: float, score: float = 0.9) -> dict[str, Any]:
    return {"frame": 0, "left": left, "top": top, "width": width, "height": height, "score": score}


@settings(max_examples=25, deadline=None)
@given(st.integers(10, 260), st.integers(10, 180))
def test_the_one_thing_in_a_picture_is_found(left: int, top: int) -> None:
    box = salient_box(with_patch(left, top))
    assert box is not None
    centre = (box[0] + box[2]) / 2 * 320, (box[1] + box[3]) / 2 * 240
    assert abs(centre[0] - left - 25) < 40
    assert abs(centre[1] - top - 25) < 40
    assert (box[2] - box[0]) * (box[3] - box[1]) < 0.4


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3), (8, 8), (2000, 1500)])
def test_any_size_has_an_answer(shape: tuple[int, int]) -> None:
    image = np.resize(photograph(4), (*shape, 3))
    assert saliency(image).min() >= 0
    box = salient_box(image)
    assert box is None or (0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1)


def test_where_nothing_stands_out_nothing_is_kept() -> None:
    assert salient_box(np.full((90, 120, 3), 77, np.uint8)) is None
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3)).astype(np.uint8)
    box = salient_box(noise)
    assert box is None or (box[2] - box[0]) * (box[3] - box[1]) > 0.3


def test_people_come_first() -> None:
    image = with_patch(20, 20)
    assert keep_box(image) == salient_box(image)
    face = found(0.7, 0.6, 0.1, 0.15)
    box = keep_box(image, [face])
    assert box is not None
    assert box[0] == pytest.approx(0.7)
    assert box[2] == pytest.approx(0.8)
    assert box[1] < 0.6  # the hair is kept as well
    assert box[3] > 0.75


def test_several_share_one_box() -> None:
    box = people_box([found(0.1, 0.2, 0.1, 0.1)], [found(0.5, 0.3, 0.2, 0.6)])
    assert box is not None
    assert (box[0], box[2]) == pytest.approx((0.1, 0.7))
    assert box[3] == pytest.approx(0.9)


def test_where_bodies_fill_the_picture_their_heads_are_kept() -> None:
    box = people_box([found(0.4, 0.1, 0.1, 0.1)], [found(0.0, 0.0, 1.0, 1.0)])
    assert box == pytest.approx((0.4, 0.065, 0.5, 0.2175), abs=0.01)
    assert people_box([], [found(0.0, 0.0, 1.0, 1.0)]) is None


def test_what_is_hardly_one_does_not_count() -> None:
    assert people_box([found(0.4, 0.1, 0.1, 0.1, score=0.5)], [found(0.1, 0.1, 0.2, 0.5, score=0.3)]) is None


def test_boxes_end_at_the_border() -> None:
    box = people_box([found(-0.05, -0.1, 0.2, 0.2)])
    assert box is not None
    assert min(box) >= 0
