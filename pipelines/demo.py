"""`rushes demo`: the whole mission on real footage from PyPI packages, in ten steps, with nothing mocked.

Every step does only what is missing, so that the demo can be killed, run again, and looked at half-way.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from dataset import Root, open_root, query
from media.errors import DatasetError, MissingModelError
from pipelines import modelling, steps
from pipelines.cli.common import funnel_text, table
from pipelines.config import RunConfig, validate
from pipelines.progress import Reporter, duration
from pipelines.run import check, curate

if TYPE_CHECKING:
    from training import TrainResult

__all__ = ["QUERIES", "run_demo"]

QUERIES: dict[str, str] = {
    "What is in the shards": (
        "select kind, count(*) as clips, round(sum(duration_s), 1) as seconds, "
        "round(avg(octet_length(media)) / 1024, 1) as mean_kb from shards group by kind order by kind"
    ),
    "Which camera the pass measured, and how much else moves": (
        "select kind, camera_motion, count(*) as clips, round(avg(flow_mean_px_per_s), 1) as flow_px_per_s, "
        "round(avg(object_motion_px_per_s), 1) as object_px_per_s from clips where kind <> 'still' "
        "group by all order by kind, clips desc"
    ),
    "Which expert supports how many words of the captions": (
        "select e.expert, count(*) as spans, round(avg(e.score), 2) as mean_score, any_value(e.span) as for_instance "
        "from (select unnest(evidence) as e from captions) group by 1 order by spans desc"
    ),
}
"""The three queries that step 6 prints with their answers."""

STEPS = 10
RECIPE = "tiny"


SMALL_FOOTAGE = ("bikes.mp4", "coffee.png")
SMALL_EXPERTS = ["tags", "faces", "composition", "colour", "light", "motion", "quality"]


def demo_config(out: Path, workers: int | None = None, small: bool = False) -> RunConfig:
    """Return the run that the demo makes of its footage; `small` takes some files, some experts, no language model."""
    from experts import weights

    files = [f for f in weights.footage().files if not small or f.path.name in SMALL_FOOTAGE]
    sources: dict[tuple[str, str], list[str]] = {}
    for file in files:
        sources.setdefault((file.source, file.license), []).append(str(file.path))
    return validate(
        RunConfig,
        {
            "dataset": str(out / "dataset"),
            "sources": [
                {"uris": paths, "source": source, "license": license} for (source, license), paths in sources.items()
            ],
            "experts": SMALL_EXPERTS if small else None,
            "rules": "default" if small else "experts",
            "captions": {"backend": "template" if small else "embedded"},
            "pseudo": {"frames": 32, "fps": 16, "height_px": 192},
            "shards": {"max_height_px": 240},
            "engine": {"workers": workers},
        },
        "rushes demo",
    )


def run_demo(
    out: Path,
    *,
    train_seconds: float | None = None,
    workers: int | None = None,
    small: bool = False,
    as_json: bool = False,
) -> dict[str, Any]:
    """Run the demo into `out`; returns its figures, which are also in `out/demo.json`."""
    from experts import weights

    started = time.perf_counter()
    report = Reporter(STEPS, stream=sys.stderr if as_json else sys.stdout)
    out.mkdir(parents=True, exist_ok=True)
    if not _ready():
        with report.step("weights and footage", "MB", numbered=False) as move:
            weights.pull("embedded", footage=True, progress=lambda done, total: move(done >> 20, total >> 20))
    # So little work is done sooner by one worker than by two that each load what they need.
    config = demo_config(out, workers or (1 if small else None), small)
    seconds = train_seconds or (4.0 if small else 60.0)
    (out / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
    figures = {**_curate(config, report), **_model(config, out, seconds, report)}
    figures |= {"wall_s": round(time.perf_counter() - started, 1), "seconds": report.seconds}
    # The first run's times are the ones worth keeping: a later one only finishes.
    if not (out / "demo.json").exists():
        (out / "demo.json").write_text(json.dumps(figures, indent=2) + "\n")
    report.say(_farewell(out, figures["wall_s"]))
    return figures


def _ready() -> bool:
    """Return whether every model of the profile and all the footage is on this machine."""
    from experts import weights

    try:
        weights.footage()
    except MissingModelError:
        return False
    return all(row["present"] for row in weights.status("embedded"))


def _curate(config: RunConfig, report: Reporter) -> dict[str, Any]:
    """Steps 1 to 6: from files to shards, and three questions to them."""
    check(config)
    root = open_root(config.dataset, create=True)

    def tell(step: str, result: object) -> None:
        if step == "ingest":
            _say_cuts(root, report)
        elif step == "select":
            report.say(_indent(funnel_text(result)))
        elif step == "caption":
            _say_outcomes(root, report)

    with steps.working(root, "demo", config.model_dump(mode="json"), report, "ray", config.engine.workers) as work:
        curate(work, config, tell)
    for title, sql in QUERIES.items():
        report.say(f"\n      {title}:\n      {sql}\n")
        report.say(_indent(table(query(root, sql).to_pylist())))
    report.say()
    return {"dataset": root.uri, "rows": {table: root.count(table) for table in root.tables()}}


def _model(config: RunConfig, out: Path, train_seconds: float, report: Reporter) -> dict[str, Any]:
    """Steps 7 to 10: plan and train, generate, grade, report."""
    dataset, shards = config.dataset, config.shards.name
    report.say(_indent(modelling.plan_text(modelling.plan_of(dataset, RECIPE, shards))))
    trained = _trained(dataset, out / "model", shards, train_seconds, report)
    report.say(
        f"      held-out loss {trained.held_out_before:.4f} before, {trained.held_out_after:.4f} after "
        f"{trained.steps} steps; checkpoint {trained.checkpoint}"
    )
    wanted = _prompts(dataset, shards)
    folder = out / "generated"
    generated = modelling.generate_with(
        trained.checkpoint, folder, wanted, report=report, title="generate two clips", enlarge=4
    )
    for row in generated:
        report.say(f"      {row['sample_id']}: {row['prompt']}")
    of_shards = modelling.grade_shards(open_root(dataset), shards, config.profile, report=report, title="grade shards")
    of_generated, _ = modelling.evaluate_inputs(
        str(folder), None, shards, config.profile, report=report, title="      and what was generated", numbered=False
    )
    report.say(_indent(_grades(of_shards, of_generated, config.profile)))
    page = modelling.report_on(dataset, out / "report.html", run=out / "model", generated=folder, report=report)
    return {
        "steps": trained.steps,
        "held_out_before": trained.held_out_before,
        "held_out_after": trained.held_out_after,
        "generated": [str(folder / row["file"]) for row in generated],
        "report": str(page),
    }


def _trained(dataset: str, out: Path, shards: str, seconds: float, report: Reporter) -> TrainResult:
    """Train, unless a finished run is there."""
    from training import TrainResult

    title = "train a text-to-video diffusion model"
    done = TrainResult.load(out)
    if done is not None:
        with report.step(title, "steps") as move:
            move(0, 0)
        report.say(f"      trained already; remove {out} to train again")
        return done
    return modelling.train_on(dataset, out, RECIPE, shards, max_seconds=seconds, report=report, title=title)


def _prompts(dataset: str, shards: str) -> list[dict[str, Any]]:
    """Return what to generate: one clip from text alone, one from text and the first frame of a training clip."""
    import media
    from dataset import ShardReader

    rows = query(
        open_root(dataset),
        "select s.clip_id, s.short from shards s join expert_tags t on t.clip_id = s.video_id || ':0-1' "
        "where s.kind = 'pseudo' order by t.top_probability desc, s.clip_id",
    ).to_pylist()
    if not rows:
        raise DatasetError(f"{dataset}: shards/{shards} has no pseudo-video to prompt from")
    picture = media.decode_bytes(ShardReader(open_root(dataset), shards).row(rows[0]["clip_id"], ["media"])["media"])[0]
    return [
        {"sample_id": "from-text", "prompt": rows[0]["short"]},
        {"sample_id": "from-first-frame", "prompt": rows[0]["short"], "first_frame": picture},
    ]


def _grades(of_shards: list[dict[str, Any]], of_generated: list[dict[str, Any]], profile: str) -> str:
    """Return the grades of both as one table: the mean, and its 95% interval where there is one."""
    rows: dict[str, dict[str, Any]] = {}
    for name, graded in (("shards", of_shards), ("generated", of_generated)):
        for figure in modelling.summary_of(graded, profile):
            row = rows.setdefault(figure["name"], {"metric": figure["name"], "unit": figure["unit"]})
            span = f" [{figure['low']:.3g}, {figure['high']:.3g}]" if figure["low"] is not None else ""
            row[name] = "" if figure["mean"] is None else f"{figure['mean']:.3g}{span}"
    return table(list(rows.values()), ["metric", "shards", "generated", "unit"])


def _say_cuts(root: Root, report: Reporter) -> None:
    rows = query(
        root,
        "select parse_filename(uri) as file, frames, len(cuts) as cuts, "
        "list_transform(cuts, lambda c: c.detector || ' ' || c.kind || ' at ' || round(c.time_s, 2) || ' s') as found "
        "from videos where media = 'video' and status = 'ok' order by file",
    ).to_pylist()
    for row in rows:
        found = "; ".join(row["found"] or [])
        report.say(f"      {row['file']}: {row['frames']} frames, {row['cuts']} cuts" + (f": {found}" if found else ""))


def _say_outcomes(root: Root, report: Reporter) -> None:
    rows = query(root, "select clip_id, outcome, short from captions order by clip_id").to_pylist()
    for row in rows:
        report.say(f"      {row['outcome']:<9} {row['short']}")
    counts = Counter(row["outcome"] for row in rows)
    report.say("      outcomes: " + ", ".join(f"{n} {outcome}" for outcome, n in counts.most_common()))


def _indent(text: str) -> str:
    return "\n".join(f"      {line}" for line in text.splitlines())


def _farewell(out: Path, wall_s: float) -> str:
    return f"""
Done in {duration(wall_s)}.

  {out}/report.html    the whole run on one page: open it in a browser
  {out}/dataset        Parquet: videos, clips, experts, captions, selections, shards, grades
  {out}/model          checkpoints and the training log
  {out}/generated      the generated clips
  {out}/config.yaml    what was run; change it and use it with `rushes run`

What to type next:

  rushes query {out}/dataset "select camera_motion, count(*) from clips group by 1"
  rushes select {out}/dataset --what-if
  rushes curate YOUR_FOOTAGE --out dataset"""
