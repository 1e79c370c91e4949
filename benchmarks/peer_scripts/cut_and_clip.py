"""Cut one video with video2dataset's own subsamplers, and write the clips and `found.json`: runs in its environment.

The subsamplers are chained as its worker chains them: the scenes of one are the clips of the other. Its worker lists
keyframes with ffprobe; PyAV lists the same here, which is less work.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
import types
from pathlib import Path
from typing import Any

PACKAGE = "video2dataset"
NO_CLIPS = "Video had no clip_spans"
"""How the clipping subsampler's error begins where nothing failed, but every clip was too short."""


def stand_in() -> None:
    """Let the package's modules be imported without its `__init__`, which imports torch and much else."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{PACKAGE} is not installed here")
    root = Path(spec.submodule_search_locations[0])
    for name, path in ((PACKAGE, root), (f"{PACKAGE}.subsamplers", root / "subsamplers")):
        package = types.ModuleType(name)
        package.__path__ = [str(path)]
        sys.modules[name] = package


def subsampler(module: str, name: str) -> Any:
    """Return a subsampler class of the package."""
    return getattr(importlib.import_module(f"{PACKAGE}.subsamplers.{module}"), name)


def keyframes_s(video: Path) -> list[float]:
    """Return the times of the keyframes of `video` and, last, its length, in seconds."""
    import av

    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        packets = (p for p in container.demux(stream) if p.is_keyframe and p.pts is not None and p.time_base)
        times = [float((p.pts or 0) * p.time_base) for p in packets]
        return [*times, (container.duration or 0) / av.time_base]


def cut(video: Path, out: Path, precision: str, shortest_s: float) -> dict[str, Any]:
    """Cut `video` into `out`; return the scenes in frames, the clips in seconds and their files' names.

    Raises SystemExit with the subsampler's own message where one fails.
    """
    stand_in()
    detect = subsampler("cut_detection_subsampler", "CutDetectionSubsampler")(cut_detection_mode="all")
    clip = subsampler("clipping_subsampler", "ClippingSubsampler")(
        5, {"video": "mp4"}, min_length=shortest_s, precision=precision
    )
    streams, cuts, error = detect({"video": [video.read_bytes()]})
    if error is not None:
        sys.exit(f"cut detection: {error}")
    fps = cuts["original_fps"]
    scenes = cuts["cuts_original_fps"]
    metadata: dict[str, Any] = {"key": video.stem, "clips": [[first / fps, end / fps] for first, end in scenes]}
    if precision == "keyframe_adjusted":
        metadata["video_metadata"] = {"keyframe_timestamps": keyframes_s(video)}
    made, described, error = clip(streams, metadata)
    if error is not None and not error.startswith(NO_CLIPS):
        sys.exit(f"clipping: {error}")
    files = [f"{of['key']}.mp4" for of in described]
    for file, content in zip(files, made.get("video", []), strict=True):
        (out / file).write_bytes(content)
    return {"fps": fps, "scenes": scenes, "clips_s": [of["clips"][0] for of in described], "files": files}


def main() -> None:
    """Read the arguments, cut, write `found.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--precision", choices=("exact", "keyframe_adjusted"), default="exact")
    parser.add_argument("--shortest-s", type=float, default=0.0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    found = cut(options.video, options.out, options.precision, options.shortest_s)
    (options.out / "found.json").write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
