"""Rows for tests: as small as the contract allows, and true to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from dataset import Root, open_root
from dataset.schema import Column, expert_schema, grade_schema
from dataset.shards import shard_row, write_shard

RUN = "20261101T000000-00000000"
TAGS = expert_schema([Column("tags", pa.list_(pa.string()), "labels"), Column("kind", pa.string(), "kind of thing")])
TEXT = expert_schema([Column("text_fraction", pa.float32(), "share of the picture that is text")])
GRADES = grade_schema([Column("clarity", pa.float32(), "0 to 1")])


def video_row(video_id: str = "aa", **changed: Any) -> dict[str, Any]:
    return {
        "video_id": video_id,
        "uri": f"/footage/{video_id}.mp4",
        "media": "video",
        "status": "ok",
        "source": "a package",
        "license": "CC0-1.0",
        "run_id": RUN,
        **changed,
    }


def clip_row(first: int = 0, end: int = 10, video_id: str = "aa", **changed: Any) -> dict[str, Any]:
    return {
        "clip_id": f"{video_id}:{first}-{end}",
        "video_id": video_id,
        "kind": "clip",
        "uri": f"/footage/{video_id}.mp4",
        "first_frame": first,
        "end_frame": end,
        "start_s": first / 10,
        "end_s": end / 10,
        "duration_s": (end - first) / 10,
        "frames": end - first,
        "fps": 10.0,
        "width_px": 64,
        "height_px": 48,
        "flow_mean_px_per_s": float(first),
        "keyframes": [{"frame": first, "time_s": first / 10, "jpeg": b"\xff\xd8" + bytes(50), "phash": 7}],
        "run_id": RUN,
        **changed,
    }


def caption_row(clip_id: str, **changed: Any) -> dict[str, Any]:
    return {"clip_id": clip_id, "outcome": "ok", "short": "a dog runs", "dense": "a dog", "run_id": RUN, **changed}


def tag_row(clip_id: str, **changed: Any) -> dict[str, Any]:
    return {"clip_id": clip_id, "version": "1", "tags": ["dog"], "kind": "animal", "run_id": RUN, **changed}


def new_root(folder: Path) -> Root:
    return open_root(folder / "D", create=True)


def small_dataset(folder: Path, media: Sequence[bytes] = (b"one", b"two")) -> Root:
    """Two sources, six clips, captions for half, two experts, shards, grades and a run."""
    root = new_root(folder)
    root.write_run({"run_id": RUN, "command": "test", "started": "2026-11-01", "config": {"a": 1}})
    for video_id in ("aa", "bb"):
        rows = [clip_row(first, first + 10, video_id) for first in (0, 10, 20)]
        root.write_part("videos", [video_row(video_id)], key=video_id)
        root.write_part("clips", rows, key=video_id)
        root.write_part("experts/tags", [tag_row(row["clip_id"]) for row in rows], TAGS, key=video_id)
    root.write_part("captions", [caption_row(f"aa:{i}-{i + 10}") for i in (0, 10, 20)], key="aa")
    text = {"clip_id": "aa:0-10", "version": "2", "text_fraction": 0.5, "run_id": RUN}
    root.write_part("experts/text", [text], TEXT, key="aa")
    root.write_part("grades/first", [{"sample_id": "generated-0", "clarity": 0.7, "run_id": RUN}], GRADES, key="0")
    shards = [
        shard_row(clip_row(i * 10, i * 10 + 10), data, frames=10, fps=10, width_px=64, height_px=48, run_id=RUN)
        for i, data in enumerate(media)
    ]
    write_shard(root, "train", shards, key="aa")
    return root
