"""`python -m benchmarks.world_sheets [--out FOLDER] [NAME...]`: contact sheets of every motion and every world.

A JPEG each: `pseudo`, and one for every world: a few seeds as strips of frames, under each what is true of it, and what
the world knows of every pixel. Everything is seeded: the same code draws the same sheets.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

import media
from curation.pseudo import DEPTH_MOTIONS, MOTIONS, affines, parse, render, render_parallax
from curation.pseudo.parallax import PARALLAX
from curation.saliency import salient_box
from curation.worlds import WORLDS, Maps, world_named
from media.errors import RushesError
from media.frames import Rgb

__all__ = ["SHEETS", "main", "pseudo_sheet", "world_sheet"]

SHEETS: Final = ("pseudo", *WORLDS)

_MOST_BYTES: Final = 300_000
_PAPER: Final = 250
_INK: Final = (30, 30, 36)
_GAP: Final = 6
_LETTER: Final = 13
_PHOTOS: Final = ("chelsea.png", "coffee.png", "rocket.jpg")
_SEVERAL: Final = ("zoom_in+pan_left", "zoom_out+tilt_up", "roll_right+pan_right", "zoom_in+pan_up_right+roll_left")


def pseudo_sheet(columns: int = 5, height: int = 84) -> Rgb:
    """Return a strip for every motion, for some done at once, and for those that need depth (of a made-up map)."""
    from experts.weights import footage

    photos = [media.load_still(footage().of(name).path) for name in _PHOTOS]
    strips = []
    for number, motion in enumerate((*MOTIONS, *_SEVERAL, *DEPTH_MOTIONS)):
        photo = _cropped(photos[number % len(photos)])
        size = height, height * 3 // 2
        deep = parse(motion)[0].needs_depth
        keep = salient_box(photo)
        path = affines(motion, 33, travel=0.25, roll_deg=24, aspect=1.5, keep=keep, parallax=PARALLAX if deep else 0)
        only = np.linspace(0, 32, columns).round().astype(int).tolist()
        frames = render_parallax(photo, _nearer_below(photo), path, size, only=only) if deep else None
        strips.append(_titled(_row(list(frames or render(photo, path, size, only))), motion))
    return _columns(strips, 2)


def world_sheet(name: str, count: int = 10, columns: int = 5, height: int = 96) -> Rgb:
    """Return strips of the first scenes of a world, each with its short caption and the maps of its middle frame."""
    world = world_named(name)
    strips = []
    for seed in range(count):
        scene = world.draw(seed, frames=16, fps=8.0)
        frames = list(world.render(scene, (height, height)))
        shown = [frames[k] for k in np.linspace(0, len(frames) - 1, columns).round().astype(int)]
        maps = _maps(world.maps(scene, (height, height)), len(frames) // 2)
        strips.append(_titled(_row([*shown, *maps]), world.truth(scene).captions.short))
    return _columns(strips, 2)


def _cropped(photo: Rgb) -> Rgb:
    """Crop a photograph in its middle to 3:2."""
    rows, columns = photo.shape[:2]
    high, wide = min(rows, columns * 2 // 3), min(columns, rows * 3 // 2)
    top, left = (rows - high) // 2, (columns - wide) // 2
    return np.ascontiguousarray(photo[top : top + high, left : left + wide])


def _nearer_below(photo: Rgb) -> npt.NDArray[np.float32]:
    """Return a made-up depth map: what is lower is nearer, and what stands out is nearer than what is around it."""
    rows, columns = photo.shape[:2]
    depth = np.repeat(np.linspace(0, 1, rows, dtype=np.float32)[:, None], columns, axis=1)
    left, top, right, bottom = salient_box(photo) or (0.3, 0.3, 0.7, 0.7)
    y, x = np.mgrid[:rows, :columns] / np.array([rows, columns])[:, None, None]
    middle, half = ((left + right) / 2, (top + bottom) / 2), (max(0.05, right - left) / 2, max(0.05, bottom - top) / 2)
    inside = ((x - middle[0]) / half[0]) ** 2 + ((y - middle[1]) / half[1]) ** 2
    return np.asarray(depth + 0.8 * np.exp(-(inside**2)), np.float32)


def _maps(maps: Maps, frame: int) -> list[Rgb]:
    """Return the maps of one frame that a world has, as pictures: masks, depth, flow, normals."""
    shown = []
    if maps.masks is not None:
        palette = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None] * 37, cv2.COLORMAP_HSV)[:, 0, ::-1]
        shown.append(np.where(maps.masks[frame][..., None] > 0, palette[maps.masks[frame]], 20).astype(np.uint8))
    if maps.depth is not None:
        depth = maps.depth[frame]
        known = np.where(np.isfinite(depth), depth, np.nan)
        far, near = (float(bound) for bound in np.nanpercentile(known, (98, 0)))
        if near > 0:  # distances, not an order: a step near by is as much as a mile far off
            known, far, near = np.log(known), np.log(far), np.log(near)
        levels = 255 * np.clip(np.nan_to_num((far - known) / max(far - near, 1e-9)), 0, 1)
        shown.append(cv2.applyColorMap(levels.astype(np.uint8), cv2.COLORMAP_MAGMA)[..., ::-1])
    if maps.flow is not None and len(maps.flow):
        flow = np.nan_to_num(maps.flow[min(frame, len(maps.flow) - 1)])
        shown.append(_wheel(flow))
    if maps.normals is not None:
        shown.append(np.clip((np.nan_to_num(maps.normals[frame]) + 1) * 127.5, 0, 255).astype(np.uint8))
    return [np.ascontiguousarray(picture) for picture in shown]


def _wheel(flow: npt.NDArray[np.float32]) -> Rgb:
    """Return a flow as colours: hue is the way, saturation how far, against the farthest."""
    far = np.hypot(flow[..., 0], flow[..., 1])
    hue = (np.degrees(np.arctan2(flow[..., 1], flow[..., 0])) % 360) / 2
    hsv = np.stack([hue, 255 * far / max(float(far.max()), 0.5), np.full_like(far, 255)], axis=-1)
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8)


def _row(frames: Sequence[Rgb]) -> Rgb:
    gap = np.full((frames[0].shape[0], 2, 3), _PAPER, np.uint8)
    return np.hstack([part for frame in frames for part in (frame, gap)][:-1])


def _titled(strip: Rgb, title: str) -> Rgb:
    """Put a line, or two, of text under a strip."""
    from PIL import Image, ImageDraw, ImageFont

    lines = textwrap.wrap(title, max(12, int(strip.shape[1] / (_LETTER * 0.53))))[:2]
    paper = Image.new("RGB", (strip.shape[1], strip.shape[0] + 4 + (_LETTER + 4) * max(1, len(lines))), (_PAPER,) * 3)
    paper.paste(Image.fromarray(strip), (0, 0))
    pen, font = ImageDraw.Draw(paper), ImageFont.load_default(_LETTER)
    for number, line in enumerate(lines):
        pen.text((1, strip.shape[0] + 1 + number * (_LETTER + 3)), line, fill=_INK, font=font)
    return np.array(paper)


def _columns(strips: Sequence[Rgb], count: int) -> Rgb:
    """Set strips in columns, from left to right and down."""
    wide, high = (max(strip.shape[axis] for strip in strips) for axis in (1, 0))
    rows = -(-len(strips) // count)
    sheet = np.full((rows * (high + _GAP) + _GAP, count * (wide + 2 * _GAP) + _GAP, 3), _PAPER, np.uint8)
    for number, strip in enumerate(strips):
        top, left = _GAP + number // count * (high + _GAP), _GAP + number % count * (wide + 2 * _GAP)
        sheet[top : top + strip.shape[0], left : left + strip.shape[1]] = strip
    return sheet


def _jpeg(sheet: Rgb) -> bytes:
    """Return a sheet as JPEG bytes, of the best quality that is small enough."""
    for quality in (90, 85, 80, 70, 60, 45):
        data = media.jpeg(sheet, quality)
        if len(data) < _MOST_BYTES:
            break
    return data


def main(argv: Sequence[str] | None = None) -> None:
    """Draw the sheets that are named, or all; end with what is wrong if one cannot be drawn."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.world_sheets", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SHEETS)}; default: all")
    parser.add_argument("--out", type=Path, default=Path("docs/worlds"), help="the folder for the JPEGs")
    options = parser.parse_args(argv)
    if unknown := [name for name in options.names if name not in SHEETS]:
        parser.error(f"there is no sheet {unknown[0]!r}: {', '.join(SHEETS)}")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names or SHEETS:
        try:
            sheet = pseudo_sheet() if name == "pseudo" else world_sheet(name)
        except (RushesError, ImportError) as error:
            sys.exit(f"{name}: {error}")
        data = _jpeg(sheet)
        (options.out / f"{name}.jpg").write_bytes(data)
        print(f"{options.out / name}.jpg: {sheet.shape[1]} x {sheet.shape[0]}, {len(data) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
