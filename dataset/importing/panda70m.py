"""Panda-70M: a CSV of videos, each with lists of its spans, captions and scores.

Source: snap-research/Panda-70M, dataset_dataloading: columns `videoID`, `url`, `timestamp` (`[['0:00:17.700',
'0:00:24.600'], ...]`), `caption`, `matching_score`, and in the newer files `desirable_filtering` and
`shot_boundary_detection`; lists are written as Python does. The videos are on YouTube and are not fetched: those that
were are found by their id (`<videoID>.mp4`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from dataset.importing.records import Format, Imported, Row, table_rows, videos_in
from media.errors import DatasetError

__all__ = ["FORMAT", "seconds"]

_NOT_FETCHED: Final = (
    "not fetched: Rushes downloads nothing from YouTube; put the video, as <videoID>.mp4, into a folder and name "
    "that with --media"
)


def seconds(text: str) -> float:
    """Return the seconds of `H:MM:SS.mmm`. ValueError for anything else."""
    hours, minutes, rest = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def _read(path: Path, media: Path | None) -> Iterator[Imported]:
    there = videos_in(media)
    for row in table_rows(path, ("videoid", "url", "timestamp", "caption")):
        name, url = row.text("videoid") or "", row.text("url") or ""
        where = there.get(name)
        spans = _list(row, "timestamp")
        captions, scores = _list(row, "caption", len(spans)), _list(row, "matching_score", len(spans))
        desirable = _list(row, "desirable_filtering", len(spans))
        for place, span in enumerate(spans):
            start_s, end_s = _span(row, span)
            yield Imported(
                uri=where or url or name,
                caption=_text(captions[place]),
                start_s=start_s,
                end_s=end_s,
                scores={"matching_score": _number(row, scores[place])} if scores else {},
                labels={"desirable_filtering": str(desirable[place])} if desirable else {},
                source="Panda-70M",
                url=url or None,
                missing=None if where else _NOT_FETCHED,
            )


def _list(row: Row, column: str, length: int | None = None) -> list[Any]:
    """Return the list that a value holds, empty where the column is not there."""
    text = row.text(column) or "[]"
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise DatasetError(f"{row.where}: {column} is no list: {text[:60]!r}") from error
    if not isinstance(found, list):
        raise DatasetError(f"{row.where}: {column} is no list: {text[:60]!r}")
    if length is not None and found and len(found) != length:
        raise DatasetError(f"{row.where}: {column} has {len(found)} values for {length} spans")
    if length and not found and column == "caption":
        return [None] * length
    return found


def _span(row: Row, span: Any) -> tuple[float, float]:
    try:
        if not isinstance(span, Sequence) or isinstance(span, str):
            raise ValueError("not a pair")
        start_s, end_s = map(seconds, span)
    except (ValueError, TypeError, AttributeError) as error:
        raise DatasetError(f"{row.where}: timestamp has {span!r}, not ['H:MM:SS.mmm', 'H:MM:SS.mmm']") from error
    if not 0 <= start_s < end_s:
        raise DatasetError(f"{row.where}: timestamp has {span!r}, which ends before it begins")
    return start_s, end_s


def _number(row: Row, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{row.where}: matching_score has {value!r}, not a number") from error


def _text(value: Any) -> str | None:
    return None if value is None else str(value).strip() or None


FORMAT = Format("panda-70m", "a CSV of YouTube videos with spans, captions and scores", _read, "found", False)
