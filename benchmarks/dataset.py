"""What the dataset answers in, at 100 thousand, 1 million and 10 million clips.

The rows are made up, the parts are real: they go through the real schemas and the real writer. Keyframes are left
null, for 10 million clips would have some 500 GB of them; no query here asks for them, and an unasked column is not
read. Each figure is the median of its rounds in a process of its own, opening of the dataset included; files are in
the page cache, for they were just written.
"""

from __future__ import annotations

import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.common import main
from benchmarks.dedup import dedup
from curation.select import default_rules, what_if
from curation.sweep import sweep
from dataset import BucketRecipe, Root, ShardReader, make_plan, open_root, query, schema_of
from dataset.buckets import Bucket
from dataset.schema import MEASURES
from dataset.shards import SHARD_ROW_GROUP_BYTES, media_hash
from dataset.uniqueness import note_unique
from experts import schema

RUN: Final = "20261101T000000-00000000"
CLIPS_PER_PART: Final = 100_000
CLIPS_PER_VIDEO: Final = 24
EXPERTS: Final = ("tags", "text", "quality")
SHARD_PARTS: Final = 1000
NEEDED_GB: Final = 14
WIDE: Final = """
SELECT "group", count(*) AS clips, avg(flow_mean_px_per_s) AS motion, avg(text_area_fraction) AS text
FROM wide WHERE duration_s >= 2 AND top_probability > 0.2 AND text_area_fraction < 0.5 AND clarity > 0.2
GROUP BY 1 ORDER BY clips DESC
"""
RECIPE: Final = BucketRecipe(
    buckets=(
        Bucket(frames=1, height_px=256, width_px=256),
        Bucket(frames=16, height_px=256, width_px=448, fps=8),
        Bucket(frames=32, height_px=256, width_px=448, fps=12),
        Bucket(frames=16, height_px=448, width_px=256, fps=8),
        Bucket(frames=64, height_px=384, width_px=640, fps=16),
    ),
    tokens_per_batch=160_000,
    spatial_stride=16,
)
_IDS: Final = """
SELECT video_id || ':' || first || '-' || (first + 96) AS clip_id, video_id, first::INT AS first_frame
FROM (SELECT md5((i // {per})::VARCHAR) AS video_id, 100 * (i % {per}) AS first FROM range({low}, {high}) t(i))
"""


def measure_all(quick: bool) -> dict[str, Any]:
    """Select, join, look up and plan over made-up datasets of growing size, each in a process of its own."""
    free_gb = shutil.disk_usage(tempfile.gettempdir()).free / 1e9
    if free_gb < (2 if quick else NEEDED_GB):
        raise SystemExit(f"{tempfile.gettempdir()} has {free_gb:.0f} GB free; this needs {NEEDED_GB}")
    figures: dict[str, Any] = {}
    peaks = []
    for name, clips in [("100k", 100_000)] if quick else [("100k", 100_000), ("1m", 1_000_000), ("10m", 10_000_000)]:
        with _folder() as folder:
            started = time.perf_counter()
            root = open_root(folder, create=True)
            megabytes = write_clips(root, clips)
            noting = _timed(partial(note_unique, root), 1)  # as every command does when it is done
            figures[f"clips_{name}_mb"] = round(megabytes)
            figures[f"clips_{name}_write_s"] = round(time.perf_counter() - started, 1)
            figures[f"clips_{name}_note_s"] = round(noting[0], 2)
            for label, job in (("select", _select), ("thresholds", _thresholds), ("wide", _wide)):
                took, peak = _apart(job, str(folder), 3)
                figures[f"{label}_{name}_s"] = round(statistics.median(took), 3)
                figures[f"{label}_{name}_peak_mb"] = round(peak)
                peaks.append(peak)
    shards = {"16k": (16, 256 << 10), "100k": (100, 4 << 10), "1m": (1000, 400)}
    for name in ["100k"] if quick else list(shards):
        rows, size = shards[name]
        with _folder() as folder:
            write_shards(open_root(folder, create=True), rows, size)
            took, peak = _apart(_random_rows, str(folder), 1000)
            label = "random_row" if name == "16k" else f"random_row_{name}"
            figures[f"{label}_index_s"] = round(took[0], 2)
            figures[f"{label}_p50_ms"] = round(1000 * statistics.median(took[1:]), 2)
            figures[f"{label}_ms"] = round(1000 * float(np.percentile(took[1:], 95)), 2)
            peaks.append(peak)
            if name != "16k":
                took, peak = _apart(_plan, str(folder), 3)
                figures[f"plan_{name}_s"] = round(statistics.median(took), 2)
                figures[f"plan_{name}_peak_mb"] = round(peak)
                peaks.append(peak)
    figures["peak_mb"] = round(max(peaks))
    if not quick:  # its own benchmark tells more
        found = dedup(quick)
        figures |= {name: found[name] for name in ("dedup_1m_s", "dedup_recall_planted")}
    return figures


