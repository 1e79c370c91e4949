"""Which videos are so long that several workers scan one."""

from __future__ import annotations

from collections.abc import Sequence

from curation import plan_spans
from media import Guard, MediaError, local_copy
from pipelines.engine import Item

__all__ = ["spread"]


def spread(items: Sequence[Item], scratch: str, span_s: float, wall_limit_s: float) -> list[Item]:
    """Return items of `ingesting.Scan` for the videos at least twice as long as `span_s`.

    Each of `items` that has such spans is told, under `scans`, the names of the files that they will leave in the
    folder `scratch` of the dataset. A file that cannot be read is left to be told in its own row.
    """
    spans: list[Item] = []
    with Guard() as guard:
        for number, item in enumerate(items):
            try:
                with local_copy(item["uri"]) as path:
                    planned = guard.run(plan_spans, path, span_s, limit_s=wall_limit_s)
            except MediaError:
                continue
            if len(planned) < 2:
                continue
            names = [f"{scratch}/{number}-{first}.frames" for first, _ in planned]
            item["scans"] = names
            spans += [
                {"uri": item["uri"], "first": first, "end": end, "scan": name}
                for (first, end), name in zip(planned, names, strict=True)
            ]
    return spans
