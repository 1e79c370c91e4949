"""Grades of videos: metrics with a declared direction, a versioned composite, and intervals clustered by prompt.

`grade` measures samples one by one, so that no score depends on their order, batch or names; `summary` gives
each mean an interval. The profile pins everything a number depends on: sampling, resize, reference quantiles,
weights and models. A metric that cannot be measured is null with a reason, and then there is no composite.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaluation.grading import columns, grade
    from evaluation.intervals import Figure, summary
    from evaluation.metrics import METRICS, Metric, Missing
    from evaluation.profile import Profile, load_profile
    from evaluation.sample import Sample
    from evaluation.suite import SuitePrompt, load_suite

__all__ = [
    "METRICS",
    "Figure",
    "Metric",
    "Missing",
    "Profile",
    "Sample",
    "SuitePrompt",
    "columns",
    "grade",
    "load_profile",
    "load_suite",
    "summary",
]

_HOMES = {
    "METRICS": "metrics",
    "Metric": "metrics",
    "Missing": "metrics",
    "Profile": "profile",
    "load_profile": "profile",
    "Sample": "sample",
    "SuitePrompt": "suite",
    "load_suite": "suite",
    "columns": "grading",
    "grade": "grading",
    "Figure": "intervals",
    "summary": "intervals",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: the package itself stays cheap to import."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
