"""Everything that is known of one clip: what was measured, what every expert said and by which model, its keyframes.

Reading and drawing; how it is printed is `pipelines.cli.explain`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dataset import Root, connect
from dataset.schema import MEASURES, expert_schema
from media.errors import DatasetError, UserError

if TYPE_CHECKING:
    from media import Rgb

__all__ = ["Explanation", "Said", "draw_boxes", "explain", "find_clip", "folder_name", "write_keyframes"]

_GROUPS: Final = {
    "camera": ("camera_",),
    "motion": ("flow_", "moving_", "object_motion_", "frozen_", "jump_", "temporal_"),
    "sharpness and noise": ("sharpness_", "noise_", "blockiness", "spatial_"),
    "light and colour": ("luma_", "contrast_", "dark_", "bright_", "entropy_", "colour", "saturation_", "warmth",
                         "flicker"),
    "frame": ("border_", "crop_", "subtitle_", "static_overlay_"),
}  # fmt: skip
"""Groups of the measured columns, by how their names begin."""

_REST: Final = "more"
_BOX: Final = ("left", "top", "width", "height")
_POINTS: Final = {"landmarks": 2, "keypoints": 5}
"""Points that a box may have, and how many numbers each takes: x, y, and maybe z, visibility, presence."""
_COLOURS: Final = ((255, 80, 60), (70, 200, 90), (70, 140, 255), (250, 200, 40), (220, 90, 230), (60, 210, 210))
_FONT: Final = 0  # cv2.FONT_HERSHEY_SIMPLEX
_NEAREST: Final = 3
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Said:
    """What one expert said of the clip: its statements, its own columns, its model, or what went wrong."""

    expert: str
    version: str
    model: str | None
    model_hash: str | None
    error: str | None
    statements: Sequence[Mapping[str, Any]]
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Explanation:
    """One clip: its row without pictures, the measured columns by group, what was said of it, its keyframes.

    `said_of` is the clip that the experts looked at: of a pseudo-video, its still.
    """

    clip_id: str
    said_of: str
    clip: Mapping[str, Any]
    measured: Mapping[str, Mapping[str, Any]]
    said: Sequence[Said]
    keyframes: Sequence[Mapping[str, Any]]


def find_clip(root: Root, asked: str) -> str:
    """Return the clip id that `asked` is, or is the one beginning of.

    Raises:
        UserError: there is none, which names the nearest; or several, which names them.
        DatasetError: the dataset has no clips.
    """
    connection = connect(root)
    try:

        def ids(sql: str, *values: object) -> list[str]:
            return [str(row[0]) for row in connection.execute(f"SELECT clip_id FROM clips {sql}", values).fetchall()]

        begun = ids("WHERE starts_with(clip_id, $1) ORDER BY clip_id <> $1, clip_id LIMIT $2", asked, _SHOWN + 1)
        if begun and (len(begun) == 1 or begun[0] == asked):
            return begun[0]
        if begun:
            more = " and more" if len(begun) > _SHOWN else ""
            raise UserError(f"clip id {asked!r} begins several: {', '.join(begun[:_SHOWN])}{more}; give more of it")
        near = ids("ORDER BY jaro_winkler_similarity(clip_id, $1) DESC, clip_id LIMIT $2", asked, _NEAREST)
    finally:
        connection.close()
    if not near:
        raise DatasetError(f"{root.uri}: there are no clips yet; `rushes curate` makes them")
    raise UserError(f"{root.uri}: no clip is called {asked!r}; the nearest are {', '.join(near)}")


def explain(root: Root, clip_id: str) -> Explanation:
    """Gather everything that the dataset has of a clip; `clip_id` may be the beginning of one, see `find_clip`."""
    import pyarrow.compute as pc

    clip_id = find_clip(root, clip_id)
    (row,) = root.read("clips", filter=pc.field("clip_id") == clip_id).to_pylist()
    keyframes = row.pop("keyframes") or []
    said_of = f"{row['video_id']}:0-1" if row["kind"] == "pseudo" else clip_id
    said = []
    for name in root.names("experts"):
        rows = root.read(f"experts/{name}", filter=pc.field("clip_id") == said_of).to_pylist()
        said += [_said(name, one) for one in rows]
    measures = {column.name for column in MEASURES}
    return Explanation(
        clip_id=clip_id,
        said_of=said_of,
        clip={name: value for name, value in row.items() if name not in measures},
        measured=_grouped({column.name: row[column.name] for column in MEASURES}),
        said=said,
        keyframes=keyframes,
    )


def _said(name: str, row: Mapping[str, Any]) -> Said:
    fixed = set(expert_schema(()).names)
    return Said(
        expert=name,
        version=row["version"],
        model=row["model"],
        model_hash=row["model_hash"],
        error=row["error"],
        statements=row["statements"] or [],
        values={column: value for column, value in row.items() if column not in fixed},
    )


def _grouped(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    groups: dict[str, dict[str, Any]] = {name: {} for name in (*_GROUPS, _REST)}
    for name, value in values.items():
        group = next((group for group, starts in _GROUPS.items() if name.startswith(starts)), _REST)
        groups[group][name] = value
    return {name: members for name, members in groups.items() if members}


def write_keyframes(explanation: Explanation, folder: Path) -> list[Path]:
    """Write the clip's keyframes into `folder`, as they are stored, and beside each that has any, a copy with boxes.

    The boxes are those of text, faces, people ...: of every expert's row that gives a place and a frame. Returns the
    paths: frame-<source frame>.jpg, frame-<source frame>-boxes.jpg.
    """
    from media import decode_jpeg, jpeg

    boxes = list(_boxes(explanation.said)) if explanation.said_of == explanation.clip_id else []
    written = []
    folder.mkdir(parents=True, exist_ok=True)
    for keyframe in explanation.keyframes:
        path = folder / f"frame-{keyframe['frame']:06}.jpg"
        path.write_bytes(keyframe["jpeg"])
        written.append(path)
        inside = [(expert, box) for expert, frames, box in boxes if keyframe["frame"] in frames]
        if inside:
            drawn = path.with_name(f"{path.stem}-boxes.jpg")
            drawn.write_bytes(jpeg(draw_boxes(decode_jpeg(keyframe["jpeg"]), inside)))
            written.append(drawn)
    return written


def folder_name(clip_id: str) -> str:
    """Return a clip id as the name of a folder that any file system takes."""
    return re.sub(r"[^\w.-]", "_", clip_id)


def _boxes(said: Sequence[Said]) -> Iterator[tuple[str, Sequence[int], Mapping[str, Any]]]:
    """Yield expert, frames and box of every element of a column that says where something is."""
    for one in said:
        for column in one.values.values():
            for box in column if isinstance(column, list) else ():
                if not isinstance(box, Mapping) or any(box.get(side) is None for side in _BOX):
                    continue
                frames: list[int] = box.get("frames") or [frame for frame in [box.get("frame")] if frame is not None]
                # A row has one place for a line of text. Where it moves with the scene, that is true of one frame.
                if box.get("kind") != "scene" or len(frames) == 1:
                    yield one.expert, frames, box


def draw_boxes(picture: Rgb, boxes: Sequence[tuple[str, Mapping[str, Any]]]) -> Rgb:
    """Return a copy of an RGB picture (H, W, 3) with boxes and their points, a colour for each expert.

    A box has left, top, width and height, and maybe landmarks or keypoints, all as shares of the picture.
    """
    import cv2
    import numpy as np

    copy = np.ascontiguousarray(picture).copy()
    height, width = copy.shape[:2]
    experts = sorted({expert for expert, _ in boxes})
    for expert, box in boxes:
        colour = _COLOURS[experts.index(expert) % len(_COLOURS)]
        left, top = round(box["left"] * width), round(box["top"] * height)
        right, bottom = round((box["left"] + box["width"]) * width), round((box["top"] + box["height"]) * height)
        cv2.rectangle(copy, (left, top), (right, bottom), colour, 2)
        for ink, width_px in (((0, 0, 0), 3), (colour, 1)):  # an outline, to be read on any ground
            cv2.putText(copy, expert, (left + 2, max(12, top - 4)), _FONT, 0.45, ink, width_px, cv2.LINE_AA)
        for x, y in _points(box):
            cv2.circle(copy, (round(x * width), round(y * height)), 2, colour, -1)
    return copy


def _points(box: Mapping[str, Any]) -> Iterator[tuple[float, float]]:
    """Yield x and y of a box's points, without those that are said to be hidden."""
    for name, stride in _POINTS.items():
        values = box.get(name) or []
        for at in range(0, len(values) - stride + 1, stride):
            if stride < 4 or values[at + 3] >= 0.5:
                yield values[at], values[at + 1]
