"""The command `rushes`. Nothing here imports torch, ray or transformers before a command needs them."""

from __future__ import annotations

import sys

import typer

from media.errors import RushesError
from pipelines.cli import (
    balancing,
    comparing,
    data,
    exchange,
    explain,
    groups,
    imports,
    model,
    publishing,
    rights,
    system,
    worlds,
)

__all__ = ["app", "main"]

INTERRUPTED = 130
"""The exit code after control-C."""

app = typer.Typer(
    name="rushes",
    help="From raw video and stills to a graded text-to-video model.\n\n"
    "Start with `rushes demo --out demo/`, or curate your own footage: "
    "`rushes curate FOLDER --out DATASET`. Exit codes: 0 done; 1 a bug; 2 something to fix in the command, "
    "config, rule or query; 3 a model is missing; 4 a damaged file; 5 a server that did not answer; 6 a difference; "
    "130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    system,
    data,
    exchange,
    imports,
    explain,
    groups,
    balancing,
    comparing,
    publishing,
    rights,
    model,
    worlds,
):
    module.register(app)


def main(argv: list[str] | None = None) -> None:
    """Run the command line; an error of ours is one line and its exit code."""
    try:
        app(argv, prog_name="rushes")
    except RushesError as error:
        sys.stderr.write(f"rushes: {error}\n")
        sys.exit(error.exit_code)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            sys.stderr.write("\nrushes: interrupted; run the same command again to go on\n")
        raise
