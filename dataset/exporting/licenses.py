"""The licences of an export, summed up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Licenses"]


class Licenses:
    """Tallies clips by licence and source; a clip whose licence nobody stated is counted as such, never guessed."""

    def __init__(self) -> None:
        self.clips = 0
        self._found: dict[tuple[str | None, str | None], tuple[int, float, set[str]]] = {}

    def add(self, record: Mapping[str, Any]) -> None:
        """Count one clip by its record (`samples.RECORD`)."""
        self.clips += 1
        of = (record["license"], record["source"])
        clips, seconds, videos = self._found.get(of, (0, 0.0, set()))
        videos.add(str(record["video_id"]))
        self._found[of] = (clips + 1, seconds + float(record["duration_s"] or 0), videos)

    def summary(self) -> dict[str, Any]:
        """Return the counts, sorted: null stands for a licence or source that is not stated."""
        rows = [
            {"license": of[0], "source": of[1], "clips": clips, "videos": len(videos), "duration_s": round(seconds, 3)}
            for of, (clips, seconds, videos) in sorted(self._found.items(), key=lambda item: _order(item[0]))
        ]
        named = sorted({of[0] for of in self._found if of[0] is not None})
        unstated = sum(clips for of, (clips, _, _) in self._found.items() if of[0] is None)
        return {"clips": self.clips, "licenses": named, "clips_without_license": unstated, "by_source": rows}


def _order(of: tuple[str | None, str | None]) -> tuple[bool, str, bool, str]:
    return of[0] is None, of[0] or "", of[1] is None, of[1] or ""
