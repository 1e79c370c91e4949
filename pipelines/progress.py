"""Progress that suits where it is read: a bar on a terminal, a line every few seconds elsewhere.

A thread redraws on its own, so that a step is seen to live even while nothing ends in it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

__all__ = ["Reporter", "duration"]

LINE_EVERY_S = 5.0
BAR_EVERY_S = 0.2
BAR_WIDTH = 24


def duration(seconds: float) -> str:
    """Return seconds as a person reads them: 0.4 s, 12 s, 3 min 05 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"


@dataclass
class _Step:
    """Where a step is."""

    head: str
    unit: str
    started: float
    done: int = 0
    total: int = 0

    def took(self) -> float:
        return time.perf_counter() - self.started

    def line(self) -> str:
        if not self.total:
            return f"{self.head} ... {duration(self.took())}"
        share = 100 * self.done // self.total
        return f"{self.head}: {self.done} of {self.total} {self.unit} ({share}%), {duration(self.took())}"

    def bar(self) -> str:
        if not self.total:
            return f"{self.head} ... {duration(self.took())}"
        share = self.done / self.total
        filled = round(BAR_WIDTH * share)
        left = f", {duration(self.took() / share - self.took())} left" if 0 < share < 1 and self.took() > 2 else ""
        bar = "━" * filled + "╌" * (BAR_WIDTH - filled)
        return f"{self.head}  {bar}  {self.done}/{self.total} {self.unit}, {duration(self.took())}{left}"


class Reporter:
    """Reports the steps of one command on `stream` (default: standard error, which leaves standard output clean).

    `total` numbers the steps, when it is known: [3/10]. `seconds` keeps what each took, by title.
    """

    def __init__(self, total: int | None = None, *, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._total = total
        self._number = 0
        self.seconds: dict[str, float] = {}

    def say(self, text: str = "") -> None:
        """Print a line of prose."""
        print(text, file=self._stream, flush=True)

    @contextmanager
    def step(self, title: str, unit: str = "", numbered: bool = True) -> Iterator[Callable[[int, int], None]]:
        """Report one step; yields the callback `(done, total)` that moves it."""
        head = title
        if self._total and numbered:
            self._number += 1
            head = f"[{self._number}/{self._total}] {title}"
        step = _Step(head, unit, time.perf_counter())
        ended = threading.Event()
        painter = threading.Thread(target=self._paint, args=(step, ended), daemon=True)
        painter.start()

        def move(done: int, total: int) -> None:
            step.done, step.total = done, total

        outcome = "stopped after"
        try:
            yield move
            outcome = "done in"
        finally:
            ended.set()
            painter.join()
            self.seconds[title.strip()] = self.seconds.get(title.strip(), 0.0) + step.took()
            count = f": {step.done} {unit}" if unit and step.total else ""
            count = ": nothing to do" if unit and not step.total else count
            wipe = "\r\033[2K" if self._stream.isatty() else ""
            self.say(f"{wipe}{head}{count}, {outcome} {duration(step.took())}")

    def _paint(self, step: _Step, ended: threading.Event) -> None:
        terminal = self._stream.isatty()
        while not ended.wait(BAR_EVERY_S if terminal else LINE_EVERY_S):
            if terminal:
                self._stream.write(f"\r\033[2K{step.bar()}")
                self._stream.flush()
            else:
                self.say(step.line())
