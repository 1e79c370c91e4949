"""Alignment: matched prompts score above mismatched ones, on real pictures, one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import media
from evaluation import METRICS, Missing, Sample, grade, load_profile
from evaluation.view import make_view

if TYPE_CHECKING:
    from experts.weights import Footage

PROMPTS = {
    "chelsea.png": "a tabby cat looks at the camera",
    "coffee.png": "a cup of espresso on a saucer",
    "motorcycle_left.png": "a red motorcycle in a garage",
    "rocket.jpg": "a rocket on its launch pad",
}


@pytest.fixture(scope="module")
def scores(footage: Footage) -> dict[tuple[str, str], float]:
    """The score of every photograph with every prompt."""
    by_name = {path.name: path for path in footage.photos}
    found = {}
    for name in PROMPTS:
        picture = media.resize(media.load_still(by_name[name]), height=256)
        for other, prompt in PROMPTS.items():
            sample = Sample(name, prompt, np.stack([picture]), 8.0)
            found[name, other] = grade([sample], metrics=["alignment"])[0]["alignment"]
    return found


def test_matched_prompts_score_above_mismatched_ones(scores: dict[tuple[str, str], float]) -> None:
    matched = [score for (name, other), score in scores.items() if name == other]
    mismatched = [score for (name, other), score in scores.items() if name != other]
    wins = np.mean([good > bad for good in matched for bad in mismatched])
    assert wins > 0.85
    assert np.mean(matched) > np.mean(mismatched) + 0.2


def test_a_score_is_a_cosine(scores: dict[tuple[str, str], float]) -> None:
    assert all(-1 <= score <= 1 for score in scores.values())


@pytest.mark.parametrize("prompt", [None, "", "  "])
def test_without_a_prompt_there_is_a_reason(prompt: str | None) -> None:
    sample = Sample("x", prompt, np.zeros((2, 64, 64, 3), np.uint8), 8.0)
    view = make_view(sample, load_profile().view)
    assert METRICS["alignment"].measure(view) == Missing("no prompt to be held against")


def test_it_is_named_for_what_it_is() -> None:
    metric = METRICS["alignment"]
    assert metric.title == "Alignment (ConSE)"
    model = metric.model()
    assert model is not None
    assert model.name.startswith("conse(")


def test_the_row_names_the_model_and_the_whole_profile_gives_a_composite(footage: Footage) -> None:
    path = next(p for p in footage.videos if p.name == "carphone_pristine.mp4")
    frames = np.stack([frame.rgb(144) for frame in media.read_span(path, 0, 16)])
    row = grade([Sample("x", "a man in a suit talks in a car", frames, 29.97)])[0]
    assert row["missing"] == {}
    assert row["models"]["alignment"].startswith("conse(")
    assert 0 <= row["composite"] <= 100
