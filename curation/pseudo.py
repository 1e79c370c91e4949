"""Stills that move: a view that zooms, pans, tilts or rolls over a photograph, sub-pixel, never past its border.

A motion is a list of affine matrices, one a frame, from the output picture to the still, both in normalised
coordinates (-1 to 1 from edge to edge, as in `torch.nn.functional.affine_grid` with align_corners=False). The
matrices are stored in the row, so that frames can be rendered again at any time and at any size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import cos, radians, sin
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from curation.config import PseudoConfig
from curation.keyframes import Album, keyframe_columns
from curation.measure import Meter
from curation.planes import Rgb, view_of_rgb
from dataset.schema import BASE_TABLES
from media.errors import UserError

__all__ = ["MOTIONS", "Affines", "affines", "output_size", "pseudo_clips", "render", "render_clip", "speed_per_s"]

Affines = npt.NDArray[np.float32]
"""One matrix a frame: float32, (F, 2, 3)."""

_PANS: Final[Mapping[str, tuple[int, int]]] = {
    "pan_left": (-1, 0),
    "pan_right": (1, 0),
    "tilt_up": (0, -1),
    "tilt_down": (0, 1),
    "pan_up_left": (-1, -1),
    "pan_up_right": (1, -1),
    "pan_down_left": (-1, 1),
    "pan_down_right": (1, 1),
}
MOTIONS: Final[tuple[str, ...]] = ("zoom_in", "zoom_out", *_PANS, "roll_left", "roll_right")
"""What the camera can be made to do. Names are of the camera: in a pan to the left the picture moves right."""

_SUPERSAMPLE: Final = 2
_KEYFRAMES: Final = 3


def affines(
    motion: str,
    frames: int,
    *,
    travel: float = 0.2,
    roll_deg: float = 10.0,
    aspect: float = 1.0,
    easing: str = "linear",
) -> Affines:
    """Return the path of a motion: float32, (frames, 2, 3).

    `travel` is the share of the still's side that a pan crosses, or by which a zoom shrinks the view; `roll_deg`
    the whole angle of a roll; `aspect` the still's width over height (a roll needs it). With linear easing a pan
    moves equally far in each step: offset_k = travel * k / (frames - 1). One frame is the whole still.
    `UserError` for an unknown motion.
    """
    if motion not in MOTIONS:
        raise UserError(f"no motion is called {motion!r}: one of {', '.join(MOTIONS)}")
    if frames == 1:
        return np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)
    progress = np.arange(frames) / (frames - 1)
    if easing == "smooth":
        progress = progress * progress * (3 - 2 * progress)
    path = np.zeros((frames, 2, 3))
    if motion in _PANS:
        right, down = _PANS[motion]
        offset = travel * (2 * progress - 1)
        path[:, 0, 0] = path[:, 1, 1] = 1 - travel
        path[:, 0, 2], path[:, 1, 2] = right * offset, down * offset
    elif motion in ("zoom_in", "zoom_out"):
        shrink = progress if motion == "zoom_in" else 1 - progress
        path[:, 0, 0] = path[:, 1, 1] = 1 - travel * shrink
    else:
        turn = radians(roll_deg) * (progress - 0.5) * (1 if motion == "roll_right" else -1)
        half = radians(roll_deg) / 2
        scale = 1 / (cos(half) + max(aspect, 1 / aspect) * sin(half))  # the corners just reach the border
        path[:, 0, 0] = path[:, 1, 1] = scale * np.cos(turn)
        path[:, 0, 1] = -scale * np.sin(turn) / aspect
        path[:, 1, 0] = scale * np.sin(turn) * aspect
    return path.astype(np.float32)


def speed_per_s(motion: str, frames: int, fps: float, *, travel: float = 0.2, roll_deg: float = 10.0) -> float:
    """Return the share of the picture travelled per second, as the column `motion_speed_per_s` has it.

    Pans and tilts: widths (heights) of the output per second. Zooms: the share of the still's side by which the view
    changes per second. Rolls: full turns per second. 0 for a single frame.
    """
    if frames < 2:
        return 0.0
    seconds = (frames - 1) / fps
    if motion in _PANS:
        return travel / (1 - travel) / seconds
    if motion in ("zoom_in", "zoom_out"):
        return travel / seconds
    return roll_deg / 360 / seconds


def output_size(height: int, width: int, height_px: int) -> tuple[int, int]:
    """Return the (height, width) of the pseudo-videos of a still: even, in its proportions, not enlarged."""
    rows = max(2, min(height_px, height) // 2 * 2)
    return rows, max(2, round(rows * width / height / 2) * 2)


def render(image: Rgb, path: Affines, size: tuple[int, int]) -> Iterator[Rgb]:
    """Yield one picture (*size, 3) per matrix of `path`, lazily.

    The still is brought, by areas, near the resolution that the closest view needs; each view is then sampled
    linearly at twice the size and averaged down, so that nothing flickers where the view is wide. OpenCV samples
    at 1/32 px: 1/64 px of the output.
    """
    if len(path) == 0:
        return
    height, width = size
    finest = _sampling(path, image.shape[:2], size)
    factor = _SUPERSAMPLE if finest >= 1 else 1
    source = image
    if finest > factor:
        reduced = max(1, round(image.shape[1] * factor / finest)), max(1, round(image.shape[0] * factor / finest))
        source = np.asarray(cv2.resize(image, reduced, interpolation=cv2.INTER_AREA), np.uint8)
    large = width * factor, height * factor
    how = (cv2.INTER_LINEAR if factor > 1 else cv2.INTER_CUBIC) | cv2.WARP_INVERSE_MAP
    for matrix in path:
        pixels = _to_pixels(matrix, source.shape[:2], (large[1], large[0]))
        sampled = cv2.warpAffine(source, pixels, large, flags=how, borderMode=cv2.BORDER_REPLICATE)
        if factor > 1:
            sampled = cv2.resize(sampled, (width, height), interpolation=cv2.INTER_AREA)
        yield np.asarray(sampled, np.uint8)


def _to_pixels(
    matrix: npt.NDArray[np.float32], source: tuple[int, ...], output: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Turn a normalised matrix into one from output pixels to source pixels, whose centres are at integers."""
    linear, shift = matrix[:, :2].astype(np.float64), matrix[:, 2].astype(np.float64)
    to_source = np.array([source[1], source[0]]) / 2
    from_output = 2 / np.array([output[1], output[0]])
    scaled = to_source[:, None] * linear * from_output
    # An output pixel i has its centre at (i + .5) * from_output - 1; a source coordinate n is pixel (n + 1) * W/2 - .5.
    start = 0.5 * from_output - 1
    offset = to_source * (linear @ start + shift + 1) - 0.5
    return np.hstack([scaled, offset[:, None]])


