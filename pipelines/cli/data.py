"""Commands over the data: run, curate, select, caption, augment, shard, query, columns, plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from media.errors import UserError
from pipelines.cli.common import Dataset, EngineKind, JsonFlag, Profile, Workers, emit, funnel_text, print_json

__all__ = ["register"]

Rules = Annotated[str, typer.Option(help="Named SQL predicates: default, experts, or a YAML file.")]
Selection = Annotated[str, typer.Option(help="The selection's name.")]
Backend = Annotated[str, typer.Option(help="embedded, openai, vllm, transformers or template (no model).")]


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(short_help="Run a config, from raw files to shards.")(run)
    app.command(short_help="Ingest, split, measure; then the experts.")(curate)
    app.command(short_help="Judge clips by SQL rules; print the funnel.")(select)
    app.command(short_help="Caption clips, with evidence.")(caption)
    app.command(short_help="Turn stills into pseudo-videos.")(augment)
    app.command(short_help="Write training rows as Parquet.")(shard)
    app.command(short_help="Ask the dataset in SQL.")(query)
    app.command(short_help="Explain every table's columns.")(columns)
    app.command(short_help="Check every table, id and checksum.")(verify)
    app.command(short_help="Show buckets and batches before training.")(plan)


def _say(work: Any, as_json: bool) -> None:
    if as_json:
        print_json(work.as_dict())
        return
    rows = ", ".join(f"{n} {table}" for table, n in work.rows.items() if n)
    print(f"{work.root.uri}: {'wrote ' + rows if rows else 'nothing to do, all was there already'}. Run {work.run_id}.")


def run(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML config.")],
    as_json: JsonFlag = False,
    check: Annotated[bool, typer.Option("--check", help="Validate, print the resolved config, and stop.")] = False,
) -> None:
    """Run a config from raw files to shards, on Ray; what is there already is not done again.

    Example: rushes run config.yaml

    On a cluster: ray job submit --working-dir . -- python -m pipelines run config.yaml
    """
    from pipelines.config import load_config

    resolved = load_config(config)
    if check:
        import yaml

        if as_json:
            print_json(resolved.model_dump(mode="json"))
        else:
            print(yaml.safe_dump(resolved.model_dump(mode="json"), sort_keys=False, allow_unicode=True).rstrip())
        return
    from pipelines.progress import Reporter
    from pipelines.run import run as run_config

    _say(run_config(resolved, Reporter()), as_json)


def curate(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="Files, folders or addresses of video and stills.")
    ],
    out: Annotated[str | None, typer.Option("--out", "-o", help="The dataset root; --shots-only needs none.")] = None,
    detector: Annotated[
        str, typer.Option(help="Shot detector: cascade, adaptive, content, transnet, scenedetect:adaptive ...")
    ] = "cascade",
    experts: Annotated[str, typer.Option(help="Experts to run: all, none, or names with commas.")] = "all",
    source: Annotated[str | None, typer.Option(help="Who the files come from; written in every row.")] = None,
    license: Annotated[str | None, typer.Option(help="Their licence (SPDX); written in every row.")] = None,
    shots_only: Annotated[bool, typer.Option("--shots-only", help="Print the shot boundaries; write nothing.")] = False,
    profile: Profile = "embedded",
    engine: EngineKind = "ray",
    workers: Workers = None,
    as_json: JsonFlag = False,
) -> None:
    """Ingest, split and measure sources, then run the experts over the clips.

    Example: rushes curate footage/ --out dataset

    Only the cuts: rushes curate FILE --shots-only --json
    """
    if shots_only:
        from pipelines.shots import cuts_of

        emit(cuts_of(sources, detector), as_json)
        return
    if out is None:
        raise UserError("rushes curate: --out is missing: name the dataset root, or ask for --shots-only")
    from curation.config import CurateConfig
    from dataset import open_root
    from pipelines import steps
    from pipelines.config import RunConfig, validate
    from pipelines.progress import Reporter
    from pipelines.sources import expand

    asked = None if experts == "all" else [] if experts == "none" else [e.strip() for e in experts.split(",")]
    given = {
        "dataset": out,
        "sources": [{"uris": sources, "source": source, "license": license}],
        "profile": profile,
        "curate": validate(CurateConfig, {"detector": detector}, "--detector"),
        "experts": asked,
        "engine": {"kind": engine, "workers": workers},
    }
    config = validate(RunConfig, given, "rushes curate")
    names = steps.expert_names(profile, asked)
    steps.preflight(profile, names, detector=detector)
    expand(sources)  # a file that is not there is told before a dataset is made
    root = open_root(out, create=True)
    with steps.working(root, "curate", config.model_dump(mode="json"), Reporter(), engine, workers) as work:
        steps.ingest(work, config)
        if names:
            steps.run_experts(work, profile, names)
    _say(work, as_json)


def select(
    dataset: Dataset,
    rules: Rules = "default",
    name: Selection = "default",
    what_if: Annotated[bool, typer.Option("--what-if", help="Print the funnel and write nothing.")] = False,
    change: Annotated[
        list[str] | None, typer.Option(help="With --what-if: rule=predicate, tried against the rules; repeatable.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Judge every clip by named SQL rules and print the funnel; nothing measured is thrown away.

    With --what-if also what every threshold alone rejects, and where it would stand to let a part of that in.

    Example: rushes select dataset --rules rules.yaml --what-if

    Another threshold: rushes select dataset --what-if --change 'motion=flow_p95_px_per_s between 2 and 900'
    """
    import dataclasses

    from curation.sweep import sweep, threshold_rows
    from curation.thresholds import compare, parse_changes
    from dataset import open_root
    from pipelines import steps
    from pipelines.cli.common import table
    from pipelines.progress import Reporter

    if change and not what_if:
        raise UserError("rushes select: --change only tries: add --what-if, or write the change into the rules' file")
    root, named = open_root(dataset), steps.rules_of(rules)
    if change:
        compared = compare(root, named, parse_changes(change))
        print_json(dataclasses.asdict(compared)) if as_json else print(f"{funnel_text(compared.funnel)}\n{compared}")
        return
    if what_if:
        funnel, swept = sweep(root, named)
        told = {**dataclasses.asdict(funnel), "thresholds": [dataclasses.asdict(one) for one in swept]}
        parts = [funnel_text(funnel), *([table(threshold_rows(swept))] if swept else [])]
        print_json(told) if as_json else print("\n\n".join(parts))
        return
    config = {"rules": dict(named.predicates), "name": name}
    with steps.working(root, "select", config, Reporter(), "local") as work:
        funnel = steps.select(work, rules, name)
    print_json(dataclasses.asdict(funnel)) if as_json else print(funnel_text(funnel))


