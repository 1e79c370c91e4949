"""Samples in, rows out: each metric, the levels of the dimensions, and the composite or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sized
from typing import Any

import pyarrow as pa

from dataset.schema import Column
from evaluation.metrics import METRICS, Missing
from evaluation.profile import Profile, load_profile
from evaluation.sample import Sample
from evaluation.view import make_view
from media.errors import ConfigError, UserError

__all__ = ["columns", "grade", "level"]

_TEXTS = pa.map_(pa.string(), pa.string())


def columns(profile: Profile | str = "embedded") -> list[Column]:
    """Return what `dataset.schema.grade_schema` needs: the columns of a row of grades besides sample_id and run_id."""
    profile = _resolved(profile)
    metrics = [
        Column(m.name, pa.float64(), f"{m.title}, {m.unit}; {m.better} is better")
        for m in map(METRICS.__getitem__, profile.metrics)
    ]
    levels = [
        Column(
            f"level_{name}",
            pa.float64(),
            f"dimension {name}, 0 to 1 between the profile's references; mean of {', '.join(spec.metrics)}",
        )
        for name, spec in profile.dimensions.items()
    ]
    return [
        Column("prompt", pa.string(), "what it should show: the prompt, or the caption"),
        Column("frames", pa.int32(), "frames of the video", nullable=False),
        Column("fps", pa.float64(), "its rate", nullable=False),
        Column("width_px", pa.int32(), "its width", nullable=False),
        Column("height_px", pa.int32(), "its height", nullable=False),
        Column("measured_s", pa.float64(), "how much of it was measured, from the middle", nullable=False),
        *metrics,
        *levels,
        Column("composite", pa.float64(), "weighted mean of the levels, 0 to 100; null unless every one is there"),
        Column("composite_reason", pa.string(), "why there is no composite"),
        Column("missing", _TEXTS, "metric to the reason why it is null", nullable=False),
        Column("models", _TEXTS, "metric to the model it ran on, name@hash", nullable=False),
        Column("profile", pa.string(), "name of the profile", nullable=False),
        Column("profile_version", pa.int32(), "its version", nullable=False),
        Column("profile_hash", pa.string(), "BLAKE2b of the resolved profile, 12 hex digits", nullable=False),
    ]


def grade(
    samples: Iterable[Sample],
    profile: Profile | str = "embedded",
    *,
    metrics: Iterable[str] | None = None,
    run_id: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Grade each sample by itself and return its rows, in order, in the schema `grade_schema(columns(profile))`.

    `samples` may be a generator: one video is in memory at a time. `metrics` measures only some of the
    profile's; the others are null and say so. Raises MissingModelError when a metric's model is not on this
    machine, ConfigError when it is another than the profile pins.
    """
    profile = _resolved(profile)
    chosen = _chosen(profile, metrics)
    models = _models(profile, chosen)
    total = len(samples) if isinstance(samples, Sized) else 0
    rows = []
    for done, sample in enumerate(samples, 1):
        rows.append(_row(sample, profile, chosen, models, run_id))
        if progress is not None:
            progress(done, max(total, done))
    return rows


def level(profile: Profile, name: str, value: float) -> float:
    """Return where `value` of metric `name` lies between the profile's references: 0 worst, 1 best."""
    reference = profile.reference[name]
    share = min(1.0, max(0.0, (value - reference.low) / (reference.high - reference.low)))
    return share if METRICS[name].better == "higher" else 1.0 - share


def _resolved(profile: Profile | str) -> Profile:
    return load_profile(profile) if isinstance(profile, str) else profile


def _chosen(profile: Profile, metrics: Iterable[str] | None) -> tuple[str, ...]:
    if metrics is None:
        return profile.metrics
    asked = set(metrics)
    unknown = sorted(asked - set(profile.metrics))
    if unknown:
        raise UserError(f"metrics: profile {profile.name} has no {unknown[0]!r}; it has: {', '.join(profile.metrics)}")
    return tuple(name for name in profile.metrics if name in asked)


def _models(profile: Profile, chosen: tuple[str, ...]) -> dict[str, str]:
    """Name the models of the chosen metrics; refuse any other than the profile pins."""
    named = {}
    for name in chosen:
        ref = METRICS[name].model()
        if ref is None:
            continue
        pinned = profile.models.get(name)
        if pinned is not None and pinned != ref.hash:
            raise ConfigError(
                f"evaluation profile {profile.name}: models.{name}: pinned to {pinned}, but this machine has "
                f"{ref.hash} ({ref.name}); use the pinned one, or write a profile with another name"
            )
        named[name] = f"{ref.name}@{ref.hash}"
    return named


def _row(
    sample: Sample, profile: Profile, chosen: tuple[str, ...], models: Mapping[str, str], run_id: str
) -> dict[str, Any]:
    view = make_view(sample, profile.view)
    values: dict[str, float | None] = dict.fromkeys(profile.metrics)
    missing = {name: "not asked for in this run" for name in profile.metrics if name not in chosen}
    for name in chosen:
        score = METRICS[name].measure(view)
        if isinstance(score, Missing):
            missing[name] = score.reason
        else:
            values[name] = score
    levels = _levels(profile, values)
    composite, reason = _composite(profile, levels, missing)
    return {
        "sample_id": sample.sample_id,
        "run_id": run_id,
        "prompt": sample.prompt,
        "frames": len(sample.frames),
        "fps": sample.fps,
        "width_px": sample.frames.shape[2],
        "height_px": sample.frames.shape[1],
        "measured_s": len(view.luma) / sample.fps,
        **values,
        **{f"level_{name}": value for name, value in levels.items()},
        "composite": composite,
        "composite_reason": reason,
        "missing": missing,
        "models": dict(models),
        "profile": profile.name,
        "profile_version": profile.version,
        "profile_hash": profile.hash,
    }


def _levels(profile: Profile, values: Mapping[str, float | None]) -> dict[str, float | None]:
    levels: dict[str, float | None] = {}
    for name, spec in profile.dimensions.items():
        known = [level(profile, m, v) for m in spec.metrics if (v := values[m]) is not None]
        levels[name] = sum(known) / len(known) if len(known) == len(spec.metrics) else None
    return levels


def _composite(
    profile: Profile, levels: Mapping[str, float | None], missing: Mapping[str, str]
) -> tuple[float | None, str | None]:
    """Return the composite, or the reason why there is none: a missing metric is never a 0."""
    weights = {name: spec.weight for name, spec in profile.dimensions.items() if spec.weight > 0}
    known = {name: value for name in weights if (value := levels[name]) is not None}
    if len(known) < len(weights):
        used = {metric for name in weights.keys() - known.keys() for metric in profile.dimensions[name].metrics}
        lacking = sorted(used & missing.keys())
        return None, "; ".join(f"{name}: {missing[name]}" for name in lacking)
    return 100.0 * sum(weights[n] * known[n] for n in weights) / sum(weights.values()), None
