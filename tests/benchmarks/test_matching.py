"""Found boundaries against true ones, on lists made by hand."""

from __future__ import annotations

from functools import partial
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.matching import Score, pairs, score, seen, told
from benchmarks.splices import Boundary


def hard(frame: int) -> Boundary:
    return Boundary(frame, frame, "hard")


def dissolve(first: int, end: int) -> Boundary:
    return Boundary(first, end, "dissolve")


@pytest.mark.parametrize(
    ("found", "exactly", "nearly"), [(50, True, True), (51, False, True), (48, False, True), (47, False, False)]
)
def test_a_hard_cut_may_be_off_by_the_tolerance(found: int, exactly: bool, nearly: bool) -> None:
    assert told(hard(50), hard(found), 0) is exactly
    assert told(hard(50), hard(found), 2) is nearly
    assert seen(hard(50), hard(found), 0) is exactly
    assert seen(hard(50), hard(found), 2) is nearly


def test_a_hard_cut_inside_a_dissolve_is_seen_but_not_told() -> None:
    assert not told(dissolve(40, 60), hard(50), 2)
    assert not told(hard(50), dissolve(40, 60), 2)
    assert seen(dissolve(40, 60), hard(50), 0)
    assert seen(hard(50), dissolve(40, 60), 0)


@pytest.mark.parametrize(
    ("found", "exactly", "nearly"),
    [
        (dissolve(40, 60), True, True),
        (dissolve(50, 70), True, True),  # ten frames of twenty
        (dissolve(54, 74), True, True),  # six: the share asked for
        (dissolve(55, 75), False, True),
        (dissolve(57, 77), False, False),
        (dissolve(47, 52), False, True),  # five of twenty
        (dissolve(0, 100), False, False),  # everything is not an answer: twenty of a hundred
        (dissolve(60, 80), False, False),  # one after the other
        (Boundary(40, 60, "fade"), True, True),  # which gradual kind is another question
    ],
)
def test_a_transition_is_told_where_it_is(found: Boundary, exactly: bool, nearly: bool) -> None:
    assert told(dissolve(40, 60), found, 0) is exactly
    assert told(dissolve(40, 60), found, 2) is nearly


def test_a_boundary_counts_once() -> None:
    counted = score([hard(50)], [hard(49), hard(50), hard(51)], partial(told, tolerance=2))
    assert counted == Score(hits=1, false=2, missed=0)
    assert (counted.precision, counted.recall, counted.f1) == (pytest.approx(1 / 3), 1.0, pytest.approx(0.5))
    counted = score([dissolve(40, 50), dissolve(52, 60)], [dissolve(41, 59)], partial(told, tolerance=0))
    assert counted == Score(hits=1, false=0, missed=1)


def test_as_many_are_matched_as_can_be() -> None:
    # Taken greedily, the first true cut would take the only one that is near the second.
    assert pairs([hard(50), hard(53)], [hard(51), hard(49)], partial(told, tolerance=2)) == {0: 1, 1: 0}


@given(st.lists(st.integers(0, 9), max_size=3), st.lists(st.integers(0, 9), max_size=3), st.integers(0, 3))
def test_no_other_matching_has_more_hits(true: list[int], found: list[int], tolerance: int) -> None:
    t, f = [hard(i) for i in true], [hard(i) for i in found]
    matched = pairs(t, f, partial(told, tolerance=tolerance))
    assert len(set(matched.values())) == len(matched)
    assert all(told(t[i], f[j], tolerance) for i, j in matched.items())
    places = [*range(len(f)), *[-1] * len(t)]
    best = max(
        sum(j >= 0 and told(t[i], f[j], tolerance) for i, j in enumerate(order))
        for order in permutations(places, len(t))
    )
    assert len(matched) == best


def test_scores_add_up_and_say_when_there_is_nothing_to_say() -> None:
    assert sum([Score(2, 1, 0), Score(1, 0, 3)], Score()) == Score(3, 1, 3)
    assert (Score().precision, Score().recall, Score().f1) == (None, None, None)
    assert (Score(missed=2).precision, Score(missed=2).recall, Score(missed=2).f1) == (None, 0.0, 0.0)
    assert Score(6, 2, 2).f1 == pytest.approx(0.75)
