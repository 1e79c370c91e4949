"""A proxy before a server of S3 that answers badly, as stores do: errors, slow bodies, connections that break."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Literal

Kind = Literal["500", "503", "slow", "drop", "refuse"]
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "server", "date"}
_ERROR = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>made up</Message></Error>"


@dataclass
class Faults:
    """What goes wrong: with which chance a request meets each kind, and what was met so far."""

    chances: dict[Kind, float] = field(default_factory=dict)
    methods: tuple[str, ...] = ("GET", "PUT", "POST", "HEAD", "DELETE")
    seed: int = 0
    met: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._lock = threading.Lock()

    def draw(self, method: str) -> Kind | None:
        """Return what the next request of this method meets."""
        with self._lock:
            self.met["requests"] += 1
            at, drawn = 0.0, self._random.random()
            for kind, chance in self.chances.items() if method in self.methods else ():
                at += chance
                if drawn < at:
                    self.met[kind] += 1
                    return kind
            return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    faults: ClassVar[Faults]
    upstream: ClassVar[tuple[str, int]]

    def _pass(self) -> None:
        body = self._body()
        kind = self.faults.draw(self.command)
        if kind == "refuse":
            self.close_connection = True
            return
        if kind in ("500", "503"):
            self._send(int(kind), [("Content-Type", "application/xml")],
                       _ERROR % (b"SlowDown" if kind == "503" else b"InternalError"))  # fmt: skip
            return
        connection = http.client.HTTPConnection(*self.upstream, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("transfer-encoding",)}
        headers["Content-Length"] = str(len(body))
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOP]
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        connection.close()
        self._send(answer.status, kept, content, kind, length)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _send(
        self,
        status: int,
        headers: list[tuple[str, str]],
        content: bytes,
        kind: Kind | None = None,
        length: str | None = None,
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if kind == "drop":
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return
        step = max(1, len(content) // 8) if kind == "slow" else max(1, len(content))
        for at in range(0, len(content), step):
            self.wfile.write(content[at : at + step])
            if kind == "slow":
                self.wfile.flush()
                time.sleep(0.004)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what this is for."""


@contextmanager
def proxy(upstream: tuple[str, int], faults: Faults) -> Iterator[str]:
    """Run the proxy before `upstream`, (host, port); yield its address."""
    handler = type("Handler", (_Handler,), {"faults": faults, "upstream": upstream})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
