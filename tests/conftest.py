"""Fixtures that every room's tests may use."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import videos

if TYPE_CHECKING:
    from experts.weights import Footage


@pytest.fixture(scope="session")
def footage() -> Footage:
    """Real videos and photographs, from the packages that carry them."""
    from experts import weights

    return weights.footage()


@pytest.fixture(scope="session")
def numbered_video(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make a video of numbered pictures, once per session for the same arguments.

    `numbered_video(codec="libx264", frames=40, width=128, height=96, suffix=".mp4", **write_video's keywords)`.
    """
    folder = tmp_path_factory.mktemp("videos")
    made: dict[str, Path] = {}

    def make(
        codec: str = "libx264", frames: int = 40, width: int = 128, height: int = 96, suffix: str = ".mp4", **how: Any
    ) -> Path:
        key = repr((codec, frames, width, height, suffix, sorted(how.items())))
        if key not in made:
            path = folder / f"{len(made)}{suffix}"
            made[key] = videos.write_video(path, videos.numbered_frames(frames, width, height), codec=codec, **how)
        return made[key]

    return make


@pytest.fixture(scope="session")
def varying_times_s() -> list[float]:
    """40 times at a variable rate: 40 ms, 20 ms and 120 ms apart in turns."""
    steps = [Fraction(40, 1000), Fraction(20, 1000), Fraction(120, 1000)]
    times, now = [], Fraction(0)
    for index in range(40):
        times.append(float(now))
        now += steps[index % 3]
    return times
