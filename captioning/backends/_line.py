"""An event loop in a thread of its own, and the HTTP session that lives in it: asynchronous calls for plain callers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any, TypeVar

import aiohttp

__all__ = ["CancelledError", "Line"]

T = TypeVar("T")
_SOON_S = 10.0


class Line:
    """Runs coroutines for callers in any thread, those with an event loop of their own too."""

    loop: asyncio.AbstractEventLoop
    session: aiohttp.ClientSession

    def __init__(self, make_session: Callable[[], aiohttp.ClientSession]) -> None:
        """Start the thread; `make_session` is called in it."""
        self._make_session = make_session
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name="captions", daemon=True)
        self._thread.start()
        self._ready.wait()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it to its end and return its result; CancelledError where the line is closed meanwhile."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End what runs, then the session and the thread."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stop.set)
        if threading.current_thread() is not self._thread:  # the garbage collector comes by in any thread
            self._thread.join(_SOON_S)

    async def _live(self) -> None:
        self.loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with self._make_session() as self.session:
            self._ready.set()
            await self._stop.wait()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
