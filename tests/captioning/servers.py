"""A chat-completions server over real HTTP that misbehaves as it is told to, or as a seed has it."""

from __future__ import annotations

import json
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]
TEXTS = {
    "short": "A cat is visible.",
    "medium": "A cat is visible. The light is warm.",
    "dense": "A cat is visible. The light is warm.",
}


@dataclass
class Answer:
    """What the server sends for one request. Without `content` it is a good answer, which repeats the request's id.

    `die_s`: it goes away with all its connections, this one first, and comes back on its port after as many seconds.
    """

    content: str | None = None
    status: int = 200
    body: bytes | None = None
    finish_reason: str = "stop"
    headers: dict[str, str] = field(default_factory=dict)
    wait_s: float = 0.0
    drip_s: float = 0.0
    hang_up: bool = False
    half: bool = False
    die_s: float = 0.0
    usage: Any = field(default_factory=lambda: {"prompt_tokens": 50, "completion_tokens": 20})


@dataclass
class Stub:
    """What the server saw: every request's body and headers; `paid` are the ids that it answered well, to their end."""

    url: str
    seen: list[Body] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paid: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    most_at_once: int = 0
    deaths: int = 0


def key_of(body: Body) -> str | None:
    """Return the id that the request's last message gives."""
    said = body["messages"][-1]["content"]
    if not isinstance(said, str):
        return None
    found = re.match(r"id: ([0-9a-f]{8})\n", said) or re.match(r'\{"id": "([0-9a-f]{8})"', said)
    return found[1] if found else None


def good(body: Body, **texts: str) -> str:
    """Return a reply by the request's schema: its id, and its texts (by default a cat in warm light)."""
    guide = body.get("response_format", {}).get("json_schema", {}).get("schema", {})
    names = [name for name in guide.get("properties", TEXTS) if name != "id"]
    key = key_of(body)
    return json.dumps({**({} if key is None else {"id": key}), **{name: {**TEXTS, **texts}[name] for name in names}})


def own(body: Body) -> str:
    """Return a reply whose texts tell which request they are for."""
    key = key_of(body)
    return good(body, short=f"Short of {key}.", medium=f"Medium of {key}.", dense=f"Dense of {key}.")


Policy = Callable[[int, Body], Answer]


@contextmanager
def serve(answer: Policy, models: Sequence[dict[str, Any]] = ({"id": "stub-model"},)) -> Iterator[Stub]:
    """Serve until the block ends; `answer(n, body)` says how to treat the n-th chat request, from 0."""
    house = _House(answer, list(models))
    try:
        yield house.stub
    finally:
        house.close()


