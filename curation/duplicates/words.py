"""The reasons, in words: why a clip is a duplicate, and why another one represents it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from curation.duplicates.clusters import Edges, Evidence

__all__ = ["NAMED", "best_because", "reason"]

_RULE: Final = (
    ("pixels", "most pixels", "px"),
    ("sharpness_laplacian", "sharpest", "Laplacian variance"),
    ("duration_s", "longest", "s"),
)
NAMED: Final = ("clip_id", "kept", *(column for column, _, _ in _RULE))
"""The columns that reasons are made of."""


def reason(edges: Edges, edge: int, embedding: str | None) -> str:
    """Return what an edge says of its second clip: how it is like its representative."""
    evidence, distance = Evidence(int(edges.evidence[edge])), float(edges.distance[edge])
    match evidence:
        case Evidence.KEYFRAMES:
            return "the same keyframes, byte for byte, and as many frames"
        case Evidence.MEDIA:
            return "the same media, byte for byte, in the shards"
        case Evidence.OVERLAP:
            return f"the same source, {1 - distance:.0%} of the shorter span in common"
        case Evidence.NEAR:
            voted = f"{edges.votes[edge]} of {edges.of[edge]} keyframes look alike"
            return f"{voted}, {distance:.1f} of 64 bits apart in the mean"
        case Evidence.SEMANTIC:
            return f"embedding {embedding}: cosine {1 - distance:.3f}"


def best_because(best: Mapping[str, Any], second: Mapping[str, Any], members: int) -> str:
    """Return by which part of the rule the clip `best` represents its cluster rather than the next; rows of `NAMED`."""
    of = f"represents {members} clips"
    if best["kept"] and not second["kept"]:
        return f"{of}: the selection keeps it and not the next"
    for column, word, unit in _RULE:
        mine, next_ = best[column], second[column]
        if mine != next_ and mine is not None:
            beaten = "unknown" if next_ is None else f"{next_:,.6g}"
            return f"{of}: {word}, {mine:,.6g} against {beaten} {unit}"
    return f"{of}: the smallest id, all else equal"
