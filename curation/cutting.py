"""A row of `clips` turned into frames or into bytes: footage is cut from its source, a pseudo-video rendered again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import media
from curation.planes import Rgb
from curation.pseudo import render_clip
from media import Encoded, MediaError

__all__ = ["clip_frames", "encode_clip"]


def clip_frames(row: Mapping[str, Any], path: str | Path, *, max_height: int | None = None) -> Iterator[Rgb]:
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
    row: Mapping[str, Any],
    path: str | Path,
    *,
    max_height: int | None = None,
    crf: float = 18,
    preset: str = "veryfast",
) -> Encoded:
    """Return the bytes of a clip from its row and a local copy of its source, verified.

    Footage is cut by `media.cut`, which decodes what it wrote and holds every frame against its source. Anything else
    is rendered and encoded, and its frames are counted by decoding. `MediaError("verify_failed")` if they differ.
    """
    if row["kind"] == "clip":
        return media.cut(path, row["first_frame"], row["end_frame"], max_height=max_height, crf=crf, preset=preset)
    frames = clip_frames(row, path, max_height=max_height)
    encoded = media.encode(frames, fps=row["fps"] or 24.0, crf=crf, preset=preset)
    counted = sum(1 for _ in media.decode(encoded.data))
    if counted != row["frames"]:
        raise MediaError("verify_failed", f"{row['clip_id']}: {counted} frames written, {row['frames']} asked for")
    return encoded
