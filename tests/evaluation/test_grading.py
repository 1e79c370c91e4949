"""Grading: rows as declared, no dependence on order, batch or names, no composite without every metric."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset.schema import grade_schema
from evaluation import METRICS, Profile, Sample, columns, grade
from evaluation.grading import level
from evaluation.profile import Dimension
from media.errors import UserError
from tests.evaluation import scenes


def classical() -> Profile:
    """Return a profile whose composite needs no model."""
    small = scenes.small_profile()
    dimensions = {n: d for n, d in small.dimensions.items() if n != "alignment"}
    view = small.view.model_copy(update={"short_side_px": 48, "pairs": 2, "stills": 2})
    return small.model_copy(update={"dimensions": dimensions, "metrics": scenes.CLASSICAL, "view": view})


PROFILE = classical()


def sample(seed: int, name: str = "x", frames: int = 6, fps: float = 8.0) -> Sample:
    world = scenes.texture(48, 64 + 2 * frames, seed)
    return Sample(name, f"prompt {seed}", np.stack([world[:, 2 * i : 2 * i + 64] for i in range(frames)]), fps)


def without_names(row: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in row.items() if key != "sample_id"}


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.randoms(), st.text(max_size=12))
def test_a_row_depends_on_its_sample_alone(seeds: list[int], random: object, name: str) -> None:
    alone = [grade([sample(seed)], PROFILE)[0] for seed in seeds]
    order = sorted(range(len(seeds)), key=lambda i: random.random())
    together = grade([sample(seeds[i], f"{name}{i}") for i in order], PROFILE)
    for row, i in zip(together, order, strict=True):
        assert without_names(row) == without_names(alone[i])
        assert row["sample_id"] == f"{name}{i}"


def test_rows_are_as_the_columns_declare() -> None:
    schema = grade_schema(columns(PROFILE))
    rows = grade([sample(0), sample(1, frames=1)], PROFILE, run_id="r1")
    assert [list(row) for row in rows] == [schema.names] * 2
    table = pa.Table.from_pylist(rows, schema=schema)
    table.validate(full=True)
    assert table.column("run_id").to_pylist() == ["r1", "r1"]


def test_every_column_is_explained_and_named_once() -> None:
    names = grade_schema(columns()).names
    assert len(names) == len(set(names))
    assert all(len(column.doc) > 5 for column in columns("embedded"))


def test_a_composite_lies_between_its_levels() -> None:
    row = grade([sample(0, frames=12)], PROFILE)[0]
    levels = [row[f"level_{name}"] for name in PROFILE.dimensions]
    assert row["composite_reason"] is None
    assert 100 * min(levels) <= row["composite"] <= 100 * max(levels)


def test_a_missing_metric_means_no_composite_and_says_why() -> None:
    row = grade([sample(0, frames=1)], PROFILE)[0]
    assert row["composite"] is None
    assert "motion: a single frame has no motion" in row["composite_reason"]
    assert row["motion"] is None
    assert row["level_motion"] is None
    assert row["missing"]["motion"] == "a single frame has no motion"
    assert row["clarity"] > 0


def test_what_was_not_asked_for_is_missing_too() -> None:
    row = grade([sample(0)], PROFILE, metrics=["clarity"])[0]
    assert row["clarity"] is not None
    assert row["missing"]["motion"] == "not asked for in this run"
    assert row["composite"] is None


def test_a_dimension_of_weight_zero_cannot_spoil_the_composite() -> None:
    idle = {n: Dimension(weight=0 if n == "motion" else 1, metrics=d.metrics) for n, d in PROFILE.dimensions.items()}
    idle.pop("stability")
    row = grade([sample(0, frames=1)], PROFILE.model_copy(update={"dimensions": idle}))[0]
    assert row["composite"] is not None


def test_an_unknown_metric_is_named() -> None:
    with pytest.raises(UserError, match=r"'sharpnes'.*clarity"):
        grade([sample(0)], PROFILE, metrics=["sharpnes"])


def test_a_generator_is_graded_one_by_one_with_progress() -> None:
    alive: list[int] = []
    seen: list[tuple[int, int]] = []

    def stream() -> Iterator[Sample]:
        for seed in range(3):
            alive.append(seed)
            yield sample(seed)

    rows = grade(stream(), PROFILE, metrics=["clarity"], progress=lambda done, total: seen.append((len(alive), done)))
    assert len(rows) == 3
    assert seen == [(1, 1), (2, 2), (3, 3)]


def test_progress_knows_the_total_of_a_list() -> None:
    seen: list[tuple[int, int]] = []
    samples = [sample(0), sample(1)]
    grade(samples, PROFILE, metrics=["clarity"], progress=lambda *at: seen.append(at))
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize("name", sorted(PROFILE.reference.keys() & set(scenes.CLASSICAL)))
def test_a_level_goes_from_worst_to_best_in_the_metrics_direction(name: str) -> None:
    reference = PROFILE.reference[name]
    low, high = reference.low, reference.high
    at = [level(PROFILE, name, v) for v in (low - 1, low, (low + high) / 2, high, high + 1)]
    expected = [0.0, 0.0, 0.5, 1.0, 1.0]
    assert at == pytest.approx(expected if METRICS[name].better == "higher" else expected[::-1])