def write_clips(root: Root, clips: int) -> float:
    """Write `clips` rows of clips and of three experts, 100,000 in a part; return the size on disk, megabytes."""
    random = np.random.default_rng(7)
    pool = min(clips, CLIPS_PER_PART)
    columns = {"clips": _measures(random, pool), **{f"experts/{name}": _values(random, name, pool) for name in EXPERTS}}
    with duckdb.connect() as connection:
        for low in range(0, clips, CLIPS_PER_PART):
            sql = _IDS.format(per=CLIPS_PER_VIDEO, low=low, high=min(low + CLIPS_PER_PART, clips))
            ids = connection.sql(sql).to_arrow_table()
            for table, values in columns.items():
                given = {"clip_id": ids["clip_id"], **values, "run_id": _same(RUN, len(ids))}
                if table == "clips":
                    uri = [f"s3://footage/{low + i // CLIPS_PER_VIDEO:08d}.mp4" for i in range(len(ids))]
                    first = ids["first_frame"].to_numpy()
                    span = {"first_frame": first, "end_frame": first + 96, "frames": np.full(len(ids), 96)}
                    given |= {
                        "video_id": ids["video_id"],
                        "uri": pa.array(uri),
                        **{k: pa.array(v) for k, v in span.items()},
                    }
                full = schema(table.removeprefix("experts/")) if table != "clips" else schema_of(table)
                root.write_part(table, pa.table(given), full, key=str(low))
    return sum(path.stat().st_size for path in Path(root.path).rglob("part-*")) / 1e6


def write_shards(root: Root, rows: int, media_bytes: int) -> None:
    """Write `shards/train`: 1,000 parts of `rows` rows, with random bytes for media."""
    random = np.random.default_rng(8)
    media = [random.bytes(media_bytes) for _ in range(16)]
    hashes = [media_hash(data) for data in media]
    total = rows * SHARD_PARTS
    with duckdb.connect() as connection:
        ids = connection.sql(_IDS.format(per=CLIPS_PER_VIDEO, low=0, high=total)).to_arrow_table()
    for part in range(SHARD_PARTS):
        own = ids.slice(part * rows, rows).sort_by("clip_id")
        chosen = random.integers(0, len(media), rows)
        wide = random.random(rows) < 0.8
        frames = random.integers(1, 300, rows)
        first = own["first_frame"].to_numpy()
        numbers = {"frames": frames, "fps": random.choice([12.0, 24.0, 25.0, 30.0], rows), "duration_s": frames / 24,
                   "width_px": np.where(wide, 640, 360), "height_px": np.where(wide, 360, 640), "first_frame": first,
                   "end_frame": first + 96}  # fmt: skip
        given = {
            "clip_id": own["clip_id"],
            "video_id": own["video_id"],
            "media": pa.array([media[i] for i in chosen], pa.large_binary()),
            "media_hash": pa.array([hashes[i] for i in chosen]),
            "dense": _same("a dog runs across a wide green field towards a small red house " * 6, rows),
            **{name: pa.array(values) for name, values in numbers.items()},
            **{name: _same(value, rows) for name, value in (("kind", "clip"), ("cut", "exact"), ("run_id", RUN))},
        }
        full = schema_of("shards/train")
        root.write_part("shards/train", pa.table(given), full, key=str(part), row_group_bytes=SHARD_ROW_GROUP_BYTES)


