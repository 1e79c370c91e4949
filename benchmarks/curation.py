"""Split, measure and cut against a bare decode of the same film, and against the peers that can be installed."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks import peers
from benchmarks.common import main, measure
from benchmarks.films import FPS, film
from benchmarks.passes import CRF, PRESET

SECONDS: Final = 60.0
LONG_S, SHORT_S = 3600.0, 60.0
QUICK_SECONDS, QUICK_LONG_S, QUICK_SHORT_S = 30.0, 90.0, 15.0
_CLOSE_FRAMES: Final = 1
_OURS: Final = (
    ("rushes_copy", "copy", PRESET, 1),
    ("rushes_exact", "exact", PRESET, 1),
    ("rushes_exact_lean", "exact", "lean", 1),
    ("rushes_exact_two_workers", "exact", PRESET, 2),
    ("rushes_exact_lean_two_workers", "exact", "lean", 2),
)
"""Our whole job: how the clips are cut, by which x264 preset, over how many processes."""


def curation(quick: bool) -> Mapping[str, Any]:
    """Time the passes in one process, in turn; then whole processes, ours and the peers'; and weigh a long film.

    Quick: three rounds on half a minute of film at 720p, no peers, a shorter long film.
    """
    with tempfile.TemporaryDirectory(prefix="rushes-curation-") as folder:
        place = Path(folder)
        figures: dict[str, Any] = {"film_s": QUICK_SECONDS if quick else SECONDS, "cut_crf": CRF, "cut_preset": PRESET}
        for height in (720,) if quick else (720, 1080):
            figures |= _passes(film(place / f"{height}.mp4", height, figures["film_s"]), height, quick)
        figures |= _memory(place, quick)
        if not quick:
            figures |= _processes(place / "720.mp4", place)
        return figures


def _passes(path: Path, height: int, quick: bool) -> dict[str, Any]:
    """Return CPU seconds of bare decode, split+measure and the cuts, and their ratios to the bare decode."""
    command = [sys.executable, "-m", "benchmarks.passes", "time", str(path), "--rounds", "3" if quick else "5"]
    if height == 720 and not quick:
        command.append("--exact")
    timed = json.loads(_output(command))
    ratio = timed["measure_over_decode"]
    out: dict[str, Any] = {
        f"film_{height}p_frames": timed["frames"],
        f"film_{height}p_clips": timed["clips"],
        f"decode_{height}p_cpu_s": timed["decode_cpu_s"],
        f"split_measure_{height}p_cpu_s": timed["measure_cpu_s"],
        f"split_measure_over_decode_{height}p": ratio,
        f"split_measure_every_frame_over_decode_{height}p": timed["measure_whole_over_decode"],
        f"split_measure_copy_over_decode_{height}p": ratio + timed["copy_over_decode"],
    }
    if "exact_over_decode" in timed:
        out[f"split_measure_exact_over_decode_{height}p"] = ratio + timed["exact_over_decode"]
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in out.items()}


def _memory(place: Path, quick: bool) -> dict[str, Any]:
    """Return the peaks of the first stage of a run, its guarded child included, over a long film and a short one."""
    peaks = {}
    for name, seconds in (
        ("long", QUICK_LONG_S if quick else LONG_S),
        ("short", QUICK_SHORT_S if quick else SHORT_S),
    ):
        path = film(place / f"{name}.mp4", 360, seconds)
        out = place / f"dataset-{name}"
        command = [sys.executable, "-m", "benchmarks.passes", "ingest", str(path), "--out", str(out)]
        taken = measure(command, every_s=0.1)
        told = json.loads(taken.output.splitlines()[-1]) if not taken.exit_code else {}
        if taken.exit_code or told["notes"] or not told["rows"].get("clips"):
            raise SystemExit(f"{path.name}: {taken.output}")
        peaks[name] = taken.peak_mb
        path.unlink()
    return {
        "long_film_s": QUICK_LONG_S if quick else LONG_S,
        "short_film_s": QUICK_SHORT_S if quick else SHORT_S,
        "peak_mb_long": round(peaks["long"]),
        "peak_mb_short": round(peaks["short"]),
        "peak_mb_long_minus_short": round(peaks["long"] - peaks["short"]),
    }


def _processes(path: Path, place: Path) -> dict[str, Any]:
    """Return the CPU and wall seconds of whole processes, with all they start, start-up included."""
    bare = measure([sys.executable, "-m", "benchmarks.passes", "decode", str(path)])
    out: dict[str, Any] = _shown("bare_decode_process", bare)
    ours: dict[str, Any] = {}
    for name, mode, preset, workers in _OURS:
        where = place / name
        command = [sys.executable, "-m", "benchmarks.passes", "chain", str(path), "--out", str(where),
                   "--mode", mode, "--preset", preset, "--workers", str(workers)]  # fmt: skip
        ours[name] = measure(command)
        if ours[name].exit_code:
            raise SystemExit(ours[name].output)
        out |= _shown(name, ours[name])
    spans = [(clip["first"], clip["end"]) for clip in json.loads(ours["rushes_exact"].output.splitlines()[-1])["clips"]]
    for name, peer in _peers(path, place):
        if isinstance(peer, str):
            out[f"{name}_not_run"] = peer
            continue
        taken = measure(peer.argv, env=peer.env)
        out |= _shown(name, taken)
        if taken.exit_code:
            out[f"{name}_not_run"] = (taken.output.strip().splitlines() or ["no word"])[-1][:300]
            continue
        found = [clip.frames(FPS) for clip in peers.clips(peer)]
        out[f"{name}_clips"] = len(found)
        out[f"{name}_clips_shared_with_rushes"] = sum(any(_same(a, b) for b in found) for a in spans)
        for mine, figures in ours.items():
            kind, own = ("wall", "wall_s") if mine.endswith("two_workers") else ("cpu", "cpu_s")
            out[f"{name}_over_{mine}_{kind}"] = round(getattr(taken, own) / getattr(figures, own), 2)
        out[f"{name}_over_decode_cpu"] = round(taken.cpu_s / bare.cpu_s, 2)
    return out


def _peers(path: Path, place: Path) -> list[tuple[str, peers.Command | str]]:
    """Return each peer's command on the film, or why there is none."""
    found: list[tuple[str, peers.Command | str]] = []
    encoding = peers.Encoding(PRESET, CRF)
    for peer in ("scenedetect", "datajuicer", "video2dataset"):
        where = peers.environment(peer)
        if where is None:
            found.append((peer, peers.reason(peer) or "not installed"))
        elif peer == "scenedetect":
            found.append(("scenedetect_detect", peers.scenedetect_detect(where, path, place / "sd")))
            found.append(("scenedetect_detect_split", peers.scenedetect_split(where, path, place / "sds", encoding)))
        elif peer == "datajuicer":
            made = peers.datajuicer(where, [path], place / "dj", workers=2, encoding=encoding)
            found.append(("datajuicer", made))
        else:
            found.append(("video2dataset_exact", peers.video2dataset(where, path, place / "v2d")))
    return found


def _same(ours: tuple[int, int], theirs: tuple[int, int]) -> bool:
    return all(abs(a - b) <= _CLOSE_FRAMES for a, b in zip(ours, theirs, strict=True))


def _shown(name: str, taken: Any) -> dict[str, Any]:
    return {
        f"{name}_cpu_s": round(taken.cpu_s, 2),
        f"{name}_wall_s": round(taken.wall_s, 2),
        f"{name}_peak_mb": round(taken.peak_mb),
    }


def _output(command: list[str]) -> str:
    taken = measure(command)
    if taken.exit_code:
        raise SystemExit(taken.output)
    return taken.output.splitlines()[-1]


if __name__ == "__main__":
    main("curation", curation)
