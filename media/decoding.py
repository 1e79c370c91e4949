"""Whole files, frame by frame, in order of display and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt

from media.errors import MediaError, UserError
from media.frames import AvFrame, Frame, Geometry
from media.source import Deadline, MediaInput, Source, geometry_of, open_source, pictures

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

__all__ = ["BACKENDS", "Backend", "Clock", "decode", "decode_bytes"]

Backend = Literal["pyav", "decord"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
"""pyav reads everything. decord reads whole MP4 files of H.264 as `media.encode` writes them, and nothing else."""


def decode(
    media: MediaInput,
    *,
    backend: Backend = "pyav",
    analysis: bool = False,
    threads: int = 1,
    wall_limit_s: float | None = None,
) -> Iterator[Frame]:
    """Yield every frame of `media` (a local path, or the bytes of a file), holding two of them at most.

    `analysis` leaves the loop filter out: a third cheaper, and pictures that differ a little; for measuring, never
    for writing. `threads` bounds the decoder's threads; the pictures do not depend on it. `wall_limit_s` ends the
    pass with MediaError("timeout"), looked at between packets.

    MediaError as for `probe`, and during the pass: "truncated" when an MP4 holds fewer frames than its header
    promises, "undecodable" when a packet fails after the first frame.
    """
    if backend == "decord":
        from media.decord_backend import decode_whole

        yield from decode_whole(media, threads=threads)
    elif backend == "pyav":
        with open_source(media, threads=threads, analysis=analysis, wall_limit_s=wall_limit_s) as source:
            yield from _timed(source, Deadline.after(wall_limit_s))
    else:
        raise UserError(f"decode backend {backend!r}: there are {', '.join(BACKENDS)}")


def decode_bytes(data: bytes, *, backend: Backend = "pyav", threads: int = 1) -> npt.NDArray[np.uint8]:
    """Return all frames of a file held in memory: uint8, (F, H, W, 3). MediaError when its frames differ in size."""
    frames = [frame.rgb() for frame in decode(data, backend=backend, threads=threads)]
    if len({frame.shape for frame in frames}) > 1:
        raise MediaError("undecodable", f"frames of different sizes: {sorted({frame.shape[:2] for frame in frames})}")
    return np.stack(frames)


class Clock:
    """Turns the timestamps of one stream into seconds since its first frame, never going backwards.

    A missing timestamp, or one not later than the one before, is replaced by one frame's length after it.
    """

    def __init__(self, time_base: Fraction, rate: Fraction | None) -> None:
        self._time_base = time_base
        self._step = float(1 / rate) if rate else 1 / 25
        self._origin: int | None = None
        self._last_s: float | None = None

    def read(self, picture: VideoFrame) -> tuple[float, bool]:
        """Return the picture's time in seconds, and whether it had to be guessed."""
        stamp = picture.pts if picture.pts is not None else picture.dts
        if self._origin is None and stamp is not None:
            self._origin = stamp - (round(self._after() / self._time_base) if self._last_s is not None else 0)
        time_s = None if stamp is None else float((stamp - (self._origin or 0)) * self._time_base)
        guessed = time_s is None or (self._last_s is not None and time_s <= self._last_s)
        if time_s is None or guessed:
            time_s = self._after()
        self._last_s = time_s
        return time_s, guessed

    def _after(self) -> float:
        return 0.0 if self._last_s is None else self._last_s + self._step


def _timed(source: Source, deadline: Deadline) -> Iterator[AvFrame]:
    """Number and time the pictures; each is held until the next one's time gives its duration."""
    from av.video.reformatter import VideoReformatter

    clock = Clock(source.time_base, source.stream.average_rate or source.stream.guessed_rate)
    reformatter = VideoReformatter()
    geometry: Geometry | None = None
    held: tuple[int, float, bool, VideoFrame] | None = None
    last_duration_s: float | None = None
    for index, picture in enumerate(pictures(source, deadline)):
        if geometry is None:
            geometry = geometry_of(source, picture)
        time_s, guessed = clock.read(picture)
        if held is not None:
            last_duration_s = time_s - held[1]
            yield AvFrame(held[0], held[1], last_duration_s, held[2], held[3], geometry, reformatter)
        held = (index, time_s, guessed, picture)
    if held is not None and geometry is not None:
        own = float(held[3].duration * source.time_base) or last_duration_s
        yield AvFrame(held[0], held[1], own, held[2], held[3], geometry, reformatter)
