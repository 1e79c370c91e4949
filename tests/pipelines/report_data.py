"""A small dataset, written as the stages would write it, for the report to show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

import media
from curation.select import Rules, select
from dataset import Root, new_run, open_root
from dataset.schema import BASE_TABLES, Column, expert_schema, grade_schema
from dataset.shards import shard_row

Rgb = npt.NDArray[np.uint8]

RULES = Rules(
    {
        "motion": "kind <> 'clip' or flow_mean_px_per_s between 2 and 400",
        "sharpness": "sharpness_laplacian >= 15",
        "exposure": "luma_mean between 16 and 239",
    }
)
MOTIONS = ("zoom_in", "zoom_out", "pan_left", "pan_right", "pan_up", "pan_down")
HOSTILE = '<script>alert("x")</script> & "quotes"'
VIDEO, BROKEN, PHOTO = "a" * 32, "b" * 32, "c" * 32


def picture(seed: int, height: int = 54, width: int = 96) -> Rgb:
    """Return a picture of coloured blocks."""
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(0, 256, (height // 6, width // 6, 3)), np.ones((6, 6, 1))).astype(np.uint8)


def _blank(table: str, **values: Any) -> dict[str, Any]:
    return {**dict.fromkeys(c.name for c in BASE_TABLES[table]), **values}


def _keyframes(seed: int, count: int) -> list[dict[str, Any]]:
    return [{"frame": i, "time_s": i / 8, "jpeg": media.jpeg(picture(seed + i))} for i in range(count)]


def _clip(clip_id: str, video: str, kind: str, seed: int, run_id: str, **values: Any) -> dict[str, Any]:
    measured = {
        "flow_mean_px_per_s": 20.0 + seed, "sharpness_laplacian": 40.0 + 3 * seed, "luma_mean": 100.0 + seed,
        "contrast_rms": 40.0, "colourfulness": 30.0 + seed, "noise_sigma": 1.0, "camera_confidence": 0.8,
        "camera_dx_fraction_per_s": 0.05, "camera_dy_fraction_per_s": -0.02, "camera_motion": "pan right",
    }  # fmt: skip
    row = _blank(
        "clips", clip_id=clip_id, video_id=video, kind=kind, uri="/data/street.mp4", first_frame=0, end_frame=16,
        start_s=0.0, end_s=2.0, duration_s=2.0, frames=16, fps=8.0, width_px=96, height_px=54, shot=0,
        keyframes=_keyframes(seed, 3), run_id=run_id, **measured,
    )  # fmt: skip
    return row | values


def clips(run_id: str) -> list[dict[str, Any]]:
    """Return three clips of a video (one of them too still), a photograph, and its six pseudo-videos."""
    rows = []
    for i in range(3):
        rows.append(_clip(f"{VIDEO}:{16 * i}-{16 * i + 16}", VIDEO, "clip", i, run_id, first_frame=16 * i,
                          end_frame=16 * i + 16, start_s=2.0 * i, end_s=2.0 * i + 2, shot=i))  # fmt: skip
    rows[2] |= {"flow_mean_px_per_s": 0.5, "camera_motion": "static"}
    no_time = dict.fromkeys(("duration_s", "fps", "start_s", "end_s", "camera_motion"))
    one = {"uri": "/data/cat.png", "frames": 1, "end_frame": 1, "keyframes": _keyframes(7, 1)}
    rows.append(_clip(f"{PHOTO}:0-1", PHOTO, "still", 7, run_id, **one, **no_time))
    for i, motion in enumerate(MOTIONS):
        camera = motion.replace("_", " ").replace("pan up", "tilt up").replace("pan down", "tilt down")
        measured = "static" if motion == "zoom_out" else camera
        rows.append(_clip(f"{PHOTO}:0-16@{motion}", PHOTO, "pseudo", 7 + i, run_id, uri="/data/cat.png",
                          motion=motion, camera_motion=measured))  # fmt: skip
    return rows


def captions(run_id: str) -> list[dict[str, Any]]:
    """Return captions of every outcome that has text, the first with hostile characters in it."""
    evidence = [
        {"span": span, "dimension": dimension, "expert": expert, "statement": statement, "score": score}
        for span, dimension, expert, statement, score in (
            ("two cyclists", "count", "count", "cyclist count 2", 1.0),
            ("busy street", "setting", "tags", "scene shows street", 0.71),
        )
    ]
    first = _blank(
        "captions", clip_id=f"{VIDEO}:0-16", outcome="repaired", short=f"two cyclists {HOSTILE}", evidence=evidence,
        dense="There are two cyclists on a busy street.", dropped=["in heavy rain"], flags=["length"],
        backend="embedded", model="SmolLM2-135M-Instruct", model_hash="b179c9523d0e", raw="Two cyclists in heavy rain.",
        experts=["count"], run_id=run_id,
    )  # fmt: skip
    plain = [
        _blank(
            "captions",
            clip_id=row["clip_id"],
            outcome="template",
            short=f"a cat, {row['motion'] or 'still'}",
            dense="A cat.",
            evidence=[],
            backend="template",
            run_id=run_id,
        )
        for row in clips(run_id)[3:]
    ]
    return [first, *plain]


def grade_rows(count: int, run_id: str, *, name: str = "s") -> list[dict[str, Any]]:
    """Return rows of grades; the second has no composite."""
    from evaluation import columns

    rng = np.random.default_rng(3)
    rows = []
    for i in range(count):
        row: dict[str, Any] = {c.name: None for c in columns()}
        row |= {c.name: float(rng.uniform(0.2, 0.8)) for c in columns() if c.type == pa.float64()}
        row |= {"sample_id": f"{name}-{i}", "run_id": run_id, "prompt": f"prompt {i}", "frames": 16, "width_px": 64,
                "height_px": 64, "missing": {}, "models": {}, "profile": "embedded", "profile_version": 1,
                "profile_hash": "0" * 12, "composite": 50.0 + i, "composite_reason": None}  # fmt: skip
        rows.append(row)
    if count > 1:
        rows[1] |= {"composite": None, "flicker": None, "composite_reason": "flicker: nothing stands still"}
    return rows


def build(folder: Path) -> Root:
    """Write the whole dataset into `folder`."""
    from evaluation import columns

    root = open_root(str(folder), create=True)
    run = new_run("curate", {"detector": "cascade"}, root=root)
    video = _blank(
        "videos", video_id=VIDEO, uri="/data/street.mp4", media="video", status="ok", codec="h264", container="mp4",
        width_px=96, height_px=54, frames=48, fps=8.0, duration_s=6.0, variable_frame_rate=False, size_bytes=12_345,
        cuts=[{"frame": 16 * i, "end_frame": 16 * i, "time_s": 2.0 * i, "kind": "hard", "score": 0.9,
               "detector": "cascade"} for i in (1, 2)],
        source="our own camera", license="CC-BY-4.0", run_id=run.run_id,
    )  # fmt: skip
    photo = video | {"video_id": PHOTO, "uri": "/data/cat.png", "media": "image", "container": "png", "codec": None,
                     "cuts": [], "fps": None, "duration_s": None, "license": None}  # fmt: skip
    broken = _blank("videos", video_id=BROKEN, uri="/data/broken.mp4", media="video", status="quarantined",
                    reason="truncated", detail="the box promises more", size_bytes=99, run_id=run.run_id)  # fmt: skip
    root.write_part("videos", [video, photo, broken], key="all")
    root.write_part("clips", clips(run.run_id), key="all")
    root.write_part("captions", captions(run.run_id), key="all")
    tags = [Column("labels", pa.list_(pa.string()), "the labels")]
    tagger = {"version": "1", "model": "efficientnet-lite0", "model_hash": "579344248a93", "statements": [],
              "error": None, "run_id": run.run_id, "labels": ["street"]}  # fmt: skip
    said = [{"clip_id": clip["clip_id"], **tagger} for clip in clips(run.run_id)]
    root.write_part("experts/tags", said, expert_schema(tags), key="all")
    select(root, RULES, run_id=run.run_id)
    root.write_part("shards/train", _shards(run.run_id), key="all")
    root.write_part("grades/train", grade_rows(12, run.run_id), grade_schema(columns()), key="all")
    run.finish({"clips": 10})
    return root


def mp4(seed: int = 0, frames: int = 8) -> bytes:
    """Return a small real video."""
    return media.encode([np.roll(picture(seed), i, axis=1) for i in range(frames)], fps=8).data


def _shards(run_id: str) -> list[dict[str, Any]]:
    return [
        shard_row(row, mp4(i), frames=8, fps=8.0, width_px=96, height_px=54, run_id=run_id)
        for i, row in enumerate(clips(run_id))
        if row["kind"] != "still"
    ]


def training_run(folder: Path, steps: int = 60) -> Path:
    """Write what a training run leaves: its log and its result."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines: list[dict[str, Any]] = [{"step": 0, "event": "held_out", "loss": 0.9931}]
    losses = 0.3 + 0.7 * np.exp(-np.arange(1, steps + 1) / 20) + 0.02 * rng.normal(size=steps)
    lines += [{"step": step, "loss": float(loss)} for step, loss in enumerate(losses, 1)]
    lines.append({"step": steps, "event": "held_out", "loss": 0.3127})
    (folder / "log.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    bucket = {"bucket": "16x64x64@8", "samples": 9, "batches": 3, "batch_size": 4, "last_batch_size": 1,
              "tokens_per_sample": 1024, "tokens": 9216, "cropped_fraction": 0.3,
              "dropped_frames_fraction": 0.1}  # fmt: skip
    left = [{"bucket": f"rejected: {name}", "samples": 2, "batches": 0} for name in ("too_short", "held_out")]
    (folder / "result.json").write_text(json.dumps({"wall_s": 61.2, "parameters": 2_841_000, "plan": [bucket, *left]}))
    return folder
