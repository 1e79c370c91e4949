"""Clips as cards: which ones are shown, their pictures, and their captions with the evidence marked."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from dataset import Root
from pipelines.report.embed import Strip, make_strip
from pipelines.report.facts import Rows, ask, clock, file_name
from pipelines.report.svg import nice_number, vectors

__all__ = [
    "Card",
    "Piece",
    "among",
    "by_source",
    "camera_compass",
    "choose",
    "choose_moves",
    "make_cards",
    "mark",
    "thumbnails",
]

_SHOWN_VALUES: Final = (
    ("flow_mean_px_per_s", "motion", "px/s"), ("object_motion_px_per_s", "object motion", "px/s"),
    ("sharpness_laplacian", "sharpness", ""), ("noise_sigma", "noise", "levels"), ("flicker", "flicker", "levels"),
    ("luma_mean", "luma", ""), ("contrast_rms", "contrast", "levels"), ("colourfulness", "colourfulness", ""),
    ("camera_confidence", "camera confidence", ""), ("frozen_fraction", "frozen", ""),
)  # fmt: skip
_MOVES: Final = ("zoom_in", "zoom_out", "pan_left", "pan_right", "tilt_up", "tilt_down")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a caption; `why` is what supports it, None where nothing needs to."""

    text: str
    why: str | None = None
    close: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """One clip as the page shows it."""

    clip_id: str
    kind: str
    name: str
    place: str
    facts: str
    strip: Strip | None
    kept: bool | None
    rejected_by: tuple[str, ...]
    outcome: str | None
    short: str
    dense: tuple[Piece, ...]
    evidence: Rows
    dropped: tuple[str, ...]
    flags: tuple[str, ...]
    by: str
    raw: str | None
    camera: str | None
    asked: str | None
    obeyed: bool | None
    values: tuple[tuple[str, str], ...]


def choose(
    connection: duckdb.DuckDBPyConnection, selection: str | None, where: str, most: int
) -> tuple[list[str], int]:
    """Return ids of at most `most` clips that satisfy `where`, dealt evenly over sources, and how many there are.

    `where` may speak of `c` (clips), `s` (verdicts) and `t` (captions).
    """
    joined = (
        "FROM clips c LEFT JOIN (SELECT * FROM selections WHERE selection = $1) s USING (clip_id) "
        f"LEFT JOIN captions t USING (clip_id) WHERE {where}"
    )
    count = ask(connection, f"SELECT count(*) AS n {joined}", [selection])[0]["n"]
    # Every source's first clip, then every source's second ...: none fills the page alone.
    rows = ask(
        connection,
        "WITH dealt AS (SELECT clip_id, c.video_id, c.uri, c.start_s, row_number() OVER (PARTITION BY c.video_id "
        f"ORDER BY hash(clip_id)) AS turn {joined}), taken AS (SELECT * FROM dealt ORDER BY turn, video_id LIMIT $2) "
        "SELECT clip_id FROM taken ORDER BY uri, start_s, clip_id",
        [selection, most],
    )
    return [row["clip_id"] for row in rows], count


def choose_moves(connection: duckdb.DuckDBPyConnection, most: int) -> tuple[list[str], int]:
    """Return ids of at most `most` pseudo-videos, whole sources first, and how many there are."""
    rows = ask(
        connection,
        "SELECT clip_id FROM clips WHERE kind IN ('pseudo', 'synthetic') ORDER BY uri, "
        "list_position(?, motion), motion",
        [list(_MOVES)],
    )
    return [row["clip_id"] for row in rows[:most]], len(rows)


def make_cards(
    root: Root,
    connection: duckdb.DuckDBPyConnection,
    selection: str | None,
    ids: Sequence[str],
    playable: Container[str] = (),
) -> list[Card]:
    """Return cards in the order of `ids`; only their keyframes are read, and none where a clip is `playable`."""
    if not ids:
        return []
    rows = ask(
        connection,
        "SELECT c.* EXCLUDE (keyframes, affine), s.kept, s.rejected_by, t.outcome, t.short, t.dense, t.evidence, "
        "t.dropped, t.flags, t.backend, t.model, t.raw, t.experts FROM clips c "
        "LEFT JOIN (SELECT * FROM selections WHERE selection = ?) s USING (clip_id) "
        "LEFT JOIN captions t USING (clip_id) WHERE clip_id IN (SELECT unnest(?))",
        [selection, list(ids)],
    )
    seen = [clip_id for clip_id in ids if clip_id not in playable]
    pictures = root.read("clips", ["clip_id", "keyframes"], among("clip_id", seen)).to_pylist()
    jpegs = {row["clip_id"]: [k["jpeg"] for k in row["keyframes"] or []] for row in pictures}
    cards = {row["clip_id"]: _card(row, jpegs.get(row["clip_id"], [])) for row in rows}
    return [cards[i] for i in ids if i in cards]


