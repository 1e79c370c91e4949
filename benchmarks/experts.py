"""Every expert: pictures a second, time for a keyframe, memory; and the embedded profile over a minute of clips."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import sys
import tempfile
import time
import unittest.mock
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.common import main, measure

if TYPE_CHECKING:
    from media import Frame

__all__ = ["Timing", "experts", "time_control", "time_expert"]

_HEIGHT: Final = 360
_WARM: Final = 1
_CLIPS: Final = {True: 1, False: 16}
"""Clips that each expert looks at, quick or not."""
_MEASURED: Final = {"camera_motion": "pan left", "camera_confidence": 0.9, "camera_dx_fraction_per_s": -0.3,
                    "flow_mean_px_per_s": 40.0, "object_motion_px_per_s": 3.0, "sharpness_laplacian": 90.0,
                    "noise_sigma": 2.0}  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Timing:
    """What one expert took in a process of its own, on one thread, or on an accelerator.

    `pictures` are those that it looked at: keyframes, or the frames that it read; of an expert that reads measured
    columns alone, clips. `peak_mb` is by how much its largest resident memory exceeds what the process had before the
    expert; `gpu_peak_mb` is what torch had allocated there.
    """

    device: str
    load_s: float
    seconds: float
    pictures: int
    peak_mb: float
    gpu_peak_mb: float | None = None


def experts(quick: bool) -> Mapping[str, Any]:
    """Time every expert of the embedded profile and every control on one thread, and those that want a GPU on one.

    Then run `rushes curate` with the whole embedded profile over a film of 60 s, which the pass has measured already,
    with 2 workers. Quick: fewer clips for each expert, and a video of 10 s, measured by the pass in the same command.
    """
    import experts as registry
    from experts import weights

    figures: dict[str, Any] = {}
    for name in registry.EMBEDDED:
        figures |= _figures(name, _alone(name, "embedded", _CLIPS[quick]))
    for name in registry.CONTROLS:
        figures |= _figures(name, _alone(name, "embedded", _CLIPS[quick], time_control))
    figures |= _accelerated(_CLIPS[quick], weights.load_profile("standard").name)
    return {**figures, **_whole_profile(quick)}


def _figures(name: str, timing: Timing) -> dict[str, Any]:
    each = timing.seconds / max(1, timing.pictures)
    return {
        f"{name}_device": timing.device,
        f"{name}_frames_per_s": round(1 / max(each, 1e-9), 1),
        f"{name}_ms_per_keyframe": round(1000 * each, 3),
        f"{name}_load_s": round(timing.load_s, 2),
        f"{name}_peak_mb": round(timing.peak_mb),
        **({} if timing.gpu_peak_mb is None else {f"{name}_gpu_peak_mb": round(timing.gpu_peak_mb)}),
    }


def _alone(name: str, profile: str, clips: int, how: Callable[[str, str, int], Timing] | None = None) -> Timing:
    """Time an expert in a process of its own, so that its memory is its own; `how` is `time_expert` unless given."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        timing: Timing = pool.apply(how or time_expert, (name, profile, clips))
    return timing


def time_control(name: str, profile: str, clips: int) -> Timing:
    """Load an expert of CONTROLS, let it draw one clip's keyframes unmeasured and then those of `clips` others."""
    import experts as registry

    warm, views = _views(_WARM, 0), _views(clips, _WARM)
    before = _resident_mb("VmRSS")
    started = time.perf_counter()
    control = registry.load_control(name, profile)
    load_s = time.perf_counter() - started
    for view in warm:
        control.control(view)
    started = time.perf_counter()
    for view in views:
        control.control(view)
    seconds = time.perf_counter() - started
    pictures = sum(len(view.frames) for view in views)
    return Timing("cpu", load_s, seconds, pictures, _resident_mb("VmHWM") - before)


def time_expert(name: str, profile: str, clips: int) -> Timing:
    """Load an expert, let it look at one clip unmeasured and then at `clips` others; memory is this process's."""
    import experts as registry
    from experts.registry import run

    warm, views = _views(_WARM, 0), _views(clips, _WARM)
    before = _resident_mb("VmRSS")
    started = time.perf_counter()
    expert = registry.load(name, profile)
    load_s = time.perf_counter() - started
    run(expert, warm, run_id="warm")
    started = time.perf_counter()
    with _frames_read() as read:
        rows = run(expert, views, run_id="timed")
    seconds = time.perf_counter() - started
    if failed := [row["error"] for row in rows if row["error"]]:
        raise SystemExit(f"expert {name} failed: {failed[0]}")
    seen = {"keyframes": sum(len(view.frames) for view in views), "row": len(views), "frames": read[0]}
    timing = Timing("cpu", load_s, seconds, seen[expert.needs], _resident_mb("VmHWM") - before)
    if not registry.needs_gpu(profile, [name]):
        return timing
    import torch

    return dataclasses.replace(timing, device="cuda", gpu_peak_mb=torch.cuda.max_memory_allocated() / 2**20)


