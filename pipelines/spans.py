"""Which videos are so long that several workers scan one."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from curation import plan_spans
from media import Guard, local_copy
from media.errors import BackendError, CorruptionError, UserError
from pipelines.engine import Item

__all__ = ["spread"]


def spread(
    items: Sequence[Item],
    scratch: str,
    span_s: float,
    wall_limit_s: float,
    workers: int,
    move: Callable[[int, int], None],
) -> list[Item]:
    """Return items of `ingesting.Scan` for the videos at least twice as long as `span_s`: for each worker one.

    Each of `items` that has such spans is told, under `scans`, the names of the files that they will leave in the
    folder `scratch` of the dataset, and the `key` they are signed with. A file that cannot be read is left to be told
    in its own row. `move(done, total)` is called with files.
    """
    shares: list[Item] = []
    with Guard() as guard:
        for number, item in enumerate(items):
            move(number, len(items))
            try:
                with local_copy(item["uri"]) as path:
                    planned = guard.run(plan_spans, path, span_s, limit_s=wall_limit_s)
            except (ImportError, BackendError, UserError, CorruptionError):
                raise
            except Exception:
                continue
            if len(planned) < 2:
                continue
            spans = [(first, end, f"{scratch}/{number}-{first}.frames") for first, end in planned]
            item["scans"] = [name for _, _, name in spans]
            item["key"] = secrets.token_bytes(32)
            # Spans that follow each other go to one worker: a remote file is fetched once for them.
            share = -(-len(spans) // workers)
            shares += [
                {"uri": item["uri"], "key": item["key"], "spans": spans[at : at + share]}
                for at in range(0, len(spans), share)
            ]
    return shares
