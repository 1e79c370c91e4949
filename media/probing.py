"""What a file is, from its header and its first frame."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from os import PathLike

from media.files import is_image
from media.source import Deadline, Source, geometry_of, open_source, pictures
from media.tone import HDR_TRANSFERS

__all__ = ["Probe", "probe"]


@dataclass(frozen=True, slots=True)
class Probe:
    """What a file is. Sizes are of the upright picture with square pixels; `coded_*` are as stored.

    `rotation_deg` is the clockwise turn a player applies: 0, 90, 180 or 270. `frames_header` is what the header
    promises, None where it says nothing; only decoding counts. `duration_s` and `fps` are the header's too.
    `hdr` marks a PQ or HLG transfer. A still picture (`is_still`) has one frame, no duration and no rate.
    """

    container: str
    codec: str
    pixel_format: str
    width_px: int
    height_px: int
    rotation_deg: int
    sample_aspect: Fraction
    frames_header: int | None
    duration_s: float
    fps: float
    has_audio: bool
    size_bytes: int
    coded_width_px: int
    coded_height_px: int
    mirrored: bool = False
    interlaced: bool = False
    hdr: bool = False
    is_still: bool = False


def probe(path: str | PathLike[str], *, wall_limit_s: float | None = None) -> Probe:
    """Read the header and decode the first frame of the video or still at `path`.

    MediaError with a reason: "unreadable", "empty_file", "not_media", "no_video" (sound only), "truncated" (fewer
    bytes than the container promises), "undecodable", "timeout".
    """
    if is_image(path):
        from media.stills import probe_still

        return probe_still(path)
    with open_source(path, wall_limit_s=wall_limit_s) as source:
        return _probe(source, Deadline.after(wall_limit_s))


def _probe(source: Source, deadline: Deadline) -> Probe:
    stream, context = source.stream, source.stream.codec_context
    frames = pictures(source, deadline)
    first = next(frames)
    frames.close()  # type: ignore[attr-defined]
    geometry = geometry_of(source, first)
    width_px, height_px = geometry.display(first.width, first.height)
    duration = stream.duration * source.time_base if stream.duration else (source.container.duration or 0) / 1_000_000
    return Probe(
        container=_container_name(source),
        codec=context.codec.canonical_name,
        pixel_format=first.format.name,
        width_px=width_px,
        height_px=height_px,
        rotation_deg=geometry.rotation_deg,
        sample_aspect=geometry.sample_aspect,
        frames_header=stream.frames or None,
        duration_s=max(0.0, float(duration)),
        fps=float(stream.average_rate or stream.guessed_rate or 0),
        has_audio=bool(source.container.streams.audio),
        size_bytes=source.size_bytes,
        coded_width_px=first.width,
        coded_height_px=first.height,
        mirrored=geometry.mirrored,
        interlaced=first.interlaced_frame,
        hdr=first.color_trc in HDR_TRANSFERS,
    )


def _container_name(source: Source) -> str:
    name = source.container.format.name
    if source.is_iso:
        return "mov" if source.container.metadata.get("major_brand", "").strip() == "qt" else "mp4"
    if name == "matroska,webm":
        return "webm" if b"webm" in source.head else "matroska"
    return name.split(",")[0]
