"""One film, decoded to nothing, measured and cut: CPU seconds of each in one process, in turn, on one thread.

`python -m benchmarks.passes time FILM [--rounds N] [--exact]` times the passes after everything is loaded.
`python -m benchmarks.passes chain FILM --out FOLDER --mode exact` is the whole job as a user's process runs it.
`python -m benchmarks.passes ingest FILM --out DATASET` is the first stage of a run, guarded child and all.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

__all__ = ["decode_to_nothing"]

CRF: Final = 18
PRESET: Final = "veryfast"


def decode_to_nothing(path: Path) -> int:
    """Decode every frame by libav alone, one thread; return their number."""
    import av

    count = 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.thread_type = "SLICE"
        for packet in container.demux(stream):
            count += len(packet.decode())
    return count


def _quiet() -> None:
    """Keep to one thread, and load what a worker loads once for all its files."""
    import cv2
    import torch

    from curation.detectors.transnet import load_network

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    load_network()


def _measure(path: Path, **config: Any) -> list[tuple[int, int]]:
    """Split and measure; return the spans of the clips."""
    import curation

    got = curation.ingest(str(path), curation.CurateConfig(**config), run_id="bench")
    if got.video["status"] != "ok":
        raise SystemExit(f"{path}: {got.video['detail']}")
    return [(clip["first_frame"], clip["end_frame"]) for clip in got.clips]


def _cut(
    path: Path, spans: list[tuple[int, int]], mode: Any, preset: str = PRESET, out: Path | None = None
) -> list[dict[str, Any]]:
    """Cut and verify the spans; write them to `out`, or throw them away."""
    import media

    how: dict[str, Any] = {"crf": CRF, "preset": preset} if mode == "exact" else {}
    written = []
    for place, clip in media.cut_many(path, spans, mode=mode, **how):
        if isinstance(clip, media.MediaError):
            raise SystemExit(f"{path}, frames {spans[place]}: {clip}")
        written.append({"first": spans[place][0], "end": spans[place][1], "bytes": len(clip.data)})
        if out is not None:
            (out / f"{spans[place][0]:08}.mp4").write_bytes(clip.data)
    return written


def _time(path: Path, rounds: int, exact: bool) -> dict[str, Any]:
    _quiet()
    spans = _measure(path)
    work: dict[str, Callable[[], Any]] = {
        "decode": lambda: decode_to_nothing(path),
        "measure": lambda: _measure(path),
        "measure_whole": lambda: _measure(path, decode="whole"),
        "copy": lambda: _cut(path, spans, "copy"),
    }
    if exact:
        work["exact"] = lambda: _cut(path, spans, "exact")
    taken: dict[str, list[float]] = {name: [] for name in work}
    for number in range(rounds):
        for name, run in work.items():
            if name == "exact" and number:
                continue
            before = time.process_time()
            run()
            taken[name].append(time.process_time() - before)
        sys.stderr.write(f"{path.name}: round {number + 1} of {rounds}\n")
    frames = decode_to_nothing(path)
    # Each round's ratio to its own bare decode: the machine's pace drifts.
    ratios = {
        f"{name}_over_decode": statistics.median(t / d for t, d in zip(times, taken["decode"], strict=False))
        for name, times in taken.items()
    }
    cpu = {f"{name}_cpu_s": statistics.median(times) for name, times in taken.items()}
    return {"frames": frames, "clips": len(spans), **cpu, **ratios}


def _chain(path: Path, out: Path, mode: str, preset: str, workers: int) -> dict[str, Any]:
    """Split, measure and cut, over `workers` processes; return the clips."""
    out.mkdir(parents=True, exist_ok=True)
    if workers == 1:
        _quiet()
        return {"clips": _cut(path, _measure(path), mode, preset, out)}
    import curation

    planned = curation.plan_spans(path, 1.0)
    share = -(-len(planned) // workers)
    parts = [(planned[i][0], planned[min(i + share, len(planned)) - 1][1]) for i in range(0, len(planned), share)]
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _one_thread) as pool:
        scans = list(pool.map(_scan, [path] * len(parts), parts))
        _quiet()
        got = curation.ingest(str(path), run_id="bench", scanned=(view for scan in scans for view in scan))
        spans = [(clip["first_frame"], clip["end_frame"]) for clip in got.clips]
        share = -(-len(spans) // workers)
        pieces = [spans[i : i + share] for i in range(0, len(spans), share)]
        found = pool.map(partial(_cut, path, mode=mode, preset=preset, out=out), pieces)
        return {"clips": [clip for piece in found for clip in piece]}


def _one_thread() -> None:
    import cv2

    cv2.setNumThreads(1)


def _scan(path: Path, span: tuple[int, int]) -> Any:
    import curation

    return curation.scan(path, *span, curation.CurateConfig())


def _ingest(path: Path, out: Path) -> dict[str, Any]:
    from curation.config import CurateConfig
    from dataset import open_root
    from pipelines.engine import LocalEngine, StageSpec
    from pipelines.ingesting import Ingest

    root = open_root(str(out), create=True)
    how = {"root": root.uri, "curate": CurateConfig(), "wall_limit_s": 3600.0, "run_id": "bench"}
    reports = list(LocalEngine().run(StageSpec(Ingest, root.uri, how), [[{"uri": str(path)}]]))
    return {"rows": reports[0].rows, "notes": list(reports[0].notes)}


def main() -> None:
    """Run one of the jobs and print its figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.passes")
    parser.add_argument("job", choices=["time", "decode", "chain", "ingest"])
    parser.add_argument("film", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--mode", default="exact")
    parser.add_argument("--preset", default=PRESET)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    if options.job == "time":
        figures = _time(options.film, options.rounds, options.exact)
    elif options.job == "decode":
        figures = {"frames": decode_to_nothing(options.film)}
    elif options.job == "chain":
        figures = _chain(options.film, options.out, options.mode, options.preset, options.workers)
    else:
        figures = _ingest(options.film, options.out)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
