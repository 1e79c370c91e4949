"""Pseudo-videos as rows of `clips`: made of a still, measured like any clip, and rendered again from the row alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from math import exp
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from curation.config import PseudoConfig
from curation.keyframes import Album, keyframe_columns
from curation.measure import Meter
from curation.planes import view_of_rgb
from curation.pseudo.motions import parse
from curation.pseudo.parallax import PARALLAX, render_parallax
from curation.pseudo.paths import affines, speed_per_s
from curation.pseudo.shake import shaken
from curation.saliency import Box, salient_box
from dataset.schema import BASE_TABLES
from media.affine import Affines, output_size, render
from media.errors import UserError
from media.frames import Rgb

__all__ = ["clip_id_of", "pseudo_clips", "render_clip"]

Depth = npt.NDArray[np.float32 | np.float64 | np.uint8 | np.uint16]

_KEYFRAMES: Final = 3
_FARTHEST: Final = 0.6
"""Share of the still's side that the longest pan crosses, and the closest zoom takes away."""
_STEEPEST_DEG: Final = 45.0


def clip_id_of(video_id: str, frames: int, motion: str) -> str:
    """Return the id of the pseudo-video of a still; `zoom_in+pan_left` is `zoom_in_and_pan_left` there."""
    return f"{video_id}:0-{frames}@{motion.replace('+', '_and_')}"


def pseudo_clips(
    uri: str,
    video_id: str,
    image: Rgb,
    config: PseudoConfig | None = None,
    *,
    run_id: str,
    keep: Box | None = None,
    depth: Depth | None = None,
) -> list[dict[str, Any]]:
    """Return the rows of `clips` for every motion the config asks of a still (H, W, 3), measured like any clip.

    `keep` is the box that the views should hold (`curation.saliency.keep_box`); without one it is found by what stands
    out, unless the config says that nothing is to be kept. `depth` (h, w) is a map of the still, larger is nearer.
    Raises UserError for a motion that needs one, where there is none.
    """
    config = config or PseudoConfig()
    if not config.keep_salient:
        keep = None
    elif keep is None:
        keep = salient_box(image)
    return [_row(uri, video_id, image, motion, config, run_id, keep, depth) for motion in config.motions]


def render_clip(
    row: Mapping[str, Any], image: Rgb, *, max_height: int | None = None, depth: Depth | None = None
) -> Iterator[Rgb]:
    """Yield the frames of a clip of kind "pseudo" from its row and its still, exactly as they were measured.

    `max_height` renders smaller. The still is the one that `media.load_still` reads from the row's `uri`; a motion that
    needs a depth map needs the same one again: UserError without.
    """
    path = np.asarray(row["affine"], np.float32).reshape(-1, 2, 3)
    size = row["height_px"], row["width_px"]
    if max_height is not None and max_height < size[0]:
        size = output_size(row["height_px"], row["width_px"], max_height)
    yield from _frames(row["motion"], image, path, size, depth)


def _frames(motion: str, image: Rgb, path: Affines, size: tuple[int, int], depth: Depth | None) -> Iterator[Rgb]:
    if not parse(motion)[0].needs_depth:
        return render(image, path, size)
    if depth is None:
        raise UserError(f"the motion {motion!r} needs a depth map of the still: pass `depth`")
    return render_parallax(image, depth, path, size)


def _amounts(config: PseudoConfig) -> dict[str, float]:
    """Return how far the motions go: `travel`, `zoom` and `roll_deg` of `affines`."""
    seconds = (config.frames - 1) / config.fps
    gone = config.speed_per_s * seconds
    travel, zoom = (min(_FARTHEST, share) for share in (gone / (1 + gone), 1 - exp(-gone)))
    if config.travel_fraction is not None:
        travel = zoom = config.travel_fraction
    turn = config.roll_deg if config.roll_deg is not None else min(_STEEPEST_DEG, config.roll_deg_per_s * seconds)
    return {"travel": travel, "zoom": zoom, "roll_deg": turn}


def _path(video_id: str, image: Rgb, motion: str, config: PseudoConfig, keep: Box | None, height: int) -> Affines:
    aspect = image.shape[1] / image.shape[0]
    shake = None
    if config.shake_fraction:
        digest = blake2b(f"{video_id}/{motion}/{config.seed}".encode(), digest_size=8).digest()
        shake = shaken(int.from_bytes(digest), config.frames, config.fps, config.shake_fraction)
    return affines(
        motion,
        config.frames,
        **_amounts(config),
        aspect=aspect,
        easing=config.easing,
        keep=keep,
        shake=shake,
        parallax=PARALLAX if parse(motion)[0].needs_depth else 0.0,
        least=height / image.shape[0],
    )


def _row(
    uri: str,
    video_id: str,
    image: Rgb,
    motion: str,
    config: PseudoConfig,
    run_id: str,
    keep: Box | None,
    depth: Depth | None,
) -> dict[str, Any]:
    frames, fps = config.frames, config.fps
    height, width = output_size(image.shape[0], image.shape[1], config.height_px)
    path = _path(video_id, image, motion, config, keep, height)
    meter, album = Meter(), Album(360, frames / fps / 16)
    for index, rgb in enumerate(_frames(motion, image, path, (height, width), depth)):
        view = view_of_rgb(index, index / fps, 1 / fps, rgb)
        meter.feed(view)
        album.feed(view)
    chosen = album.choose(0, frames, _KEYFRAMES)
    row: dict[str, Any] = {column.name: None for column in BASE_TABLES["clips"]}
    row.update(meter.values(0, frames))
    row.update(
        clip_id=clip_id_of(video_id, frames, motion),
        video_id=video_id,
        kind="pseudo",
        uri=uri,
        first_frame=0,
        end_frame=frames,
        start_s=0.0,
        end_s=frames / fps,
        duration_s=frames / fps,
        frames=frames,
        fps=fps,
        width_px=width,
        height_px=height,
        shot=0,
        cut_in="start",
        cut_out="end",
        **keyframe_columns(chosen, 88),
        motion=motion,
        motion_speed_per_s=speed_per_s(motion, frames, fps, **_amounts(config)),
        affine=path.reshape(-1, 6).tolist(),
        run_id=run_id,
    )
    return row
