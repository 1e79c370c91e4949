"""Exact duplicates: the same bytes, or the same frames of one source."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
import numpy.typing as npt

from curation.duplicates.clusters import Edges, Evidence

__all__ = ["overlapping", "repeated_rows", "same_key"]

I64 = npt.NDArray[np.int64]


def same_key(keyed: Iterable[tuple[int, Hashable]], evidence: Evidence) -> Edges:
    """Return an edge from the first place of each key to every other place that has it; places in any order."""
    groups: dict[Hashable, set[int]] = {}
    for place, key in keyed:
        groups.setdefault(key, set()).add(place)
    edges = [(min(places), place) for places in groups.values() for place in places if place != min(places)]
    first, second = zip(*sorted(edges), strict=True) if edges else ((), ())
    return Edges.of_kind(first, second, evidence)


def repeated_rows(hashes: npt.NDArray[np.uint64], valid: npt.NDArray[np.bool_]) -> I64:
    """Return the places of the rows [N, K] that some other row equals, and that have a hash at all; ascending."""
    if not len(hashes):
        return np.empty(0, np.int64)
    rows = np.concatenate([np.where(valid, hashes, 0), np.packbits(valid, axis=1).astype(np.uint64)], axis=1)
    _, which, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    return np.flatnonzero((counts[which.ravel()] > 1) & valid.any(axis=1))


def overlapping(source: I64, first_frame: I64, end_frame: I64, share: float) -> Edges:
    """Return the pairs of spans of one source that have at least `share` of the shorter in common.

    Spans are compared with those that begin before they end: no pair that does not overlap is looked at twice. The
    distance is the share of the shorter span that the other lacks.
    """
    order = np.lexsort((end_frame, first_frame, source))
    found: list[tuple[npt.NDArray[np.generic], ...]] = []
    at = np.arange(len(order))
    for step in range(1, len(order)):
        at = at[at + step < len(order)]
        one, other = order[at], order[at + step]
        meet = (source[one] == source[other]) & (first_frame[other] < end_frame[one])
        at, one, other = at[meet], one[meet], other[meet]
        if not len(at):
            break
        common = np.minimum(end_frame[one], end_frame[other]) - first_frame[other]
        part = common / np.minimum(end_frame[one] - first_frame[one], end_frame[other] - first_frame[other])
        good = part >= share - 1e-9
        found.append((one[good], other[good], 1 - part[good]))
    columns = [np.concatenate(part) for part in zip(*found, strict=True)] or [np.empty(0)] * 3
    return Edges.of_kind(columns[0], columns[1], Evidence.OVERLAP, columns[2])
