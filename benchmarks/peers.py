"""Other curation tools, each in an environment of its own, run as their users run them and on the same file.

`environment` makes a tool's environment once; a function for each tool gives the `Command` to run; `clips` reads
what the command found. A tool that cannot be installed is None with a `reason`, never an exception.

Where a tool lets itself be told, it encodes as `Encoding` says: same preset, same CRF, no sound.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, Literal

from experts.carriers import home
from media.errors import BackendError

__all__ = [
    "PEERS",
    "VIDEO2DATASET_ENCODING",
    "Clip",
    "Command",
    "Encoding",
    "Peer",
    "clips",
    "datajuicer",
    "environment",
    "reason",
    "scenedetect_detect",
    "scenedetect_split",
    "versions",
    "video2dataset",
]

Kind = Literal["scenedetect", "datajuicer", "video2dataset"]
Precision = Literal["exact", "keyframe_adjusted"]

_SCRIPTS: Final = Path(__file__).parent / "peer_scripts"
_READY, _FAILED = "ready.json", "failed.txt"
_MIN_SCENE_FRAMES: Final = 15
_ADAPTIVE_THRESHOLD: Final = 3.0
_DATAJUICER_STATS: Final = "__dj__stats__"
_DATAJUICER_SOURCE: Final = "__dj__source_file__"


@dataclass(frozen=True, slots=True)
class Peer:
    """What pip installs for a tool: `pins` with what they depend on, then `bare` without."""

    pins: tuple[str, ...]
    bare: tuple[str, ...] = ()


PEERS: Final[Mapping[str, Peer]] = {
    "scenedetect": Peer(("scenedetect-headless==0.7.2", "opencv-python-headless==4.14.0.94", "imageio-ffmpeg==0.8.1")),
    # aiohttp, ray and torch are imported at every run, yet not among what it requires; what is missing it fetches
    # while it runs, torch in its largest form. av is the release it names: newer ones lack a method it calls.
    "datajuicer": Peer(
        (
            "py-data-juicer==1.6.1",
            "aiohttp==3.14.5",
            "av==13.1.0",
            "datasets==5.2.0",
            "imageio-ffmpeg==0.8.1",
            "numpy==2.4.6",
            "opencv-python-headless==4.14.0.94",
            "ray==2.60.0",
            "scenedetect-headless==0.7.2",
            "torch==2.13.0",
        )
    ),
    # It asks for torch 2.1.2, transformers, wandb and more; its two subsamplers import none of them.
    "video2dataset": Peer(
        (
            "av==18.1.0",
            "click==8.5.1",
            "future==1.0.0",
            "imageio-ffmpeg==0.8.1",
            "numpy==1.26.4",
            "opencv-python-headless==4.11.0.86",
            "platformdirs==4.14.8",
            "tqdm==4.70.1",
        ),
        bare=("video2dataset==1.3.0", "scenedetect==0.6.2", "ffmpeg-python==0.2.0"),
    ),
}
"""Every tool by name, with the releases that run on Python 3.11."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How clips are encoded: libx264 with this preset and constant rate factor, without sound."""

    preset: str = "veryfast"
    crf: int = 18

    def arguments(self) -> str:
        """Return ffmpeg's output arguments, in one string."""
        return f"-c:v libx264 -preset {self.preset} -crf {self.crf} -an"


VIDEO2DATASET_ENCODING: Final = Encoding("medium", 23)
"""What video2dataset's exact clips are encoded with: libx264's own defaults, which it has no argument to change."""


@dataclass(frozen=True, slots=True)
class Command:
    """One run of a tool. `env` is laid over the caller's; what is found lands in `out`."""

    kind: Kind
    argv: tuple[str, ...]
    env: Mapping[str, str]
    out: Path
    videos: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Clip:
    """A span of `video`, from `start_s` to `end_s` (excluded), and the file it was cut to, if it was cut."""

    video: Path
    start_s: float
    end_s: float
    file: Path | None = field(default=None, compare=False)

    def frames(self, fps: float) -> tuple[int, int]:
        """Return the span in frames of a video of constant rate: first, and the one after the last."""
        return round(self.start_s * fps), round(self.end_s * fps)


# --- environments ---------------------------------------------------------------------------------------------------


def environment(name: str, cache: Path | None = None) -> Path | None:
    """Return the environment folder of the peer `name`, made at the first call, or None: then `reason` says why.

    `cache` holds one folder a peer (default `$RUSHES_HOME/peers`). An environment of other pins is made anew; a failed
    one is tried again at the next call. Raises KeyError for an unknown name.
    """
    peer, where = PEERS[name], _where(name, cache)
    if _ready(where).get("pins") == _pins(peer):
        return where
    shutil.rmtree(where, ignore_errors=True)
    failed = where.with_name(f"{name}-{_FAILED}")
    failed.unlink(missing_ok=True)
    try:
        _install(peer, where)
    except (OSError, subprocess.CalledProcessError) as error:
        told = str(getattr(error, "stderr", None) or error).strip().splitlines()
        shutil.rmtree(where, ignore_errors=True)
        failed.parent.mkdir(parents=True, exist_ok=True)
        failed.write_text("\n".join(told[-5:]))
        return None
    return where


