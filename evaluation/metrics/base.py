"""What a metric is, and what it may answer.

A metric is one file: a pure function of a `View`, whose docstring is the definition and source, and `METRIC`, which
declares its name, unit and direction. The function returns a number, or `Missing` with the reason: never a made-up 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from evaluation.view import View
    from experts.base import ModelRef

__all__ = ["Measure", "Metric", "Missing"]


@dataclass(frozen=True, slots=True)
class Missing:
    """The answer of a metric that cannot be measured on a sample, and why."""

    reason: str


Measure = Callable[["View"], float | Missing]


def _no_model() -> ModelRef | None:
    return None


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as it is declared. `model` names what it runs on, None for classical vision."""

    name: str
    unit: str
    better: Literal["higher", "lower"]
    title: str
    measure: Measure
    model: Callable[[], ModelRef | None] = _no_model

    @property
    def definition(self) -> str:
        """The definition and its source: the measuring function's docstring."""
        return self.measure.__doc__ or ""