def caption(
    dataset: Dataset,
    backend: Backend = "embedded",
    base_url: Annotated[str | None, typer.Option(help="openai: the server, for instance http://host:8000/v1")] = None,
    model: Annotated[str | None, typer.Option(help="openai, vllm: the model's name; transformers: its folder.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="openai: requests in flight at most.", min=1)] = None,
    zh: Annotated[bool, typer.Option("--zh", help="openai, transformers: in Chinese too.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Write the captions that are there anew.")] = False,
    selection: Selection = "default",
    profile: Profile = "embedded",
    engine: EngineKind = "ray",
    workers: Workers = None,
    as_json: JsonFlag = False,
) -> None:
    """Caption the selected clips: a language model fuses the experts' statements, a checker holds it to them.

    Example: rushes caption dataset --backend openai --base-url http://localhost:8000/v1 --model Qwen/Qwen3-8B
    """
    from captioning.backends import BackendConfig
    from dataset import open_root
    from pipelines import captions, steps
    from pipelines.config import validate
    from pipelines.progress import Reporter

    given = {"backend": backend, "base_url": base_url, "model": model, "concurrency": concurrency, "zh": zh}
    config = validate(BackendConfig, {k: v for k, v in given.items() if v is not None}, "rushes caption")
    names = steps.expert_names(profile)
    steps.preflight(profile, names, backend)
    root = open_root(dataset)
    with steps.working(root, "caption", config.model_dump(mode="json"), Reporter(), engine, workers) as work:
        steps.run_experts(work, profile, names)
        steps.judge_new(work, selection)
        captions.caption(work, config, profile, names, selection, again=again)
        if not work.rows["captions"]:
            work.report.say("every selected clip has its caption already; --again writes them anew")
    _say(work, as_json)


def augment(
    dataset: Dataset,
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="[IMAGE...]", help="Stills to ingest first; default: those already in."),
    ] = None,
    motions: Annotated[str | None, typer.Option(help="Motions with commas; default: those of the config.")] = None,
    frames: Annotated[int | None, typer.Option(help="Frames in each pseudo-video.", min=1)] = None,
    selection: Selection = "default",
    profile: Profile = "embedded",
    engine: EngineKind = "ray",
    workers: Workers = None,
    as_json: JsonFlag = False,
) -> None:
    """Turn stills into pseudo-videos: zooms and pans, sub-pixel, their motion known.

    Example: rushes augment dataset photos/ --motions zoom_in,pan_left
    """
    from curation.config import PseudoConfig
    from dataset import open_root
    from pipelines import steps
    from pipelines.config import RunConfig, validate
    from pipelines.progress import Reporter

    given: dict[str, Any] = {}
    if motions:
        given["motions"] = [m.strip() for m in motions.split(",")]
    if frames:
        given["frames"] = frames
    pseudo = validate(PseudoConfig, given, "rushes augment")
    names = steps.expert_names(profile)
    if images:
        steps.preflight(profile, names)
    root = open_root(dataset)
    with steps.working(root, "augment", pseudo.model_dump(mode="json"), Reporter(), engine, workers) as work:
        if images:
            config = validate(RunConfig, {"dataset": dataset, "sources": [{"uris": images}]}, "rushes augment")
            steps.ingest(work, config)
            steps.run_experts(work, profile, names)
        steps.judge_new(work, selection)
        steps.augment(work, pseudo, selection)
        steps.judge_new(work, selection)
    _say(work, as_json)


