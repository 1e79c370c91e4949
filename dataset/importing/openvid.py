"""OpenVid-1M: a CSV of clips, and a folder of their files.

Source: NJU-PCALab/OpenVid-1M, `OpenVid-1M.csv` and `OpenVidHD.csv`: columns `video`, `caption`, `aesthetic score`,
`motion score`, `temporal consistency score`, `camera motion`, `frame`, `fps`, `seconds` and, in some, `new_id`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dataset.importing.records import Format, Imported, table_rows, videos_in
from media.errors import DatasetError

__all__ = ["FORMAT"]

_SCORES: Final = ("aesthetic_score", "motion_score", "temporal_consistency_score")
_LABELS: Final = ("camera_motion", "new_id")


def _read(path: Path, media: Path | None) -> Iterator[Imported]:
    there = videos_in(media)
    for row in table_rows(path, ("video", "caption")):
        name = row.text("video")
        if name is None:
            raise DatasetError(f"{row.where}: video is empty")
        numbers = {column: row.number(column) for column in _SCORES}
        words = {column: row.text(column) for column in _LABELS}
        where = there.get(name)
        yield Imported(
            uri=where or name,
            caption=row.text("caption"),
            scores={column: number for column, number in numbers.items() if number is not None},
            labels={column: word for column, word in words.items() if word is not None},
            source="OpenVid-1M",
            missing=None if where else f"there is no {name} below {media}",
        )


FORMAT = Format("openvid", "OpenVid-1M's CSV, and the folder of its videos", _read, "found", True)
