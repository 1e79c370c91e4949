"""What a skim leaves out, what stands in for it, and where it looks again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import curation
import media
from curation import CurateConfig, skimming
from curation.skimming import skimmed_views, whole_views, worth_decoding
from tests.curation.pictures import Rgb, dissolve, moving
from tests.videos import write_video

PYRAMID = {"preset": "ultrafast", "x264-params": "keyint=250:bframes=3:b-adapt=0:b-pyramid=normal:scenecut=0"}
"""One keyframe, and an encoder that is blind to cuts: nothing but the pictures tells of them."""


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("skim") / "calm.mp4", moving(1, 100, travel=0.05), options=PYRAMID)


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shots = [*moving(2, 53), *moving(3, 50, "zoom_in"), *moving(4, 47, "tilt_up")]
    return write_video(tmp_path_factory.mktemp("skim") / "cut.mp4", shots, options=PYRAMID)


def test_nothing_that_others_need_is_left_out(calm: Path) -> None:
    index = media.frame_index(calm)
    wanted = worth_decoding(index)
    assert wanted[~index.droppable].all()
    assert 0.5 < wanted.mean() < 0.75


def test_every_second_begins_with_frames_in_a_row(calm: Path) -> None:
    index = media.frame_index(calm)
    wanted = worth_decoding(index)
    for second in range(4):
        assert wanted[25 * second : 25 * second + 3].all()


def test_there_is_a_view_for_every_frame_and_each_decoded_one_is_itself(calm: Path) -> None:
    whole = list(whole_views(calm))
    views = list(skimmed_views(calm, media.frame_index(calm)))
    assert [v.index for v in views] == list(range(100))
    assert [v.time_s for v in views] == pytest.approx([v.time_s for v in whole])
    assert [v.duration_s for v in views] == pytest.approx([v.duration_s for v in whole])
    assert 0.5 < np.mean([v.seen for v in views]) < 0.75
    for mine, there in zip(views, whole, strict=True):
        if mine.seen:
            assert np.array_equal(mine.y, there.y)
        else:
            # Half of a step of this pan from either side: nearer than its neighbours are to each other.
            assert np.abs(mine.y.astype(int) - there.y).mean() < 4
            assert np.abs(mine.thumb.astype(int) - there.thumb).mean() < 4


def test_a_stand_in_lies_between_its_neighbours(calm: Path) -> None:
    views = list(skimmed_views(calm, media.frame_index(calm)))
    for before, view, after in zip(views, views[1:], views[2:], strict=False):
        if before.seen and after.seen and not view.seen:
            middle = (before.y.astype(int) + after.y) / 2
            assert np.abs(view.y - middle).max() <= 1
            assert view.change == after.change


def test_a_cut_that_no_packet_tells_of_is_looked_at_again(cut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the packets' sizes hidden, only the pictures around the gap can say that something happened."""
    index = media.frame_index(cut)
    monkeypatch.setattr(skimming, "_BIG", 1e9)
    views = list(skimmed_views(cut, index))
    again = {v.index for v in views if v.second}
    droppable = {n for n in (51, 52, 53, 54, 101, 102, 103, 104) if index.droppable[n] and not views[n].seen}
    assert again, "no second look"
    assert not droppable & {52, 53, 102, 103}
    assert len(again) <= 8
    found = curation.detect_shots(cut, decode="skim")
    assert [(c.frame, c.kind) for c in found] == [(53, "hard"), (103, "hard")]


@pytest.mark.parametrize("decode", ["skim", "whole"])
def test_a_skim_finds_what_a_whole_pass_finds(decode: Any, cut: Path) -> None:
    assert [(c.frame, c.kind) for c in curation.detect_shots(cut, decode=decode)] == [(53, "hard"), (103, "hard")]


def test_measures_of_a_skim_are_those_of_a_whole_pass(cut: Path) -> None:
    rows = [curation.ingest(str(cut), CurateConfig(decode=how), run_id="r").clips for how in ("skim", "whole")]
    assert [c["clip_id"] for c in rows[0]] == [c["clip_id"] for c in rows[1]]
    for skimmed, whole in zip(*rows, strict=True):
        assert skimmed["camera_motion"] == whole["camera_motion"]
        for name in ("flow_mean_px_per_s", "luma_mean", "sharpness_laplacian", "colourfulness", "contrast_rms"):
            assert skimmed[name] == pytest.approx(whole[name], rel=0.1), name


def test_the_row_says_how_many_frames_were_decoded(cut: Path) -> None:
    for decode, least, most in (("skim", 75, 125), ("whole", 150, 150)):
        video = curation.ingest(str(cut), CurateConfig(decode=decode), run_id="r").video
        assert video["frames"] == 150
        assert least <= video["frames_decoded"] <= most


def test_other_detectors_see_every_frame_unless_told_otherwise() -> None:
    assert CurateConfig().skims
    assert not CurateConfig(detector="adaptive").skims
    assert CurateConfig(detector="adaptive", decode="skim").skims
    assert not CurateConfig(decode="whole").skims


def test_a_frozen_picture_and_a_repeating_one_are_told_apart_from_motion(tmp_path: Path) -> None:
    """Frames that were left out are neither all frozen nor none: the pictures around them and their likes tell."""
    frames: list[Rgb] = moving(5, 100, "pan_right", 0.4)
    still = [frames[0]] * 100
    twice = [frame for frame in frames[:50] for _ in range(2)]
    found = []
    for name, shown in (("moving", frames), ("still", still), ("twice", twice)):
        path = write_video(tmp_path / f"{name}.mp4", shown, options=PYRAMID)
        (clip,) = curation.ingest(str(path), run_id="r").clips
        found.append(clip["frozen_fraction"])
    assert found[0] < 0.02
    assert found[1] > 0.95
    assert 0.3 < found[2] < 0.7


def test_where_the_pictures_are_not_as_promised_every_frame_is_decoded(
    cut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = curation.ingest(str(cut), CurateConfig(decode="whole"), run_id="r")
    skim = media.skim

    def breaks_off(*args: Any, **how: Any) -> Any:
        for number, frame in enumerate(skim(*args, **how)):
            if number == 60:
                raise media.SkimError("the test says so")
            yield frame

    monkeypatch.setattr(media, "skim", breaks_off)
    got = curation.ingest(str(cut), run_id="r")
    assert got.clips == whole.clips
    assert got.video == whole.video


def test_a_slow_dissolve_keeps_its_extent_on_a_skim(tmp_path: Path) -> None:
    frames = dissolve(moving(7, 70, "pan_left"), moving(8, 70, "zoom_out"), 20)
    path = write_video(tmp_path / "a.mp4", frames, options=PYRAMID)
    (found,) = curation.detect_shots(path, decode="skim")
    assert found.kind == "dissolve"
    assert abs(found.frame - 50) <= 2
    assert abs(found.end_frame - 70) <= 2


def test_second_looks_over_long_groups_are_not_begun(tmp_path: Path) -> None:
    """With one keyframe in a long file a second look would decode half of it: it is decoded as a whole instead."""
    shots = [f for seed in range(8) for f in moving(seed, 50, width=64, height=48)]
    options = {**PYRAMID, "x264-params": PYRAMID["x264-params"].replace("keyint=250", "keyint=1000")}
    path = write_video(tmp_path / "a.mp4", shots, options=options)
    assert media.frame_index(path).droppable.any()
    assert not skimming.can_skim(media.frame_index(path))
    video = curation.ingest(str(path), run_id="r").video
    assert video["frames_decoded"] == video["frames"] == 400
