"""Commands that exchange data with other projects: export."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from pipelines.cli.common import Dataset, JsonFlag, print_json

__all__ = ["register"]

FormatName = Annotated[
    str,
    typer.Option("--format", "-f", help="webdataset, video_folder, mds, finetrainers, diffusion_pipe or musubi_tuner."),
]


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(short_help="Write shards for another project's loader.")(export)


def export(
    dataset: Dataset,
    out: Annotated[str, typer.Argument(metavar="OUT", help="The folder to write; it must not be there yet.")],
    format: FormatName,
    shards: Annotated[str, typer.Option(help="The shard set's name.")] = "train",
    caption: Annotated[
        Literal["dense", "medium", "short"], typer.Option(help="Which caption goes with the clips.")
    ] = "dense",
    as_json: JsonFlag = False,
) -> None:
    """Write a shard set in the layout that another project's loader reads; licences and sources travel along.

    Example: rushes export dataset out/ --format webdataset
    """
    import dataclasses
    import os

    from dataset import new_run, open_root
    from dataset.exporting import export as write
    from dataset.exporting import format_of
    from pipelines.progress import Reporter

    name, root = format_of(format).name, open_root(dataset)
    # Where copies went must be known when a source is removed.
    settings = {"out": os.path.abspath(os.path.expanduser(out)), "format": name, "shards": shards, "caption": caption}
    run = new_run("export", settings, root=root)
    try:
        with Reporter().step(f"export as {name}", "rows") as move:
            report = write(root, shards, out, name, caption=caption, progress=move)
    except BaseException:
        run.finish(outcome="failed")
        raise
    run.finish({"rows": report.rows})
    if as_json:
        print_json({"out": out, "format": name, **dataclasses.asdict(report)})
    else:
        print(_text(out, report))


def _text(out: str, report: Any) -> str:
    lines = [f"{out}: {report.rows} clips in {report.files} files, {report.bytes / 1e6:.1f} MB"]
    if report.skipped:
        lines.append(f"left out {sum(report.skipped.values())} rows:")
        lines += [f"  {count}  {reason}" for reason, count in report.skipped.items()]
    return "\n".join(lines)
