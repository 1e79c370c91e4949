"""The parts of the report: charts, thresholds, marked captions, training logs, grades."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.report.bounds import bounds_of, columns_named
from pipelines.report.cards import mark
from pipelines.report.embed import Budget, make_strip
from pipelines.report.model import grade_table, read_training
from pipelines.report.svg import (
    Bound,
    Histogram,
    Segment,
    curve,
    histogram,
    interval,
    nice_number,
    ticks,
    timeline,
    vectors,
)
from tests.pipelines import report_data as data

FINITE = st.floats(-1e9, 1e9)


def numbers(svg: str) -> list[float]:
    """Return every coordinate of a chart."""
    found = re.findall(r' (?:x|y|x1|x2|y1|y2|cx|cy|r|width|height)="([^"]+)"', svg)
    found += [v for points in re.findall(r'points="([^"]*)"', svg) for v in re.split(r"[ ,]", points) if v]
    return [float(value) for value in found]


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(1, 9))
def test_ticks_are_round_and_inside(low: float, span: float, about: int) -> None:
    high = low + span
    made = ticks(low, high, about)
    slack = 1e-6 * span
    assert made == sorted(made)
    assert len(made) <= 3 * about + 2
    assert all(low - slack <= t <= high + slack for t in made)


@given(FINITE)
def test_a_nice_number_is_short_and_close(value: float) -> None:
    text = nice_number(value)
    assert len(text) <= 8
    plain = float(text.rstrip("GMk")) * {"G": 1e9, "M": 1e6, "k": 1e3}.get(text[-1], 1)
    assert plain == pytest.approx(value, rel=0.5 if abs(value) < 0.001 else 0.006)


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        ("flow between 0.3 and 12", {"flow": [(0.3, "above"), (12, "below")]}),
        ("kind = 'pseudo' or flow >= 1", {"flow": [(1, "above")]}),
        ("a > 1 and b < .5", {"a": [(1, "above")], "b": [(0.5, "below")]}),
        ("16 <= luma", {"luma": [(16, "above")]}),
        ("not blur > 3", {"blur": [(3, "below")]}),
        ("not (not blur > 3)", {"blur": [(3, "above")]}),
        ("coalesce(flicker, 0) <= 12", {"flicker": [(12, "below")]}),
        ("a + b <= 3", {}),
        ("a < b", {}),
        ("kind = 'clip'", {}),
        ("this is not sql", {}),
    ],
)
def test_thresholds_are_read_from_predicates(predicate: str, expected: dict[str, list[tuple[float, str]]]) -> None:
    found = bounds_of([("rule", predicate)])
    assert {column: [(b.value, b.passing) for b in bounds] for column, bounds in found.items()} == expected


def test_columns_are_named_in_order_of_mention() -> None:
    assert columns_named([("x", "b > 1 and a < 2"), ("y", "b < 9 or c = 1")]) == ["b", "a", "c"]


WORDS = st.text(alphabet="ab cd,.", max_size=40)


@given(WORDS, st.lists(WORDS, max_size=6))
def test_marking_a_caption_changes_no_word(text: str, spans: list[str]) -> None:
    evidence = [{"span": s, "expert": "tags", "statement": "x", "score": 1.0} for s in spans]
    pieces = mark(text, evidence)
    assert "".join(piece.text for piece in pieces) == text
    marked = [piece.text for piece in pieces if piece.why]
    assert all(piece in spans for piece in marked)
    longest = max((s for s in spans if s and s in text), key=len, default=None)
    assert longest is None or any(len(piece) == len(longest) for piece in marked)


def test_a_histogram_draws_kept_over_rejected_in_proportion() -> None:
    made = histogram(Histogram(0, 10, False, (4, 0), (4, 2)), [Bound(5, "above", "rule")], "title of it")
    kept = [float(h) for h in re.findall(r'class="bar-in"[^>]*height="([\d.]+)"', made)]
    rejected = [float(h) for h in re.findall(r'class="bar-out"[^>]*height="([\d.]+)"', made)]
    assert kept[0] == pytest.approx(rejected[0])
    assert rejected[0] == pytest.approx(2 * rejected[1])
    assert "≥ 5" in made
    assert 'class="out"' in made


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12), st.booleans(), FINITE)
def test_a_histogram_stays_in_its_frame(counts: list[tuple[int, int]], log: bool, value: float) -> None:
    data_ = Histogram(0.5, 80.0, log, tuple(k for k, _ in counts), tuple(r for _, r in counts))
    made = histogram(data_, [Bound(value, "below", "rule")], "title of it")
    assert all(math.isfinite(n) and -1 <= n <= 301 for n in numbers(made))


@given(st.lists(st.tuples(st.integers(0, 500), st.floats(0, 1e4)), max_size=30))
def test_a_curve_stays_in_its_frame(points: list[tuple[int, float]]) -> None:
    series = [(float(x), y) for x, y in sorted(points)]
    made = curve(series, series, [(0.0, 1.0, "held-out")], "title of it")
    assert all(math.isfinite(n) and -1 <= n <= 901 for n in numbers(made))


@given(st.lists(st.tuples(FINITE, FINITE), max_size=10))
def test_vectors_stay_in_their_frame(points: list[tuple[float, float]]) -> None:
    made = vectors([(x, y, "clip") for x, y in points], "title of it")
    assert all(math.isfinite(n) and -1 <= n <= 261 for n in numbers(made))


@given(st.floats(-1, 2), st.floats(-1, 2), st.floats(-1, 2))
def test_an_interval_stays_in_its_frame(low: float, mean: float, high: float) -> None:
    made = interval(min(low, high), mean, max(low, high), (0, 1), "title of it")
    assert all(-1 <= n <= 221 for n in numbers(made))
    assert "open" in interval(None, mean, None, (0, 1), "title of it")


def test_a_timeline_is_to_scale() -> None:
    made = timeline([Segment(0, 5, "kept", "a"), Segment(5, 10, "rejected", "b")], [5.0], 10.0, "title of it")
    assert [float(x) for x in re.findall(r'class="seg [a-z]+" x="([\d.]+)"', made)] == [1.0, 501.0]
    assert 'class="cut" x1="500.00"' in made


def test_a_budget_is_not_overdrawn() -> None:
    budget = Budget(10)
    assert [budget.take(6), budget.take(6), budget.take(4)] == [True, False, True]
    assert (budget.left, budget.refused) == (0, 1)


def test_a_strip_lays_frames_side_by_side_and_skips_what_is_broken() -> None:
    import base64

    import media

    strip = make_strip([media.jpeg(data.picture(0)), b"broken", media.jpeg(data.picture(1))])
    assert strip is not None
    assert (strip.frames, strip.width_px, strip.height_px) == (2, 96, 54)
    joined = media.decode_jpeg(base64.b64decode(strip.uri.partition(",")[2]))
    assert joined.shape == (54, 192, 3)
    assert make_strip([]) is None


def test_a_training_run_is_read(tmp_path: Path) -> None:
    found = read_training(data.training_run(tmp_path / "run"))
    assert found is not None
    assert (found.steps, found.before, found.after, found.change) == (60, 0.9931, 0.3127, "-68.5%")
    assert [row["bucket"] for row in found.plan] == ["16x64x64@8"]
    assert [(reason, clips) for reason, clips, _ in found.left_out] == [("too_short", 2), ("held_out", 2)]
    assert dict(found.figures)["parameters"] == "2.84M"


def test_a_run_that_was_cut_short_has_no_loss_after(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(json.dumps(line) for line in [{"step": 0, "event": "held_out", "loss": 1.0},
                                                           {"step": 1, "loss": 0.9}]))  # fmt: skip
    found = read_training(log)
    assert found is not None
    assert (found.steps, found.before, found.after, found.change) == (1, 1.0, None, "")


def test_no_log_is_no_training(tmp_path: Path) -> None:
    assert read_training(None) is None
    assert read_training(tmp_path) is None


def test_grades_put_the_larger_set_first_and_say_where_there_is_too_little() -> None:
    table = grade_table({"few": data.grade_rows(2, "r"), "many": data.grade_rows(12, "r"), "none": []})
    assert table is not None
    assert table.sets == (("many", 12), ("few", 2))
    composite = table.rows[0]
    many, few = composite.cells
    assert many is not None
    assert few is not None
    assert (composite.title, many.span != "", few.span) == ("Composite", True, "")
    assert few.note == "too few prompts (1)"
    assert table.reasons == (("flicker: nothing stands still", 2),)
    assert grade_table({}) is None


def test_grades_under_different_profiles_are_told_apart() -> None:
    other = [row | {"profile": "mine", "profile_hash": "f" * 12} for row in data.grade_rows(2, "r")]
    table = grade_table({"train": data.grade_rows(3, "r"), "generated": other})
    assert table is not None
    assert table.profiles == ("embedded v1 (000000000000)", "mine v1 (ffffffffffff)")
    only = grade_table({"generated": other})
    assert only is not None
    assert only.profiles == ("mine v1 (ffffffffffff)",)
