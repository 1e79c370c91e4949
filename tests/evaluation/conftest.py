"""Videos that several test modules grade."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.evaluation import scenes

if TYPE_CHECKING:
    from experts.weights import Footage


@pytest.fixture(scope="session")
def videos(footage: Footage) -> dict[str, tuple[scenes.Frames, float]]:
    """Frames and rate: a synthetic pan, a synthetic standing camera, and real film of both kinds."""
    by_name = {path.name: path for path in footage.videos}
    return {
        "pan": (scenes.pan(), 24.0),
        "still": (scenes.still(), 24.0),
        "bikes": (scenes.real(by_name["bikes.mp4"]), 25.0),
        "carphone": (scenes.real(by_name["carphone_pristine.mp4"]), 29.97),
    }
