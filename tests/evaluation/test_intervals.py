"""Intervals: clustered by prompt, blind to order and names, and "not enough data" where there is too little."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation import Figure, load_profile, summary
from evaluation.intervals import cluster_interval
from evaluation.profile import Bootstrap

SPEC = Bootstrap(resamples=400, level=0.95, min_prompts=4, seed=0)
PROFILE = load_profile("embedded")
VALUES = st.lists(st.tuples(st.integers(0, 6), st.floats(-100, 100)), min_size=2, max_size=24)


def figure(rows: list[dict[str, object]], name: str) -> Figure:
    return next(f for f in summary(rows, PROFILE) if f.name == name)


@settings(max_examples=40, deadline=None)
@given(VALUES, st.randoms(use_true_random=False))
def test_an_interval_is_blind_to_order_and_names(pairs: list[tuple[int, float]], random: object) -> None:
    shuffled = sorted(pairs, key=lambda _: random.random())
    plain = cluster_interval([k for k, _ in pairs], [v for _, v in pairs], SPEC)
    renamed = cluster_interval([f"prompt {9 - k}" for k, _ in shuffled], [v for _, v in shuffled], SPEC)
    assert renamed == pytest.approx(plain, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(VALUES)
def test_an_interval_lies_within_the_values(pairs: list[tuple[int, float]]) -> None:
    values = [v for _, v in pairs]
    low, high = cluster_interval([k for k, _ in pairs], values, SPEC)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


def test_samples_of_one_prompt_are_not_independent() -> None:
    rng = np.random.default_rng(0)
    effects = rng.normal(size=12)
    values = [float(e + 0.01 * rng.normal()) for e in effects for _ in range(20)]
    clustered = cluster_interval([i // 20 for i in range(240)], values, SPEC)
    independent = cluster_interval(list(range(240)), values, SPEC)
    assert clustered[1] - clustered[0] > 2.5 * (independent[1] - independent[0])


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(300):
        values = (rng.normal(size=(30, 1)) + rng.normal(size=(30, 3))).reshape(-1)
        low, high = cluster_interval([i // 3 for i in range(90)], values.tolist(), SPEC)
        hits += low <= 0.0 <= high
    assert 0.90 <= hits / 300 <= 0.98


def test_too_few_prompts_are_not_enough_data() -> None:
    rows: list[dict[str, object]] = [{"prompt": f"p{i % 3}", "motion": float(i)} for i in range(30)]
    found = figure(rows, "motion")
    assert found.mean == 14.5
    assert (found.low, found.high) == (None, None)
    assert found.note == "not enough data: 3 of 10 prompts"


def test_missing_values_are_counted_and_are_in_no_mean() -> None:
    rows: list[dict[str, object]] = [{"prompt": f"p{i}", "motion": 4.0 if i % 2 else None} for i in range(40)]
    found = figure(rows, "motion")
    assert found.mean == 4.0
    assert (found.low, found.high) == (4.0, 4.0)
    assert (found.samples, found.missing, found.prompts) == (20, 20, 20)


def test_no_rows_are_not_enough_data_and_no_mean() -> None:
    for found in summary([], PROFILE):
        assert found.mean is None
        assert found.note is not None
        assert found.note.startswith("not enough data")


def test_samples_without_a_prompt_stand_for_themselves() -> None:
    rows: list[dict[str, object]] = [{"prompt": None, "clarity": float(i)} for i in range(12)]
    assert figure(rows, "clarity").prompts == 12


def test_every_metric_dimension_and_the_composite_has_a_figure() -> None:
    names = [f.name for f in summary([], PROFILE)]
    assert names == [*PROFILE.metrics, *(f"level_{d}" for d in PROFILE.dimensions), "composite"]
    assert set(summary([], PROFILE)[0].row()) >= {"name", "mean", "low", "high", "samples", "prompts", "note"}
