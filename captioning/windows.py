"""Long clips: sliding windows, each with what begins and what ends in it; the caption of the whole sums them up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from captioning.statements import settle, statement_text
from experts.base import Statement

__all__ = ["Window", "spans_of", "windows"]


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a clip, in source frames, half-open; what holds in it, what is new to it and what it has lost.

    New and lost are told against the window before it; of the first, everything is new.
    """

    first_frame: int
    end_frame: int
    statements: tuple[Statement, ...]
    begins: tuple[Statement, ...]
    ends: tuple[Statement, ...]


def windows(statements: Sequence[Statement], span: tuple[int, int], length: int) -> list[Window]:
    """Return the windows of a clip, each of about `length` frames, with those of `statements` that are seen in them.

    Statements are settled within each window, so that what holds first and what holds later do not conflict. A clip
    of less than one and a half windows has none.
    """
    found: list[Window] = []
    before: tuple[Statement, ...] = ()
    for first, end in spans_of(span, length):
        inside = [
            replace(s, first_frame=max(s.first_frame, first), end_frame=min(s.end_frame, end))
            for s in statements
            if s.first_frame < end and s.end_frame > first
        ]
        held = settle(inside, span=(first, end)).statements
        now, then = ({statement_text(s) for s in told} for told in (held, before))
        begins = tuple(s for s in held if statement_text(s) not in then)
        ends = tuple(s for s in before if statement_text(s) not in now)
        found.append(Window(first, end, held, begins, ends))
        before = held
    return found


def spans_of(span: tuple[int, int], length: int) -> list[tuple[int, int]]:
    """Return evenly spaced windows that overlap by about half, from the clip's first frame to its last."""
    frames = span[1] - span[0]
    if length < 1 or 2 * frames < 3 * length:
        return []
    count = max(2, min(frames - length, round((frames - length) / (length / 2))) + 1)
    starts = [span[0] + round(i * (frames - length) / (count - 1)) for i in range(count)]
    assert all(a < b for a, b in pairwise(starts))
    return [(start, start + length) for start in starts]
