"""How found shot boundaries are held against true ones: one to one, and as many as can be.

Two questions are asked. *Told*: is a hard cut called hard, at its frame, and is a gradual transition called gradual,
over about its frames? *Seen*: is there any boundary at all? The first is what a splitter needs; the second is fair to
detectors that call everything a hard cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.splices import Boundary

__all__ = ["SHARE", "Score", "pairs", "score", "seen", "told"]

SHARE: Final = 0.3
"""What two gradual transitions must have in common, as a share of the longer one."""


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of boundaries: found and true, found and not true, true and not found. Scores of videos add up."""

    hits: int = 0
    false: int = 0
    missed: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(self.hits + other.hits, self.false + other.false, self.missed + other.missed)

    @property
    def precision(self) -> float | None:
        """Share of the found that are true; None where nothing was found."""
        return self.hits / (self.hits + self.false) if self.hits + self.false else None

    @property
    def recall(self) -> float | None:
        """Share of the true that were found; None where there is nothing to find."""
        return self.hits / (self.hits + self.missed) if self.hits + self.missed else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of both; 0 where all is missed, None where there is nothing to find and nothing found."""
        total = 2 * self.hits + self.false + self.missed
        return 2 * self.hits / total if total else None


def told(true: Boundary, found: Boundary, tolerance: int) -> bool:
    """Whether `found` is `true`, of its sort and in its place, but for `tolerance` frames.

    A hard cut is off by `tolerance` frames at most. A gradual transition, widened by `tolerance` at either end, has
    `SHARE` of the longer of the two in common with the true one; which gradual kind it is called does not matter.
    """
    if (true.kind == "hard") != (found.kind == "hard"):
        return False
    if true.kind == "hard":
        return abs(true.first - found.first) <= tolerance
    common = min(true.end, found.end + tolerance) - max(true.first, found.first - tolerance)
    return common >= SHARE * max(true.end - true.first, found.end - found.first) and common > 0


def seen(true: Boundary, found: Boundary, tolerance: int) -> bool:
    """Whether the two touch, but for `tolerance` frames, whatever either is called."""
    return found.first - tolerance <= true.end and found.end + tolerance >= true.first


def pairs(
    true: Sequence[Boundary], found: Sequence[Boundary], agree: Callable[[Boundary, Boundary], bool]
) -> dict[int, int]:
    """Return which found boundary stands for which true one, by index: each for one, and as many as can be."""
    taken: dict[int, int] = {}

    def place(of: int, tried: set[int]) -> bool:
        for candidate in range(len(found)):
            if candidate in tried or not agree(true[of], found[candidate]):
                continue
            tried.add(candidate)
            if candidate not in taken or place(taken[candidate], tried):
                taken[candidate] = of
                return True
        return False

    for index in range(len(true)):
        place(index, set())
    return {of: candidate for candidate, of in sorted(taken.items(), key=lambda item: item[1])}


def score(true: Sequence[Boundary], found: Sequence[Boundary], agree: Callable[[Boundary, Boundary], bool]) -> Score:
    """Match and count."""
    hits = len(pairs(true, found, agree))
    return Score(hits, len(found) - hits, len(true) - hits)
