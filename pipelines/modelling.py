"""From shards to grades: plan, train, generate, evaluate, report, as the commands and the demo call them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset import BucketRecipe, Plan, Root, Run, ShardReader, make_plan, new_run, open_root
from dataset.root import MARKER
from dataset.schema import grade_schema
from media.errors import ConfigError, DatasetError, UserError
from pipelines.cli.common import table
from pipelines.progress import Reporter

if TYPE_CHECKING:
    from evaluation import Sample
    from training.loop import TrainResult
    from training.recipes.config import DiffusionRecipe

__all__ = [
    "GENERATED",
    "bucket_recipe",
    "evaluate_inputs",
    "generate_with",
    "plan_of",
    "plan_text",
    "report_on",
    "train_on",
]

GENERATED = "generated.json"
"""The list of generated clips in their folder: sample_id, file, prompt and how each was made."""

GRADES = "grades.parquet"
"""The grades of a folder of generated clips."""

_Row = dict[str, Any]


def _diffusion(recipe: str) -> DiffusionRecipe:
    from training import recipes
    from training.recipes.config import DiffusionRecipe

    loaded = recipes.load(recipe)
    if not isinstance(loaded, DiffusionRecipe):
        raise ConfigError(f"recipe {recipe}: trains an autoencoder, which needs no plan and no shards")
    return loaded


def bucket_recipe(recipe: str) -> BucketRecipe:
    """Return the bucket plan's recipe that a training recipe, a name or a YAML file, has."""
    return _diffusion(recipe).clips.plan


def plan_of(dataset: str, recipe: str, shards: str, *, seed: int = 0, epoch: int = 0) -> Plan:
    """Return the plan of one epoch over a shard set: every bucket, batch and rejected sample."""
    samples = ShardReader(open_root(dataset), shards).table_of(["clip_id", "frames", "width_px", "height_px", "fps"])
    return make_plan(samples, bucket_recipe(recipe), seed=seed, epoch=epoch)


def plan_text(plan: Plan) -> str:
    """Return a plan as text: a row a bucket, then how many samples fit none, and why."""
    rows = [dataclasses.asdict(row) for row in plan.table()]
    left = "; ".join(f"{n} {reason}" for reason, n in plan.reasons().items()) or "none"
    return f"{table(rows)}\n{len(plan.batches)} batches an epoch; samples that fit no bucket: {left}"


@contextmanager
def _recorded(command: str, config: _Row, root: Root) -> Iterator[Run]:
    """Keep a record of a run, closed as failed unless its body closed it."""
    record = new_run(command, config, root=root)
    try:
        yield record
    finally:
        if record.finished is None:
            record.finish(outcome="failed")


def train_on(
    dataset: str,
    out: Path,
    recipe: str,
    shards: str,
    *,
    report: Reporter,
    max_steps: int | None = None,
    max_seconds: float | None = None,
    seed: int = 0,
    profile: str = "embedded",
    title: str = "train",
) -> TrainResult:
    """Train `recipe` on a shard set into `out`; goes on from the last checkpoint that is there."""
    import training
    from experts import weights
    from training import recipes

    loaded = recipes.load(recipe)
    root = open_root(dataset)
    config: _Row = {"recipe": loaded.model_dump(mode="json"), "shards": shards, "seed": seed}
    config |= {"out": str(out.absolute())}
    config |= {"max_steps": max_steps, "max_seconds": max_seconds}
    unit = "steps" if max_seconds is None else "seconds"
    with _recorded("train", config, root) as record, report.step(title, unit) as move:
        result = training.train(
            ShardReader(root, shards) if loaded.task != "vae" else None,
            loaded,
            out,
            text_encoder_path=weights.resolve("sentence", profile).path,
            max_steps=max_steps,
            max_seconds=max_seconds,
            seed=seed,
            progress=lambda done, total: move(min(done, total), total),
        )
        record.finish({"steps": result.steps, "held_out": [result.held_out_before, result.held_out_after]})
    return result


def generate_with(
    checkpoint: Path,
    out: Path,
    wanted: Sequence[_Row],
    *,
    report: Reporter,
    title: str = "generate",
    enlarge: int = 1,
    **how: Any,
) -> list[_Row]:
    """Generate a clip for each of `wanted`: prompt, and optionally sample_id and first_frame, a picture.

    Writes the clips as MP4 into `out`, with a row for each in `generated.json`. A clip that is there already, made
    from the same checkpoint in the same way, is not made again. `how` goes to `generation.generate`.
    """
    from generation import generate, write_mp4
    from training import checkpoint as checkpoints
    from training.recipes.config import DiffusionRecipe

    if not wanted:
        raise UserError("nothing to generate: give --prompt, or --suite")
    folder = checkpoints.find(checkpoint)
    made_by = checkpoints.read(folder)
    if made_by.recipe.get("task") == "vae":
        raise ConfigError(f"{folder}: is an autoencoder, which generates nothing by itself")
    bucket = DiffusionRecipe.model_validate(made_by.recipe).clips.plan.buckets[0]
    how = {"fps": bucket.fps or 8.0, **{k: v for k, v in how.items() if v is not None}}
    out.mkdir(parents=True, exist_ok=True)
    have = {row["sample_id"]: row for row in read_generated(out)} if (out / GENERATED).exists() else {}
    rows: list[_Row] = []
    for number, item in enumerate(wanted):
        sample_id = item.get("sample_id") or f"{number:03d}"
        rows.append(
            {
                "sample_id": sample_id,
                "file": f"{sample_id}.mp4",
                "prompt": item["prompt"],
                "checkpoint": str(folder),
                "checkpoint_hash": _hash(json.dumps(made_by.state, sort_keys=True, default=str).encode()),
                "enlarge": enlarge,
                "first_frame": _digest(item.get("first_frame")),
                **how,
            }
        )
    todo = [i for i, row in enumerate(rows) if have.get(row["sample_id"]) != row or not (out / row["file"]).exists()]
    with report.step(title, "sampler steps") as move:
        move(0, 0)
        if todo:
            videos = generate(
                folder,
                [rows[i]["prompt"] for i in todo],
                first_frame=[wanted[i].get("first_frame") for i in todo],
                progress=move,
                **how,
            )
            for i, frames in zip(todo, videos, strict=True):
                write_mp4(out / rows[i]["file"], frames, fps=how["fps"], enlarge=enlarge)
    (out / GENERATED).write_text(json.dumps(rows, indent=2) + "\n")
    return rows


