"""Commands over groups of clips: dedup."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from pipelines.cli.common import Dataset, JsonFlag, print_json

__all__ = ["register"]

CROPS: Final = (0.95, 0.9, 0.85)
"""What `--crops` looks for: shares of the sides; copies between two of them are near enough to one."""


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(short_help="Find clips that show the same; name the best.")(dedup)


def dedup(
    dataset: Dataset,
    name: Annotated[str, typer.Option(help="The name of the set of duplicates.")] = "default",
    distance: Annotated[int, typer.Option(help="Bits of 64 in which keyframes that match may differ, 0 to 16.")] = 8,
    embedding: Annotated[
        str | None, typer.Option(help="EXPERT.COLUMN: find semantic duplicates too, by these vectors.")
    ] = None,
    cosine: Annotated[float, typer.Option(help="How alike the vectors of semantic duplicates are at least.")] = 0.95,
    crops: Annotated[
        bool, typer.Option("--crops", help="Find copies cropped by up to a sixth too; decodes every keyframe.")
    ] = False,
    selection: Annotated[
        str, typer.Option(help="Clips that this selection keeps represent others first; or all, for no preference.")
    ] = "default",
    as_json: JsonFlag = False,
) -> None:
    """Find exact, near and semantic duplicates; write each cluster, its best clip, and the reasons. Drops nothing.

    Example: rushes dedup dataset

    To drop them, add a rule to those of `rushes select`, for instance no_duplicate: clip_id not in (select clip_id
    from duplicates where duplicate_set = 'default' and not representative)
    """
    import dataclasses

    from curation.duplicates import DuplicatesConfig, find_duplicates
    from dataset import open_root
    from pipelines import steps
    from pipelines.config import validate
    from pipelines.progress import Reporter

    given: dict[str, Any] = {"distance": distance, "embedding": embedding, "cosine": cosine}
    given["selection"] = None if selection == "all" else selection
    if crops:
        given["crops"] = CROPS
    config = validate(DuplicatesConfig, given, "rushes dedup")
    root = open_root(dataset)
    asked = {**config.model_dump(mode="json"), "name": name}
    with steps.working(root, "dedup", asked, Reporter(), "local") as work:
        with work.report.step("find duplicates", "clips", numbered=False) as move:
            found = find_duplicates(root, config, work.run_id, name)
            move(found.clips, found.clips)
        work.rows[f"duplicates/{name}"] = sum(found.duplicates.values()) + found.clusters
    if as_json:
        print_json({"run_id": work.run_id, "dataset": root.uri, **dataclasses.asdict(found)})
        return
    kinds = ", ".join(f"{count} {kind}" for kind, count in found.duplicates.items())
    print(f"{root.uri}: of {found.clips} clips {sum(found.duplicates.values())} repeat another ({kinds}), in "
          f"{found.clusters} clusters: duplicates/{name}. Run {work.run_id}.")  # fmt: skip
    if found.skipped:
        print(f"{found.skipped} comparisons of very common pictures were left out")
