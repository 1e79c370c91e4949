"""The command `rushes worlds`: procedural videos whose every fact is known, as clips of a dataset."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from media.errors import UserError
from pipelines.cli.common import EngineKind, JsonFlag, Workers, print_json

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(short_help="Render synthetic worlds into a dataset.")(worlds)


def worlds(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="The dataset root; made if it is not there.")],
    world: Annotated[str, typer.Option(help="shapes, bodies or scenes3d.")] = "shapes",
    count: Annotated[int, typer.Option(help="How many clips, one for each seed.", min=1)] = 100,
    frames: Annotated[int, typer.Option(help="Frames of a clip.", min=1)] = 16,
    size: Annotated[str, typer.Option(help="Pixels: 64, or HEIGHTxWIDTH; even, at least 16.")] = "64",
    fps: Annotated[float, typer.Option(help="Frames per second.", min=0.1)] = 8.0,
    seed: Annotated[int, typer.Option(help="The first seed; the others follow.", min=0)] = 0,
    shards: Annotated[str, typer.Option(help="The shard set they go into; none writes no training rows.")] = "train",
    option: Annotated[
        list[str] | None, typer.Option(help="An option of the world, name=value (JSON or a word); repeatable.")
    ] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Measure them as footage is, too.")] = False,
    engine: EngineKind = "ray",
    workers: Workers = None,
    as_json: JsonFlag = False,
) -> None:
    """Render synthetic clips into a dataset: kind synthetic, captions from the truth, `experts/truth`, training rows.

    What is there already is not made again; more of them are added with a larger --count or another --seed.

    Example: rushes worlds dataset --world shapes --count 10000 --frames 16 --size 64
    """
    from dataset import open_root
    from pipelines.worlding import check, make_world

    asked: dict[str, Any] = {"frames": frames, "fps": fps, "seed": seed}
    asked |= {"size": _size(size), "options": _options(option)}
    check(world, count, **asked)
    root = open_root(dataset, create=True)
    asked |= {"shards": None if shards == "none" else shards, "measure": measure}
    work = make_world(root, world, count, **asked, engine=engine, workers=workers)
    if as_json:
        print_json(work.as_dict())
        return
    rows = ", ".join(f"{n} {table}" for table, n in work.rows.items() if n)
    print(f"{root.uri}: {'wrote ' + rows if rows else 'nothing to do, all was there already'}. Run {work.run_id}.")


def _size(text: str) -> tuple[int, int]:
    height, times, width = text.partition("x")
    try:
        return int(height), int(width if times else height)
    except ValueError:
        raise UserError(f"--size {text}: give pixels, 64, or HEIGHTxWIDTH, 48x64") from None


def _options(given: list[str] | None) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"--option {text}: give name=value")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options
