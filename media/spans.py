"""Parts of a file by source frame number: exact spans, and a skim that leaves out what nobody needs.

A seek is used only where the packets prove what it gives (`media.indexing`). What a seek gives is checked against the
index, picture by picture; at the first difference, and wherever there is doubt, a span is decoded from the file's
beginning, and a skim ends with `SkimError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

from media.decoding import decode
from media.errors import MediaError
from media.frames import AvFrame, Frame
from media.indexing import FrameIndex, frame_index
from media.source import Deadline, geometry_of, open_source, pictures

__all__ = ["SkimError", "read_span", "skim"]


class SkimError(Exception):
    """The pictures are not those that the index promises: the file must be decoded as a whole, from its beginning."""


def read_span(
    path: str | PathLike[str],
    first: int,
    end: int,
    *,
    frames: int | None = None,
    threads: int = 1,
    wall_limit_s: float | None = None,
) -> Iterator[Frame]:
    """Yield frames `first` to `end` (half-open) of the file at `path`: the same, bit by bit, as `decode` gives.

    `frames` is the file's count of decoded frames, if known: an index that counts otherwise is not used.
    ValueError for an empty span; MediaError("truncated") when the file ends before `end`.
    """
    if not 0 <= first < end:
        raise ValueError(f"frames {first} to {end}: a span needs 0 <= first < end")
    deadline = Deadline.after(wall_limit_s)
    index = frame_index(path)
    done = first
    if not index.doubt and frames in {None, index.frames} and first < index.frames:
        wanted = np.ones(index.frames, np.bool_)
        try:
            for sought in _sought(path, index, wanted, (first, end), deadline, threads=threads):
                yield sought
                done = sought.index + 1
        except SkimError:
            pass
    if done < end:
        for frame in decode(path, threads=threads, wall_limit_s=wall_limit_s):
            if frame.index >= done:
                yield frame
                done = frame.index + 1
            if done >= end:
                return
        raise MediaError("truncated", f"frames {first} to {end} were asked for, it ends at {done}")


def skim(
    path: str | PathLike[str],
    index: FrameIndex,
    wanted: npt.NDArray[np.bool_],
    first: int = 0,
    end: int | None = None,
    *,
    threads: int = 1,
    wall_limit_s: float | None = None,
) -> Iterator[Frame]:
    """Yield those of the frames `first` to `end` (half-open) that are `wanted`, for measuring: no loop filter.

    `wanted` is one bool for each frame of the file. Frames that are not wanted are decoded only where others are
    predicted from them, and not yielded. Each frame yielded is the same, bit by bit, whichever others are wanted, as
    `decode` gives with `analysis`. SkimError where the index and the pictures disagree, or the index has doubt;
    MediaError("timeout") when `wall_limit_s` is over.
    """
    if index.doubt:
        raise SkimError(index.doubt)
    span = first, index.frames if end is None else end
    yield from _sought(path, index, wanted, span, Deadline.after(wall_limit_s), threads=threads, analysis=True)


def _sought(
    path: str | PathLike[str],
    index: FrameIndex,
    wanted: npt.NDArray[np.bool_],
    span: tuple[int, int],
    deadline: Deadline,
    *,
    threads: int,
    analysis: bool = False,
) -> Iterator[AvFrame]:
    """Yield the wanted frames of `span`, decoded from the last clean start before it."""
    first, end = span
    key = index.key_before(first)
    decoded = wanted | ~index.droppable
    numbers = iter(np.flatnonzero(decoded[key:]) + key)
    stamps = {int(stamp) for stamp in index.pts[~decoded]}
    with open_source(path, threads=threads, analysis=analysis) as source:
        if key:
            try:
                source.container.seek(int(index.pts[key]), stream=source.stream)
            except (av.FFmpegError, OSError) as error:
                raise SkimError(f"no seek to frame {key}: {error}") from error
        geometry, reformatter = None, VideoReformatter()
        stream = pictures(source, deadline, (lambda packet: packet.pts not in stamps) if stamps else None)
        expected = -1
        while expected < end - 1:
            try:
                picture = next(stream, None)
            except MediaError as error:
                if error.reason == "timeout":
                    raise
                # Whatever it is, a pass from the start meets it in its place.
                raise SkimError(str(error)) from error
            number = None if picture is None else index.number(picture.pts)
            if picture is None or number is None:
                if expected == index.frames - 1 or next(numbers, None) is None:
                    return
                raise SkimError(f"after frame {expected}: not the picture that was expected")
            if expected < 0 and number < key:
                continue  # a leading picture of an open group: its references were not decoded
            expected = int(next(numbers, -1))
            if number != expected:
                raise SkimError(f"frame {number} where {expected} was expected")
            geometry = geometry or geometry_of(source, picture)
            if first <= number < end and wanted[number]:
                last = number + 1 == index.frames
                tail = float(picture.duration * source.time_base) or None
                duration = tail if last else index.time_s(number + 1) - index.time_s(number)
                yield AvFrame(number, index.time_s(number), duration, False, picture, geometry, reformatter)