def shard(
    dataset: Dataset,
    name: Annotated[str, typer.Option(help="The shard set's name.")] = "train",
    selection: Selection = "default",
    max_height: Annotated[int | None, typer.Option(help="Scale larger clips down to this height, pixels.")] = None,
    cut: Annotated[
        str, typer.Option(help="exact (encoded again), copy (the source's packets, a still's bytes) or reference.")
    ] = "exact",
    crf: Annotated[int, typer.Option(help="x264 constant rate factor of exact cuts.")] = 18,
    by_bucket: Annotated[
        str | None, typer.Option(help="A training recipe: each part holds clips of one bucket of its plan.")
    ] = None,
    engine: EngineKind = "ray",
    workers: Workers = None,
    as_json: JsonFlag = False,
) -> None:
    """Write the selected, captioned clips as self-contained Parquet training rows.

    Example: rushes shard dataset --name train --max-height 360
    """
    from dataset import open_root
    from pipelines import steps
    from pipelines.config import ShardConfig, validate
    from pipelines.progress import Reporter

    asked = {"name": name, "max_height_px": max_height, "cut": cut, "crf": crf, "by_bucket": by_bucket}
    config = validate(ShardConfig, asked, "rushes shard")
    root = open_root(dataset)
    with steps.working(root, "shard", config.model_dump(mode="json"), Reporter(), engine, workers) as work:
        if root.names("selections"):
            steps.judge_new(work, selection)
        steps.shard(work, config, selection)
    _say(work, as_json)


def query(
    dataset: Dataset,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="SQL over the views.")],
    as_json: JsonFlag = False,
) -> None:
    """Ask the dataset in SQL; views: videos, clips, captions, shards, selections, rejects, funnel, wide, expert_NAME.

    Example: rushes query dataset "select kind, count(*) from shards group by 1"
    """
    from dataset import open_root
    from dataset import query as ask

    emit(ask(open_root(dataset), sql).to_pylist(), as_json)


def columns(dataset: Dataset, as_json: JsonFlag = False) -> None:
    """Print every table's columns with their types and meaning.

    Example: rushes columns dataset
    """
    import dataclasses

    from dataset import column_docs, open_root

    emit([dataclasses.asdict(row) for row in column_docs(open_root(dataset))], as_json)


def verify(
    dataset: Dataset,
    media: Annotated[bool, typer.Option(help="Decode every clip of the shards and count its frames.")] = True,
    as_json: JsonFlag = False,
) -> None:
    """Check every table, id, span, checksum and frame count; nothing is repaired. Exit code 4 if something is wrong.

    Example: rushes verify dataset
    """
    import dataclasses

    from dataset import open_root
    from dataset import verify as check
    from pipelines.progress import Reporter

    with Reporter().step("verify", "parts") as move:
        problems = check(open_root(dataset), media=media, progress=move)
    if as_json:
        print_json([dataclasses.asdict(problem) for problem in problems])
    elif problems:
        emit([dataclasses.asdict(problem) for problem in problems], False)
    else:
        print(f"{dataset}: every table, id, span and checksum holds")
    if problems:
        raise typer.Exit(4)


def plan(
    dataset: Dataset,
    recipe: Annotated[str, typer.Option(help="A training recipe: a name or a YAML file.")] = "tiny",
    shards: Annotated[str, typer.Option(help="The shard set's name.")] = "train",
    seed: Annotated[int, typer.Option(help="The plan's seed.")] = 0,
    epoch: Annotated[int, typer.Option(help="The epoch planned.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Show, before any training, every bucket, its batches and tokens, and every sample that fits none, and why.

    Example: rushes plan dataset --recipe tiny
    """
    import dataclasses

    from pipelines.modelling import plan_of, plan_text

    made = plan_of(dataset, recipe, shards, seed=seed, epoch=epoch)
    if as_json:
        rejected = [row._asdict() for row in made.rejected]
        print_json({"buckets": [dataclasses.asdict(row) for row in made.table()], "rejected": rejected})
        return
    print(plan_text(made))
    for row in made.rejected:
        print(f"  {row.clip_id}: {row.reason}")
