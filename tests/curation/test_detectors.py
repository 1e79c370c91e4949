"""Every shot detector keeps the protocol; the cascade tells boundaries from what looks like them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import curation
from curation.detectors import NAMES, Cut, detect, make
from curation.detectors.base import Detector
from curation.detectors.fades import likeness
from media.errors import MissingModelError, UserError
from tests.curation.pictures import Rgb, dissolve, fade, moving, photograph, views, wipe

# The network over every frame takes seconds for each test: one suffices here, the others are for `make test-slow`.
EVERY = [n if n != "transnet" else pytest.param(n, marks=pytest.mark.slow) for n in NAMES]
HARD = [n for n in NAMES if n not in ("threshold", "gradual", "scenedetect:threshold", "scenedetect:hash")]


def cuts_of(name: str, frames: list[Rgb]) -> list[Cut]:
    return detect(make(name), views(frames))


@pytest.fixture(scope="module")
def spliced() -> list[Rgb]:
    """Three shots; the second begins at frame 40, the third at 75."""
    middle = [np.asarray(255 - f // 2, np.uint8) for f in moving(2, 35, "tilt_up")]
    return [*moving(1, 40), *middle, *moving(3, 25, "zoom_in")]


@pytest.fixture(scope="module")
def one_shot() -> list[Rgb]:
    return moving(4, 80, "pan_left", travel=0.3)


@pytest.mark.parametrize("name", HARD)
def test_a_splice_is_found_at_its_frame(name: str, spliced: list[Rgb]) -> None:
    found = cuts_of(name, spliced)
    assert [(c.frame, c.end_frame, c.kind) for c in found] == [(40, 40, "hard"), (75, 75, "hard")]
    assert [c.time_s for c in found] == pytest.approx([40 / 25, 75 / 25])
    assert all(0 < c.score <= 1 for c in found)
    assert {c.detector for c in found} == {name}


@pytest.mark.parametrize("name", EVERY)
def test_one_shot_has_no_boundary(name: str, one_shot: list[Rgb]) -> None:
    assert cuts_of(name, one_shot) == []


@pytest.mark.parametrize("name", EVERY)
def test_a_cut_is_told_before_its_frame_is_called_settled(name: str, spliced: list[Rgb]) -> None:
    detector = make(name)
    assert isinstance(detector, Detector)
    settled, told = 0, []
    for view in views(fade(spliced, moving(5, 60), 8, 4)):
        told += (new := detector.feed(view))
        assert all(cut.frame >= settled for cut in new), "a cut came after its frame had been called settled"
        assert settled <= detector.settled <= view.index + 1
        settled = detector.settled
    last = detector.finish()
    assert all(cut.frame >= settled for cut in last)
    frames = [cut.frame for cut in told + last]
    assert frames == sorted(frames)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_videos_of_a_few_frames_are_no_trouble(name: str, count: int) -> None:
    assert cuts_of(name, moving(6, 8)[:count]) == []


@pytest.mark.parametrize("name", EVERY)
def test_tiny_and_odd_pictures_are_no_trouble(name: str) -> None:
    frames = [photograph(k // 12, 17, 11) for k in range(24)]
    assert all(cut.kind in ("hard", "dissolve", "fade", "wipe") for cut in cuts_of(name, frames))


@pytest.mark.parametrize("name", ["cascade", "adaptive"])
def test_the_same_video_gives_the_same_cuts(name: str, spliced: list[Rgb]) -> None:
    assert cuts_of(name, spliced) == cuts_of(name, spliced)


@pytest.mark.parametrize("length", [6, 12, 20, 28])
def test_cascade_gives_a_dissolve_its_extent(length: int) -> None:
    before, after = moving(7, 70, "pan_left"), moving(8, 70, "zoom_out")
    (cut,) = cuts_of("cascade", dissolve(before, after, length))
    assert cut.kind == "dissolve"
    assert abs(cut.frame - (70 - length)) <= 2
    assert abs(cut.end_frame - 70) <= 2


@pytest.mark.parametrize("length", [8, 16, 24])
def test_cascade_tells_a_wipe(length: int) -> None:
    (cut,) = cuts_of("cascade", wipe(moving(9, 70, "tilt_up"), moving(10, 70, "pan_right"), length))
    assert cut.kind == "wipe"
    assert abs(cut.frame - (70 - length)) <= 4
    assert abs(cut.end_frame - 70) <= 4


@pytest.mark.parametrize("name", ["cascade", "adaptive", "threshold"])
@pytest.mark.parametrize(("length", "hold", "level"), [(5, 1, 0), (12, 6, 0), (20, 3, 255)])
def test_a_fade_is_one_boundary_with_its_ramps(name: str, length: int, hold: int, level: int) -> None:
    (cut,) = cuts_of(name, fade(moving(11, 60), moving(12, 60), length, hold, level))
    assert cut.kind == "fade"
    assert abs(cut.frame - (60 - length)) <= 2
    assert abs(cut.end_frame - (60 + hold + length)) <= 2


def test_black_before_and_after_the_picture_belongs_to_no_shot() -> None:
    black = [np.zeros((180, 320, 3), np.uint8)] * 10
    cuts = cuts_of("cascade", [*black, *moving(13, 60), *black])
    assert [(c.frame, c.end_frame, c.kind) for c in cuts] == [(0, 10, "fade"), (70, 80, "fade")]


def test_a_video_black_throughout_has_no_boundary() -> None:
    assert cuts_of("cascade", [np.zeros((90, 160, 3), np.uint8)] * 80) == []


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_cascade_is_not_fooled_by_a_flash(frames: int, one_shot: list[Rgb]) -> None:
    lit = list(one_shot)
    for k in range(40, 40 + frames):
        lit[k] = np.asarray(cv2.convertScaleAbs(lit[k], alpha=1.2, beta=90), np.uint8)
    assert cuts_of("cascade", lit) == []


@pytest.mark.parametrize("over", [1, 10])
def test_cascade_is_not_fooled_by_a_change_of_light(over: int, one_shot: list[Rgb]) -> None:
    lit = [
        np.asarray(cv2.convertScaleAbs(f, alpha=1 + 0.3 * min(1, max(0, k - 39) / over), beta=0), np.uint8)
        for k, f in enumerate(one_shot)
    ]
    assert cuts_of("cascade", lit) == []


def test_cascade_is_not_fooled_by_a_fast_pan() -> None:
    assert cuts_of("cascade", moving(14, 60, "pan_right", travel=0.7)) == []


def test_cascade_finds_every_cut_of_a_fast_montage() -> None:
    shots = [moving(20 + k, 12, "zoom_in", travel=0.05) for k in range(6)]
    found = cuts_of("cascade", [f for shot in shots for f in shot])
    assert [c.frame for c in found] == [12, 24, 36, 48, 60]


def test_cascade_asks_the_network_only_in_doubt(spliced: list[Rgb]) -> None:
    from curation.detectors.cascade import Cascade

    detector = Cascade()
    detect(detector, views(spliced))
    assert detector.windows <= 1


@pytest.mark.parametrize("name", ["cascade", "transnet"])
def test_a_missing_model_is_said_and_nothing_stands_in_for_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from curation.detectors import transnet
    from experts import weights

    def lacking(role: str, *_: object) -> None:
        raise MissingModelError(f"{role} is not on this machine")

    monkeypatch.setattr(weights, "resolve", lacking)
    transnet.load_network.cache_clear()
    with pytest.raises(MissingModelError, match="shots"):
        make(name)
    with pytest.raises(MissingModelError):
        curation.ingest(str(tmp_path / "never-opened.mp4"), curation.CurateConfig(detector=name), run_id="r")
    assert make("adaptive").name == "adaptive"


def test_an_unknown_detector_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="'cascade'"):
        make("cascad")


def test_detect_shots_reads_a_file(tmp_path: Path, spliced: list[Rgb]) -> None:
    from tests.videos import write_video

    path = write_video(tmp_path / "a.mp4", spliced)
    assert [c.frame for c in curation.detect_shots(path)] == [40, 75]
    assert [c.frame for c in curation.detect_shots(str(path), "adaptive")] == [40, 75]


def test_likeness_is_blind_to_light() -> None:
    a = cv2.cvtColor(photograph(30), cv2.COLOR_RGB2GRAY)
    assert likeness(np.asarray(a, np.uint8), np.asarray(a // 2 + 60, np.uint8)) > 0.99
    assert likeness(np.asarray(a, np.uint8), np.full_like(a, 9)) == 0.0