def _digest(picture: Any) -> str | None:
    return None if picture is None else _hash(picture.tobytes())


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def read_generated(folder: Path) -> list[_Row]:
    """Return the rows of a folder of generated clips.

    Raises:
        DatasetError: a folder without `generated.json`: prompts come by id, never from file names.
    """
    path = folder / GENERATED
    if not path.exists():
        raise DatasetError(f"{folder}: has no {GENERATED}; a list of sample_id, file and prompt must name the clips")
    rows: list[_Row] = json.loads(path.read_text())
    return rows


def evaluate_inputs(
    inputs: str,
    out: Path | None,
    shards: str,
    profile: str,
    *,
    report: Reporter,
    title: str = "grade",
    numbered: bool = True,
) -> tuple[list[_Row], list[_Row]]:
    """Grade a dataset's shards, or a folder of generated clips; returns the rows and their summary.

    A dataset's grades are its table `grades/<shards>`; those of a folder are `grades.parquet` in `out` (default: the
    folder itself).
    """
    folder = Path(inputs)
    if (folder / GENERATED).exists():
        samples, count = _generated_samples(folder), len(read_generated(folder))
        rows = _grade(samples, count, profile, "", report, title, numbered)
        import pyarrow as pa
        import pyarrow.parquet as pq

        target = out or folder
        target.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=_schema(profile)), target / GRADES)
    elif out is not None:
        raise UserError(f"--out: the grades of a dataset go into its own table, {inputs}/grades/{shards}; leave it out")
    elif folder.is_dir() and not (folder / MARKER).exists():
        raise DatasetError(f"{inputs}: is no dataset, and has no {GENERATED} that names its clips and their prompts")
    else:
        rows = grade_shards(open_root(inputs), shards, profile, report=report, title=title)
    return rows, summary_of(rows, profile)


def grade_shards(root: Root, shards: str, profile: str, *, report: Reporter, title: str = "grade") -> list[_Row]:
    """Grade the clips of a shard set that have no grade yet, into `grades/<shards>`; returns all of them."""
    name = f"grades/{shards}"
    reader = ShardReader(root, shards)
    have = root.ids(name, "sample_id") if root.exists(name) else set()
    todo = [clip_id for clip_id in reader.ids if clip_id not in have]
    with _recorded("evaluate", {"shards": shards, "profile": profile}, root) as record:
        rows = _grade(_shard_samples(reader, todo), len(todo), profile, record.run_id, report, title)
        if rows:
            root.write_part(name, rows, _schema(profile), key=f"{profile} {' '.join(todo)}")
        record.finish({name: len(rows)})
    graded: list[_Row] = root.read(name).to_pylist()
    return graded


def summary_of(rows: Sequence[_Row], profile: str) -> list[_Row]:
    """Return a row a metric: n, mean, and the interval clustered by prompt."""
    from evaluation import summary

    return [dataclasses.asdict(figure) for figure in summary(rows, profile)]


def _schema(profile: str) -> Any:
    from evaluation import columns

    return grade_schema(columns(profile))


def _grade(
    samples: Iterator[Sample],
    total: int,
    profile: str,
    run_id: str,
    report: Reporter,
    title: str,
    numbered: bool = True,
) -> list[_Row]:
    from evaluation import grade

    with report.step(title, "clips", numbered) as move:
        move(0, total)
        return grade(samples, profile, run_id=run_id, progress=lambda done, _: move(done, total))


def _generated_samples(folder: Path) -> Iterator[Sample]:
    import media
    from evaluation import Sample

    for row in read_generated(folder):
        frames = media.decode_bytes((folder / row["file"]).read_bytes())
        yield Sample(row["sample_id"], row["prompt"], frames, row["fps"])


def _shard_samples(reader: ShardReader, ids: Sequence[str]) -> Iterator[Sample]:
    from dataset.shards import FRAME_COLUMNS, shard_frames
    from evaluation import Sample

    for clip_id in ids:
        row = reader.row(clip_id, [*FRAME_COLUMNS, "short", "fps"])
        yield Sample(clip_id, row["short"], shard_frames(row), row["fps"])


def report_on(
    dataset: str,
    out: Path,
    *,
    run: Path | None = None,
    generated: Path | None = None,
    report: Reporter,
    title: str = "report",
) -> Path:
    """Write the report of a dataset, and of what was trained on it, as one HTML page."""
    import pyarrow.parquet as pq

    from pipelines.report import Generated, write_report

    root = open_root(dataset)
    grades = {name: root.read(f"grades/{name}").to_pylist() for name in root.names("grades")}
    clips = []
    if generated is not None:
        for row in read_generated(generated):
            note = "begins with a given first frame" if row["first_frame"] else "from text alone"
            clips.append(Generated(row["sample_id"], row["prompt"], generated / row["file"], note))
        if (generated / GRADES).exists():
            grades["generated"] = pq.read_table(generated / GRADES).to_pylist()
    with report.step(title):
        return write_report(root, out, train_log=run, generated=clips, grades=grades)