def _measures(random: np.random.Generator, rows: int) -> dict[str, pa.Array]:
    """Return measured columns with plausible spreads: about a quarter of the clips fails the default rules."""

    def uniform(low: float, high: float) -> npt.NDArray[np.float64]:
        return random.uniform(low, high, rows)

    motions = ["static", "pan left", "pan right", "tilt up", "zoom in", "handheld"]
    found = {column.name: pa.array(random.gamma(2, 20, rows), column.type)
             for column in MEASURES if pa.types.is_floating(column.type)}  # fmt: skip
    spread = {"frozen_fraction": uniform(0, 0.65), "luma_mean": uniform(10, 200), "blockiness": uniform(1, 2.6),
              "dark_clipped_fraction": uniform(0, 0.9), "bright_clipped_fraction": uniform(0, 0.3),
              "contrast_rms": uniform(7, 90), "flicker": uniform(0, 13), "static_overlay_fraction": uniform(0, 0.27),
              "sharpness_laplacian": random.gamma(3, 60, rows), "duration_s": uniform(0.4, 20),
              "fps": random.choice([24.0, 25.0, 29.97], rows)}  # fmt: skip
    found |= {name: pa.array(values) for name, values in spread.items()}
    found |= {f"border_{side}_px": pa.array(random.choice([0, 0, 0, 60], rows)) for side in
              ("left", "top", "right", "bottom")}  # fmt: skip
    found |= {"width_px": _same(1280, rows), "height_px": _same(720, rows), "kind": _same("clip", rows)}
    found["camera_motion"] = pa.array(random.choice(motions, rows))
    found["phash"] = pa.array(random.integers(0, 1 << 63, rows), pa.uint64())
    return found


def _values(random: np.random.Generator, expert: str, rows: int) -> dict[str, pa.Array]:
    """Return an expert's number and word columns; a list stays null, for no query here reads one."""
    words = np.array(["animal", "vehicle", "food", "place", "person", "thing"])
    found = {}
    for field in schema(expert):
        if pa.types.is_floating(field.type):
            found[field.name] = pa.array(random.random(rows), field.type)
        elif field.name in {"top_label", "group", "kind", "text"}:
            found[field.name] = pa.array(random.choice(words, rows))
    return found | {"version": _same("1", rows), "model_hash": _same("0123456789ab", rows)}


def _same(value: Any, rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(value), rows)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rushes-bench-") as folder:
        yield Path(folder, "D")


def _apart(job: Callable[[str, int], list[float]], folder: str, rounds: int) -> tuple[list[float], float]:
    """Run `job` in a process of its own; return the seconds it tells and the megabytes it held at its peak."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_peak, job, folder, rounds).result()


def _peak(job: Callable[[str, int], list[float]], folder: str, rounds: int) -> tuple[list[float], float]:
    took = job(folder, rounds)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return took, int(status["VmHWM"].split()[0]) / 1024


def _timed(work: Callable[[], object], rounds: int) -> list[float]:
    took = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return took


def _select(folder: str, rounds: int) -> list[float]:
    rules = default_rules()
    return _timed(lambda: what_if(open_root(folder), rules), rounds)


def _thresholds(folder: str, rounds: int) -> list[float]:
    """Return the seconds of all that `rushes select --what-if` tells: the funnel, and every threshold's moves."""
    rules = default_rules()
    return _timed(lambda: sweep(open_root(folder), rules), rounds)


def _wide(folder: str, rounds: int) -> list[float]:
    return _timed(lambda: query(open_root(folder), WIDE), rounds)


def _random_rows(folder: str, rounds: int) -> list[float]:
    """Return the seconds to make the index of ids, then of each whole row, media and all, at random."""
    reader = ShardReader(open_root(folder), "train")
    index = _timed(lambda: len(reader), 1)
    chosen = iter(np.random.default_rng(9).choice(len(reader), rounds, replace=False).tolist())
    ids = reader.ids
    return index + _timed(lambda: reader.row(ids[next(chosen)]), rounds)


def _plan(folder: str, rounds: int) -> list[float]:
    columns = ["clip_id", "frames", "width_px", "height_px", "fps"]
    return _timed(lambda: make_plan(ShardReader(open_root(folder), "train").table_of(columns), RECIPE), rounds)


if __name__ == "__main__":
    main("dataset", measure_all)
