"""From pairs to clusters: stars around the best clip, so that no chain of likenesses joins what is not alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

__all__ = ["Edges", "Evidence", "Stars", "same_content", "stars"]

I64 = npt.NDArray[np.int64]


class Evidence(IntEnum):
    """What says that two clips are duplicates, the strongest first."""

    KEYFRAMES = 0
    MEDIA = 1
    OVERLAP = 2
    NEAR = 3
    SEMANTIC = 4

    @property
    def kind(self) -> str:
        """The word for it in the table: exact, near or semantic."""
        return {Evidence.NEAR: "near", Evidence.SEMANTIC: "semantic"}.get(self, "exact")


@dataclass(frozen=True, slots=True)
class Edges:
    """Pairs of clips [E], by their place in the order of preference: `first` < `second`, so the first is better.

    `distance` is 0 of exact ones, bits of near ones, 1 - cosine of semantic ones, and the share of the shorter clip
    that is not shared of overlapping ones; `votes` of `of` keyframes agree, 0 where nothing voted.
    """

    first: I64
    second: I64
    evidence: npt.NDArray[np.int8]
    distance: npt.NDArray[np.float32]
    votes: npt.NDArray[np.int16]
    of: npt.NDArray[np.int16]

    @classmethod
    def of_kind(cls, first: npt.ArrayLike, second: npt.ArrayLike, evidence: Evidence, *rest: npt.ArrayLike) -> Edges:
        """Return edges of one kind of evidence; `rest` are distance, votes and of, 0 where they are not given."""
        first, second = np.asarray(first, np.int64), np.asarray(second, np.int64)
        given = [*rest, *[np.zeros(len(first))] * (3 - len(rest))]
        return cls(
            np.minimum(first, second),
            np.maximum(first, second),
            np.full(len(first), evidence, np.int8),
            np.asarray(given[0], np.float32),
            np.asarray(given[1], np.int16),
            np.asarray(given[2], np.int16),
        )

    @classmethod
    def chained(cls, parts: Iterable[Edges]) -> Edges:
        """Return the edges of all parts, one part after the other."""
        held = list(parts) or [cls.of_kind([], [], Evidence.NEAR)]
        return cls(*[np.concatenate([getattr(part, name) for part in held]) for name in cls.__slots__])

    @classmethod
    def joined(cls, parts: Iterable[Edges]) -> Edges:
        """Return the edges of all parts, by first, then the strongest evidence, the least distance, and second."""
        edges = cls.chained(parts)
        return edges.at(np.lexsort((edges.second, edges.distance, edges.evidence, edges.first)))

    def at(self, where: npt.NDArray[np.generic]) -> Edges:
        """Return the edges at these places, or where a mask is true."""
        return Edges(*[getattr(self, name)[where] for name in self.__slots__])

    def renumbered(self, places: I64) -> Edges:
        """Return the edges between `places[first]` and `places[second]`; `places` ascends."""
        return Edges(places[self.first], places[self.second], self.evidence, self.distance, self.votes, self.of)


@dataclass(frozen=True, slots=True)
class Stars:
    """For each clip [N] its representative, itself if it has none, and the edge that says so, -1 if none."""

    representative: I64
    edge: I64


def stars(clips: int, edges: Edges) -> Stars:
    """Cluster `clips` clips, numbered in the order of preference, by `edges`, sorted as `Edges.joined` sorts.

    The best clip that has no representative becomes one, and takes every clip it has an edge to that has none; and
    so on. So every member has an edge to its representative, which is better than it, and no better representative
    has an edge to the member.
    """
    representative = list(range(clips))
    taken = [-1] * clips
    for place, (first, second) in enumerate(zip(edges.first.tolist(), edges.second.tolist(), strict=True)):
        if taken[first] < 0 and taken[second] < 0:
            representative[second] = first
            taken[second] = place
    return Stars(np.array(representative, np.int64), np.array(taken, np.int64))


def same_content(clips: int, edges: Edges) -> I64:
    """Return for each clip [N] the best clip with the same content, by union-find: being the same is transitive."""
    parent = list(range(clips))

    def find(clip: int) -> int:
        while parent[clip] != clip:
            parent[clip] = parent[parent[clip]]
            clip = parent[clip]
        return clip

    for first, second in zip(edges.first.tolist(), edges.second.tolist(), strict=True):
        a, b = find(first), find(second)
        parent[max(a, b)] = min(a, b)
    for clip in set(edges.second.tolist()):
        parent[clip] = find(clip)
    return np.array(parent, np.int64)