class _Counted:
    """A frame of a video that counts in `read` when it is turned into a picture."""

    def __init__(self, frame: Frame, read: list[int]) -> None:
        self._frame, self._read = frame, read

    def __getattr__(self, name: str) -> Any:
        return getattr(self._frame, name)

    def rgb(self, *args: Any, **kwargs: Any) -> Any:
        """Return the picture."""
        self._read[0] += 1
        return self._frame.rgb(*args, **kwargs)


@contextlib.contextmanager
def _frames_read() -> Iterator[list[int]]:
    """Yield a list whose one number is how many frames of videos have been turned into pictures in the block."""
    import media

    read, read_span = [0], media.read_span

    def counted(*args: Any, **kwargs: Any) -> Iterator[_Counted]:
        return (_Counted(frame, read) for frame in read_span(*args, **kwargs))

    with unittest.mock.patch.object(media, "read_span", counted):
        yield read


def _views(count: int, skip: int) -> list[Any]:
    """Return clips of real footage, each 48 frames with three keyframes, no picture twice."""
    import media
    from experts import weights
    from experts.base import ClipView

    at = {video: 0 for video in weights.footage().videos if "carphone" not in video.name}
    frames = {video: media.frame_index(video).frames for video in at}
    views: list[Any] = []
    while len(views) < skip + count:
        video = list(at)[len(views) % len(at)]
        first = at[video] % max(1, frames[video] - 48)
        at[video] += 13  # clips overlap where there are many; their keyframes do not fall on each other
        end, wanted = first + 48, [first + 6, first + 24, first + 42]
        pictures = {f.index: f.rgb(_HEIGHT) for f in media.read_span(video, first, end) if f.index in wanted}
        row = {**_MEASURED, "uri": str(video), "kind": "clip"}
        views.append(ClipView(f"{video.name}:{first}-{end}", list(pictures.values()), list(pictures),
                              [i / 25 for i in pictures], first, end, row))  # fmt: skip
    return views[skip:]


def _resident_mb(field: str) -> float:
    """Return a figure of this process's memory; VmHWM, its peak, is not inherited from the parent as maxrss is."""
    line = next(text for text in Path("/proc/self/status").read_text().splitlines() if text.startswith(field))
    return int(line.split()[1]) / 1024


def _accelerated(clips: int, profile: str) -> dict[str, Any]:
    """Time the experts of `profile` that want a GPU, where there is one and their models are here; else say why not."""
    import torch

    import experts as registry
    from media.errors import MissingModelError

    wanting = [name for name in registry.names(profile) if registry.expert_class(name, profile).resources.gpus > 0]
    if not torch.cuda.is_available():
        return {"accelerator": None}
    figures: dict[str, Any] = {"accelerator": torch.cuda.get_device_name()}
    missing = []
    for name in wanting:
        try:
            registry.model_of(name, profile)
        except MissingModelError:
            missing.append(name)
            continue
        figures |= _figures(name, _alone(name, profile, clips))
    return {**figures, "accelerator_models_missing": ", ".join(missing) or None}


def _whole_profile(quick: bool) -> dict[str, Any]:
    """Run the embedded experts over a film's clips as a user would: Ray, 2 workers, the whole process tree measured."""
    from benchmarks.films import film
    from dataset import open_root

    with tempfile.TemporaryDirectory(prefix="rushes-experts-") as folder:
        dataset = str(Path(folder, "dataset"))
        path = _bikes() if quick else film(Path(folder, "film.mp4"), _HEIGHT, 60)
        command = [sys.executable, "-m", "pipelines", "curate", str(path), "--out", dataset, "--workers", "2", "--json"]
        for more in ([] if quick else [["--experts", "none"]]) + [[]]:
            looked = measure([*command, *more])
            if looked.exit_code:
                raise SystemExit(looked.output)
        told = json.loads(looked.output[looked.output.index("\n{") :])
        clips = open_root(dataset).read("clips", ["clip_id", "duration_s"])
        long_s = sum(clips["duration_s"].to_pylist())
        took = told["seconds"]["the experts look"]
    return {
        "embedded_clips": clips.num_rows,
        "embedded_film_s": round(long_s, 1),
        "embedded_step_s": round(took, 1),
        "embedded_wall_s": round(looked.wall_s, 1),
        "embedded_clips_per_s": round(clips.num_rows / took, 2),
        "embedded_film_s_per_s": round(long_s / took, 2),
        "embedded_peak_mb": round(looked.peak_mb),
    }


def _bikes() -> Path:
    """Return ten seconds of real footage, six shots."""
    from experts import weights

    return next(video for video in weights.footage().videos if video.name == "bikes.mp4")


if __name__ == "__main__":
    main("experts", experts)
