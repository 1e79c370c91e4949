"""Data sets of other projects, taken in: import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from media.errors import ConfigError
from pipelines.cli.common import Dataset, EngineKind, JsonFlag, Workers, print_json

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command("import", short_help="Take in Panda-70M, OpenVid or webdataset.")(import_)


def import_(
    dataset: Dataset,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The CSV file, the tar file or the folder of tars.")],
    format: Annotated[str, typer.Option(help="panda-70m, openvid or webdataset.")],
    media: Annotated[
        Path | None,
        typer.Option(help="The folder of the videos: where they lie; of webdataset, where they are unpacked to."),
    ] = None,
    source: Annotated[str | None, typer.Option(help="Whom they come from; default: what the data set says.")] = None,
    license: Annotated[str | None, typer.Option(help="Their licence (SPDX); default: what the data set says.")] = None,
    detector: Annotated[str, typer.Option(help="Shot detector, as for `rushes curate`.")] = "cascade",
    engine: EngineKind = "ray",
    workers: Workers = None,
    as_json: JsonFlag = False,
) -> None:
    """Ingest another data set's videos, as far as they are on this machine, with its captions and scores beside them.

    Example: rushes import dataset OpenVid-1M.csv --format openvid --media videos/ --license CC-BY-4.0

    What it says of a clip is a row of experts/imported. Videos that are not here are listed as quarantined.
    """
    from curation.config import CurateConfig
    from dataset import open_root
    from dataset.importing import format_named, read_import
    from pipelines import steps
    from pipelines.config import validate
    from pipelines.importing import take_in
    from pipelines.progress import Reporter
    from pipelines.rights import Rights

    chosen = format_named(format)
    read_import(path, chosen.name, media)  # what is amiss with them is told before a dataset is made
    if media is not None and chosen.media_use == "found" and not media.is_dir():
        raise ConfigError(f"--media {media}: there is no such folder")
    curate = validate(CurateConfig, {"detector": detector}, "--detector")
    steps.preflight("embedded", [], detector=detector)
    given = {"dataset": dataset, "curate": curate, "engine": {"kind": engine, "workers": workers}}
    taken = {"format": chosen.name, "path": str(path), "media": None if media is None else str(media)}
    told = {"sources": {**taken, "source": source, "license": license}, "curate": curate.model_dump(mode="json")}
    root = open_root(dataset, create=True)
    with steps.working(root, "import", told, Reporter(), engine, workers) as work:
        counts = take_in(
            work,
            lambda: read_import(path, chosen.name, media),
            Rights(source, license),
            given,
            format=chosen.name,
            key=f"{chosen.name} {path.resolve()}",
        )
        for detail in counts.details:
            work.report.say(f"      not here: {detail}")
        if counts.missing > len(counts.details):
            work.report.say(f"      and {counts.missing - len(counts.details)} more like these")
    if as_json:
        print_json({**work.as_dict(), "records": counts.records, "videos": counts.videos,
                    "missing": counts.missing, "clips": counts.clips})  # fmt: skip
        return
    here = f"{counts.videos} videos here, {counts.missing} not"
    print(f"{root.uri}: {counts.records} records, {here}; said of {counts.clips} clips. Run {work.run_id}.")
