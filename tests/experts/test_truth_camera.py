"""Camera moves that we made ourselves, recovered from the pictures: what kind, how fast."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from math import log2
from typing import TYPE_CHECKING

import numpy as np
import pytest

import experts
import media
from curation.measure import measure_frames
from curation.pseudo import affines, output_size, render, speed_per_s
from experts.base import ClipView, Rgb

if TYPE_CHECKING:
    from experts.weights import Footage

MOTIONS = ("pan_left", "pan_right", "tilt_up", "tilt_down", "zoom_in", "zoom_out", "roll_left", "roll_right")
SIGNED = {"left": -1, "right": 1, "up": -1, "down": 1, "in": 1, "out": -1}
COLUMN = {
    "pan": "camera_dx_fraction_per_s",
    "tilt": "camera_dy_fraction_per_s",
    "zoom": "camera_zoom_per_s",
    "roll": "camera_roll_deg_per_s",
}
HEIGHT_PX = 144
NEEDED = 0.95


@dataclass(frozen=True)
class Recovered:
    """One video: the motion it was given, the motion that was seen, and the measured speed over the true one."""

    video: str
    motion: str
    seen: str | None
    said: tuple[str, ...]
    speed_ratio: float


def recovered(seed: int, photos: list[Rgb]) -> Recovered:
    """Move over a random photograph: a random motion, 2 to 4 s of it, an eighth to a third of the picture."""
    rng = random.Random(seed)
    number, motion = rng.randrange(len(photos)), MOTIONS[seed % len(MOTIONS)]
    picture = photos[number]
    fps, seconds = rng.choice((8.0, 12.0, 15.0)), rng.uniform(2, 4)
    frames = round(seconds * fps)
    travel, roll_deg = rng.uniform(0.12, 0.35), rng.uniform(6, 20)
    how = {"travel": travel, "roll_deg": roll_deg}
    size = output_size(*picture.shape[:2], HEIGHT_PX)
    path = affines(motion, frames, aspect=size[1] / size[0], **how)
    row = measure_frames(render(picture, path, size), fps)
    kind, way = motion.split("_")
    true = speed_per_s(motion, frames, fps, **how)
    if kind == "zoom":
        true = log2(1 / (1 - travel)) / ((frames - 1) / fps)
    elif kind == "roll":
        true *= 360
    expert = experts.load("motion")
    view = ClipView("c", [], [], [], 0, frames, row)
    said = [f"{s.predicate} {s.value}" for s in expert.state(view, expert.measure([view])[0]) if s.subject == "camera"]
    measured = row[COLUMN[kind]] or 0.0
    video = f"photo {number}, {motion}, {frames} frames at {fps:g}, travel {travel:.2f}, roll {roll_deg:.0f}"
    return Recovered(video, motion, row["camera_motion"], tuple(said), measured / (true * SIGNED[way]))


@pytest.fixture(scope="module")
def photos(footage: Footage) -> list[Rgb]:
    """The photographs of the footage, brought to twice the height that is looked at."""
    loaded = [media.load_still(path) for path in footage.photos]
    return [media.resize(picture, height=min(picture.shape[0], 2 * HEIGHT_PX)) for picture in loaded]


def hold(outcomes: list[Recovered], tell: Callable[[str], None]) -> None:
    """Hold the outcomes to what is needed; tell the figures, and every video that went wrong."""
    right = [one.seen == one.motion.replace("_", " ") for one in outcomes]
    errors = np.array([abs(one.speed_ratio - 1) for one in outcomes])
    tell(
        f"{len(outcomes)} pseudo-videos: motion right in {np.mean(right):.1%}, speed within 10% in "
        f"{np.mean(errors <= 0.1):.1%}; speed error median {np.median(errors):.2%}, "
        f"95th percentile {np.percentile(errors, 95):.2%}, largest {errors.max():.2%}"
    )
    for one, named, error in zip(outcomes, right, errors, strict=True):
        if not named or error > 0.1:
            tell(f"  {one.video}: seen {one.seen}, speed x {one.speed_ratio:.3f}")
    for kind in COLUMN:
        of_kind = [error for one, error in zip(outcomes, errors, strict=True) if one.motion.startswith(kind)]
        tell(f"  {kind}: speed error median {np.median(of_kind):.2%}, largest {max(of_kind):.2%}")
    assert np.mean(right) >= NEEDED
    assert np.mean(errors <= 0.1) >= NEEDED


def test_camera_and_speed_are_recovered_from_200_known_motions(photos: list[Rgb]) -> None:
    outcomes = [recovered(seed, photos) for seed in range(200)]
    hold(outcomes, print)
    assert "pans left" in outcomes[0].said  # and said as it is measured
    assert "zooms in" in outcomes[12].said
