"""Long clips: windows that cover them, and what begins and ends in each."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning import Checker, caption_many, make_backend
from captioning.windows import spans_of, windows
from experts.base import Statement
from tests.captioning.sets import parse

CAT = replace(parse("tags | subject | animal | looks like | cat | 0.9"), end_frame=240)
DOG = replace(parse("tags | subject | scene | shows | a dog | 0.9"), first_frame=150, end_frame=240)
WARM = replace(parse("light | light | light | is | warm | 0.9"), end_frame=100)
COOL = replace(parse("light | light | light | is | cool | 0.8"), first_frame=140, end_frame=240)
LONG = {"clip_id": "v:0-240", "first_frame": 0, "end_frame": 240, "duration_s": 24.0}


@given(st.integers(0, 500), st.integers(1, 2000), st.integers(1, 300))
def test_windows_cover_a_long_clip_evenly_from_first_to_last_frame(first: int, frames: int, length: int) -> None:
    spans = spans_of((first, first + frames), length)
    if 2 * frames < 3 * length:
        assert spans == []
        return
    assert spans[0][0] == first
    assert spans[-1][1] == first + frames
    assert all(end - start == length for start, end in spans)
    assert all(a[0] < b[0] <= a[1] for a, b in pairwise(spans))  # in order, with no gap
    steps = {b[0] - a[0] for a, b in pairwise(spans)}
    assert max(steps) - min(steps) <= 1


def test_each_window_says_what_began_and_what_ended() -> None:
    found = windows([CAT, DOG, WARM, COOL], (0, 240), 80)
    assert [(w.first_frame, w.end_frame) for w in found] == [(0, 80), (40, 120), (80, 160), (120, 200), (160, 240)]
    told = [([s.value for s in w.begins], [s.value for s in w.ends]) for w in found]
    assert told == [(["cat", "warm"], []), ([], []), (["a dog"], []), (["cool"], ["warm"]), ([], [])]


def test_what_holds_first_and_what_holds_later_do_not_conflict_within_windows() -> None:
    for window in windows([WARM, COOL], (0, 240), 80):
        assert len(window.statements) == 1 or (window.first_frame, window.end_frame) == (80, 160)


@given(
    st.lists(st.tuples(st.sampled_from(["cat", "dog", "cup"]), st.integers(0, 199), st.integers(1, 200)), max_size=8),
    st.integers(10, 130),
)
def test_beginnings_and_ends_add_up_to_what_holds(told: list[tuple[str, int, int]], length: int) -> None:
    statements = [
        Statement("tags", "subject", "scene", "shows", f"a {thing}", 0.9, first, min(200, first + frames))
        for thing, first, frames in told
    ]
    holds: set[str] = set()
    for window in windows(statements, (0, 200), length):
        holds = (holds | {s.value for s in window.begins}) - {s.value for s in window.ends}
        assert holds == {s.value for s in window.statements}


def test_a_row_keeps_its_windows_and_the_whole_sums_them_up() -> None:
    job = (LONG, [CAT, DOG, WARM, COOL])
    (row,) = caption_many([job], make_backend("template"), Checker(), run_id="r", window_s=8.0)
    assert [w["text"] for w in row["windows"]] == [
        "A cat is visible. The light is warm.", None, "A dog is visible.", "The light is cool.", None,
    ]  # fmt: skip
    assert row["windows"][3]["ends"] == ["light is warm"]
    assert "cat" in row["dense"]
    assert "dog" in row["dense"]
    (short,) = caption_many([job], make_backend("template"), Checker(), run_id="r", window_s=20.0)
    assert short["windows"] == []


@pytest.mark.parametrize("duration", [None, 0.0])
def test_a_clip_of_unknown_length_has_no_windows(duration: float | None) -> None:
    job = ({**LONG, "duration_s": duration}, [CAT])
    assert caption_many([job], make_backend("template"), Checker(), run_id="r", window_s=8.0)[0]["windows"] == []
