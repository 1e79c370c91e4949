"""Commands over the installation: demo, doctor, weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.common import JsonFlag, Profile, Workers, emit, print_json

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(short_help="Run the whole job on real footage.")(demo)
    app.command(short_help="Say what is installed, and what lacks.")(doctor)
    weights = typer.Typer(help="List and fetch a profile's models.", no_args_is_help=True, rich_markup_mode=None)
    weights.command("list", short_help="Print models, licences, what is here.")(list_weights)
    weights.command("pull", short_help="Fetch what lacks, sha256 checked.")(pull_weights)
    app.add_typer(weights, name="weights")


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for everything the demo makes.")] = Path("demo"),
    train_seconds: Annotated[
        float | None, typer.Option(help="How long to train; default: 60, small: 4.", min=1)
    ] = None,
    small: Annotated[
        bool, typer.Option("--small", help="One video, one photograph, seven experts, captions by the template.")
    ] = False,
    workers: Workers = None,
    as_json: JsonFlag = False,
) -> None:
    """Run the whole job on real footage: curate, caption, shard, train, generate, grade, report.

    Example: rushes demo --out demo/

    Run again on the same folder, it does only what is missing.
    """
    from pipelines.demo import run_demo

    figures = run_demo(out, train_seconds=train_seconds, workers=workers, small=small, as_json=as_json)
    if as_json:
        print_json(figures)


def doctor(profile: Profile = "embedded", as_json: JsonFlag = False) -> None:
    """Print what is installed, which models the profile finds and which it lacks. Exit code 3 if one is missing.

    Example: rushes doctor
    """
    from pipelines.doctor import examine

    found = examine(profile)
    print_json(found.as_dict()) if as_json else print(found)
    if found.lacking:
        raise typer.Exit(3)


def list_weights(profile: Profile = "embedded", as_json: JsonFlag = False) -> None:
    """Print a profile's models: role, name, licence, size, whether each is here.

    Example: rushes weights list
    """
    from experts import weights

    emit(weights.status(profile), as_json)


def pull_weights(
    profile: Profile = "embedded",
    footage: Annotated[bool, typer.Option("--footage", help="Fetch the demo's footage as well.")] = False,
) -> None:
    """Fetch the models that a profile lacks; each file's sha256 is checked.

    Example: rushes weights pull --profile embedded --footage
    """
    from experts import weights
    from pipelines.progress import Reporter

    report = Reporter()
    with report.step(f"weights of {profile}", "MB") as move:
        weights.pull(profile, footage=footage, progress=lambda done, total: move(done >> 20, total >> 20))
    print(f"All weights of {profile} are in {weights.home()}")
