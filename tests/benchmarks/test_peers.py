"""The peers' commands, what is read from their results, and the path of a peer that cannot be installed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import peers
from benchmarks.peer_scripts import cut_and_clip, reap
from benchmarks.peers import Clip, Command, Encoding
from media.errors import BackendError

SCENES = """\
Scene Number,Start Frame,Start Timecode,Start Time (seconds),End Frame,End Timecode,End Time (seconds),Length (frames)
1,1,00:00:00.000,0.000,132,00:00:05.280,5.280,132
2,133,00:00:05.280,5.280,162,00:00:06.480,6.480,30
"""


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return tmp_path / "in.mp4"


@pytest.fixture
def where(tmp_path: Path) -> Path:
    return tmp_path / "environment"


def every_command(where: Path, video: Path, out: Path) -> list[Command]:
    return [
        peers.scenedetect_detect(where, video, out / "detect"),
        peers.scenedetect_split(where, video, out / "split"),
        peers.datajuicer(where, [video], out / "datajuicer"),
        peers.video2dataset(where, video, out / "video2dataset"),
    ]


def process_of(command: Command) -> dict[str, dict[str, object]]:
    config = yaml.safe_load((command.out / "config.yaml").read_text())
    return {name: options for step in config["process"] for name, options in step.items()}


# --- commands


def test_a_command_runs_the_tool_of_its_environment_with_its_ffmpeg_first(
    where: Path, video: Path, tmp_path: Path
) -> None:
    for command in every_command(where, video, tmp_path / "out"):
        assert command.argv[0].startswith(str(where / "bin"))
        assert command.env["PATH"].startswith(f"{where / 'bin'}:")
        assert command.env["PYTHONPATH"] == ""
        assert command.out.is_dir()
        assert command.videos == (video,)


def test_a_command_keeps_the_users_settings_and_caches_out(where: Path, video: Path, tmp_path: Path) -> None:
    for command in every_command(where, video, tmp_path / "out"):
        assert Path(command.env["XDG_CONFIG_HOME"]).is_relative_to(command.out)
    juicer = peers.datajuicer(where, [video], tmp_path / "out")
    assert Path(juicer.env["HF_HOME"]).is_relative_to(juicer.out)
    assert Path(juicer.env["DATA_JUICER_CACHE_HOME"]).is_relative_to(juicer.out)


def test_paths_in_a_command_hold_wherever_it_is_run(
    where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in every_command(where, Path("in.mp4"), Path("out")):
        assert command.out.is_absolute()
        assert command.videos == (tmp_path / "in.mp4",)
        assert "in.mp4" not in command.argv


def test_detection_alone_writes_no_video(where: Path, video: Path, tmp_path: Path) -> None:
    argv = peers.scenedetect_detect(where, video, tmp_path / "out").argv
    assert argv[argv.index("-i") + 1] == str(video)
    assert "detect-adaptive" in argv
    assert "list-scenes" in argv
    assert "split-video" not in argv


@pytest.mark.parametrize("encoding", [None, Encoding("slow", 30)])
def test_the_tools_that_can_be_told_encode_alike(
    encoding: Encoding | None, where: Path, video: Path, tmp_path: Path
) -> None:
    chosen = encoding or Encoding()
    split = peers.scenedetect_split(where, video, tmp_path / "a", encoding)
    juicer = peers.datajuicer(where, [video], tmp_path / "b", encoding=encoding)
    assert split.argv[-1] == f"-map 0:v:0 {chosen.arguments()}"
    assert process_of(juicer)["video_split_by_scene_mapper"]["ffmpeg_extra_args"] == chosen.arguments()
    assert f"-preset {chosen.preset} -crf {chosen.crf} -an" in chosen.arguments()


def test_datajuicer_says_its_workers_everywhere(where: Path, video: Path, tmp_path: Path) -> None:
    command = peers.datajuicer(where, [video], tmp_path / "out", workers=2)
    config = yaml.safe_load((command.out / "config.yaml").read_text())
    assert config["np"] == 2
    assert config["auto_op_parallelism"] is False
    assert [options["num_proc"] for options in process_of(command).values()] == [2, 2, 2]


def test_datajuicer_runs_its_three_operators_in_order(where: Path, video: Path, tmp_path: Path) -> None:
    command = peers.datajuicer(where, [video], tmp_path / "out", shortest_s=1.5, motion_px=128)
    process = process_of(command)
    assert list(process) == ["video_split_by_scene_mapper", "video_duration_filter", "video_motion_score_filter"]
    assert process["video_split_by_scene_mapper"]["detector"] == "AdaptiveDetector"
    assert process["video_duration_filter"]["min_duration"] == 1.5
    assert process["video_motion_score_filter"]["size"] == 128


def test_datajuicer_reads_a_row_a_video(where: Path, tmp_path: Path) -> None:
    videos = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    command = peers.datajuicer(where, videos, tmp_path / "out")
    rows = [json.loads(line) for line in (command.out / "videos.jsonl").read_text().splitlines()]
    assert [row["videos"] for row in rows] == [[str(v)] for v in videos]


def test_datajuicer_may_install_nothing_while_it_is_measured(where: Path, video: Path, tmp_path: Path) -> None:
    env = peers.datajuicer(where, [video], tmp_path / "out").env
    assert env["UV_OFFLINE"] == env["PIP_NO_INDEX"] == env["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize("precision", ["exact", "keyframe_adjusted"])
def test_video2dataset_is_told_precision_and_shortest_clip(
    precision: peers.Precision, where: Path, video: Path, tmp_path: Path
) -> None:
    argv = peers.video2dataset(where, video, tmp_path / "out", precision=precision, shortest_s=2.0).argv
    assert argv[argv.index("--precision") + 1] == precision
    assert argv[argv.index("--shortest-s") + 1] == "2.0"
    assert Path(argv[1]).is_file()


# --- what they found


def test_scenes_are_read_with_the_files_they_were_cut_to(where: Path, video: Path, tmp_path: Path) -> None:
    command = peers.scenedetect_split(where, video, tmp_path / "out")
    (command.out / "scenes.csv").write_text(SCENES)
    files = [command.out / f"in-Scene-00{n}.mp4" for n in (1, 2)]
    for file in files:
        file.touch()
    found = peers.clips(command)
    assert found == (Clip(video, 0.0, 5.28), Clip(video, 5.28, 6.48))
    assert [clip.file for clip in found] == files
    assert [clip.frames(25) for clip in found] == [(0, 132), (132, 162)]


def test_scenes_without_files_are_spans(where: Path, video: Path, tmp_path: Path) -> None:
    command = peers.scenedetect_detect(where, video, tmp_path / "out")
    (command.out / "scenes.csv").write_text(SCENES)
    assert [clip.file for clip in peers.clips(command)] == [None, None]


def test_a_split_that_lost_a_file_is_an_error(where: Path, video: Path, tmp_path: Path) -> None:
    command = peers.scenedetect_split(where, video, tmp_path / "out")
    (command.out / "scenes.csv").write_text(SCENES)
    (command.out / "in-Scene-001.mp4").touch()
    with pytest.raises(BackendError, match="2 scenes, 1 files"):
        peers.clips(command)


def test_datajuicers_lengths_become_spans_of_each_video(where: Path, tmp_path: Path) -> None:
    a, b = tmp_path / "a.mp4", tmp_path / "b.mp4"
    command = peers.datajuicer(where, [a, b], tmp_path / "out")
    kept = command.out / "result" / "kept.jsonl"
    kept.parent.mkdir()
    rows = [
        {
            "videos": ["/c/a_001.mp4", "/c/a_002.mp4"],
            "__dj__source_file__": [str(a), str(a)],
            "__dj__stats__": {"video_duration": [5.28, 1.2]},
        },
        {"videos": [str(b)], "__dj__source_file__": [str(b)], "__dj__stats__": {"video_duration": [2.0]}},
    ]
    kept.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = peers.clips(command)
    assert found == (Clip(a, 0.0, 5.28), Clip(a, 5.28, 6.48), Clip(b, 0.0, 2.0))
    assert found[1].file == Path("/c/a_002.mp4")


def test_a_video_that_datajuicer_dropped_has_no_clips(where: Path, video: Path, tmp_path: Path) -> None:
    command = peers.datajuicer(where, [video], tmp_path / "out")
    (command.out / "result").mkdir()
    (command.out / "result" / "kept.jsonl").touch()
    assert peers.clips(command) == ()


def test_video2datasets_clips_are_read_from_its_script(where: Path, video: Path, tmp_path: Path) -> None:
    command = peers.video2dataset(where, video, tmp_path / "out")
    (command.out / "found.json").write_text(json.dumps({"clips_s": [[0.0, 5.28]], "files": ["in_00000.mp4"]}))
    (clip,) = peers.clips(command)
    assert clip == Clip(video, 0.0, 5.28)
    assert clip.file == command.out / "in_00000.mp4"


def test_a_run_that_left_nothing_is_an_error_that_names_the_tool(where: Path, video: Path, tmp_path: Path) -> None:
    for command in every_command(where, video, tmp_path / "out"):
        with pytest.raises(BackendError, match=command.kind):
            peers.clips(command)


# --- environments


def refuse(*_: object) -> None:
    raise subprocess.CalledProcessError(1, ["pip"], stderr="Collecting\nERROR: no matching distribution\n")


Install = Callable[[peers.Peer, Path], None]


def ready(log: list[Path], pins: Sequence[str]) -> Install:
    """Return an installation that writes what a real one leaves last."""

    def install(peer: peers.Peer, where: Path) -> None:
        log.append(where)
        where.mkdir(parents=True)
        state = {"pins": list(pins), "versions": {"scenedetect-headless": "0.7.2", "ffmpeg": "9.0"}}
        (where / "ready.json").write_text(json.dumps(state))

    return install


@pytest.mark.parametrize("name", sorted(peers.PEERS))
def test_a_peer_that_cannot_be_installed_is_none_with_a_reason(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "_install", refuse)
    assert peers.environment(name, tmp_path) is None
    assert "no matching distribution" in peers.reason(name, tmp_path)
    assert peers.versions(name, tmp_path) == {}
    assert not (tmp_path / name).exists()


def test_an_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []
    monkeypatch.setattr(peers, "_install", ready(made, peers.PEERS["scenedetect"].pins))
    first = peers.environment("scenedetect", tmp_path)
    assert first == peers.environment("scenedetect", tmp_path) == tmp_path / "scenedetect"
    assert made == [tmp_path / "scenedetect"]
    assert peers.versions("scenedetect", tmp_path)["ffmpeg"] == "9.0"


def test_an_environment_of_other_pins_or_half_made_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    ready([], ["scenedetect-headless==0.6"])(peers.PEERS["scenedetect"], tmp_path / "scenedetect")
    (tmp_path / "datajuicer").mkdir()
    for name in ("scenedetect", "datajuicer"):
        monkeypatch.setattr(peers, "_install", ready(made, peers.PEERS[name].pins))
        assert peers.environment(name, tmp_path) == tmp_path / name
    assert made == [tmp_path / "scenedetect", tmp_path / "datajuicer"]


def test_a_failure_is_tried_again_and_its_reason_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "_install", refuse)
    assert peers.environment("scenedetect", tmp_path) is None
    monkeypatch.setattr(peers, "_install", ready([], peers.PEERS["scenedetect"].pins))
    assert peers.environment("scenedetect", tmp_path) is not None
    assert peers.reason("scenedetect", tmp_path) == ""


def test_a_folder_that_cannot_be_written_is_a_reason_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(peers, "_install", full)
    assert peers.environment("video2dataset", tmp_path) is None
    assert "No space left" in peers.reason("video2dataset", tmp_path)


def test_an_unknown_peer_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        peers.environment("moviepy", tmp_path)


def test_every_release_is_pinned() -> None:
    for peer in peers.PEERS.values():
        assert all("==" in pin for pin in (*peer.pins, *peer.bare))
        assert any(pin.startswith("imageio-ffmpeg==") for pin in peer.pins)


# --- the scripts that run beside the peers

ORPHANS = """
import subprocess, sys
burn = "import time\\nwhile time.process_time() < 0.4: pass\\nopen(sys.argv[1], 'w').write('done')"
subprocess.Popen([sys.executable, "-c", "import sys\\n" + burn, sys.argv[1]])
sys.exit(3)
"""


def test_reap_waits_for_what_a_command_leaves_behind(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    command = [sys.executable, reap.__file__, sys.executable, "-W", "ignore", "-c", ORPHANS, str(mark)]
    assert subprocess.run(command, check=False).returncode == 3
    assert mark.read_text() == "done"


def test_the_script_names_the_package_it_misses() -> None:
    with pytest.raises(ModuleNotFoundError, match="video2dataset"):
        cut_and_clip.stand_in()


class FakeDetection:
    def __init__(self, cut_detection_mode: str) -> None:
        assert cut_detection_mode == "all"

    def __call__(self, streams: dict[str, list[bytes]]) -> tuple[Any, Any, str | None]:
        if streams["video"] == [b"broken"]:
            return {}, None, "cannot open"
        return streams, {"original_fps": 25.0, "cuts_original_fps": [[0, 132], [132, 162]]}, None


class FakeClipping:
    def __init__(self, digits: int, formats: dict[str, str], min_length: float, precision: str) -> None:
        self.shortest_s, self.precision = min_length, precision

    def __call__(self, streams: Any, metadata: dict[str, Any]) -> tuple[Any, list[Any], str | None]:
        if self.precision == "keyframe_adjusted":
            assert metadata["video_metadata"]["keyframe_timestamps"][0] == 0
        kept = [span for span in metadata["clips"] if span[1] - span[0] > self.shortest_s]
        if not kept:
            return {}, [], f"Video had no clip_spans longer than {self.shortest_s}"
        rows = [{"key": f"{metadata['key']}_{n}", "clips": [span]} for n, span in enumerate(kept)]
        return {"video": [b"clip"] * len(kept)}, rows, None


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    classes = {"CutDetectionSubsampler": FakeDetection, "ClippingSubsampler": FakeClipping}
    monkeypatch.setattr(cut_and_clip, "stand_in", lambda: None)
    monkeypatch.setattr(cut_and_clip, "subsampler", lambda _, name: classes[name])


@pytest.mark.usefixtures("fakes")
@pytest.mark.parametrize(("shortest_s", "spans"), [(0.0, [[0, 5.28], [5.28, 6.48]]), (2.0, [[0, 5.28]]), (9.0, [])])
def test_the_script_makes_the_scenes_clips(
    shortest_s: float, spans: list[list[float]], video: Path, tmp_path: Path
) -> None:
    video.write_bytes(b"video")
    found = cut_and_clip.cut(video, tmp_path, "exact", shortest_s)
    assert found["clips_s"] == spans
    assert found["scenes"] == [[0, 132], [132, 162]]
    assert all((tmp_path / file).read_bytes() == b"clip" for file in found["files"])


@pytest.mark.usefixtures("fakes")
def test_the_script_passes_a_subsamplers_error_on(video: Path, tmp_path: Path) -> None:
    video.write_bytes(b"broken")
    with pytest.raises(SystemExit, match="cut detection: cannot open"):
        cut_and_clip.cut(video, tmp_path, "exact", 0.0)


@pytest.mark.usefixtures("fakes")
def test_keyframes_are_listed_for_cuts_that_keep_to_them(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video.write_bytes(b"video")
    monkeypatch.setattr(cut_and_clip, "keyframes_s", lambda _: [0.0, 5.28, 6.48])
    assert len(cut_and_clip.cut(video, tmp_path, "keyframe_adjusted", 0.0)["clips_s"]) == 2


def test_the_script_explains_its_arguments() -> None:
    said = subprocess.run([sys.executable, cut_and_clip.__file__, "--help"], check=True, capture_output=True, text=True)
    assert "--precision" in said.stdout
