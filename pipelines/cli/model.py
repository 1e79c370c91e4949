"""Commands over models: train, generate, evaluate, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.cli.common import Dataset, JsonFlag, Profile, emit, print_json

__all__ = ["register"]

ShardSet = Annotated[str, typer.Option(help="The shard set's name.")]


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(short_help="Train a diffusion model from shards.")(train)
    app.command(short_help="Generate videos from a checkpoint.")(generate)
    app.command(short_help="Grade videos or shards, with intervals.")(evaluate)
    app.command(short_help="Write one self-contained HTML page.")(report)


def train(
    dataset: Dataset,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run: checkpoints and the log.")],
    recipe: Annotated[str, typer.Option(help="A training recipe: a name or a YAML file.")] = "tiny",
    shards: ShardSet = "train",
    max_steps: Annotated[int | None, typer.Option(help="Stop after this many steps in all.", min=1)] = None,
    max_seconds: Annotated[float | None, typer.Option(help="Stop after this long.", min=0)] = None,
    seed: Annotated[int, typer.Option(help="Every random number follows from it.")] = 0,
    plan: Annotated[bool, typer.Option("--plan", help="Print the plan and stop.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Train a text-to-video diffusion model from shards; run again, it goes on from the last checkpoint.

    Example: rushes train dataset --out runs/tiny --recipe tiny --max-seconds 60
    """
    import dataclasses

    from pipelines.modelling import plan_of, plan_text, train_on
    from pipelines.progress import Reporter

    if plan:
        print(plan_text(plan_of(dataset, recipe, shards, seed=seed)))
        return
    result = train_on(
        dataset, out, recipe, shards, max_steps=max_steps, max_seconds=max_seconds, seed=seed, report=Reporter()
    )
    if as_json:
        print_json(dataclasses.asdict(result))
        return
    print(
        f"{result.steps} steps; held-out loss {result.held_out_before:.4f} before, {result.held_out_after:.4f} after. "
        f"Checkpoint: {result.checkpoint}"
    )


def generate(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="A training run's folder, or one checkpoint.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the MP4 files and generated.json.")],
    prompt: Annotated[
        list[str] | None, typer.Option(help="What to show; give it several times for several clips.")
    ] = None,
    suite: Annotated[bool, typer.Option("--suite", help="Use the prompt suite of the evaluator.")] = False,
    first_frame: Annotated[Path | None, typer.Option(help="A still that the video begins with.")] = None,
    frames: Annotated[int | None, typer.Option(help="Frames; default: the recipe's.", min=1)] = None,
    height: Annotated[int | None, typer.Option(help="Pixels; default: the recipe's.", min=8)] = None,
    width: Annotated[int | None, typer.Option(help="Pixels; default: the recipe's.", min=8)] = None,
    steps: Annotated[int, typer.Option(help="Sampler steps.", min=1)] = 25,
    guidance: Annotated[float, typer.Option(help="Guidance scale; 1 is none.")] = 3.0,
    seed: Annotated[int, typer.Option(help="The noise follows from it.")] = 0,
    enlarge: Annotated[int, typer.Option(help="Repeat every pixel this many times each way, for players.", min=1)] = 1,
    as_json: JsonFlag = False,
) -> None:
    """Generate videos from a checkpoint and write them as MP4.

    Example: rushes generate runs/tiny --prompt "a cat, the camera zooms in" --out clips/
    """
    from pipelines.modelling import generate_with
    from pipelines.progress import Reporter

    wanted: list[dict[str, Any]] = [{"prompt": text} for text in prompt or []]
    if suite:
        from evaluation import load_suite

        wanted += [{"prompt": one.text, "sample_id": one.id} for one in load_suite()]
    if first_frame:
        import media

        picture = media.load_still(first_frame)
        wanted = [{**item, "first_frame": picture} for item in wanted]
    rows = generate_with(
        checkpoint,
        out,
        wanted,
        report=Reporter(),
        enlarge=enlarge,
        frames=frames,
        height=height,
        width=width,
        steps=steps,
        guidance=guidance,
        seed=seed,
    )
    emit(rows, as_json, ["sample_id", "file", "prompt"])


def evaluate(
    inputs: Annotated[
        str, typer.Argument(metavar="INPUTS", help="A dataset, or a folder of videos with generated.json.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for grades as Parquet; default: a dataset's own grades/.")
    ] = None,
    shards: ShardSet = "train",
    profile: Profile = "embedded",
    as_json: JsonFlag = False,
) -> None:
    """Grade generated videos, or a dataset's shards, with the same metrics; every mean has its interval.

    Example: rushes evaluate clips/ --out grades/
    """
    from pipelines.modelling import evaluate_inputs
    from pipelines.progress import Reporter

    rows, summary = evaluate_inputs(inputs, out, shards, profile, report=Reporter())
    if as_json:
        print_json({"rows": rows, "summary": summary})
    else:
        emit(summary, False)


def report(
    dataset: Dataset,
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML file.")] = Path("report.html"),
    run: Annotated[Path | None, typer.Option(help="A training run's folder, for the loss curve.")] = None,
    generated: Annotated[Path | None, typer.Option(help="A folder that `rushes generate` wrote.")] = None,
) -> None:
    """Write one self-contained HTML page: funnel, histograms, captions with evidence, losses, grades.

    Example: rushes report dataset --out report.html --run runs/tiny --generated clips/
    """
    from pipelines.modelling import report_on
    from pipelines.progress import Reporter

    print(report_on(dataset, out, run=run, generated=generated, report=Reporter()))
