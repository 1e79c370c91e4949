"""What a balance came to, axis by axis: how many clips each group has, and what share the weights give it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curation.balance.weights import effective_number

__all__ = ["AxisReport", "Group", "Report", "axis_report"]


@dataclass(frozen=True, slots=True)
class Group:
    """One group of an axis: its clips, their share of all that have a group, and their share of the weights."""

    name: str
    clips: int
    share: float
    weighted_share: float


@dataclass(frozen=True, slots=True)
class AxisReport:
    """One axis, its largest group first.

    `effective` is the number of equal groups that would be as diverse, `effective_weighted` the same by the weights.
    `without` are the clips that have no group here.
    """

    axis: str
    groups: tuple[Group, ...]
    effective: float
    effective_weighted: float
    without: int


@dataclass(frozen=True, slots=True)
class Report:
    """A balance: of how many clips, kept by which selection (None: all), by which concepts, and each axis."""

    name: str
    clips: int
    selection: str | None
    concepts: str
    alpha: float
    axes: tuple[AxisReport, ...]
    least_weight: float
    most_weight: float


def axis_report(
    axis: str, groups: npt.NDArray[np.int64], names: Sequence[str], weights: npt.NDArray[np.float64]
) -> AxisReport:
    """Return the report of one axis; `groups` int64 [N] index `names`, -1 for none."""
    member = groups >= 0
    counts = np.asarray(np.bincount(groups[member], minlength=len(names)), np.float64)
    held = np.asarray(np.bincount(groups[member], weights[member], len(names)), np.float64)
    order = sorted((g for g in range(len(names)) if counts[g]), key=lambda g: (-counts[g], names[g]))
    shown = tuple(
        Group(names[g], int(counts[g]), float(counts[g] / counts.sum()), float(held[g] / held.sum())) for g in order
    )
    return AxisReport(axis, shown, effective_number(counts), effective_number(held), int((~member).sum()))
