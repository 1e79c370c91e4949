"""The metrics, one a file, behind one registry."""

from __future__ import annotations

from typing import Final

from evaluation.metrics import (
    alignment,
    clarity,
    dynamic_degree,
    flicker,
    frozen,
    motion,
    richness,
    smoothness,
)
from evaluation.metrics.base import Metric, Missing

__all__ = ["METRICS", "Metric", "Missing"]

METRICS: Final[dict[str, Metric]] = {
    module.METRIC.name: module.METRIC
    for module in (alignment, dynamic_degree, motion, smoothness, flicker, clarity, richness, frozen)
}
"""Every metric by name."""
