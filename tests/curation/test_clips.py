"""From cuts to shots, from shots to clips."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.clips import LONG, Shot, divide, lead, windows
from curation.config import CurateConfig
from curation.division import OpenShot

MIN_S, MAX_S = 1.0, 4.0


@st.composite
def timelines(draw: st.DrawFn, most: int = 900) -> npt.NDArray[np.float64]:
    """Return frame edges of a video at a constant or variable rate, up to 40 ms between frames or so."""
    count = draw(st.integers(1, most))
    base = draw(st.sampled_from([1 / 60, 1 / 25, 1 / 12]))
    if draw(st.booleans()):
        return np.arange(count + 1) * base
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    return np.concatenate([[0.0], np.cumsum(base * rng.choice([0.5, 1.0, 3.0], count))])


def shot_of(edges: npt.NDArray[np.float64]) -> Shot:
    return Shot(0, 0, len(edges) - 1, "hard", "fade")


@given(timelines())
def test_clips_are_lawful_disjoint_and_cover_what_is_long_enough(edges: npt.NDArray[np.float64]) -> None:
    shot = shot_of(edges)
    spans = divide(edges, shot, MIN_S, MAX_S)
    lasts = [edges[s.end] - edges[s.first] for s in spans]
    assert all(MIN_S - 1e-6 <= seconds <= MAX_S + 1e-6 for seconds in lasts)
    assert all(a.end == b.first for a, b in pairwise(spans))
    if edges[-1] >= MIN_S:
        assert spans[0].first == 0
        assert spans[-1].end == shot.end
    else:
        assert spans == []


@given(timelines())
def test_ends_of_the_shot_are_kept_and_inner_ends_are_splits(edges: npt.NDArray[np.float64]) -> None:
    spans = divide(edges, shot_of(edges), MIN_S, MAX_S)
    if spans:
        assert spans[0].cut_in == "hard"
        assert spans[-1].cut_out == "fade"
    assert all(a.cut_out == b.cut_in == "split" for a, b in pairwise(spans))


@given(st.integers(101, 400))
def test_a_long_shot_is_divided_evenly(frames: int) -> None:
    edges = np.arange(frames + 1) / 25
    lengths = [s.end - s.first for s in divide(edges, shot_of(edges), MIN_S, MAX_S)]
    assert max(lengths) - min(lengths) <= 1
    assert len(lengths) == -(-frames // 100)


@settings(deadline=None)
@given(timelines(most=1500), st.integers(1, 40))
def test_a_shot_clipped_while_it_runs_gives_the_clips_of_the_whole(edges: npt.NDArray[np.float64], step: int) -> None:
    """What `lead` gives early, seeing only some of the frames, `divide` gives knowing all of them."""
    whole = [(s.first, s.end) for s in divide(edges, shot_of(edges), MIN_S, MAX_S)]
    first, early = 0, []
    for known in range(step, len(edges), step):
        while (end := lead(edges[: known + 1], first, MAX_S)) is not None:
            early.append((first, end))
            first = end
    assert whole[: len(early)] == early
    assert edges[-1] - edges[first] <= (LONG + 0.5) * MAX_S + edges[min(first + step, len(edges) - 1)] - edges[first]


def test_one_frame_longer_than_the_maximum_is_no_clip() -> None:
    edges = np.array([0.0, 0.04, 9.0, 9.04, 10.5])
    assert all(s.first > 1 for s in divide(edges, shot_of(edges), MIN_S, MAX_S))
    assert divide(edges, shot_of(edges), MIN_S, MAX_S) != []


@pytest.mark.parametrize("frames", [24, 25, 26])
def test_the_minimum_is_counted_to_the_frame(frames: int) -> None:
    edges = np.arange(frames + 1) / 25
    assert len(divide(edges, shot_of(edges), MIN_S, MAX_S)) == (frames >= 25)


@given(timelines(), st.floats(0.3, 9.0))
def test_windows_lie_on_their_stride_and_inside_the_shot(edges: npt.NDArray[np.float64], stride_s: float) -> None:
    shot = shot_of(edges)
    spans = windows(edges, shot, MIN_S, MAX_S, stride_s)
    assert all(shot.first <= s.first < s.end <= shot.end for s in spans)
    assert all(MIN_S - 1e-6 <= edges[s.end] - edges[s.first] <= MAX_S + 1e-6 for s in spans)
    longest_frame = float(np.diff(edges).max())
    for span in spans:
        beyond = (edges[span.first] - edges[shot.first]) % stride_s
        assert min(beyond, stride_s - beyond) <= longest_frame + 1e-6
    assert sum(s.end == shot.end for s in spans) <= 1
    if spans and spans[-1].end == shot.end:
        assert spans[-1].cut_out == "fade"


@settings(deadline=None)
@given(timelines(most=700), st.integers(1, 40), st.floats(0.3, 9.0), st.sampled_from(["even", "stride"]))
def test_a_shot_that_runs_gives_the_clips_of_the_whole(
    edges: npt.NDArray[np.float64], step: int, stride_s: float, division: Any
) -> None:
    config = CurateConfig(min_clip_s=MIN_S, max_clip_s=MAX_S, division=division, stride_s=stride_s)
    running = OpenShot(0, 0, "hard", config)
    found = []
    for known in range(step, len(edges) - 1, step):
        found += running.early(edges[: known + 1])
    found += running.close(edges, len(edges) - 1, "fade")
    shot = Shot(0, 0, len(edges) - 1, "hard", "fade")
    whole = windows(edges, shot, MIN_S, MAX_S, stride_s) if division == "stride" else divide(edges, shot, MIN_S, MAX_S)
    assert [(s.first, s.end, s.cut_in, s.cut_out) for s in found] == [
        (s.first, s.end, s.cut_in, s.cut_out) for s in whole
    ]


def test_a_gap_longer_than_the_stride_gives_no_clip_twice() -> None:
    edges = np.concatenate([np.arange(0, 5, 0.5), np.arange(35, 80, 0.5)])
    shot = Shot(0, 0, len(edges) - 1, "hard", "fade")
    for stride_s in (0.3, 2.0, 5.0):
        spans = windows(edges, shot, MIN_S, MAX_S, stride_s)
        assert len({(s.first, s.end) for s in spans}) == len(spans)
        running = OpenShot(0, 0, "hard", CurateConfig(min_clip_s=1, max_clip_s=4, division="stride", stride_s=stride_s))
        found = [s for k in range(2, len(edges)) for s in running.early(edges[:k])]
        found += running.close(edges, len(edges) - 1, "fade")
        assert [(s.first, s.end) for s in found] == [(s.first, s.end) for s in spans]
