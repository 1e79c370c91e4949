"""A data set in another project's form -> sources, clips, and what was said of them where they came from.

Videos that are on this machine go the usual way, from ingest on. What came with them - captions, scores - is kept
beside, in `experts/imported`: it is evidence of another kind, and no caption of ours. A clip has one row there, whoever
spoke of it: what a data set says is added to what others said. A video that is not here is a quarantined row of
`videos` that says why; nothing is fetched.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, Final

import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.quarantine import id_of_address
from dataset import Root
from dataset.importing import Imported, imported_schema
from dataset.parts import part_name
from dataset.removal import blocked
from dataset.schema import BASE_TABLES
from dataset.tombstones import only_living
from pipelines import steps
from pipelines.config import RunConfig, SourceConfig, validate
from pipelines.rights import Rights

__all__ = ["ImportCounts", "take_in"]

_TABLE: Final = "experts/imported"
_VERSION: Final = "1"
_MISSING_IN_PART: Final = 10_000
_DETAILS: Final = 5

Records = Callable[[], Iterator[Imported]]


@dataclass(slots=True)
class ImportCounts:
    """What an import came to: records read, videos here and not here, clips of which something was said."""

    records: int = 0
    videos: int = 0
    missing: int = 0
    clips: int = 0
    details: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Found:
    """The videos of a data set: those here, by their rights, and those not here."""

    here: dict[str, Rights] = field(default_factory=dict)
    missing: dict[str, tuple[Rights, str]] = field(default_factory=dict)


def take_in(
    work: steps.Work, records: Records, rights: Rights, config: Mapping[str, Any], *, format: str, key: str
) -> ImportCounts:
    """Ingest the videos that `records()` names and keep what it says of their clips.

    `records` is called twice and must give the same both times. `config` has the fields of a RunConfig, but for the
    sources. `format` is that of the data set and `key` names it: what an earlier import of it called missing is
    forgotten first. What `rights` say stands before what the data set says. What is there already is not ingested
    again. What another data set said of a clip stays: the scores and labels of both, the later caption, and the earlier
    one as the label `caption of KEY`.
    """
    counts = ImportCounts()
    with work.report.step("read the data set", "records", numbered=False) as move:
        found = _find(records(), rights, counts, move)
    is_blocked = blocked(work.root)
    missing = {uri: told for uri, told in found.missing.items() if not is_blocked(uri, told[0].source_url)}
    _quarantine(work, missing, key)
    if found.here:
        sources = [SourceConfig(uris=list(found.here))]
        asked = validate(RunConfig, {**config, "sources": sources}, "rushes import")
        steps.ingest(work, asked, rights=found.here)
        with work.report.step("keep what was said", "videos", numbered=False) as move:
            counts.clips = _keep(work, records(), found.here, _DataSet(format, key), move)
    return counts


def _find(
    records: Iterator[Imported], rights: Rights, counts: ImportCounts, move: Callable[[int, int], None]
) -> _Found:
    found = _Found()
    known_once: dict[tuple[Rights, str | None], tuple[Rights, str | None]] = {}  # a data set has millions of addresses
    for record in records:
        counts.records += 1
        about = Rights(record.source, record.license, record.url).under(rights), record.missing
        known, why = known_once.setdefault(about, about)
        if why is None:
            found.here.setdefault(record.uri, known)
        elif record.uri not in found.missing:
            found.missing[record.uri] = known, why
            if len(counts.details) < _DETAILS:
                counts.details.append(f"{record.uri}: {record.missing}")
        move(counts.records, counts.records)
    counts.videos, counts.missing = len(found.here), len(found.missing)
    return found


def _quarantine(work: steps.Work, missing: Mapping[str, tuple[Rights, str]], key: str) -> None:
    """Write the rows of the videos that are not here, in place of those of an earlier import."""
    blank: dict[str, Any] = {column.name: None for column in BASE_TABLES["videos"]}
    rows = (
        {
            **blank, "video_id": id_of_address(uri), "uri": uri, "media": "video", "status": "quarantined",
            "reason": "unreadable", "detail": detail, **asdict(known), "run_id": work.run_id,
        }
        for uri, (known, detail) in missing.items()
    )  # fmt: skip
    number = 0
    while batch := list(islice(rows, _MISSING_IN_PART)):
        work.root.write_part("videos", batch, key=_part_key(key, number))
        work.rows["videos"] += len(batch)
        number += 1
    while work.root.remove_part("videos", _part_key(key, number)):
        number += 1


def _part_key(key: str, number: int) -> str:
    return f"import {key} {number}"


@dataclass(frozen=True, slots=True)
class _Clip:
    clip_id: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class _DataSet:
    format: str
    name: str


def _keep(
    work: steps.Work,
    records: Iterator[Imported],
    here: Mapping[str, Rights],
    of: _DataSet,
    move: Callable[[int, int], None],
) -> int:
    """Write a row of `experts/imported` for each clip that something was said of; return how many clips that are."""
    ids, clips = _ingested(work.root, here)
    said: dict[str, list[Imported]] = defaultdict(list)
    for record in records:  # those of one video may lie apart, and one video may have several addresses
        if record.uri in here and (video_id := ids.get(record.uri)) is not None:
            said[video_id].append(record)
    parts = set(work.root.parts(_TABLE))
    clips_said = 0
    for done, (video_id, spoken) in enumerate(said.items(), start=1):
        rows = {row["clip_id"]: row for row in _rows(clips[video_id], spoken, of, work.run_id)}
        if rows:
            key = f"imported {video_id}"
            there = _rows_there(work.root, key) if part_name(key) in parts else {}
            merged = {**there, **{clip: _merged(there.get(clip), row) for clip, row in rows.items()}}
            known = {clip.clip_id for clip in clips[video_id]}
            written = [row for clip, row in merged.items() if clip in known]
            work.root.write_part(_TABLE, written, imported_schema(), key=key)
            work.rows[_TABLE] += len(rows)
            clips_said += len(rows)
        move(done, len(said))
    return clips_said


def _rows_there(root: Root, key: str) -> dict[str, dict[str, Any]]:
    """Return the rows of `experts/imported` that earlier imports wrote of a video, by clip."""
    path = root.location(f"{_TABLE}/{part_name(key)}")
    with root.storage(_TABLE):
        rows = only_living(_TABLE, pq.read_table(path, filesystem=root.filesystem), root.removed())
    return {row["clip_id"]: row for row in rows.to_pylist()}


def _merged(before: Mapping[str, Any] | None, row: dict[str, Any]) -> dict[str, Any]:
    """Return `row` with what was said of its clip before and it does not say itself."""
    if before is None:
        return row
    labels = {**dict(before["labels"] or ()), **row["labels"]}
    labels.pop(f"caption of {row['data_set']}", None)
    earlier = before.get("data_set")
    merged = {**row, "scores": {**dict(before["scores"] or ()), **row["scores"]}, "labels": labels}
    if earlier != row["data_set"] and before["caption"]:
        if row["caption"] is None:
            spoken = ("caption", "format", "data_set", "said_from_s", "said_to_s", "covered_fraction")
            return {**merged, **{name: before.get(name) for name in spoken}}
        labels[f"caption of {earlier or before['format']}"] = before["caption"]
    return merged


def _ingested(root: Root, here: Mapping[str, Rights]) -> tuple[dict[str, str], Mapping[str, list[_Clip]]]:
    """Return the ids of the videos at `here`, by address, and their clips, by id."""
    videos = root.read("videos", ["uri", "video_id"], filter=pc.field("status") == "ok").to_pylist()
    ids = {row["uri"]: row["video_id"] for row in videos if row["uri"] in here}
    clips: dict[str, list[_Clip]] = defaultdict(list)
    columns = ["clip_id", "video_id", "start_s", "end_s"]
    wanted = set(ids.values())
    for row in root.read("clips", columns, filter=pc.field("kind") == "clip").to_pylist():
        if row["video_id"] in wanted:
            clips[row["video_id"]].append(_Clip(row["clip_id"], row["start_s"] or 0.0, row["end_s"] or 0.0))
    return ids, clips


def _rows(clips: Sequence[_Clip], said: Sequence[Imported], of: _DataSet, run_id: str) -> Iterator[dict[str, Any]]:
    """Yield, for each clip, the row of the record that covers most of it, of equals the first."""
    for clip in clips:
        covered, record = max(((_covered(clip, record), record) for record in said), key=lambda pair: pair[0])
        if covered > 0:
            yield {
                "clip_id": clip.clip_id,
                "version": _VERSION,
                "statements": [],
                "run_id": run_id,
                "caption": record.caption,
                "scores": dict(record.scores),
                "labels": dict(record.labels),
                "format": of.format,
                "data_set": of.name,
                "said_from_s": record.start_s,
                "said_to_s": record.end_s,
                "covered_fraction": covered,
            }


def _covered(clip: _Clip, record: Imported) -> float:
    """Return the share of the clip that lies in the record's span."""
    if record.start_s is None or record.end_s is None:
        return 1.0
    shared = min(clip.end_s, record.end_s) - max(clip.start_s, record.start_s)
    return max(0.0, shared) / max(clip.end_s - clip.start_s, 1e-9)
