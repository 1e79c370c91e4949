"""Means with intervals: a bootstrap of whole prompts, and "not enough data" as an outcome."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluation.metrics import METRICS
from evaluation.profile import Bootstrap, Profile, load_profile

__all__ = ["Figure", "cluster_interval", "summary"]

NOT_ENOUGH = "not enough data"
_BATCH = 256


@dataclass(frozen=True, slots=True)
class Figure:
    """The mean of one column over samples, with its interval.

    `low` and `high` are None, and `note` says why, where there are too few prompts. `missing` counts the
    samples that have no value: they are in no mean.
    """

    name: str
    title: str
    unit: str
    better: str
    mean: float | None
    low: float | None
    high: float | None
    samples: int
    prompts: int
    missing: int
    note: str | None

    def row(self) -> dict[str, Any]:
        """Return the figure as a plain row, for tables and JSON."""
        return asdict(self)


def summary(rows: Iterable[Mapping[str, Any]], profile: Profile | str = "embedded") -> list[Figure]:
    """Summarise rows of `grade`: one figure a metric, a dimension, and the composite.

    Samples of one prompt are resampled together: they share what is hard about the prompt, and an interval
    that took them for independent would be too narrow. A sample without a prompt is its own cluster.
    """
    profile = load_profile(profile) if isinstance(profile, str) else profile
    rows = list(rows)
    keys = [row["prompt"] if row["prompt"] is not None else (i,) for i, row in enumerate(rows)]
    figures = []
    for name, title, unit, better in _columns(profile):
        values = [row.get(name) for row in rows]
        kept = [(k, float(v)) for k, v in zip(keys, values, strict=True) if v is not None]
        prompts = len({k for k, _ in kept})
        low, high, note = None, None, None
        if prompts >= profile.bootstrap.min_prompts:
            low, high = cluster_interval([k for k, _ in kept], [v for _, v in kept], profile.bootstrap)
        else:
            note = f"{NOT_ENOUGH}: {prompts} of {profile.bootstrap.min_prompts} prompts"
        mean = float(np.mean(sorted(v for _, v in kept))) if kept else None
        missing = len(rows) - len(kept)
        figures.append(Figure(name, title, unit, better, mean, low, high, len(kept), prompts, missing, note))
    return figures


def cluster_interval(keys: Sequence[object], values: Sequence[float], spec: Bootstrap) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `values`, resampling the clusters that `keys` name.

    Depends on the values and on which of them share a key; not on their order, nor on what the keys are.
    """
    clusters: dict[object, list[float]] = {}
    for key, value in zip(keys, values, strict=True):
        clusters.setdefault(key, []).append(value)
    ordered = sorted(sorted(members) for members in clusters.values())
    sums = np.array([sum(members) for members in ordered])
    counts = np.array([len(members) for members in ordered], dtype=np.float64)
    means = _resampled_means(sums, counts, spec)
    tail = (1 - spec.level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def _resampled_means(
    sums: npt.NDArray[np.float64], counts: npt.NDArray[np.float64], spec: Bootstrap
) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(spec.seed)
    means = []
    for start in range(0, spec.resamples, _BATCH):  # bounded memory with many prompts
        chosen = rng.integers(0, len(sums), (min(_BATCH, spec.resamples - start), len(sums)))
        means.append(sums[chosen].sum(1) / counts[chosen].sum(1))
    return np.concatenate(means)


def _columns(profile: Profile) -> list[tuple[str, str, str, str]]:
    metrics = [(m.name, m.title, m.unit, m.better) for m in map(METRICS.__getitem__, profile.metrics)]
    levels = [(f"level_{d}", d.capitalize(), "level, 0 to 1", "higher") for d in profile.dimensions]
    return [*metrics, *levels, ("composite", "Composite", "0 to 100", "higher")]
