"""A view is the sample at the profile's scale: which frames, which size, which rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation import Sample
from evaluation.view import ViewSpec, make_view, spread
from media.errors import UserError

SPEC = ViewSpec(short_side_px=32, window_s=2, fps=8, pairs=6, stills=3)


def numbered(count: int, height: int = 32, width: int = 48) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.stack([np.full((height, width, 3), i, np.uint8) for i in range(count)])


@given(st.integers(0, 500), st.integers(1, 40))
def test_spread_is_ordered_distinct_and_symmetric(count: int, most: int) -> None:
    chosen = spread(count, most)
    assert len(chosen) == min(count, most)
    assert chosen == sorted(set(chosen))
    assert all(0 <= i < count for i in chosen)
    if chosen:
        assert abs((chosen[0]) - (count - 1 - chosen[-1])) <= 1


@given(st.integers(1, 90), st.floats(1, 60))
def test_the_slow_sampling_keeps_to_the_rate_and_repeats_nothing(count: int, fps: float) -> None:
    made = make_view(Sample("x", None, numbered(count), fps), SPEC)
    assert list(made.slow) == sorted(set(made.slow))
    assert made.slow[0] == 0
    assert made.slow[-1] < len(made.luma)
    if len(made.slow) > 1:
        assert min(np.diff(made.slow)) / fps >= 1 / SPEC.fps - 1 / fps - 1e-9
        assert made.slow_fps <= max(fps, 1) + 1e-9


def test_the_window_is_the_middle() -> None:
    made = make_view(Sample("x", None, numbered(100), 10.0), SPEC)
    assert [int(f[0, 0]) for f in made.luma] == list(range(40, 60))


def test_slow_videos_keep_their_own_rate() -> None:
    made = make_view(Sample("x", None, numbered(6), 4.0), SPEC)
    assert made.slow == (0, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(("height", "width", "size"), [(64, 96, (32, 48)), (96, 64, (48, 32)), (16, 16, (32, 32))])
def test_the_short_side_is_brought_to_size(height: int, width: int, size: tuple[int, int]) -> None:
    made = make_view(Sample("x", None, numbered(3, height, width), 8.0), SPEC)
    assert made.luma.shape[1:] == size
    assert made.stills.shape[1:] == (*size, 3)


@pytest.mark.parametrize(
    ("frames", "fps", "says"),
    [
        (np.zeros((4, 32, 32, 3), np.float32), 8.0, "uint8"),
        (np.zeros((32, 32, 3), np.uint8), 8.0, "shape"),
        (np.zeros((0, 32, 32, 3), np.uint8), 8.0, "at least"),
        (np.zeros((4, 4, 32, 3), np.uint8), 8.0, "at least"),
        (np.zeros((4, 32, 32, 3), np.uint8), 0.0, "fps"),
        (np.zeros((4, 32, 32, 3), np.uint8), float("nan"), "fps"),
    ],
)
def test_what_is_no_video_is_refused_by_name(frames: np.ndarray, fps: float, says: str) -> None:
    with pytest.raises(UserError, match=rf"clip-7.*{says}"):
        Sample("clip-7", None, frames, fps)
