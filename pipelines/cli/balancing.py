"""The command `rushes balance`: what the clips are of, how they move, and weights that even it out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pipelines.cli.common import Dataset, JsonFlag, Profile, print_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from curation.balance import AxisReport, Report

__all__ = ["register", "render"]

_SHOWN: Final = 20
_PIPED: Final = 120
"""Columns of the tables where no terminal says how many it has."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(short_help="Tell how even the clips are; weigh them.")(balance)


def balance(
    dataset: Dataset,
    name: Annotated[str, typer.Option(help="The name of the set of weights.")] = "default",
    alpha: Annotated[
        float, typer.Option(help="0: leave all as it is; 1: weights that make every group equal.", min=0.0, max=1.0)
    ] = 0.5,
    clusters: Annotated[
        int | None, typer.Option(help="How many concepts; default: the square root of the clips, to 1000.", min=1)
    ] = None,
    concepts: Annotated[
        str, typer.Option(help="What concepts are clusters of: auto, words (captions and tags), or EXPERT.COLUMN.")
    ] = "auto",
    selection: Annotated[
        str, typer.Option(help="Weigh the clips that this selection keeps; all, where none was made; or all.")
    ] = "default",
    mix: Annotated[
        str | None, typer.Option(help="How much of each kind is drawn, for instance clip=3,still=1,pseudo=1.")
    ] = None,
    profile: Profile = "embedded",
    as_json: JsonFlag = False,
) -> None:
    """Group clips by what they show, how they move and what the camera does; write weights that even them out.

    Example: rushes balance dataset

    The weights: rushes query dataset "select clip_id, weight from balance where balance_set = 'default'"
    """
    import dataclasses

    from curation.balance import BalanceConfig
    from curation.balance import balance as weigh
    from dataset import open_root
    from pipelines import steps
    from pipelines.config import validate
    from pipelines.progress import Reporter

    given: dict[str, Any] = {
        "mix": None if mix is None else dict(part.split("=", 1) for part in mix.split(",") if "=" in part) or mix,
        "alpha": alpha,
        "clusters": clusters,
        "concepts": concepts,
        "selection": None if selection == "all" else selection,
        "profile": profile,
    }
    config = validate(BalanceConfig, given, "rushes balance")
    root = open_root(dataset)
    with steps.working(root, "balance", {**config.model_dump(mode="json"), "name": name}, Reporter(), "local") as work:
        with work.report.step("group and weigh", "clips", numbered=False) as move:
            found = weigh(root, config, work.run_id, name)
            move(found.clips, found.clips)
        work.rows[f"balance/{name}"] = found.clips
    if as_json:
        print_json({"run_id": work.run_id, "dataset": root.uri, **dataclasses.asdict(found)})
        return
    from rich.console import Console

    render(found, Console(width=None if sys.stdout.isatty() else _PIPED, highlight=False, markup=False, emoji=False))


def render(found: Report, console: Console) -> None:
    """Print a report: a table for each axis, and what the weights come to."""
    which = f"that the selection {found.selection} keeps" if found.selection else "of the dataset"
    console.print(f"{found.clips} clips {which}; concepts by {found.concepts}")
    for axis in found.axes:
        even = f"{axis.effective:.1f} equal groups, {axis.effective_weighted:.1f} by the weights"
        console.print(f"\n{axis.axis}: as diverse as {even}")
        console.print(_axis(axis))
    bounds = f"{found.least_weight:.2f} to {found.most_weight:.2f}, 1 in the mean"
    console.print(f"\nweights at alpha {found.alpha:g}: {bounds}; balance/{found.name}")


def _axis(axis: AxisReport) -> Table:
    from rich.table import Table
    from rich.text import Text

    made = Table(show_edge=False, pad_edge=False)
    made.add_column(axis.axis, overflow="fold")
    for head in ("clips", "share", "by the weights"):
        made.add_column(head, justify="right")
    for group in axis.groups[:_SHOWN]:
        shares = (f"{group.share:.1%}", f"{group.weighted_share:.1%}")
        made.add_row(Text(group.name), f"{group.clips:,}", *shares)
    if rest := axis.groups[_SHOWN:]:
        shares = (f"{sum(g.share for g in rest):.1%}", f"{sum(g.weighted_share for g in rest):.1%}")
        made.add_row(f"and {len(rest)} more", f"{sum(g.clips for g in rest):,}", *shares)
    if axis.without:
        made.add_row("(nothing tells)", f"{axis.without:,}", "", "")
    return made