def _sampling(path: Affines, source: tuple[int, ...], output: tuple[int, int]) -> float:
    """Return how many source pixels one output pixel spans in the closest view, along the axis where that is fewer."""
    to_source = np.array([source[1], source[0]]) / 2
    from_output = 2 / np.array([output[1], output[0]])
    scaled = to_source[:, None] * path[:, :, :2] * from_output
    return float(np.sqrt((scaled**2).sum(axis=1)).min())


def render_clip(row: Mapping[str, Any], image: Rgb, *, max_height: int | None = None) -> Iterator[Rgb]:
    """Yield the frames of a clip of kind "pseudo" from its row and its still, exactly as they were measured.

    `max_height` renders smaller. The still is the one that `media.load_still` reads from the row's `uri`.
    """
    path = np.asarray(row["affine"], np.float32).reshape(-1, 2, 3)
    size = row["height_px"], row["width_px"]
    if max_height is not None and max_height < size[0]:
        size = output_size(row["height_px"], row["width_px"], max_height)
    yield from render(image, path, size)


def pseudo_clips(
    uri: str, video_id: str, image: Rgb, config: PseudoConfig | None = None, *, run_id: str
) -> list[dict[str, Any]]:
    """Return the rows of `clips` for every motion the config asks of a still (H, W, 3), measured like any clip."""
    config = config or PseudoConfig()
    return [_row(uri, video_id, image, motion, config, run_id) for motion in config.motions]


def _row(uri: str, video_id: str, image: Rgb, motion: str, config: PseudoConfig, run_id: str) -> dict[str, Any]:
    frames, fps = config.frames, config.fps
    height, width = output_size(image.shape[0], image.shape[1], config.height_px)
    path = affines(
        motion,
        frames,
        travel=config.travel_fraction,
        roll_deg=config.roll_deg,
        aspect=image.shape[1] / image.shape[0],
        easing=config.easing,
    )
    meter, album = Meter(), Album(360, frames / fps / 16)
    for index, rgb in enumerate(render(image, path, (height, width))):
        view = view_of_rgb(index, index / fps, 1 / fps, rgb)
        meter.feed(view)
        album.feed(view)
    chosen = album.choose(0, frames, _KEYFRAMES)
    row: dict[str, Any] = {column.name: None for column in BASE_TABLES["clips"]}
    row.update(meter.values(0, frames))
    row.update(
        clip_id=f"{video_id}:0-{frames}@{motion}",
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
        motion_speed_per_s=speed_per_s(motion, frames, fps, travel=config.travel_fraction, roll_deg=config.roll_deg),
        affine=path.reshape(-1, 6).tolist(),
        run_id=run_id,
    )
    return row