def reason(name: str, cache: Path | None = None) -> str:
    """Return why the last `environment(name)` was None: the end of what pip or venv said; empty if it was not."""
    failed = _where(name, cache).with_name(f"{name}-{_FAILED}")
    return failed.read_text() if failed.exists() else ""


def versions(name: str, cache: Path | None = None) -> dict[str, str]:
    """Return the versions of everything in the environment of `name`, and of its `ffmpeg`; empty if there is none."""
    found = _ready(_where(name, cache)).get("versions", {})
    return {str(key): str(value) for key, value in found.items()}


def _where(name: str, cache: Path | None) -> Path:
    return (cache or home() / "peers").absolute() / name


def _pins(peer: Peer) -> list[str]:
    return [*peer.pins, *peer.bare]


def _ready(where: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((where / _READY).read_text()))
    except (OSError, ValueError):
        return {}


def _install(peer: Peer, where: Path) -> None:
    """Raises CalledProcessError with what was said on stderr, or OSError."""
    where.parent.mkdir(parents=True, exist_ok=True)
    _said([sys.executable, "-m", "venv", str(where)])
    python = str(where / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    _said([*pip, "install", "--quiet", *peer.pins])
    if peer.bare:
        _said([*pip, "install", "--quiet", "--no-deps", *peer.bare])
    ffmpeg = _said([python, "-c", "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())"]).strip()
    (where / "bin" / "ffmpeg").symlink_to(ffmpeg)
    listed = json.loads(_said([*pip, "list", "--format", "json"]))
    found = {str(row["name"]).lower(): str(row["version"]) for row in listed}
    found["ffmpeg"] = _said([ffmpeg, "-version"]).split()[2]
    # Written last: a killed installation is no environment.
    (where / _READY).write_text(json.dumps({"pins": _pins(peer), "versions": found}, indent=2))


def _said(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, env=_plain_env()).stdout


def _plain_env() -> dict[str, str]:
    """Return the caller's environment without what would let its own packages in."""
    return {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}}


def _env(where: Path, out: Path) -> dict[str, str]:
    # The tool's ffmpeg comes first on PATH, and the user's own settings and caches stay out of the run.
    return {
        "PATH": f"{where / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": "",
        "XDG_CONFIG_HOME": str(out / "config"),
    }


# --- commands -------------------------------------------------------------------------------------------------------


def scenedetect_detect(where: Path, video: Path, out: Path) -> Command:
    """PySceneDetect's adaptive detector with its defaults; it writes a list of scenes and no video."""
    return _scenedetect(where, video, out, [])


def scenedetect_split(where: Path, video: Path, out: Path, encoding: Encoding | None = None) -> Command:
    """PySceneDetect's adaptive detector, then one ffmpeg a scene. Its own encoding would be veryfast, CRF 22, sound."""
    chosen = encoding or Encoding()
    return _scenedetect(where, video, out, ["split-video", "-q", "-a", f"-map 0:v:0 {chosen.arguments()}"])


def _scenedetect(where: Path, video: Path, out: Path, then: Sequence[str]) -> Command:
    video, out = video.absolute(), _made(out)
    argv = [str(where / "bin" / "scenedetect"), "-i", str(video), "-o", str(out), "detect-adaptive"]
    return Command(
        "scenedetect", (*argv, "list-scenes", "-q", "-s", "-f", "scenes", *then), _env(where, out), out, (video,)
    )


