"""What a training run and its samples left: the loss curve, the bucket plan, generated clips, grades."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import media
from dataset.plan import REASONS, BucketRow
from evaluation import Figure, Profile, load_profile, summary
from evaluation.metrics import METRICS
from media.errors import ConfigError, MediaError
from pipelines.report.embed import Budget, data_uri
from pipelines.report.facts import Rows
from pipelines.report.svg import curve, interval, nice_number

__all__ = ["Generated", "GradeRow", "GradeTable", "Training", "grade_table", "play", "read_training"]

_CURVE_POINTS: Final = 600
_REJECTED: Final = "rejected: "
_HELD_OUT: Final = {"held_out": "kept apart, to measure the held-out loss"}
_BUCKET: Final = tuple(field.name for field in fields(BucketRow))


@dataclass(frozen=True, slots=True)
class Generated:
    """A generated clip: an MP4 file or its bytes, the prompt, and anything worth saying of how it was made."""

    sample_id: str
    prompt: str
    video: Path | bytes
    note: str = ""


@dataclass(frozen=True, slots=True)
class Playable:
    """A generated clip as the page plays it; without `uri` it did not fit the page, and `file` says where it is."""

    sample_id: str
    prompt: str
    note: str
    facts: str
    uri: str | None
    poster: str | None
    file: str
    chips: tuple[tuple[str, str], ...]
    reason: str | None


@dataclass(frozen=True, slots=True)
class Training:
    """A training run in figures."""

    steps: int
    before: float | None
    after: float | None
    change: str
    chart: str
    wall_s: float | None
    figures: tuple[tuple[str, str], ...]
    plan: Rows
    left_out: tuple[tuple[str, int, str], ...]


@dataclass(frozen=True, slots=True)
class GradeCell:
    """A figure of one set, with its picture."""

    text: str
    span: str
    note: str | None
    chart: str


@dataclass(frozen=True, slots=True)
class GradeRow:
    """One metric over all sets."""

    title: str
    unit: str
    better: str
    definition: str
    group: str
    cells: tuple[GradeCell | None, ...]


@dataclass(frozen=True, slots=True)
class GradeTable:
    """All metrics over all graded sets; `reasons` says why samples have no composite."""

    sets: tuple[tuple[str, int], ...]
    rows: tuple[GradeRow, ...]
    profiles: tuple[str, ...]
    reasons: tuple[tuple[str, int], ...]


def read_training(log: Path | None, plan: Iterable[Any] = ()) -> Training | None:
    """Read a training run: its folder, or its log.jsonl. None when there is nothing to read.

    Raises ConfigError when the file is not a training log.
    """
    if log is None:
        return None
    path = log / "log.jsonl" if log.is_dir() else log
    if not path.is_file():
        return None
    lines = _lines(path)
    losses = [(float(line["step"]), float(line["loss"])) for line in lines if "event" not in line and "loss" in line]
    held = [(float(line["step"]), float(line["loss"])) for line in lines if line.get("event") == "held_out"]
    result = _result(path.with_name("result.json"))
    before, after = (held[0][1], held[-1][1]) if len(held) > 1 else (held[0][1] if held else None, None)
    marks = [(step, loss, f"held-out {loss:.4f}") for step, loss in (held[:1] + held[-1:] if len(held) > 1 else held)]
    steps = int(losses[-1][0]) if losses else 0
    title = f"Training loss over {steps} steps"
    if before is not None and after is not None:
        title += f"; held-out loss {before:.4f} before, {after:.4f} after"
    chart = curve(_thin(losses), _thin(_smooth(losses)), marks, title, unit="step")
    change = f"{100 * (after - before) / before:+.1f}%" if before and after is not None else ""
    rows = [dict(row) if isinstance(row, Mapping) else _as_row(row) for row in plan] or list(result.get("plan", []))
    return Training(steps, before, after, change, chart, result.get("wall_s"), _figures(result, lines), *_plan(rows))


def _plan(rows: Iterable[Mapping[str, Any]]) -> tuple[Rows, tuple[tuple[str, int, str], ...]]:
    """Part the rows of a plan into its buckets, and what is left out: reason, clips, and the reason in words."""
    buckets: Rows = []
    left = []
    for row in rows:
        reason = str(row["bucket"]).removeprefix(_REJECTED)
        if reason != row["bucket"]:
            left.append((reason, int(row["samples"]), {**REASONS, **_HELD_OUT}.get(reason, "")))
        else:
            buckets.append({**dict.fromkeys(_BUCKET, 0), **row})
    return buckets, tuple(item for item in left if item[1])


def _lines(path: Path) -> Rows:
    lines: Rows = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            line = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"{path}: line {number} is not JSON; is this a training log?") from error
        if not isinstance(line, dict) or "step" not in line:
            raise ConfigError(f"{path}: line {number} has no `step`; is this a training log?")
        lines.append(line)
    return lines


def _result(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    return content if isinstance(content, dict) else {}


def _figures(result: Mapping[str, Any], lines: Rows) -> tuple[tuple[str, str], ...]:
    found = []
    if result.get("parameters"):
        found.append(("parameters", nice_number(float(result["parameters"]))))
    if result.get("trained_parameters"):
        found.append(("of them trained", nice_number(float(result["trained_parameters"]))))
    if result.get("wall_s"):
        found.append(("wall time", f"{float(result['wall_s']):.0f} s"))
    samples = sum(int(line.get("samples", 0)) for line in lines)
    if samples:
        found.append(("samples seen", str(samples)))
    return tuple(found)


def _as_row(row: Any) -> dict[str, Any]:
    if is_dataclass(row) and not isinstance(row, type):
        return asdict(row)
    return dict(vars(row))


def _smooth(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the mean over a twentieth of the run around each step: it does not lag, as a running mean would."""
    sums = [0.0, *accumulate(loss for _, loss in points)]
    reach = max(1, len(points) // 40)
    out = []
    for i, (step, _) in enumerate(points):
        near = min(reach, i, len(points) - 1 - i)  # the window stays centred to both ends
        out.append((step, (sums[i + near + 1] - sums[i - near]) / (2 * near + 1)))
    return out


def _thin(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    every = max(1, -(-len(points) // _CURVE_POINTS))
    return list(points[::every])


def play(clips: Iterable[Generated], grades: Iterable[Mapping[str, Any]], budget: Budget) -> list[Playable]:
    """Return generated clips with their grades, embedded as long as `budget` lasts."""
    by_id = {row["sample_id"]: row for row in grades}
    return [_playable(clip, by_id.get(clip.sample_id), budget) for clip in clips]


def _playable(clip: Generated, row: Mapping[str, Any] | None, budget: Budget) -> Playable:
    data = clip.video if isinstance(clip.video, bytes) else clip.video.read_bytes()
    file = "" if isinstance(clip.video, bytes) else str(clip.video)
    uri, poster, facts = None, None, ""
    try:
        frames = media.decode_bytes(data)
        facts = f"{len(frames)} frames · {frames.shape[2]} × {frames.shape[1]}"
        poster = data_uri(media.jpeg(frames[len(frames) // 2], quality=75), "image/jpeg")
        if budget.take(len(data)):
            uri = data_uri(data, "video/mp4")
    except MediaError as error:
        facts = f"cannot be decoded: {error.reason}"
    chips, reason = [], None
    if row is not None:
        if row.get("composite") is not None:
            chips.append(("composite", f"{row['composite']:.0f}"))
        reason = row.get("composite_reason")
        for name, metric in METRICS.items():
            if row.get(name) is not None:
                chips.append((metric.title.lower(), nice_number(row[name])))
    return Playable(clip.sample_id, clip.prompt, clip.note, facts, uri, poster, file, tuple(chips), reason)


def grade_table(sets: Mapping[str, Sequence[Mapping[str, Any]]]) -> GradeTable | None:
    """Lay the grades of several sets side by side, each row on one scale. None when there are no grades."""
    filled = dict(sorted(((n, r) for n, r in sets.items() if r), key=lambda item: (-len(item[1]), item[0])))
    if not filled:
        return None
    first = next(iter(filled.values()))[0]
    profile = _profile(str(first["profile"]))
    figures = {name: {f.name: f for f in summary(rows, profile)} for name, rows in filled.items()}
    names = ["composite", *(f"level_{d}" for d in profile.dimensions), *profile.metrics]
    rows = [_grade_row(name, [figures[s].get(name) for s in filled]) for name in names]
    reasons: dict[str, int] = {}
    for row in (row for members in filled.values() for row in members):
        if row.get("composite_reason"):
            reasons[row["composite_reason"]] = reasons.get(row["composite_reason"], 0) + 1
    labels = {f"{r['profile']} v{r['profile_version']} ({r['profile_hash']})" for m in filled.values() for r in m}
    ordered = sorted(reasons.items(), key=lambda item: -item[1])
    return GradeTable(tuple((n, len(r)) for n, r in filled.items()), tuple(rows), tuple(sorted(labels)), tuple(ordered))


def _profile(name: str) -> Profile:
    """Return the profile that rows name; one that is not known here lends its name only, and embedded the layout."""
    try:
        return load_profile(name)
    except ConfigError:
        return load_profile()


def _grade_row(name: str, figures: Sequence[Figure | None]) -> GradeRow:
    known = [f for f in figures if f is not None]
    ends = [v for f in known for v in (f.low, f.high, f.mean) if v is not None]
    if name == "composite":
        scale = (0.0, 100.0)
    elif name.startswith("level_"):
        scale = (0.0, 1.0)
    else:
        low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
        pad = 0.12 * ((high - low) or abs(high) or 1.0)
        scale = (low - pad, high + pad)
    group = "composite" if name == "composite" else "level" if name.startswith("level_") else "metric"
    metric = METRICS.get(name)
    shown = known[0]
    return GradeRow(
        shown.title, shown.unit, shown.better, " ".join(metric.definition.split()) if metric else "", group,
        tuple(_grade_cell(f, scale) for f in figures),
    )  # fmt: skip


def _grade_cell(figure: Figure | None, scale: tuple[float, float]) -> GradeCell | None:
    if figure is None:
        return None
    if figure.mean is None:
        return GradeCell("-", "", f"no value in {figure.missing} samples", "")
    text, span = nice_number(figure.mean), ""
    if figure.low is not None and figure.high is not None:
        places = _places(figure.high - figure.low)
        text, low, high = (f"{value:.{places}f}" for value in (figure.mean, figure.low, figure.high))
        span = f"{low} to {high}"
    title = f"{figure.title}: mean {text}" + (f", 95% interval {span}" if span else f", {figure.note}")
    few = f"too few prompts ({figure.prompts})"
    note = few if figure.note else f"{figure.missing} without a value" if figure.missing else None
    return GradeCell(text, span, note, interval(figure.low, figure.mean, figure.high, scale, title))


def _places(width: float) -> int:
    """Return how many decimals a figure deserves whose interval is `width` wide: two digits of the half width."""
    return min(4, max(0, 1 - math.floor(math.log10(width / 2)))) if width > 0 else 2
