"""A chat-completions server over real HTTP that misbehaves as it is told to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GOOD = json.dumps({"short": "A cat is visible.", "dense": "A cat is visible. The light is warm."})


@dataclass
class Answer:
    """What the server sends for one request."""

    content: str = GOOD
    status: int = 200
    body: bytes | None = None
    finish_reason: str = "stop"
    headers: dict[str, str] = field(default_factory=dict)
    wait_s: float = 0.0
    drip_s: float = 0.0
    hang_up: bool = False


@dataclass
class Stub:
    url: str
    seen: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    most_at_once: int = 0


@contextmanager
def serve(answer: Callable[[int, dict[str, Any]], Answer]) -> Iterator[Stub]:
    """Serve until the block ends; `answer(n, body)` says how to treat the n-th chat request, from 0."""
    lock = threading.Lock()
    stub = Stub("")
    at_once = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self._send(200, json.dumps({"data": [{"id": "stub-model"}]}).encode(), {})

        def do_POST(self) -> None:
            nonlocal at_once
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(stub.seen)
                stub.seen.append(body)
                stub.headers.append({k.lower(): v for k, v in self.headers.items()})
                at_once += 1
                stub.most_at_once = max(stub.most_at_once, at_once)
            try:
                self._answer(answer(number, body))
            finally:
                with lock:
                    at_once -= 1

        def _answer(self, a: Answer) -> None:
            time.sleep(a.wait_s)
            if a.hang_up:
                self.close_connection = True
                return
            message = {"role": "assistant", "content": a.content}
            reply = {
                "choices": [{"message": message, "finish_reason": a.finish_reason}],
                "usage": {"prompt_tokens": 50, "completion_tokens": 20},
            }
            data = json.dumps(reply).encode() if a.body is None else a.body
            self._send(a.status, data, a.headers, a.drip_s)

        def _send(self, status: int, data: bytes, headers: dict[str, str], drip_s: float = 0.0) -> None:
            try:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                pieces = [data] if not drip_s else [data[i : i + 1] for i in range(len(data))]
                for piece in pieces:
                    self.wfile.write(piece)
                    self.wfile.flush()
                    time.sleep(drip_s)
            except OSError:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    stub.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
