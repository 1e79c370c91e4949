"""One source -> its rows: right columns, right times, and no file that raises."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import curation
import media
from curation import CurateConfig, Ingested
from dataset import schema_of
from media.errors import UserError
from tests.curation.pictures import dissolve, fade, moving, photograph
from tests.videos import truncate, write_silence, write_video

CONFIG = CurateConfig(detector="adaptive", min_clip_s=0.5, max_clip_s=2.0)


def ingest(path: Path, config: CurateConfig = CONFIG, **how: Any) -> Ingested:
    got = curation.ingest(str(path), config, run_id="run", **how)
    # Whatever comes back, good or quarantined, is lawful in the tables.
    pa.Table.from_pylist([got.video], schema=schema_of("videos")).validate(full=True)
    pa.Table.from_pylist(got.clips, schema=schema_of("clips")).validate(full=True)
    assert set(got.video) == set(schema_of("videos").names)
    assert all(set(clip) == set(schema_of("clips").names) for clip in got.clips)
    return got


@pytest.fixture(scope="module")
def spliced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dissolve after 40 - 10 frames, then a shot of 4.4 s, then one too short for a clip."""
    middle = [np.asarray(255 - f // 2, np.uint8) for f in moving(2, 130, "tilt_up", width=160, height=90)]
    frames = [*moving(1, 40, width=160, height=90), *middle, *moving(3, 10, width=160, height=90)]
    return write_video(tmp_path_factory.mktemp("spliced") / "a.mp4", frames)


class TestAVideo:
    @pytest.fixture
    def got(self, spliced: Path) -> Ingested:
        return ingest(spliced, rights={"source": "us", "license": "CC0-1.0"})

    def test_its_own_row(self, got: Ingested, spliced: Path) -> None:
        video = got.video
        assert video["status"] == "ok"
        assert video["media"] == "video"
        assert video["video_id"] == media.content_id(spliced)
        assert (video["frames"], video["width_px"], video["height_px"]) == (180, 160, 90)
        assert video["duration_s"] == pytest.approx(7.2)
        assert video["fps"] == pytest.approx(25)
        assert video["variable_frame_rate"] is False
        assert (video["source"], video["license"], video["run_id"]) == ("us", "CC0-1.0", "run")
        assert [(c["frame"], c["kind"], c["detector"]) for c in video["cuts"]] == [
            (40, "hard", "adaptive"),
            (170, "hard", "adaptive"),
        ]

    def test_its_clips(self, got: Ingested) -> None:
        spans = [(c["first_frame"], c["end_frame"], c["shot"], c["cut_in"], c["cut_out"]) for c in got.clips]
        assert spans == [
            (0, 40, 0, "start", "hard"),
            (40, 83, 1, "hard", "split"),
            (83, 127, 1, "split", "split"),
            (127, 170, 1, "split", "hard"),
        ]
        for clip in got.clips:
            assert clip["clip_id"] == f"{got.video['video_id']}:{clip['first_frame']}-{clip['end_frame']}"
            assert clip["start_s"] == pytest.approx(clip["first_frame"] / 25)
            assert clip["end_s"] == pytest.approx(clip["end_frame"] / 25)
            assert clip["frames"] == clip["end_frame"] - clip["first_frame"]
            assert clip["fps"] == pytest.approx(25)
            assert (clip["kind"], clip["run_id"], clip["affine"], clip["motion"]) == ("clip", "run", None, None)
        assert [c["camera_motion"] for c in got.clips] == ["pan right", "tilt up", "tilt up", "tilt up"]

    def test_keyframes_show_the_clip(self, got: Ingested, spliced: Path) -> None:
        shown = {f.index: f.rgb() for f in media.decode(spliced)}
        for clip in got.clips:
            assert len(clip["keyframes"]) == 3
            for keyframe in clip["keyframes"]:
                assert clip["first_frame"] <= keyframe["frame"] < clip["end_frame"]
                assert keyframe["time_s"] == pytest.approx(keyframe["frame"] / 25)
                picture = media.decode_jpeg(keyframe["jpeg"])
                truth = shown[keyframe["frame"]]
                assert picture.shape == truth.shape
                assert np.abs(picture.astype(int) - truth).mean() < 5
            assert 0 <= clip["phash"] < 2**64

    def test_again_is_the_same(self, got: Ingested, spliced: Path) -> None:
        assert ingest(spliced, rights={"source": "us", "license": "CC0-1.0"}) == got

    def test_progress_is_told(self, spliced: Path) -> None:
        told: list[tuple[int, int]] = []
        ingest(spliced, progress=lambda done, total: told.append((done, total)))
        assert told[0] == (1, 180)
        assert told[-1] == (180, 180)


def test_frames_of_a_transition_belong_to_no_clip(tmp_path: Path) -> None:
    shots = [moving(seed, 60, width=160, height=90) for seed in (4, 5, 6)]
    frames = fade(dissolve(shots[0], shots[1], 12), shots[2], 8, 5)
    got = ingest(write_video(tmp_path / "a.mp4", frames), CONFIG.model_copy(update={"detector": "cascade"}))
    assert [c["kind"] for c in got.video["cuts"]] == ["dissolve", "fade"]
    for clip in got.clips:
        for cut in got.video["cuts"]:
            assert clip["end_frame"] <= cut["frame"] or clip["first_frame"] >= cut["end_frame"]


def test_times_come_from_timestamps(numbered_video: Callable[..., Path], varying_times_s: list[float]) -> None:
    got = ingest(numbered_video(suffix=".mkv", times_s=varying_times_s))
    assert got.video["variable_frame_rate"] is True
    assert got.video["duration_s"] == pytest.approx(varying_times_s[-1] + 0.04, abs=0.09)
    for clip in got.clips:
        assert clip["start_s"] == pytest.approx(varying_times_s[clip["first_frame"]], abs=1e-3)


@pytest.mark.parametrize(("rotation", "size"), [(0, (160, 90)), (90, (90, 160)), (180, (160, 90)), (270, (90, 160))])
def test_a_rotated_source_is_upright_in_its_rows(rotation: int, size: tuple[int, int], tmp_path: Path) -> None:
    frames = moving(7, 30, "pan_right", width=160, height=90)
    got = ingest(write_video(tmp_path / "a.mp4", frames, rotation_deg=rotation))
    (clip,) = got.clips
    assert (clip["width_px"], clip["height_px"]) == size
    assert media.decode_jpeg(clip["keyframes"][0]["jpeg"]).shape[1::-1] == size
    turned = {0: "pan right", 90: "tilt down", 180: "pan left", 270: "tilt up"}
    assert clip["camera_motion"] == turned[rotation]


def test_keyframes_are_scaled_down_and_never_up(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving(8, 26, width=640, height=480))
    config = CONFIG.model_copy(update={"keyframe_height_px": 120, "keyframes": 2})
    (clip,) = ingest(path, config).clips
    assert [media.decode_jpeg(k["jpeg"]).shape for k in clip["keyframes"]] == [(120, 160, 3)] * 2


def test_a_clip_may_begin_on_its_sharpest_frame(tmp_path: Path) -> None:
    frames = moving(9, 60, travel=0.02)
    blurred = [np.asarray(cv2.GaussianBlur(f, (0, 0), 5), np.uint8) if k < 12 else f for k, f in enumerate(frames)]
    path = write_video(tmp_path / "a.mp4", blurred)
    early = CurateConfig(detector="scenedetect:threshold", min_clip_s=1.0, max_clip_s=10.0, looks_per_s=12.5)
    assert ingest(path, early).clips[0]["first_frame"] == 0
    late = ingest(path, early.model_copy(update={"sharp_start_s": 1.0})).clips[0]
    assert 12 <= late["first_frame"] <= 26
    assert late["keyframes"][0]["frame"] >= late["first_frame"]


class TestAStill:
    def test_it_is_a_clip_of_one_frame(self, tmp_path: Path) -> None:
        Image.fromarray(photograph(10, 300, 200)).save(tmp_path / "a.png")
        got = ingest(tmp_path / "a.png")
        assert (got.video["media"], got.video["status"], got.video["frames"]) == ("image", "ok", 1)
        (clip,) = got.clips
        assert (clip["kind"], clip["first_frame"], clip["end_frame"], clip["frames"]) == ("still", 0, 1, 1)
        assert clip["clip_id"] == f"{got.video['video_id']}:0-1"
        assert clip["flow_mean_px_per_s"] is None
        assert clip["duration_s"] is None
        assert clip["sharpness_laplacian"] > 0
        picture = media.decode_jpeg(clip["keyframes"][0]["jpeg"])
        assert np.abs(picture.astype(int) - photograph(10, 300, 200)).mean() < 5

    def test_by_its_bytes_and_not_by_its_name(self, tmp_path: Path) -> None:
        Image.fromarray(photograph(11, 60, 40)).save(tmp_path / "a.png")
        (tmp_path / "a.png").rename(tmp_path / "a.mp4")
        assert ingest(tmp_path / "a.mp4").video["media"] == "image"

    def test_exif_rotation_is_applied(self, tmp_path: Path) -> None:
        image = Image.fromarray(photograph(12, 60, 40))
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(tmp_path / "a.jpg", exif=exif)
        (clip,) = ingest(tmp_path / "a.jpg").clips
        assert (clip["width_px"], clip["height_px"]) == (40, 60)


class TestBadFood:
    @pytest.mark.parametrize(
        ("name", "data", "reason"),
        [
            ("empty.mp4", b"", "empty_file"),
            ("words.mp4", b"this is not a video, whatever its name says\n" * 30, "not_media"),
            ("noise.mkv", bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8)), "not_media"),
        ],
    )
    def test_files_that_are_no_video(self, name: str, data: bytes, reason: str, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(data)
        got = ingest(tmp_path / name)
        assert (got.video["status"], got.video["reason"]) == ("quarantined", reason)
        assert got.video["size_bytes"] == len(data)
        assert got.clips == []

    def test_a_missing_file_and_a_folder(self, tmp_path: Path) -> None:
        for path in (tmp_path / "missing.mp4", tmp_path):
            got = ingest(path)
            assert (got.video["status"], got.video["reason"]) == ("quarantined", "unreadable")
        assert ingest(tmp_path / "a.mp4").video["video_id"] != ingest(tmp_path / "b.mp4").video["video_id"]

    def test_sound_only(self, tmp_path: Path) -> None:
        assert ingest(write_silence(tmp_path / "a.mp4")).video["reason"] == "no_video"

    @pytest.mark.parametrize("keep", [0.05, 0.3, 0.7, 0.98])
    def test_a_truncated_file_is_never_taken_for_whole(self, keep: float, spliced: Path, tmp_path: Path) -> None:
        got = ingest(truncate(spliced, tmp_path / "a.mp4", keep))
        assert got.video["status"] == "quarantined"
        assert got.video["reason"] in ("truncated", "not_media", "undecodable")
        assert got.clips == []

    @pytest.mark.parametrize("frames", [1, 3])
    def test_too_few_frames(self, frames: int, tmp_path: Path) -> None:
        got = ingest(write_video(tmp_path / "a.mp4", moving(13, 4, width=64, height=48)[:frames]))
        assert (got.video["reason"], got.video["frames"]) == ("too_short", frames)

    def test_a_broken_still(self, tmp_path: Path) -> None:
        Image.fromarray(photograph(14, 300, 200)).save(tmp_path / "a.png")
        data = (tmp_path / "a.png").read_bytes()
        (tmp_path / "b.png").write_bytes(data[: len(data) // 3])
        got = ingest(tmp_path / "b.png")
        assert got.video["status"] == "quarantined"
        assert got.video["media"] == "image"
        assert got.clips == []

    def test_details_do_not_depend_on_the_place(self, tmp_path: Path) -> None:
        rows = []
        for folder in ("one", "two"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "a.mp4").write_bytes(b"not a video" * 100)
            rows.append(ingest(tmp_path / folder / "a.mp4").video)
        assert {k: v for k, v in rows[0].items() if k != "uri"} == {k: v for k, v in rows[1].items() if k != "uri"}

    @pytest.mark.parametrize("seed", range(12))
    def test_flipped_bytes_end_in_a_row(self, seed: int, spliced: Path, tmp_path: Path) -> None:
        rng = np.random.default_rng(seed)
        data = bytearray(spliced.read_bytes())
        for at in rng.integers(0, len(data), 20):
            data[at] ^= int(rng.integers(1, 256))
        (tmp_path / "a.mp4").write_bytes(data)
        got = ingest(tmp_path / "a.mp4")
        assert got.video["status"] == "ok" or got.video["reason"] is not None


def test_a_users_mistake_is_told_before_the_file_is_opened(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="adaptive"):
        curation.ingest(str(tmp_path / "missing.mp4"), CurateConfig(detector="adaptiv"), run_id="r")


class TestConfig:
    def test_every_field_is_described(self) -> None:
        for model in (CurateConfig, curation.PseudoConfig):
            assert all(field.description for field in model.model_fields.values())

    def test_it_survives_json(self) -> None:
        assert CurateConfig(**json.loads(CONFIG.model_dump_json())) == CONFIG

    @pytest.mark.parametrize("wrong", [{"min_clip": 1}, {"min_clip_s": 0}, {"min_clip_s": 3, "max_clip_s": 5}])
    def test_mistakes_are_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError):
            CurateConfig(**wrong)


def test_real_footage_is_cut_where_people_see_cuts(footage: Any) -> None:
    by_name = {path.name: path for path in footage.videos}
    bikes = ingest(by_name["bikes.mp4"], CurateConfig())
    assert [(c["frame"], c["kind"]) for c in bikes.video["cuts"]] == [
        (30, "hard"),
        (76, "hard"),
        (137, "hard"),
        (187, "hard"),
        (242, "hard"),
    ]
    assert [(c["first_frame"], c["end_frame"]) for c in bikes.clips] == [
        (0, 30),
        (30, 76),
        (76, 137),
        (137, 187),
        (187, 242),
    ]
    bunny = ingest(by_name["bigbuckbunny.mp4"], CurateConfig())
    assert bunny.video["cuts"] == []
    assert [(c["first_frame"], c["end_frame"]) for c in bunny.clips] == [(0, 132)]


def test_a_file_whose_first_pictures_are_damaged_is_refused(tmp_path: Path) -> None:
    """It decodes, from the second keyframe on; but then readers that seek would number its frames otherwise."""
    options = {"preset": "ultrafast", "x264-params": "keyint=25:min-keyint=25:bframes=0:scenecut=0"}
    path = write_video(
        tmp_path / "a.mp4", moving(20, 100), options=options, container_options={"movflags": "+faststart"}
    )
    data = bytearray(path.read_bytes())
    unit = data.index(b"mdat") + 4
    while data[unit + 4] & 31 != 5:  # up to the NAL unit of the IDR picture, whose header stays whole
        unit += 4 + int.from_bytes(data[unit : unit + 4], "big")
    data[unit + 5 : unit + 21] = bytes(16)
    path.write_bytes(data)
    assert not media.frame_index(path).doubt
    assert len(list(media.decode(path))) == 75
    got = ingest(path)
    assert (got.video["status"], got.video["reason"]) == ("quarantined", "undecodable")
    assert "100 packets gave 75 pictures" in got.video["detail"]


@pytest.mark.parametrize(("duration_s", "size", "limit"), [(10, 10**6, 60), (7200, 10**9, 14400), (10**9, 10**5, 100)])
def test_a_long_film_has_longer(duration_s: float, size: int, limit: float) -> None:
    from dataclasses import replace

    from curation.ingestion import _limit

    probe = media.Probe("mp4", "h264", "yuv420p", 8, 8, 0, 1, 1, 1.0, 25.0, False, 1, 8, 8)  # type: ignore[arg-type]
    assert _limit(60.0, replace(probe, duration_s=duration_s, size_bytes=size)) == limit
    assert _limit(None, probe) is None
