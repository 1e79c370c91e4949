"""Rows of `clips` turned into frames or into bytes: footage is cut from its source, a pseudo-video rendered again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import media
from curation.planes import Rgb
from curation.pseudo import render_clip
from media import CutMode, Encoded, MediaError, Preset

__all__ = ["clip_frames", "encode_clip", "encode_clips"]

Row = Mapping[str, Any]


def clip_frames(row: Row, path: str | Path, *, max_height: int | None = None) -> Iterator[Rgb]:
    """Yield the pictures (H, W, 3) of a clip, lazily, from its row and a local copy of its source.

    Kinds: "clip" is read from the video, frame-exact; "still" is the photograph; "pseudo" is rendered from it.
    `MediaError` when the source cannot be read.
    """
    kind = row["kind"]
    if kind == "clip":
        for frame in media.read_span(path, row["first_frame"], row["end_frame"]):
            yield frame.rgb(max_height)
    elif kind == "pseudo":
        yield from render_clip(row, media.load_still(path), max_height=max_height)
    elif kind == "still":
        rgb = media.load_still(path)
        yield rgb if max_height is None or rgb.shape[0] <= max_height else media.resize(rgb, height=max_height)
    else:
        raise ValueError(f"clip {row['clip_id']}: a {kind!r} clip has no source to be cut from")


def encode_clip(
    row: Row,
    path: str | Path,
    *,
    mode: CutMode = "exact",
    max_height: int | None = None,
    crf: float = 18,
    preset: Preset = "veryfast",
    gop: int | None = None,
) -> Encoded:
    """Return the bytes of one clip, verified: see `encode_clips`. Raises what stands in its way."""
    outcomes = encode_clips([row], path, mode=mode, max_height=max_height, crf=crf, preset=preset, gop=gop)
    ((_, outcome),) = outcomes
    if isinstance(outcome, MediaError):
        raise outcome
    return outcome


def encode_clips(
    rows: Sequence[Row],
    path: str | Path,
    *,
    mode: CutMode = "exact",
    max_height: int | None = None,
    crf: float = 18,
    preset: Preset = "veryfast",
    gop: int | None = None,
) -> Iterator[tuple[int, Encoded | MediaError]]:
    """Cut the clips of one source from their rows and a local copy of it, reading it as few times as can be.

    Yields, for each row, its place in `rows` and the verified clip, or the `MediaError` that stands in its way.
    Footage is cut by `media.cut_many` as `mode` says. Anything else is rendered and encoded whatever the mode, for it
    is in no file that could be copied or named; it is decoded again, and `MediaError("verify_failed")` says that it
    differs from what was rendered.
    """
    footage = [place for place, row in enumerate(rows) if row["kind"] == "clip"]
    if footage:
        spans = [(rows[place]["first_frame"], rows[place]["end_frame"]) for place in footage]
        cuts = media.cut_many(path, spans, mode=mode, max_height=max_height, crf=crf, preset=preset, gop=gop)
        for number, outcome in cuts:
            yield footage[number], outcome
    for place, row in enumerate(rows):
        if row["kind"] != "clip":
            yield place, _rendered(row, path, max_height=max_height, crf=crf, preset=preset, gop=gop)


def _rendered(
    row: Row, path: str | Path, *, max_height: int | None, crf: float, preset: Preset, gop: int | None
) -> Encoded | MediaError:
    frames = clip_frames(row, path, max_height=max_height)
    try:
        encoded = media.encode(frames, fps=row["fps"] or 24.0, crf=crf, preset=preset, gop=gop, verify=True)
    except MediaError as error:
        return error
    if encoded.frames != row["frames"]:
        detail = f"{row['clip_id']}: {encoded.frames} frames written, {row['frames']} asked for"
        return MediaError("verify_failed", detail)
    return encoded
