"""Videos whose shot boundaries are known: spliced at random from real footage, with traps inside the shots.

A splice is a function of its seed and the footage. Its shots are pieces of real shots and slow camera moves over
photographs, its boundaries hard cuts, dissolves, fades and wipes. The traps are what a detector may take for a
boundary: flashes, changes of light, a shaking camera, and fast pans with the blur of a half-open shutter. They come
from a random stream of their own, so that the same seed without traps gives the same shots and boundaries.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

import media
from curation import pseudo
from experts.weights import Footage

__all__ = ["FPS", "TRAPS", "Boundary", "Kind", "Material", "Rgb", "Splice", "Trap", "TrapKind", "material", "splice"]

Rgb = npt.NDArray[np.uint8]
Kind = Literal["hard", "dissolve", "fade", "wipe"]
TrapKind = Literal["flash", "light", "shake", "pan"]

FPS: Final = 25
SIZE: Final = (180, 320)
"""Height and width of the splices, pixels."""
TRAPS: Final[tuple[TrapKind, ...]] = ("flash", "light", "shake", "pan")
_SHOTS: Final = {"bikes.mp4": (0, 30, 76, 137, 187, 242)}
"""Where the shots of the footage begin, and the last of them ends, seen by eye. What is not named is one shot."""
_BODY: Final = (40, 80)
"""Frames of a shot that no transition touches: from, to (exclusive)."""
_MARGIN: Final = 10
"""Frames of the body, at either end, that no trap touches."""
_PLANS: Final = ("hard", "hard", "hard", "dissolve", "dissolve", "black", "white", "wipe")
_SHUTTER: Final = 4
"""Positions averaged for a blurred frame; they span half of the time to the next."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """A shot boundary: the shot before ends at `first` (half-open), the next begins at `end`; equal for a hard cut."""

    first: int
    end: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Trap:
    """Frames `first` to `end` (half-open) where something happens that is no boundary."""

    first: int
    end: int
    kind: TrapKind


@dataclass(frozen=True, slots=True)
class Material:
    """What splices are made of: shots of at least two frames, and photographs; pictures are uint8 (H, W, 3) RGB."""

    shots: tuple[Sequence[Rgb], ...]
    stills: tuple[Rgb, ...]
    size: tuple[int, int] = SIZE


@dataclass(frozen=True, slots=True)
class Splice:
    """A made video, with its true boundaries and its traps, in frame order."""

    frames: list[Rgb]
    boundaries: list[Boundary]
    traps: list[Trap]

    def write(self, path: Path) -> Path:
        """Write the frames as H.264 (CRF 23) to `path`, an .mp4, and return it."""
        path.write_bytes(media.encode(self.frames, fps=FPS, crf=23).data)
        return path


@dataclass(frozen=True, slots=True)
class _Plan:
    """A boundary to be made: its kind, how many frames it takes of either shot, and how long a fade stays flat."""

    kind: Literal["hard", "dissolve", "black", "white", "wipe"]
    frames: int = 0
    flat: int = 0
    side: int = 0


def material(footage: Footage, size: tuple[int, int] = SIZE) -> Material:
    """Decode the footage: the shots of its videos, cropped and scaled to `size`, and its photographs as they are."""
    shots: list[Sequence[Rgb]] = []
    for path in footage.videos:
        frames = [_fill(frame.rgb(), size) for frame in media.decode(path)]
        starts = _SHOTS.get(path.name, (0, len(frames)))
        shots += [frames[first:end] for first, end in itertools.pairwise(starts)]
    return Material(tuple(shots), tuple(media.load_still(path) for path in footage.photos), size)


def splice(source: Material, seed: int, *, shots: int = 6, traps: float = 0.5) -> Splice:
    """Return the splice of `seed`: `shots` shots, each of which has a trap with the probability `traps`."""
    rng, other = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    plans = [_plan(rng) for _ in range(shots - 1)]
    frames: list[Rgb] = []
    boundaries: list[Boundary] = []
    found: list[Trap] = []
    last = -1
    for number in range(shots):
        before = plans[number - 1] if number else _Plan("hard")
        after = plans[number] if number < len(plans) else _Plan("hard")
        length = before.frames + int(rng.integers(*_BODY)) + after.frames
        inside = before.frames + _MARGIN, length - after.frames - _MARGIN
        last = _other_than(last, len(source.shots), len(source.stills), rng)
        shot, trap = _shot(source, last, length, inside, rng, other, trapped=bool(other.random() < traps))
        if number == 0:
            frames, start = shot, 0
        else:
            frames, boundary = _join(frames, shot, before)
            boundaries.append(boundary)
            # The transition ends with the frames that it took of the new shot.
            start = boundary.end - before.frames
        if trap is not None:
            found.append(Trap(start + trap.first, start + trap.end, trap.kind))
    return Splice(frames, boundaries, found)


def _fill(picture: Rgb, size: tuple[int, int]) -> Rgb:
    """Scale and crop a picture in the middle, so that it fills `size`."""
    (height, width), (rows, columns) = size, picture.shape[:2]
    scale = max(width / columns, height / rows)
    scaled = max(width, round(columns * scale)), max(height, round(rows * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = np.asarray(cv2.resize(picture, scaled, interpolation=how), np.uint8)
    top, left = (scaled[1] - height) // 2, (scaled[0] - width) // 2
    return np.ascontiguousarray(resized[top : top + height, left : left + width])


def _plan(rng: np.random.Generator) -> _Plan:
    kind: Any = _PLANS[rng.integers(len(_PLANS))]
    if kind == "hard":
        return _Plan("hard")
    if kind in ("black", "white"):
        return _Plan(kind, int(rng.integers(4, 20)), int(rng.integers(1, 8)))
    return _Plan(kind, int(rng.integers(5, 31)), side=int(rng.integers(4)))


def _other_than(last: int, shots: int, stills: int, rng: np.random.Generator) -> int:
    """Draw the next source: as often a shot as a still, and never the same again. Stills are numbered after shots."""
    while True:
        chosen = int(rng.integers(shots)) if rng.random() < 0.5 else shots + int(rng.integers(stills))
        if chosen != last:
            return chosen


def _shot(
    source: Material,
    chosen: int,
    length: int,
    inside: tuple[int, int],
    rng: np.random.Generator,
    other: np.random.Generator,
    *,
    trapped: bool,
) -> tuple[list[Rgb], Trap | None]:
    """Return `length` frames of the source numbered `chosen`, and the trap in them, within the frames `inside`."""
    filmed = chosen < len(source.shots)
    drawn = TRAPS[:-1] if filmed else (*TRAPS, "pan")  # a pan needs a still, and so gets more of them
    kind: TrapKind | None = drawn[other.integers(len(drawn))] if trapped else None
    if filmed:
        frames = _piece(source.shots[chosen], length, rng)
    else:
        still = source.stills[chosen - len(source.shots)]
        path = _move(length, source.size, rng)
        if kind == "pan":
            pan, trap = _pan(length, inside, other)
            return _blurred(still, pan, trap, source.size), trap
        frames = list(pseudo.render(_window(still, source.size), path, source.size))
    if kind is None:
        return frames, None
    if kind == "flash":
        return _flash(frames, inside, other)
    return _light(frames, inside, other) if kind == "light" else _shake(frames, inside, other)


def _piece(shot: Sequence[Rgb], length: int, rng: np.random.Generator) -> list[Rgb]:
    """Take a piece of a shot, forwards and backwards in turns where it is too short, mirrored half the time."""
    there_and_back = [*shot, *shot[-2:0:-1]]
    begin = int(rng.integers(max(1, len(shot) - length + 1)))
    frames = [there_and_back[(begin + i) % len(there_and_back)] for i in range(length)]
    return [np.ascontiguousarray(f[:, ::-1]) for f in frames] if rng.random() < 0.5 else frames


def _window(still: Rgb, size: tuple[int, int]) -> Rgb:
    """Crop a still in the middle to the proportions of `size`."""
    (height, width), (rows, columns) = size, still.shape[:2]
    wide, high = min(columns, round(rows * width / height)), min(rows, round(columns * height / width))
    top, left = (rows - high) // 2, (columns - wide) // 2
    return np.ascontiguousarray(still[top : top + high, left : left + wide])


def _move(length: int, size: tuple[int, int], rng: np.random.Generator) -> pseudo.Affines:
    """Draw a camera move over a whole shot; a quarter of them are brisk."""
    motion = pseudo.MOTIONS[rng.integers(len(pseudo.MOTIONS))]
    brisk = rng.random() < 0.25
    travel = rng.uniform(0.4, 0.7) if brisk else rng.uniform(0.05, 0.3)
    return pseudo.affines(motion, length, travel=travel, roll_deg=rng.uniform(3, 20), aspect=size[1] / size[0])


def _pan(length: int, inside: tuple[int, int], rng: np.random.Generator) -> tuple[pseudo.Affines, Trap]:
    """Return a path that rests, crosses up to 1.2 widths of the view in 8 to 16 frames, and rests; and the crossing.

    It has `_SHUTTER` positions a frame.
    """
    frames = int(rng.integers(8, 17))
    first = int(rng.integers(inside[0], max(inside[0] + 1, inside[1] - frames)))
    view = 0.45
    reach = (1 - view) * rng.uniform(0.5, 1)
    turn = (1 if rng.random() < 0.5 else -1) * reach
    across = int(rng.random() < 0.25)  # one in four tilts
    shutter = np.arange(_SHUTTER) / (2 * _SHUTTER)
    progress = np.clip((np.arange(length)[:, None] + shutter - first) / frames, 0, 1).ravel()
    path = np.zeros((length * _SHUTTER, 2, 3), np.float32)
    path[:, 0, 0] = path[:, 1, 1] = view
    path[:, across, 2] = turn * (2 * progress * progress * (3 - 2 * progress) - 1)
    return path, Trap(first, first + frames, "pan")


def _blurred(still: Rgb, path: pseudo.Affines, trap: Trap, size: tuple[int, int]) -> list[Rgb]:
    window = _window(still, size)
    steps = np.split(path, len(path) // _SHUTTER)
    frames: list[Rgb] = []
    for number, step in enumerate(steps):
        moving = trap.first <= number < trap.end
        seen = list(pseudo.render(window, step if moving else step[:1], size))
        frames.append(np.rint(np.mean(seen, axis=0)).astype(np.uint8))
    return frames


def _flash(frames: list[Rgb], inside: tuple[int, int], rng: np.random.Generator) -> tuple[list[Rgb], Trap]:
    """Light 1 to 3 frames up."""
    first, count = int(rng.integers(inside[0], inside[1] - 3)), int(rng.integers(1, 4))
    level = float(rng.uniform(50, 120))
    lit = [cv2.convertScaleAbs(f, alpha=1.2, beta=level) for f in frames[first : first + count]]
    return _replaced(frames, first, lit), Trap(first, first + count, "flash")


def _light(frames: list[Rgb], inside: tuple[int, int], rng: np.random.Generator) -> tuple[list[Rgb], Trap]:
    """Change the light by up to 40%, at once or over up to 12 frames, for the rest of the shot."""
    count = int(rng.integers(1, 13))
    first = int(rng.integers(inside[0], max(inside[0] + 1, inside[1] - count)))
    gain = float(rng.uniform(1.15, 1.4) if rng.random() < 0.5 else rng.uniform(0.6, 0.85))
    gains = 1 + (gain - 1) * np.clip((np.arange(len(frames) - first) + 1) / count, 0, 1)
    lit = [cv2.convertScaleAbs(f, alpha=float(g)) for f, g in zip(frames[first:], gains, strict=True)]
    return _replaced(frames, first, lit), Trap(first, first + count, "light")


def _shake(frames: list[Rgb], inside: tuple[int, int], rng: np.random.Generator) -> tuple[list[Rgb], Trap]:
    """Shake the camera for 10 frames or more: 1.5% of the width and half a degree, seen through a crop of a tenth."""
    count = int(rng.integers(10, 31))
    first = int(rng.integers(inside[0], max(inside[0] + 1, inside[1] - count)))
    end = min(inside[1], first + count)
    height, width = frames[0].shape[:2]
    jitter = np.zeros((len(frames), 3))
    jitter[first:end] = rng.normal(0, (0.015 * width, 0.015 * width, 0.5), (end - first, 3))
    shaken: list[Rgb] = []
    for frame, (x, y, turn) in zip(frames, jitter, strict=True):
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn, 1.1)
        matrix[:, 2] += x, y
        moved = cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
        shaken.append(np.asarray(moved, np.uint8))
    return shaken, Trap(first, end, "shake")


def _replaced(frames: list[Rgb], first: int, by: Iterable[Any]) -> list[Rgb]:
    new = [np.asarray(picture, np.uint8) for picture in by]
    return [*frames[:first], *new, *frames[first + len(new) :]]


def _join(frames: list[Rgb], shot: list[Rgb], plan: _Plan) -> tuple[list[Rgb], Boundary]:
    """Put `shot` after `frames`, as planned."""
    n = plan.frames
    if plan.kind == "hard":
        return [*frames, *shot], Boundary(len(frames), len(frames), "hard")
    first = len(frames) - n
    tail, head = frames[first:], shot[:n]
    shares = [(i + 1) / (n + 1) for i in range(n)]
    if plan.kind in ("black", "white"):
        flat = np.full_like(head[0], 0 if plan.kind == "black" else 255)
        away = [_mixed(a, flat, share) for a, share in zip(tail, shares, strict=True)]
        back = [_mixed(flat, b, share) for b, share in zip(head, shares, strict=True)]
        amid, kind = [*away, *[flat] * plan.flat, *back], "fade"
    elif plan.kind == "dissolve":
        amid, kind = [_mixed(a, b, share) for a, b, share in zip(tail, head, shares, strict=True)], "dissolve"
    else:
        amid, kind = [_wiped(a, b, s, plan.side) for a, b, s in zip(tail, head, shares, strict=True)], "wipe"
    boundary = Boundary(first, first + len(amid), kind)  # type: ignore[arg-type]
    return [*frames[:first], *amid, *shot[n:]], boundary


def _mixed(a: Rgb, b: Rgb, share: float) -> Rgb:
    return np.asarray(cv2.addWeighted(a, 1 - share, b, share, 0), np.uint8)


def _wiped(a: Rgb, b: Rgb, share: float, side: int) -> Rgb:
    """Return `a` with `share` of it covered by `b`, from the left, the right, the top or the bottom."""
    height, width = a.shape[:2]
    columns, rows = round(share * width), round(share * height)
    mixed = a.copy()
    covered = (
        np.s_[:, :columns],
        np.s_[:, width - columns :],
        np.s_[:rows],
        np.s_[height - rows :],
    )[side]
    mixed[covered] = b[covered]
    return mixed
