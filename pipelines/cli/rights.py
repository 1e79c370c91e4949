"""Commands over rights: take a source out, and its bytes too."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from media.errors import UserError
from pipelines.cli.common import Dataset, JsonFlag, emit, print_json

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(short_help="Take a source, and all that came of it, out.")(remove)
    app.command(short_help="Take what was removed off the disk too.")(compact)


def remove(
    dataset: Dataset,
    source: Annotated[
        list[str] | None,
        typer.Option(help="The address of the source, its source_url or video_id, or a folder, FOLDER/; repeatable."),
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why; written in the tombstone.")] = None,
    ahead: Annotated[bool, typer.Option("--ahead", help="Keep it out even if nothing of it is here yet.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and write nothing.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take the tombstone back, until `rushes compact`.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="List what was removed, when and why.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Remove a source: no table, query, shard, export or card shows anything of it from now on, and it stays out.

    Its bytes leave the disk with `rushes compact`. What earlier exports and trainings hold is named, not reached.

    Example: rushes remove dataset --source https://host/film.mp4 --reason "the owner asked"
    """
    import dataclasses

    from dataset import new_run, open_root, restore
    from dataset import remove as take_out

    root = open_root(dataset)
    if listed:
        emit([_plain(row) for row in root.read("removals").to_pylist()], as_json)
        return
    if not source:
        raise UserError("rushes remove: --source is missing: the address of what is to go, or --list")
    if undo and dry_run:
        raise UserError("rushes remove: --undo is done at once; leave --dry-run out")
    if undo:
        back = {one: restore(root, one) for one in source}
        print_json(back) if as_json else print("\n".join(map(_undone, back.items())))
        return
    settings = {"source": source, "reason": reason, "ahead": ahead}
    told = [take_out(root, one, run_id="-", ahead=ahead, dry=True) for one in source]  # a wrong one stops them all
    if not dry_run:
        run = new_run("remove", settings, root=root)
        try:  # `ahead`: what one of them takes along, another need not find
            told = [take_out(root, one, run_id=run.run_id, reason=reason, ahead=True) for one in source]
        except BaseException:
            run.finish(outcome="failed")
            raise
        run.finish({"videos": sum(len(one.videos) for one in told)})
    if as_json:
        print_json([dataclasses.asdict(one) for one in told])
    else:
        print("\n".join(_text(one, dataset, dry_run) for one in told))


def _text(told: Any, dataset: str, dry: bool) -> str:
    rows = ", ".join(f"{count} {table}" for table, count in _summed(told.rows).items()) or "nothing is here yet"
    lines = [f"{told.source}: {'would be removed' if dry else 'removed'}: {rows}"]
    for table, count in told.leaderless.items():
        lines.append(f"  {count} clips of {table} stand behind a clip that is gone: run `rushes dedup {dataset}` again")
    lines += [f"  not reached: what an earlier {copy} holds" for copy in told.copies if told.rows]
    if told.rows and not dry:
        lines.append(f"  `rushes compact {dataset}` takes the bytes off the disk; until then --undo brings it back")
    return "\n".join(lines)


def _undone(back: tuple[str, int]) -> str:
    source, seen = back
    if seen:
        return f"{source}: {seen} sources are seen again"
    return f"{source}: nothing of it is stored; the next run that names it takes it in"


def _summed(rows: dict[str, int]) -> dict[str, int]:
    """Return the counts with those of all experts as one."""
    experts = [count for table, count in rows.items() if table.startswith("experts/")]
    summed = {f"rows of {len(experts)} experts": sum(experts)} if experts else {}
    return {table: count for table, count in rows.items() if not table.startswith("experts/")} | summed


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "removed_at": row["removed_at"].isoformat(timespec="seconds")}


def compact(dataset: Dataset, as_json: JsonFlag = False) -> None:
    """Write every part that holds rows of removed sources anew, without them; other parts are not touched.

    Example: rushes compact dataset
    """
    import dataclasses

    from dataset import compact as take_off
    from dataset import open_root
    from pipelines.progress import Reporter

    with Reporter().step("compact", "parts") as move:
        done = take_off(open_root(dataset), progress=move)
    if as_json:
        print_json(dataclasses.asdict(done))
        return
    rows = ", ".join(f"{count} {table}" for table, count in _summed(done.rows).items())
    parts = f"{done.rewritten} parts written anew, {done.deleted} gone, {done.bytes / 1e6:.1f} MB freed"
    print(f"{dataset}: took out {rows}; {parts}" if rows else f"{dataset}: nothing removed is stored")
