"""What the tables say in figures: counts, sources, funnel, histograms, camera, provenance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, Final

import duckdb

from dataset.schema import MEASURES
from pipelines.report.bounds import bounds_of, columns_named
from pipelines.report.svg import Bound, Histogram, Segment, histogram, timeline

__all__ = ["Facts", "FunnelRow", "Panel", "Source", "ask", "clock", "file_name", "gather"]

_PANELS: Final = 12
_BINS: Final = 28
_SOURCES: Final = 40
_SKEW: Final = 25.0
_USUAL: Final = (
    "duration_s", "flow_mean_px_per_s", "object_motion_px_per_s", "sharpness_laplacian", "luma_mean", "contrast_rms",
    "colourfulness", "noise_sigma", "flicker", "frozen_fraction", "entropy_bits", "blockiness",
)  # fmt: skip
_DOCS: Final = {column.name: column.doc for column in MEASURES} | {"duration_s": "length of the clip, seconds"}
_QUARANTINED: Final = "SELECT uri, reason, detail, size_bytes FROM videos WHERE status <> 'ok' ORDER BY uri"
_RIGHTS: Final = (
    "SELECT coalesce(source, 'not stated') AS source, coalesce(license, 'not stated') AS license, count(*) AS files "
    "FROM videos WHERE status = 'ok' GROUP BY 1, 2 ORDER BY files DESC, 1"
)

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was read: its line in the list, and for a video its timeline."""

    video_id: str
    name: str
    uri: str
    media: str
    line: str
    clips: int
    kept: int
    cuts: int
    chart: str
    rights: str


@dataclass(frozen=True, slots=True)
class FunnelRow:
    """One rule; shares are of all clips, 0 to 100."""

    rule: str
    predicate: str
    rejected: int
    alone: int
    share: float
    share_alone: float


@dataclass(frozen=True, slots=True)
class Panel:
    """One histogram."""

    column: str
    doc: str
    chart: str
    median: str
    measured: int
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """All figures of the page that come from the tables."""

    counts: dict[str, Any]
    sources: tuple[Source, ...]
    sources_hidden: int
    quarantined: Rows
    selection: str | None
    total: int
    kept: int
    funnel: tuple[FunnelRow, ...]
    panels: tuple[Panel, ...]
    cameras: Rows
    outcomes: Rows
    models: Rows
    rights: Rows
    runs: Rows


def ask(connection: duckdb.DuckDBPyConnection, sql: str, values: Sequence[object] = ()) -> Rows:
    """Run a query and return its rows as dictionaries."""
    return list(connection.sql(sql, params=list(values)).to_arrow_table().to_pylist())


def file_name(uri: str) -> str:
    """Return the last part of an address."""
    return PurePosixPath(uri.rstrip("/")).name or uri


def clock(seconds: float | None) -> str:
    """Write a time as m:ss.s or h:mm:ss."""
    if seconds is None:
        return "-"
    if seconds >= 3600:
        return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d}:{int(seconds % 60):02d}"
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"


def gather(connection: duckdb.DuckDBPyConnection, selection: str | None) -> Facts:
    """Read everything but pictures. `selection` names the verdicts to show; None shows every clip as undecided."""
    rules = [
        (row["rule"], row["predicate"])
        for row in ask(connection, "SELECT rule, predicate FROM funnel WHERE selection = ?", [selection])
    ]
    total, kept, funnel = _funnel(connection, selection)
    sources, hidden = _sources(connection, selection)
    return Facts(
        counts=_counts(connection),
        sources=sources,
        sources_hidden=hidden,
        quarantined=ask(connection, _QUARANTINED),
        selection=selection,
        total=total,
        kept=kept,
        funnel=funnel,
        panels=_panels(connection, selection, rules),
        cameras=_cameras(connection),
        outcomes=ask(connection, "SELECT outcome, count(*) AS n FROM captions GROUP BY 1 ORDER BY n DESC, outcome"),
        models=_models(connection),
        rights=ask(connection, _RIGHTS),
        runs=ask(connection, "SELECT * FROM runs ORDER BY started"),
    )


