"""Views of the real footage, and experts loaded once a session."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import experts
import media
from experts import _blazeface, _figures, _pose, _tagger
from experts.base import ClipView, Expert, Rgb

if TYPE_CHECKING:
    from experts.weights import Footage
    from tests.experts.tiny import Checkpoints


def view_of(frames: Sequence[Rgb], *, clip_id: str = "clip", step: int = 10, first: int = 0, **row: Any) -> ClipView:
    """A clip seen in `frames`, `step` source frames apart."""
    indices = [first + step * i for i in range(len(frames))]
    end = first + max(1, step * len(frames))
    return ClipView(clip_id, list(frames), indices, [i / 25 for i in indices], first, end, row)


@pytest.fixture(scope="session")
def loaded() -> Callable[[str], Expert]:
    """An expert by name, its model in memory once."""
    return functools.lru_cache(maxsize=None)(experts.load)


@pytest.fixture
def fresh() -> Callable[[str], Expert]:
    """An expert that remembers no picture, whatever was asked before."""

    def load(name: str) -> Expert:
        _tagger._shared.cache_clear()
        _blazeface._shared.cache_clear()
        _pose._shared.cache_clear()
        _figures._shared.cache_clear()
        return experts.load(name)

    return load


@pytest.fixture(scope="session")
def photo(footage: Footage) -> Callable[[str], Rgb]:
    """A photograph of the footage by name, at a keyframe's height."""

    @functools.cache
    def load(name: str) -> Rgb:
        picture = media.load_still(footage.of(name).path)
        return media.resize(picture, height=min(360, picture.shape[0]))

    return load


@pytest.fixture(scope="session")
def keyframes(footage: Footage) -> Callable[..., list[Rgb]]:
    """A few frames of a video of the footage, by source frame number."""

    @functools.cache
    def load(name: str, first: int, end: int, count: int = 3) -> list[Rgb]:
        wanted = set(np.linspace(first, end - 1, count).astype(int).tolist())
        span = media.read_span(footage.of(name).path, first, end)
        return [frame.rgb() for frame in span if frame.index in wanted]

    return load


@pytest.fixture(scope="session")
def views(photo: Callable[[str], Rgb], keyframes: Callable[..., list[Rgb]]) -> list[ClipView]:
    """Clips of different shapes and lengths, with measured columns: a photograph, two videos, a strip, a dot.

    In the last, `mixed`, keyframes do not agree: half of them show a face, a quarter is red.
    """
    measured: dict[str, Any] = {
        "camera_motion": "pan left",
        "camera_confidence": 0.9,
        "camera_dx_fraction_per_s": -0.5,
        "flow_mean_px_per_s": 40.0,
        "object_motion_px_per_s": 3.0,
        "sharpness_laplacian": 20.0,
        "noise_sigma": 2.0,
    }
    strip = photo("astronaut.png")[:, 100:220]
    plain = [np.full_like(photo("astronaut.png"), colour) for colour in ((220, 0, 0), (0, 0, 255))]
    return [
        view_of([photo("astronaut.png")], clip_id="astronaut", **measured),
        view_of(keyframes("carphone_pristine.mp4", 0, 30), clip_id="carphone", first=90),
        view_of([strip, strip[::-1]], clip_id="strip", camera_motion="static", camera_confidence=0.8),
        view_of([np.full((1, 1, 3), 200, np.uint8)], clip_id="dot"),
        view_of([np.zeros((40, 300, 3), np.uint8)] * 2, clip_id="black", sharpness_laplacian=0.0),
        view_of([photo("astronaut.png")] * 2 + plain, clip_id="mixed"),
    ]


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    """Tiny models with random weights, by role, in the formats of the standard ones."""
    from tests.experts.tiny import Checkpoints

    return Checkpoints(tmp_path_factory.mktemp("checkpoints"))
