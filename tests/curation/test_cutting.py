"""A row of clips becomes frames and bytes: from its source, or rendered again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import curation
import media
from curation import CurateConfig, PseudoConfig, clip_frames, encode_clip, pseudo
from curation.cutting import encode_clips
from media import MediaError
from tests.curation.pictures import moving, photograph
from tests.videos import numbered_frames, read_number, write_video


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A numbered video of three seconds."""
    return write_video(tmp_path_factory.mktemp("cutting") / "a.mp4", numbered_frames(75))


@pytest.fixture(scope="module")
def clips(video: Path) -> list[dict[str, Any]]:
    config = CurateConfig(detector="scenedetect:threshold", min_clip_s=0.4, max_clip_s=0.8)
    return curation.ingest(str(video), config, run_id="r").clips


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stills") / "a.png"
    Image.fromarray(photograph(1, 200, 120)).save(path)
    return path


def test_footage_is_cut_to_the_frame(clips: list[dict[str, Any]], video: Path) -> None:
    assert len(clips) >= 4
    for clip in clips:
        encoded = encode_clip(clip, video)
        shown = [read_number(f) for f in media.decode_bytes(encoded.data)]
        assert shown == list(range(clip["first_frame"], clip["end_frame"]))
        assert encoded.frames == clip["frames"]
        assert [read_number(f) for f in clip_frames(clip, video)] == shown


def test_a_pseudo_video_is_encoded_as_it_was_measured(still: Path) -> None:
    config = PseudoConfig(motions=("zoom_in", "roll_left"), frames=10, fps=10, height_px=96)
    for row in pseudo.pseudo_clips(str(still), "v" * 32, media.load_still(still), config, run_id="r"):
        encoded = encode_clip(row, still, crf=8)
        assert (encoded.frames, encoded.width_px, encoded.height_px) == (10, row["width_px"], row["height_px"])
        assert encoded.fps == pytest.approx(10)
        decoded = media.decode_bytes(encoded.data).astype(int)
        rendered = np.stack(list(clip_frames(row, still))).astype(int)
        assert np.abs(decoded - rendered).mean() < 4


def test_bytes_are_the_same_each_time(still: Path) -> None:
    config = PseudoConfig(motions=("pan_left",), frames=6, height_px=64)
    (row,) = pseudo.pseudo_clips(str(still), "v" * 32, media.load_still(still), config, run_id="r")
    assert encode_clip(row, still).data == encode_clip(row, still).data


def test_a_still_is_one_frame(still: Path) -> None:
    (row,) = curation.ingest(str(still), CurateConfig(detector="adaptive"), run_id="r").clips
    assert encode_clip(row, still).frames == 1
    (frame,) = clip_frames(row, still, max_height=60)
    assert frame.shape == (60, 100, 3)


@pytest.mark.parametrize("max_height", [48, 64])
def test_clips_are_scaled_down_on_demand(
    max_height: int, clips: list[dict[str, Any]], video: Path, still: Path
) -> None:
    assert encode_clip(clips[0], video, max_height=max_height).height_px == max_height
    config = PseudoConfig(motions=("tilt_up",), frames=3)
    (row,) = pseudo.pseudo_clips(str(still), "v" * 32, media.load_still(still), config, run_id="r")
    assert encode_clip(row, still, max_height=max_height).height_px == max_height


@pytest.mark.parametrize("mode", ["exact", "copy", "reference"])
def test_clips_of_one_source_are_cut_together(mode: media.CutMode, clips: list[dict[str, Any]], video: Path) -> None:
    backwards = clips[::-1]
    outcomes = dict(encode_clips(backwards, video, mode=mode))
    assert sorted(outcomes) == list(range(len(clips)))
    for place, clip in enumerate(backwards):
        assert outcomes[place] == encode_clip(clip, video, mode=mode)
        assert outcomes[place].mode == mode  # type: ignore[union-attr]


def test_a_clip_that_fails_leaves_the_others(clips: list[dict[str, Any]], video: Path) -> None:
    beyond = {**clips[-1], "first_frame": 70, "end_frame": 90}
    outcomes = dict(encode_clips([beyond, *clips], video))
    assert isinstance(outcomes.pop(0), MediaError)
    assert all(isinstance(outcome, media.Encoded) for outcome in outcomes.values())


@pytest.mark.parametrize("mode", ["copy", "reference"])
def test_what_is_rendered_is_encoded_whatever_the_mode(mode: media.CutMode, still: Path) -> None:
    config = PseudoConfig(motions=("pan_left",), frames=6, height_px=64)
    (row,) = pseudo.pseudo_clips(str(still), "v" * 32, media.load_still(still), config, run_id="r")
    encoded = encode_clip(row, still, mode=mode)
    assert encoded == encode_clip(row, still)
    assert encoded.mode == "exact"
    assert encoded.psnr_db is not None
    assert encoded.psnr_db > 30


def test_a_source_that_changed_is_not_cut_quietly(clips: list[dict[str, Any]], tmp_path: Path) -> None:
    shorter = write_video(tmp_path / "b.mp4", numbered_frames(20))
    with pytest.raises(MediaError):
        encode_clip(clips[-1], shorter)


def test_a_rendered_world_has_no_source(video: Path) -> None:
    with pytest.raises(ValueError, match="synthetic"):
        list(clip_frames({"kind": "synthetic", "clip_id": "x"}, video))


def test_meters_agree_on_a_file_and_on_its_frames(tmp_path: Path) -> None:
    """The single pass over a file says what `measure_frames` says of the decoded pictures."""
    path = write_video(tmp_path / "a.mp4", moving(3, 50, "pan_left"))
    (clip,) = curation.ingest(str(path), CurateConfig(detector="adaptive"), run_id="r").clips
    seen = curation.measure_frames((f.rgb() for f in media.decode(path)), 25)
    assert clip["camera_motion"] == seen["camera_motion"]
    for name in ("flow_mean_px_per_s", "sharpness_laplacian", "luma_mean", "contrast_rms", "colourfulness"):
        assert clip[name] == pytest.approx(seen[name], rel=0.08), name