def _counts(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    counts = ask(
        connection,
        "SELECT count(*) FILTER (status = 'ok' AND media = 'video') AS videos, "
        "count(*) FILTER (status = 'ok' AND media = 'image') AS photographs, "
        "count(*) FILTER (status <> 'ok') AS quarantined, "
        "coalesce(sum(duration_s) FILTER (status = 'ok' AND media = 'video'), 0) AS footage_s FROM videos",
    )[0]
    kinds = ask(connection, "SELECT kind, count(*) AS n FROM clips GROUP BY 1 ORDER BY 1")
    counts["kinds"] = {row["kind"]: row["n"] for row in kinds}
    shards = ask(
        connection,
        "SELECT count(*) AS n, coalesce(sum(octet_length(media)), 0)::BIGINT AS bytes, "
        "coalesce(sum(duration_s), 0) AS seconds FROM shards",
    )[0]
    return counts | {"shards": shards["n"], "shard_bytes": shards["bytes"], "shard_s": shards["seconds"]}


def _funnel(connection: duckdb.DuckDBPyConnection, selection: str | None) -> tuple[int, int, tuple[FunnelRow, ...]]:
    totals = ask(
        connection,
        "SELECT count(*) AS n, count(*) FILTER (kept) AS kept FROM selections WHERE selection = ?",
        [selection],
    )[0]
    total = totals["n"]
    sql = "SELECT rule, predicate, rejected, rejected_alone FROM funnel WHERE selection = ?"
    rows = ask(connection, sql, [selection])
    found = tuple(
        FunnelRow(
            row["rule"], " ".join(row["predicate"].split()), row["rejected"], row["rejected_alone"],
            100 * row["rejected"] / max(1, total), 100 * row["rejected_alone"] / max(1, total),
        )
        for row in rows
    )  # fmt: skip
    return total, totals["kept"], found


def _sources(connection: duckdb.DuckDBPyConnection, selection: str | None) -> tuple[tuple[Source, ...], int]:
    videos = ask(
        connection,
        "SELECT video_id, uri, media, codec, container, width_px, height_px, fps, duration_s, frames, size_bytes, "
        "variable_frame_rate, source, license, list_transform(cuts, lambda c: c.time_s) AS cuts FROM videos "
        "WHERE status = 'ok' ORDER BY media DESC, duration_s DESC NULLS LAST, uri",
    )
    shown = videos[:_SOURCES]
    spans: dict[str, Rows] = {}
    for row in ask(
        connection,
        "SELECT c.video_id, c.clip_id, c.kind, c.start_s, c.end_s, s.kept, s.rejected_by FROM clips c "
        "LEFT JOIN (SELECT * FROM selections WHERE selection = ?) s USING (clip_id) "
        "WHERE c.video_id IN (SELECT unnest(?)) ORDER BY c.start_s, c.clip_id",
        [selection, [video["video_id"] for video in shown]],
    ):
        spans.setdefault(row["video_id"], []).append(row)
    return tuple(_source(v, spans.get(v["video_id"], [])) for v in shown), len(videos) - len(shown)


def _source(video: Mapping[str, Any], clips: Rows) -> Source:
    name = file_name(video["uri"])
    size = f"{video['width_px']} × {video['height_px']}" if video["width_px"] else ""
    rights = " · ".join(str(video[key]) for key in ("source", "license") if video[key])
    if video["media"] == "image":
        pseudo = [c for c in clips if c["kind"] == "pseudo"]
        line = " · ".join(part for part in (video["container"], size) if part)
        kept = sum(bool(c["kept"]) for c in pseudo)
        return Source(video["video_id"], name, video["uri"], "image", line, len(pseudo), kept, 0, "", rights)
    own = [c for c in clips if c["kind"] == "clip"]
    rate = f"{video['fps']:.4g} fps" + (" (variable)" if video["variable_frame_rate"] else "") if video["fps"] else ""
    parts = (video["codec"], size, rate, clock(video["duration_s"]))
    segments = [
        Segment(c["start_s"], c["end_s"], _verdict(c), f"{clock(c['start_s'])} to {clock(c['end_s'])}: {_why(c)}")
        for c in own
    ]
    title = f"{name}: {len(own)} clips, {len(video['cuts'] or [])} cuts"
    chart = timeline(segments, video["cuts"] or [], video["duration_s"] or 0.0, title)
    kept = sum(bool(c["kept"]) for c in own)
    line = " · ".join(p for p in parts if p)
    count = len(video["cuts"] or [])
    return Source(video["video_id"], name, video["uri"], "video", line, len(own), kept, count, chart, rights)


def _verdict(clip: Mapping[str, Any]) -> str:
    return "undecided" if clip["kept"] is None else "kept" if clip["kept"] else "rejected"


def _why(clip: Mapping[str, Any]) -> str:
    return f"rejected by {', '.join(clip['rejected_by'])}" if clip["kept"] is False else _verdict(clip)


def _panels(
    connection: duckdb.DuckDBPyConnection, selection: str | None, rules: Sequence[tuple[str, str]]
) -> tuple[Panel, ...]:
    types = ask(
        connection,
        "SELECT column_name AS name, data_type AS type FROM information_schema.columns WHERE table_name = 'clips'",
    )
    numeric = {row["name"] for row in types if row["type"] in {"FLOAT", "DOUBLE", "INTEGER", "BIGINT"}}
    bounds = bounds_of(rules)
    ordered = [*(c for c in columns_named(rules) if c in bounds), *_USUAL]
    chosen = [column for column in dict.fromkeys(ordered) if column in numeric]
    panels = (_panel(connection, selection, column, bounds.get(column, [])) for column in chosen)
    return tuple(islice((panel for panel in panels if panel is not None), _PANELS))


def _panel(
    connection: duckdb.DuckDBPyConnection, selection: str | None, column: str, bounds: list[Bound]
) -> Panel | None:
    spread = ask(
        connection,
        f"SELECT count({column}) AS n, min({column}) AS low, max({column}) AS high, median({column}) AS middle, "
        f"quantile_cont({column}, 0.02) AS q02, quantile_cont({column}, 0.98) AS q98 FROM clips WHERE kind <> 'still'",
    )[0]
    if not spread["n"] or not spread["high"] > spread["low"]:
        return None
    low, high = float(spread["low"]), float(spread["high"])
    log = low >= 0 and spread["q98"] > _SKEW * max(spread["q02"], 1e-6) and spread["middle"] > 0
    if log:
        low = max(low, float(spread["middle"]) / 1000, 1e-3)
    reach = high - low
    for bound in bounds:  # a threshold a little outside is shown in its place, one far away at the edge
        if low - reach <= bound.value <= high + reach and (not log or bound.value > 0):
            low, high = min(low, bound.value), max(high, bound.value)
    x, start, end = (column, low, high)
    if log:
        x, start, end = f"ln(greatest({column}, {low!r}))", math.log(low), math.log(high)
    step = f"floor(({x} - {start!r}) / {end - start!r} * {_BINS})"
    counts = ask(
        connection,
        f"SELECT least({_BINS - 1}, greatest(0, {step}))::INTEGER AS bin, coalesce(s.kept, true) AS kept, "
        "count(*) AS n FROM clips c "
        "LEFT JOIN (SELECT clip_id, kept FROM selections WHERE selection = ?) s USING (clip_id) "
        f"WHERE {column} IS NOT NULL AND kind <> 'still' GROUP BY 1, 2",
        [selection],
    )
    by_bin = {(row["bin"], row["kept"]): row["n"] for row in counts}
    kept = tuple(by_bin.get((i, True), 0) for i in range(_BINS))
    rejected = tuple(by_bin.get((i, False), 0) for i in range(_BINS))
    title = f"{column}: {spread['n']} clips from {low:.3g} to {high:.3g}, median {spread['middle']:.3g}"
    chart = histogram(Histogram(low, high, bool(log), kept, rejected), bounds, title)
    names = tuple(dict.fromkeys(bound.rule for bound in bounds))
    return Panel(column, _DOCS.get(column, ""), chart, f"{spread['middle']:.3g}", spread["n"], names)


def _cameras(connection: duckdb.DuckDBPyConnection) -> Rows:
    return ask(
        connection,
        "SELECT camera_motion AS name, count(*) AS n, count(*) FILTER (kind = 'pseudo') AS pseudo, "
        "median(flow_mean_px_per_s) AS flow FROM clips WHERE camera_motion IS NOT NULL AND kind <> 'still' "
        "GROUP BY 1 ORDER BY n DESC, 1",
    )


def _models(connection: duckdb.DuckDBPyConnection) -> Rows:
    found = ask(
        connection,
        "SELECT DISTINCT table_name AS view FROM information_schema.tables "
        "WHERE table_name LIKE 'expert\\_%' ESCAPE '\\' ORDER BY 1",
    )
    counts = "count(*) AS clips, count(*) FILTER (error IS NOT NULL) AS errors"
    rows: Rows = []
    for view in (row["view"] for row in found):
        sql = f'SELECT ? AS role, model, model_hash AS hash, {counts} FROM "{view}" GROUP BY ALL ORDER BY clips DESC'
        rows += ask(connection, sql, [view.removeprefix("expert_")])
    merged: dict[tuple[str | None, str | None], dict[str, Any]] = {}
    for row in rows:
        known = merged.setdefault((row["model"], row["hash"]), {**row, "roles": []})
        known["roles"].append(row["role"])
        known["errors"] = max(known["errors"], row["errors"])
    captions = f"SELECT backend, model, model_hash AS hash, {counts} FROM captions GROUP BY ALL ORDER BY clips DESC"
    writers = [{**row, "roles": [f"captions ({row['backend']})"]} for row in ask(connection, captions)]
    ordered = sorted(merged.values(), key=lambda row: (row["model"] is None, row["roles"]))
    return [*ordered, *writers]
