"""How many requests a server is given at once, and when it is given up: what a client that spares its server knows.

Additive increase, multiplicative decrease, as of TCP (Jacobson, "Congestion Avoidance and Control", 1988): the limit
doubles with each round trip until the first strain, then grows by one; a strain halves it, at most once per round trip.
`Pace` only keeps the books (no clock, no waiting); `Gate` makes an event loop's tasks wait by them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from media.errors import BackendError

__all__ = ["FIRST", "GIVEN_UP", "Gate", "Pace"]

FIRST: Final = 16
"""Requests in flight at the start."""

GIVEN_UP: Final = 3
"""So many requests in a row that ran out of tries, with no word from the server between them, and it counts as dead."""


class Pace:
    """The number of requests in flight and its limit, within 1 and `most`.

    Each request has a ticket from `start`, and hands it back once, by `succeeded` or `failed`. Times are seconds of any
    one clock.
    """

    def __init__(self, most: int, *, first: int = FIRST, given_up: int = GIVEN_UP) -> None:
        self._most = most
        self._width = float(min(first, most))
        self._doubles = True
        self._in_flight = 0
        self._sent = 0
        self._sent_at_cut = 0
        self._sent_when_full = 0
        self._resume_at = float("-inf")
        self._given_up = given_up
        self._silences = 0
        self._unheard = 0
        self._dead: str | None = None
        self._dead_until = float("-inf")

    @property
    def limit(self) -> int:
        """Requests that may be in flight."""
        return int(self._width)

    @property
    def in_flight(self) -> int:
        """Requests that are."""
        return self._in_flight

    @property
    def dead(self) -> str | None:
        """Why the server counts as dead, if it does: nothing is to be sent."""
        return self._dead

    def wait_s(self, now: float) -> float:
        """Return for how long nobody may send, because the server asked for it."""
        return max(0.0, self._resume_at - now)

    def may_start(self, now: float) -> bool:
        """Tell whether a request may be sent now."""
        return self._dead is None and self._in_flight < self.limit and now >= self._resume_at

    def start(self) -> int:
        """Count a request as sent; return its ticket."""
        self._in_flight += 1
        self._sent += 1
        if self._in_flight >= self.limit:
            self._sent_when_full = self._sent
        return self._sent

    def succeeded(self, ticket: int) -> None:
        """Take in a good answer: the limit grows, if it was reached while this request was in flight."""
        self._in_flight -= 1
        self._silences = self._unheard = 0
        if ticket <= self._sent_when_full:
            self._width = min(float(self._most), self._width + (1.0 if self._doubles else 1.0 / self._width))

    def failed(
        self,
        ticket: int,
        now: float,
        *,
        strains: bool = False,
        heard: bool = True,
        wait_s: float = 0.0,
        backoff_s: float = 0.0,
    ) -> None:
        """Take in a failure.

        `strains`: a sign of load; it halves the limit, unless that was done since this request was sent. For `wait_s`
        from now on nobody sends. Where the server is not `heard`, for a whole round trip, that is a strain too, and all
        wait for `backoff_s`: else every request that is still to come would run into a server that is away.
        """
        self._in_flight -= 1
        self._silences = 0 if heard else self._silences + 1
        if heard:
            self._unheard = 0
        if self._silences >= self.limit:
            strains, wait_s = True, max(wait_s, backoff_s)
        self._resume_at = max(self._resume_at, now + wait_s)
        if strains and ticket > self._sent_at_cut:
            self._width = max(1.0, self._width / 2)
            self._doubles = False
            self._sent_at_cut = self._sent

    def gave_up(self, why: str) -> None:
        """Count a request that ran out of tries and whose last one met with silence."""
        self._unheard += 1
        if self._unheard >= self._given_up:
            self.die(why)

    def die(self, why: str, until: float = float("-inf")) -> None:
        """Count the server as dead, and until then for certain."""
        self._dead, self._dead_until = why, until

    def try_again(self, now: float) -> None:
        """After a death: let one request through; it alone decides whether the server lives again."""
        if self._dead is not None and now >= self._dead_until:
            self._dead = None
            self._silences = 0
            self._unheard = self._given_up - 1
            self._width = 1.0
            self._doubles = True


class Gate:
    """Lets the tasks of one event loop through as `pace` allows: as they came, but those that try again first."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self._waiting: deque[asyncio.Future[int]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._death = asyncio.Event()

    async def enter(self, *, again: bool) -> int:
        """Wait for a ticket; BackendError where the server is dead, or dies meanwhile."""
        loop = asyncio.get_running_loop()
        if not self._waiting and self.pace.may_start(loop.time()):
            return self.pace.start()
        future: asyncio.Future[int] = loop.create_future()
        (self._waiting.appendleft if again else self._waiting.append)(future)
        self._wake()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.failed(future.result())
            raise

    async def pause(self, seconds: float) -> None:
        """Sleep, but not longer than the server lives."""
        if not self._death.is_set():
            try:
                await asyncio.wait_for(self._death.wait(), seconds)
            except TimeoutError:
                return

    def succeeded(self, ticket: int) -> None:
        """Hand back the ticket of a good answer."""
        self.pace.succeeded(ticket)
        self._wake()

    def failed(
        self, ticket: int, *, strains: bool = False, heard: bool = True, wait_s: float = 0.0, backoff_s: float = 0.0
    ) -> None:
        """Hand back the ticket of a failure."""
        now = asyncio.get_running_loop().time()
        self.pace.failed(ticket, now, strains=strains, heard=heard, wait_s=wait_s, backoff_s=backoff_s)
        self._wake()

    def gave_up(self, why: str) -> None:
        """Say that a request ran out of tries and met with silence."""
        self.pace.gave_up(why)
        self._wake()

    def die(self, why: str, for_s: float = 0.0) -> None:
        """Turn away all that wait and all that come, for so long at least."""
        self.pace.die(why, asyncio.get_running_loop().time() + for_s)
        self._wake()

    def try_again(self) -> None:
        """Let one request try a server that was dead."""
        self.pace.try_again(asyncio.get_running_loop().time())
        if self.pace.dead is None:
            self._death.clear()

    def _wake(self) -> None:
        if self.pace.dead is not None:
            self._death.set()
            while self._waiting:
                future = self._waiting.popleft()
                if not future.done():
                    future.set_exception(BackendError(self.pace.dead))
            return
        loop = asyncio.get_running_loop()
        while self._waiting and self.pace.may_start(loop.time()):
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(self.pace.start())
        wait_s = self.pace.wait_s(loop.time())
        if self._waiting and wait_s > 0 and self._timer is None:
            self._timer = loop.call_later(wait_s, self._resume)

    def _resume(self) -> None:
        self._timer = None
        self._wake()
