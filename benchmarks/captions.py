"""Captions: what the client of a language model's server costs, and how each backend fuses the labelled statements."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, Final

from benchmarks.common import main

__all__ = ["captions", "client_overhead", "fusing", "stub_server"]

_AT_ONCE: Final = 1000
_HELD_S: Final = 0.3
"""How long the stub holds each answer, so that so many really are in flight."""
_CAPTIONS: Final = {True: 4000, False: 20000}
_SETS: Final = {True: 3, False: None}
"""Labelled sets for each backend; None: all."""
_TEXT: Final = "A tabby cat lies on a wooden table in warm light, and the camera pans left. "
_KEY: Final = re.compile(rb"id: ([0-9a-f]{8})")
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


def captions(quick: bool) -> Mapping[str, Any]:
    """Time the client against a stub that answers at once, 1,000 requests in flight; then every backend there is.

    A server's backend is timed where RUSHES_CAPTION_SERVER gives its address, that of transformers where
    RUSHES_CAPTION_MODEL gives a folder. Quick: 4,000 captions of the stub rather than 20,000, and three labelled sets
    of each backend rather than all.
    """
    figures: dict[str, Any] = client_overhead(_CAPTIONS[quick])
    figures |= openai_overhead(_CAPTIONS[quick] // 4)
    server, folder = os.environ.get("RUSHES_CAPTION_SERVER"), os.environ.get("RUSHES_CAPTION_MODEL")
    backends: dict[str, dict[str, Any] | None] = {
        "template": {"backend": "template"},
        "embedded": {"backend": "embedded"},
        "embedded_schema": {"backend": "embedded", "guided": "schema"},
        "transformers": {"backend": "transformers", "model": folder} if folder else None,
        "server": {"backend": "openai", "base_url": server} if server else None,
    }
    for name, settings in backends.items():
        figures |= {f"{name}_captions": None} if settings is None else fusing(name, settings, _SETS[quick])
    return figures


def client_overhead(n: int, *, at_once: int = _AT_ONCE, held_s: float = _HELD_S) -> dict[str, Any]:
    """Fuse `n` requests against the stub; return what each cost this process, in ms of CPU and of wall time.

    All of `fuse` counts: rendering the prompt, JSON, HTTP, matching by id, parsing. Before them go a tenth as many, not
    measured, in which the client widens. The server's own CPU, beside it on the same machine, is given too.
    """
    from captioning import Reply, make_backend

    requests = _requests(n + n // 10)
    with stub_server(held_s) as (url, told):
        backend = make_backend("openai", base_url=url, concurrency=at_once, retries=0)
        backend.fuse(requests[: n // 10])
        told()
        began, cpu = time.perf_counter(), time.process_time()
        replies = backend.fuse(requests[n // 10 :])
        cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - began
        backend.close()
        server = told()
    ok = sum(isinstance(r, Reply) and r.clip_id == q.clip_id for r, q in zip(replies, requests[n // 10 :], strict=True))
    if ok != n:
        raise SystemExit(f"{n - ok} of {n} captions failed: {next(r for r in replies if not isinstance(r, Reply))}")
    return {
        "client_captions": n,
        "client_overhead_ms": round(1000 * cpu_s / n, 3),
        "client_wall_ms": round(1000 * wall_s / n, 3),
        "client_captions_per_s": round(n / wall_s, 1),
        "client_most_in_flight": server["most"],
        "client_server_cpu_ms": round(1000 * server["cpu_s"] / n, 3),
        "client_held_s": held_s,
    }


def openai_overhead(n: int, *, at_once: int = _AT_ONCE, held_s: float = _HELD_S) -> dict[str, Any]:
    """Put the same chats to the same stub by the `openai` package, where it is installed; nulls where not."""
    try:
        import openai  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return {"openai_package": None, "openai_package_overhead_ms": None}
    from captioning.asking import questions_of

    requests = _requests(n + n // 10)

    async def one(client: Any, turn: asyncio.Semaphore, request: Any) -> None:
        async with turn:
            (q,) = questions_of([request])
            form = {"name": "caption", "schema": q.schema, "strict": True}
            guide = {"type": "json_schema", "json_schema": form}
            answer = await client.chat.completions.create(
                model="stub", messages=list(q.chat), max_tokens=768, temperature=0, response_format=guide
            )
            q.check(answer.choices[0].message.content)

    async def run(url: str) -> tuple[float, float]:
        turn = asyncio.Semaphore(at_once)
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0, timeout=600) as client:
            await asyncio.gather(*(one(client, turn, r) for r in requests[: n // 10]))
            began, cpu = time.perf_counter(), time.process_time()
            await asyncio.gather(*(one(client, turn, r) for r in requests[n // 10 :]))
            return time.process_time() - cpu, time.perf_counter() - began

    with stub_server(held_s) as (url, told):
        cpu_s, wall_s = asyncio.run(run(url))
        server = told()
    return {
        "openai_package": openai.__version__,
        "openai_package_overhead_ms": round(1000 * cpu_s / n, 3),
        "openai_package_wall_ms": round(1000 * wall_s / n, 3),
        "openai_package_most_in_flight": server["most"],
    }


def fusing(name: str, settings: Mapping[str, Any], sets: int | None) -> dict[str, Any]:
    """Caption labelled sets with a backend, checker and all; return rates, tokens and the shares of the outcomes."""
    from captioning import Checker, caption_many, make_backend
    from tests.captioning.sets import load

    jobs = [(s.row, s.statements) for s in load()[:sets]]
    backend = make_backend(None, **settings)
    began, cpu = time.perf_counter(), time.process_time()
    rows = caption_many(jobs, backend, Checker(), run_id="benchmark")
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    backend.close()
    return {f"{name}_{key}": value for key, value in _shares(rows, wall_s, cpu_s).items()}


def _shares(rows: Sequence[Mapping[str, Any]], wall_s: float, cpu_s: float) -> dict[str, Any]:
    outcomes = Counter(row["outcome"] for row in rows)
    tokens = [row["tokens_out"] for row in rows if row["tokens_out"] is not None]
    return {
        "captions": len(rows),
        "captions_per_s": round(len(rows) / wall_s, 2),
        "cpu_s_per_caption": round(cpu_s / len(rows), 4),
        "tokens_per_caption": round(sum(tokens) / len(tokens), 1) if tokens else None,
        **{f"share_{name}": round(outcomes[name] / len(rows), 3) for name in ("ok", "repaired", "template")},
        "errors": sum(row["error"] is not None for row in rows),
    }


def _requests(n: int) -> list[Any]:
    """Return requests for the labelled sets in turn, each with an id of its own."""
    from captioning import Request
    from captioning.statements import settle
    from tests.captioning.sets import SPAN, load

    settled = [settle(s.statements, span=SPAN).statements for s in load()]
    return [Request(f"clip-{i}:0-48", settled[i % len(settled)]) for i in range(n)]


@contextmanager
def stub_server(held_s: float) -> Iterator[tuple[str, Callable[[], dict[str, float]]]]:
    """Serve chat completions in a process of its own, each held for `held_s` and then answered by its id.

    Yields its address, and a function that returns `{"most", "cpu_s"}` since it was last called: requests in flight at
    once at most, and the server's CPU seconds.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, held_s), daemon=True)
    process.start()

    def tell() -> dict[str, float]:
        ours.send("tell")
        told: dict[str, float] = ours.recv()
        return told

    try:
        yield f"http://127.0.0.1:{ours.recv()}/v1", tell
    finally:
        process.terminate()
        process.join()
        ours.close()