def datajuicer(
    where: Path,
    videos: Sequence[Path],
    out: Path,
    *,
    workers: int = 1,
    encoding: Encoding | None = None,
    shortest_s: float = 0.0,
    motion_px: int | None = 256,
) -> Command:
    """Data-Juicer's executor: split by scene, then the duration filter, then the optical-flow motion filter.

    A row is a video, so that more `workers` than `videos` have nothing to do, and a filter keeps or drops a whole
    video: here it is kept if any of its clips passes. Flow is computed twice a second, on frames whose shorter side is
    `motion_px`; None is its default, whole frames, and takes 15 GB for 46 s of 720p, for the filter keeps every vector
    of a video as a Python float. Writes the list of videos and the configuration under `out`.
    """
    videos, out = [video.absolute() for video in videos], _made(out)
    chosen = encoding or Encoding()
    rows = [{"videos": [str(video)], "text": "<__dj__video> <|__dj__eoc|>"} for video in videos]
    (out / "videos.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    split = {
        "detector": "AdaptiveDetector",
        "threshold": _ADAPTIVE_THRESHOLD,
        "min_scene_len": _MIN_SCENE_FRAMES,
        "save_dir": str(out / "clips"),
        "ffmpeg_extra_args": chosen.arguments(),
        "num_proc": workers,
    }
    duration = {"min_duration": shortest_s, "any_or_all": "any", "video_backend": "av", "num_proc": workers}
    motion = {"min_score": 0.25, "size": motion_px, "any_or_all": "any", "num_proc": workers}
    config = {
        "project_name": "peer",
        "dataset_path": str(out / "videos.jsonl"),
        "export_path": str(out / "result" / "kept.jsonl"),
        "work_dir": str(out / "work"),
        "ds_cache_dir": str(out / "cache"),
        "np": workers,
        "auto_op_parallelism": False,
        "use_cache": False,
        "open_monitor": False,
        "open_tracer": False,
        "keep_stats_in_res_ds": True,
        "process": [
            {"video_split_by_scene_mapper": split},
            {"video_duration_filter": duration},
            {"video_motion_score_filter": motion},
        ],
    }
    # JSON is YAML.
    (out / "config.yaml").write_text(json.dumps(config, indent=2))
    env = _env(where, out) | {
        "DATA_JUICER_CACHE_HOME": str(out / "cache"),
        "HF_HOME": str(out / "cache"),
        "HF_HUB_OFFLINE": "1",
        # It installs what it misses in the middle of a run: a measured run must fail instead.
        "UV_OFFLINE": "1",
        "UV_CACHE_DIR": str(out / "cache"),
        "PIP_NO_INDEX": "1",
    }
    # Its motion filter works in processes whose CPU time would be counted nowhere.
    reap = (str(where / "bin" / "python"), str(_SCRIPTS / "reap.py"))
    argv = (*reap, str(where / "bin" / "dj-process"), "--config", str(out / "config.yaml"))
    return Command("datajuicer", argv, env, out, tuple(videos))


def video2dataset(
    where: Path, video: Path, out: Path, *, precision: Precision = "exact", shortest_s: float = 0.0
) -> Command:
    """video2dataset's cut detection and clipping subsamplers: PySceneDetect's content detector, then one ffmpeg.

    `exact` encodes as `VIDEO2DATASET_ENCODING`; `keyframe_adjusted` copies streams between keyframes. Clips of at
    most `shortest_s` are dropped.
    """
    video, out = video.absolute(), _made(out)
    argv = (
        str(where / "bin" / "python"),
        str(_SCRIPTS / "cut_and_clip.py"),
        *(str(video), str(out), "--precision", precision, "--shortest-s", str(shortest_s)),
    )
    return Command("video2dataset", argv, _env(where, out), out, (video,))


def _made(out: Path) -> Path:
    out = out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    return out


# --- what they found ------------------------------------------------------------------------------------------------


def clips(command: Command) -> tuple[Clip, ...]:
    """Return what a finished `command` found, in order. Raises BackendError if it left no result, or half a one."""
    readers = {"scenedetect": _scenes_of_csv, "datajuicer": _clips_of_stats, "video2dataset": _clips_of_json}
    try:
        return tuple(readers[command.kind](command))
    except (OSError, ValueError, KeyError) as error:
        raise BackendError(f"{command.kind} left no readable result in {command.out}: {error!r}") from error


def _scenes_of_csv(command: Command) -> Iterator[Clip]:
    files = sorted(command.out.glob("*-Scene-*.mp4"))
    with (command.out / "scenes.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    if files and len(files) != len(rows):
        raise ValueError(f"{len(rows)} scenes, {len(files)} files")
    for index, row in enumerate(rows):
        file = files[index] if files else None
        yield Clip(command.videos[0], float(row["Start Time (seconds)"]), float(row["End Time (seconds)"]), file)


def _clips_of_stats(command: Command) -> Iterator[Clip]:
    """Scenes tile a video, so that the lengths of its clips, in order, are its spans."""
    for line in (command.out / "result" / "kept.jsonl").read_text().splitlines():
        row = json.loads(line)
        lengths = [float(length) for length in row[_DATAJUICER_STATS]["video_duration"]]
        ends = list(accumulate(lengths))
        starts = [0.0, *ends[:-1]]
        for source, file, start, end in zip(row[_DATAJUICER_SOURCE], row["videos"], starts, ends, strict=True):
            yield Clip(Path(source), round(start, 6), round(end, 6), Path(file))


def _clips_of_json(command: Command) -> Iterator[Clip]:
    found = json.loads((command.out / "found.json").read_text())
    for (start, end), file in zip(found["clips_s"], found["files"], strict=True):
        yield Clip(command.videos[0], float(start), float(end), command.out / file)
