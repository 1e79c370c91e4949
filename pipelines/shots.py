"""The shot boundaries of files, and nothing else: no clips, no measures, nothing written."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import media
from media.errors import MediaError, UserError
from pipelines.progress import Reporter
from pipelines.sources import expand

__all__ = ["cuts_of"]


def cuts_of(sources: Iterable[str], detector: str = "cascade", report: Reporter | None = None) -> list[dict[str, Any]]:
    """Return a row per boundary, by file and frame: source, frame, end_frame, seconds, kind, score, detector.

    The shot before ends at `frame` (half-open), the next begins at `end_frame`; `seconds` is the time of `frame`. A
    still has none. A file that cannot be read is a warning on standard error, and an error when no file can.
    `UserError` for a source that is not there and an unknown detector; `MissingModelError` for one without weights.
    """
    from curation import detect_shots
    from curation.detectors import make

    make(detector)  # a mistake in its name is told before any file is opened
    uris = expand(sources)
    rows: list[dict[str, Any]] = []
    bad: list[str] = []
    with media.Guard() as guard, (report or Reporter()).step("shots", "files") as move:
        for number, uri in enumerate(uris):
            move(number, len(uris))
            try:
                with media.local_copy(uri) as path:
                    cuts = [] if media.is_image(path) else guard.run(detect_shots, path, detector)
            except MediaError as error:
                bad.append(f"{uri}: {error}")
                continue
            rows += [
                {
                    "source": uri,
                    "frame": cut.frame,
                    "end_frame": cut.end_frame,
                    "seconds": round(cut.time_s, 6),
                    "kind": cut.kind,
                    "score": round(cut.score, 4),
                    "detector": cut.detector,
                }
                for cut in cuts
            ]
        move(len(uris), len(uris))
    if len(bad) == len(uris):
        raise UserError(f"no source could be read: {'; '.join(bad)}" if bad else "there is no file in the sources")
    for line in bad:
        sys.stderr.write(f"warning: not read: {line}\n")
    return rows
