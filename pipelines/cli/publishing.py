"""Commands for those who publish a dataset: its card and its Croissant file."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from pipelines.cli.common import Dataset, JsonFlag, Profile, print_json

__all__ = ["register"]

_WARNINGS = ("**", "No SPDX", "The licence of these models")


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(short_help="Write the dataset's card and its Croissant file.")(card)


def card(
    dataset: Dataset,
    title: Annotated[str, typer.Option(help="The dataset's name.")] = "A video dataset",
    description: Annotated[str | None, typer.Option(help="What it is, in a sentence; default: its counts.")] = None,
    url: Annotated[str | None, typer.Option(help="The page where it is published.")] = None,
    version: Annotated[str, typer.Option(help="MAJOR.MINOR.PATCH.")] = "1.0.0",
    creator: Annotated[str | None, typer.Option(help="Who made it.")] = None,
    cite_as: Annotated[str | None, typer.Option(help="How to cite it: BibTeX.")] = None,
    profile: Profile = "embedded",
    as_json: JsonFlag = False,
) -> None:
    """Write README.md, the card, and croissant.json into the dataset: counts, rights, funnel, models and licences.

    Example: rushes card dataset --title "City walks" --url https://huggingface.co/datasets/me/city-walks
    """
    from dataset import open_root
    from dataset.cards import CARD, About, write_card
    from dataset.croissant import FILE
    from pipelines.licences import licence_of

    root = open_root(dataset)
    text = write_card(
        root, About(title, description, url, version, creator, cite_as), partial(licence_of, profile=profile)
    )
    warnings = [line.strip("*") for line in text.splitlines() if line.startswith(_WARNINGS)]
    if as_json:
        print_json({"card": root.location(CARD), "croissant": root.location(FILE), "warnings": warnings})
        return
    print("\n".join([f"{root.location(CARD)} and {FILE}: written", *(f"  {warning}" for warning in warnings)]))