def _card(row: Mapping[str, Any], jpegs: Sequence[bytes]) -> Card:
    asked = row["motion"].replace("_", " ") if row["motion"] else None
    evidence = list(row["evidence"] or [])
    values = tuple(
        (label, f"{nice_number(row[name])}{' ' + unit if unit else ''}")
        for name, label, unit in _SHOWN_VALUES
        if row[name] is not None
    )
    rate = f"{row['fps']:.3g} fps" if row["fps"] else ""
    facts = [clock(row["duration_s"]) if row["duration_s"] else "", f"{row['frames']} frames", rate]
    return Card(
        clip_id=row["clip_id"],
        kind=row["kind"],
        name=file_name(row["uri"]),
        place=f"{clock(row['start_s'])} to {clock(row['end_s'])}" if row["kind"] == "clip" else (asked or row["kind"]),
        facts=" · ".join(f for f in facts if f),
        strip=make_strip(jpegs),
        kept=row["kept"],
        rejected_by=tuple(row["rejected_by"] or ()),
        outcome=row["outcome"],
        short=row["short"] or "",
        dense=tuple(mark(row["dense"] or "", evidence)),
        evidence=evidence,
        dropped=tuple(row["dropped"] or ()),
        flags=tuple(row["flags"] or ()),
        by=" · ".join(str(part) for part in (row["backend"], row["model"]) if part),
        raw=row["raw"],
        camera=row["camera_motion"],
        asked=asked,
        obeyed=None if asked is None or row["camera_motion"] is None else asked == row["camera_motion"],
        values=values,
    )


def among(column: str, ids: Sequence[str]) -> pc.Expression:
    """Return the filter that `column` is one of `ids`, which may be none."""
    return pc.field(column).isin(pa.array(ids, pa.string()))


def thumbnails(root: Root, video_ids: Sequence[str]) -> dict[str, str]:
    """Return a small picture of each photograph, by its source's id, where a clip of it was kept as a still."""
    if not video_ids:
        return {}
    wanted = (pc.field("kind") == "still") & among("video_id", video_ids)
    rows = root.read("clips", ["video_id", "keyframes"], wanted).to_pylist()
    strips = {row["video_id"]: make_strip([k["jpeg"] for k in row["keyframes"] or []][:1], 112) for row in rows}
    return {video_id: strip.uri for video_id, strip in strips.items() if strip is not None}


def mark(text: str, evidence: Iterable[Mapping[str, Any]]) -> list[Piece]:
    """Cut `text` into pieces, those that evidence supports with their reason. Overlaps go to the longer span."""
    taken: list[tuple[int, int, Mapping[str, Any]]] = []
    lower = text.lower()
    for item in sorted(evidence, key=lambda e: -len(e["span"] or "")):
        span = (item["span"] or "").lower()
        start = lower.find(span) if span else -1
        while start >= 0:
            end = start + len(span)
            if not any(start < e and s < end for s, e, _ in taken):
                taken.append((start, end, item))
                break
            start = lower.find(span, start + 1)
    pieces, at = [], 0
    for start, end, item in sorted(taken, key=lambda t: t[:2]):
        if start > at:
            pieces.append(Piece(text[at:start]))
        score = item["score"]
        close = score is not None and score < 1
        how = f" (closeness {score:.2f})" if close else ""
        pieces.append(Piece(text[start:end], f"{item['expert']}: {item['statement']}{how}", close))
        at = end
    if at < len(text):
        pieces.append(Piece(text[at:]))
    return pieces


def camera_compass(connection: duckdb.DuckDBPyConnection, most: int = 400) -> str:
    """Draw where cameras go: a ray a clip, real footage and pseudo-videos in two colours."""
    rows = ask(
        connection,
        "SELECT camera_dx_fraction_per_s AS x, camera_dy_fraction_per_s AS y, kind FROM clips "
        "WHERE kind <> 'still' AND x IS NOT NULL AND y IS NOT NULL ORDER BY hash(clip_id) LIMIT ?",
        [most],
    )
    points = [(row["x"], row["y"], row["kind"]) for row in sorted(rows, key=lambda r: r["kind"] == "clip")]
    if not points:
        return ""
    title = f"Camera translation of {len(points)} clips, picture sizes per second"
    return vectors(points, title)


def by_source(cards: Sequence[Card]) -> list[tuple[str, list[Card]]]:
    """Group cards that stand beside each other by their source's name."""
    return [(name, list(group)) for name, group in groupby(cards, key=lambda card: card.name)]