class _House:
    """The listening socket, its threads and its connections."""

    def __init__(self, answer: Policy, models: list[dict[str, Any]]) -> None:
        self.answer, self.models = answer, models
        self.lock = threading.Lock()
        self.stub = Stub("")
        self.at_once = 0
        self.connections: set[socket.socket] = set()
        self.dying = self.closed = False
        self.ended, self.back = threading.Event(), threading.Event()
        self.back.set()
        self.open(0)
        self.stub.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def open(self, port: int) -> None:
        self.server = _Server(("127.0.0.1", port), type("Handler", (_Handler,), {"house": self}))
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def shut(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        with self.lock:
            for connection in self.connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self.connections.clear()

    def die(self, seconds: float) -> None:
        with self.lock:
            if self.dying or self.closed:
                return
            self.dying = True
            self.stub.deaths += 1
            self.back.clear()
        threading.Thread(target=self._die, args=(seconds,), daemon=True).start()

    def _die(self, seconds: float) -> None:
        port = self.server.server_address[1]
        self.shut()
        self.ended.wait(seconds)
        if not self.closed:
            self.open(port)
        self.dying = False
        self.back.set()

    def close(self) -> None:
        self.closed = True
        self.ended.set()
        self.back.wait(10)
        self.shut()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    house: _House

    def log_message(self, *args: object) -> None:
        pass

    def setup(self) -> None:
        super().setup()
        with self.house.lock:
            self.house.connections.add(self.connection)

    def do_GET(self) -> None:
        self._send(200, json.dumps({"data": self.house.models}).encode(), {})

    def do_POST(self) -> None:
        house, stub = self.house, self.house.stub
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with house.lock:
            number = len(stub.seen)
            stub.seen.append(body)
            stub.headers.append({k.lower(): v for k, v in self.headers.items()})
            stub.times.append(time.monotonic())
            house.at_once += 1
            stub.most_at_once = max(stub.most_at_once, house.at_once)
        try:
            self._answer(house.answer(number, body), body)
        finally:
            with house.lock:
                house.at_once -= 1

    def _answer(self, a: Answer, body: Body) -> None:
        time.sleep(a.wait_s)
        if a.hang_up or a.die_s:
            self.close_connection = True
            if a.die_s:
                self.house.die(a.die_s)
            return
        content = good(body) if a.content is None else a.content
        message = {"role": "assistant", "content": content}
        reply = {"choices": [{"message": message, "finish_reason": a.finish_reason}], "usage": a.usage}
        data = json.dumps(reply).encode() if a.body is None else a.body
        sent = self._send(a.status, data, a.headers, a.drip_s, a.half)
        key = key_of(body)
        if sent and a.status == 200 and a.body is None and key and f'"id": "{key}"' in content and content[-1] == "}":
            with self.house.lock:
                self.house.stub.paid.append(key)

    def _send(self, status: int, data: bytes, headers: dict[str, str], drip_s: float = 0.0, half: bool = False) -> bool:
        try:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if half:
                self.wfile.write(data[: len(data) // 2])
                self.close_connection = True
                return False
            for piece in [data] if not drip_s else [data[i : i + 1] for i in range(len(data))]:
                self.wfile.write(piece)
                self.wfile.flush()
                time.sleep(drip_s)
        except OSError:
            self.close_connection = True
            return False
        return True


MISCHIEF = (
    "silence", "429", "429 with a wait", "500", "503", "no JSON", "half a JSON", "cut", "another's", "yesterday's",
    "swapped", "hang up", "hang up in the body", "drip", "no usage", "half a character", "death",
)  # fmt: skip


class hostile:
    """A policy that misbehaves in every way, at random by `seed`, in `share` of the requests; good answers are `own`.

    `did` counts what it did. `silence_s` is longer than the client is to wait.
    """

    def __init__(self, seed: int, *, share: float = 0.35, silence_s: float = 1.0, deaths: int = 2) -> None:
        self._dice = random.Random(seed)
        self._share, self._silence_s, self._deaths = share, silence_s, deaths
        self._lock = threading.Lock()
        self._last: Body | None = None
        self._alone: tuple[Body, threading.Event, list[Body]] | None = None
        self.did: dict[str, int] = dict.fromkeys(MISCHIEF, 0)

    def __call__(self, n: int, body: Body) -> Answer:
        with self._lock:
            what = self._dice.choice(MISCHIEF) if self._dice.random() < self._share else ""
            if what == "death":
                what = what if self._deaths else "500"
                self._deaths -= what == "death"
            if what:
                self.did[what] += 1
            last, self._last = self._last, body
        if what == "swapped":
            return Answer(own(self._swapped(body)))
        return self._made(what, body, last or body)

    def _made(self, what: str, body: Body, last: Body) -> Answer:
        text = own(body)
        made = {
            "silence": Answer(text, wait_s=self._silence_s),
            "429": Answer(status=429),
            "429 with a wait": Answer(status=429, headers={"Retry-After": "0.1"}),
            "500": Answer(status=500),
            "503": Answer(status=503),
            "no JSON": Answer(body=b"<html>Bad Gateway"),
            "half a JSON": Answer(text[: len(text) // 2]),
            "cut": Answer(text[:-5], finish_reason="length"),
            "another's": Answer(own(last)),
            "yesterday's": Answer(text.replace(key_of(body) or "", "00000000")),
            "hang up": Answer(hang_up=True),
            "hang up in the body": Answer(text, half=True),
            "drip": Answer(text, drip_s=0.05),
            "no usage": Answer(text, usage=None),
            "half a character": Answer(text.replace("Dense", "\\ud83d")),
            "death": Answer(die_s=0.15),
        }
        return made.get(what, Answer(text))

    def _swapped(self, body: Body) -> Body:
        """Return another request's body, which gets this one's; its own where no other comes in time."""
        with self._lock:
            met, self._alone = self._alone, None
            if met is None:
                mine = (body, threading.Event(), [])
                self._alone = mine
        if met is not None:
            other, found, theirs = met
            theirs.append(body)
            found.set()
            return other
        mine[1].wait(0.2)
        with self._lock:
            if self._alone is mine:
                self._alone = None
        return mine[2][0] if mine[2] else body