class _Stub(asyncio.Protocol):
    """Just enough HTTP/1.1 to be quick: one request after the other on a connection, bodies by their length."""

    in_flight = most = 0

    def __init__(self, held_s: float) -> None:
        self._held_s, self._got = held_s, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        if not end:
            return
        length = _LENGTH.search(head)
        size = int(length[1]) if length else 0
        if len(body) < size:
            return
        self._got = b""
        if head.startswith(b"GET"):
            self._say(b'{"data": [{"id": "stub"}]}')
            return
        _Stub.in_flight += 1
        _Stub.most = max(_Stub.most, _Stub.in_flight)
        asyncio.get_running_loop().call_later(self._held_s, self._answer, _KEY.findall(body)[-1])

    def _answer(self, key: bytes) -> None:
        _Stub.in_flight -= 1
        texts = {"id": key.decode(), "short": _TEXT.strip(), "medium": _TEXT.strip(), "dense": (5 * _TEXT).strip()}
        message = {"role": "assistant", "content": json.dumps(texts)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 500, "completion_tokens": 120, "total_tokens": 620}
        answer = {"id": "x", "object": "chat.completion", "created": 0, "model": "stub"}
        self._say(json.dumps({**answer, "choices": [choice], "usage": usage}).encode())

    def _say(self, body: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        assert isinstance(self._transport, asyncio.WriteTransport)
        self._transport.write(head.encode() + body)


def _serve(pipe: Connection, held_s: float) -> None:
    """Run the stub until this process is ended; answer `pipe` whenever it asks."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Stub(held_s), "127.0.0.1", 0, backlog=4096)
        pipe.send(server.sockets[0].getsockname()[1])
        before = [time.process_time()]

        def tell() -> None:
            pipe.recv()
            now = time.process_time()
            pipe.send({"most": _Stub.most, "cpu_s": now - before[0]})
            before[0], _Stub.most = now, _Stub.in_flight

        loop.add_reader(pipe.fileno(), tell)
        await server.serve_forever()

    asyncio.run(run())


if __name__ == "__main__":
    main("captions", captions)
