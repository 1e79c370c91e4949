"""One source -> its row of the table `videos` and its rows of `clips`, by a single decode in bounded memory.

Nothing that a file can contain raises: a bad file is a row with status "quarantined", a reason and a detail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import media
from curation.clipfile import ClipStore
from curation.clips import Span
from curation.config import CurateConfig, Decoding, skims
from curation.detectors import Cut, detect, make
from curation.keyframes import Album, keyframe_columns
from curation.measure import Meter
from curation.planes import View, view_of_rgb
from curation.quarantine import id_of_address
from curation.skimming import pass_over
from curation.splitting import Clocked, Splitter, split
from dataset.schema import BASE_TABLES
from media import MediaError

__all__ = ["Ingested", "detect_shots", "ingest"]

_LEAST_BYTES_PER_S = 2000


@dataclass(frozen=True, slots=True)
class Ingested:
    """What one source gave: its row of `videos`, and its rows of `clips`: none of them when it is quarantined.

    `clips` is empty as well where the rows went elsewhere (`into`).
    """

    video: dict[str, Any]
    clips: list[dict[str, Any]] = field(default_factory=list)


def ingest(
    uri: str,
    config: CurateConfig | None = None,
    *,
    run_id: str,
    rights: Mapping[str, Any] | None = None,
    wall_limit_s: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    scanned: Iterable[View] | None = None,
    into: ClipStore | None = None,
) -> Ingested:
    """Probe, split and measure the video or still at `uri`.

    A bad file never raises: its row says quarantined, and why. A user's mistake does: an unknown detector
    (`UserError`), or one whose weights are missing (`MissingModelError`). A still gives one clip of kind "still".
    `rights` are columns of `dataset.schema.RIGHTS`. `progress(done, total)` is called with frames; the total is the
    header's word, 0 where it says nothing. `scanned` are all its frames as `curation.scan` gave them, in order: the
    file is not decoded again. The rows of clips go `into` a store as they come, if one is given: a long video has
    many, each with its pictures.
    """
    config = config or CurateConfig()
    make(config.detector)  # a user's mistake is told before the file is opened
    video = _blank("videos")
    video.update(rights or {}, video_id=id_of_address(uri), uri=uri, media="video", status="ok", run_id=run_id)
    clips: list[dict[str, Any]] = []
    store: ClipStore = clips if into is None else into
    try:
        with media.local_copy(uri) as path:
            video["size_bytes"] = path.stat().st_size
            video["video_id"] = media.content_id(path)
            if media.is_image(path):
                store.append(_still(path, video, config))
            else:
                _video(path, video, config, store, wall_limit_s, progress, scanned)
    except MediaError as error:
        video.update(status="quarantined", reason=error.reason, detail=error.detail)
        store.clear()
    return Ingested(video, clips)


def detect_shots(path: str | Path, detector: str = "cascade", *, decode: Decoding = "auto") -> list[Cut]:
    """Return the shot boundaries of a local video, in order.

    `curation.detectors.NAMES` lists the detectors; `decode` as in `CurateConfig`. `MediaError` for a file that cannot
    be read.
    """
    return pass_over(Path(path), skims(decode, detector), lambda views: detect(make(detector), views))


def _video(
    path: Path,
    video: dict[str, Any],
    config: CurateConfig,
    store: ClipStore,
    wall_limit_s: float | None,
    progress: Callable[[int, int], None] | None,
    scanned: Iterable[View] | None,
) -> None:
    probe = media.probe(path, wall_limit_s=wall_limit_s)
    video.update(_probed(probe))

    def run(views: Iterable[View]) -> Splitter:
        def emit(span: Span, values: dict[str, Any]) -> None:
            clip = _clip(video, span, values)
            _time(clip, splitter.clock)
            store.append(clip)

        store.clear()
        splitter = Splitter(make(config.detector), config, emit)
        split(_counting(views, probe.frames_header or 0, progress), splitter)
        return splitter

    limit_s = _limit(wall_limit_s, probe)
    splitter = pass_over(path, config.skims, run, wall_limit_s=limit_s) if scanned is None else run(scanned)
    clock = splitter.clock
    video.update(_counted(clock))
    _hold_to_index(path, clock.frames)
    video["cuts"] = [cut.row() for cut in splitter.cuts]
    if clock.frames < 2 or clock.end_s < config.min_clip_s - 1e-9:
        raise MediaError(
            "too_short", f"{clock.frames} frames, {clock.end_s:.3f} s; the shortest clip is {config.min_clip_s:g} s"
        )


def _limit(wall_limit_s: float | None, probe: media.Probe) -> float | None:
    """Return the limit for a file that takes longer to play than the limit: twice as long as it plays.

    What the header says of its duration is believed as far as its size bears it out, at 16 kbit/s.
    """
    if wall_limit_s is None:
        return None
    return max(wall_limit_s, 2 * min(probe.duration_s, probe.size_bytes / _LEAST_BYTES_PER_S))


def _hold_to_index(path: Path, frames: int) -> None:
    """Refuse a file that decodes to fewer pictures than its packets promise: readers that seek would number others."""
    index = media.frame_index(path)
    if not index.doubt and index.frames != frames:
        raise MediaError("undecodable", f"{index.frames} packets gave {frames} pictures")


def _counting(views: Iterable[View], total: int, progress: Callable[[int, int], None] | None) -> Iterator[View]:
    for view in views:
        yield view
        if progress is not None:
            progress(view.index + 1, max(total, view.index + 1))


def _still(path: Path, video: dict[str, Any], config: CurateConfig) -> dict[str, Any]:
    """Measure a photograph: a clip of one frame, which lasts no time."""
    video["media"] = "image"
    probe = media.probe(path)
    rgb = media.load_still(path)
    video.update(
        _probed(probe), frames=1, frames_decoded=1, duration_s=None, fps=None, variable_frame_rate=None, cuts=[]
    )
    video.update(width_px=rgb.shape[1], height_px=rgb.shape[0])
    view = view_of_rgb(0, 0.0, None, rgb)
    meter, album = Meter(), Album(config.keyframe_height_px, 1.0)
    meter.feed(view)
    album.feed(view)
    chosen = album.choose(0, 1, 1)
    values = meter.values(0, 1)
    values.update(keyframe_columns(chosen, config.keyframe_quality))
    clip = _clip(video, Span(0, 0, 1, "start", "end"), values)
    clip.update(kind="still")
    return clip


def _clip(video: dict[str, Any], span: Span, values: dict[str, Any]) -> dict[str, Any]:
    row = _blank("clips")
    row.update(
        clip_id=f"{video['video_id']}:{span.first}-{span.end}",
        video_id=video["video_id"],
        kind="clip",
        uri=video["uri"],
        first_frame=span.first,
        end_frame=span.end,
        frames=span.end - span.first,
        width_px=video["width_px"],
        height_px=video["height_px"],
        shot=span.shot,
        cut_in=span.cut_in,
        cut_out=span.cut_out,
        run_id=video["run_id"],
    )
    row.update(values)
    return row


def _time(clip: dict[str, Any], clock: Clocked) -> None:
    first, end = clip["first_frame"], clip["end_frame"]
    start_s = clock.starts[first]
    end_s = clock.starts[end] if end < clock.frames else clock.end_s
    lasts = end_s - start_s
    clip.update(start_s=start_s, end_s=end_s, duration_s=lasts, fps=(end - first) / lasts if lasts > 0 else None)


def _probed(probe: media.Probe) -> dict[str, Any]:
    return {
        "size_bytes": probe.size_bytes,
        "container": probe.container,
        "codec": probe.codec,
        "pixel_format": probe.pixel_format,
        "width_px": probe.width_px,
        "height_px": probe.height_px,
        "rotation_deg": probe.rotation_deg,
        "has_audio": probe.has_audio,
    }


def _counted(clock: Clocked) -> dict[str, Any]:
    return {
        "frames": clock.frames,
        "frames_decoded": clock.decoded,
        "duration_s": clock.end_s,
        "fps": clock.frames / clock.end_s if clock.end_s > 0 else None,
        "variable_frame_rate": clock.variable,
    }


def _blank(table: str) -> dict[str, Any]:
    return {column.name: None for column in BASE_TABLES[table]}
