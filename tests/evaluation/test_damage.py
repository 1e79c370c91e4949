"""Every metric moves the right way under damage it should see, and keeps still under damage it should ignore."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from evaluation import METRICS, Sample, grade
from tests.evaluation import scenes

VIDEOS = ("pan", "still", "bikes", "carphone")
SEES = [
    ("clarity", "noise"),
    ("clarity", "blur"),
    ("clarity", "fog"),
    ("clarity", "small"),
    ("flicker", "flicker"),
    ("flicker", "noise"),
    ("frozen", "freeze"),
    ("motion", "freeze"),
    ("richness", "fog"),
    ("richness", "grey"),
    ("smoothness", "flicker"),
    ("smoothness", "jitter"),
    ("smoothness", "noise"),
    ("smoothness", "shuffle"),
]
IGNORES = [
    ("clarity", "flicker", 0.05),
    ("clarity", "shuffle", 0.15),
    ("motion", "flicker", 0.2),
    ("motion", "grey", 0.15),
    ("richness", "flicker", 0.05),
    ("richness", "shuffle", 0.05),
    ("smoothness", "grey", 0.002),
]
Grades = dict[str, float | None]


@pytest.fixture(scope="module")
def graded(videos: dict[str, tuple[scenes.Frames, float]]) -> Callable[[str, str, int], Grades]:
    """Grades of a video under a damage of degree 0 (none), 1 or 2; each measured once."""
    done: dict[tuple[str, str, int], Grades] = {}
    profile = scenes.small_profile()

    def measure(video: str, damage: str, degree: int) -> Grades:
        key = (video, damage if degree else "", degree)
        if key not in done:
            frames, fps = videos[video]
            if degree:
                frames = scenes.DAMAGES[damage][degree - 1](frames)
            done[key] = grade([Sample("x", None, frames, fps)], profile, metrics=scenes.CLASSICAL)[0]
        return done[key]

    return measure


def _worse(metric: str, before: float, after: float) -> bool:
    return after < before if METRICS[metric].better == "higher" else after > before


@pytest.mark.parametrize("video", VIDEOS)
@pytest.mark.parametrize(("metric", "damage"), SEES)
def test_damage_is_seen(graded: Callable[[str, str, int], Grades], metric: str, damage: str, video: str) -> None:
    whole, little, much = (graded(video, damage, degree)[metric] for degree in range(3))
    assert whole is not None
    assert little is not None
    assert much is not None
    assert _worse(metric, whole, little)
    degrees = scenes.DAMAGES[damage]
    assert degrees[0] is degrees[1] or _worse(metric, little, much)


@pytest.mark.parametrize("video", VIDEOS)
@pytest.mark.parametrize(("metric", "damage", "share"), IGNORES)
def test_damage_of_another_kind_is_ignored(
    graded: Callable[[str, str, int], Grades], metric: str, damage: str, share: float, video: str
) -> None:
    whole, hurt = graded(video, damage, 0)[metric], graded(video, damage, 1)[metric]
    assert whole is not None
    assert hurt == pytest.approx(whole, rel=share, abs=1.5 if metric == "motion" else 0)


@pytest.mark.parametrize("video", ["pan", "still"])
def test_no_damage_makes_a_still_metric_leave_its_range(graded: Callable[[str, str, int], Grades], video: str) -> None:
    for damage in scenes.DAMAGES:
        row = graded(video, damage, 2)
        for name in ("smoothness", "richness", "frozen", "dynamic_degree"):
            value = row[name]
            assert value is None or 0 <= value <= 1
