"""Any OpenAI-compatible chat server (`vllm serve`, llama.cpp, a hosted one): concurrent, bounded, and distrustful.

Standard library only: one connection a worker, kept alive. A failure that may pass (no connection, timeout, 408, 429,
5xx, a body that is no JSON, a reply cut short or malformed) is tried again with exponential backoff and jitter, or
after what `Retry-After` says; what will not pass (400, 401, 404) fails at once. Every request has a wall limit that
a dripping server cannot stretch.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from captioning.backends.base import BackendConfig, Reply, Request
from captioning.prompts import SCHEMA, messages, prompt_hash
from captioning.reply import parse_reply
from experts.base import ModelRef
from media.errors import BackendError, ConfigError

__all__ = ["OpenAIFuser"]

_PASSING: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_FIRST_WAIT_S: Final = 0.25
_LONGEST_WAIT_S: Final = 20.0
_BLOCK: Final = 1 << 16


class _Passing(Exception):
    """A failure worth another try; `wait_s` is what the server asked for, if it did."""

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class OpenAIFuser:
    """Fuses with a chat-completions server, `concurrency` requests at once, replies held to the JSON schema."""

    name = "openai"

    def __init__(self, config: BackendConfig) -> None:
        """Connect. ConfigError for an address or a key that cannot be; BackendError where nothing answers."""
        self._config = config
        self._url: SplitResult = urlsplit(config.base_url.rstrip("/"))
        if self._url.scheme not in {"http", "https"} or not self._url.hostname:
            raise ConfigError(f"base_url: {config.base_url!r} is no http(s) address")
        self._headers = {"Content-Type": "application/json"}
        if config.api_key_env:
            key = os.environ.get(config.api_key_env)
            if not key:
                raise ConfigError(f"api_key_env: the environment has no {config.api_key_env}")
            self._headers["Authorization"] = f"Bearer {key}"
        self._local = threading.local()
        self._open: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(config.concurrency, thread_name_prefix="captions")
        name = config.model or self._first_model()
        self.model: ModelRef | None = ModelRef(name, "", "unknown")
        self.prompt_hash: str | None = prompt_hash()

    def fuse(self, requests: Sequence[Request]) -> list[Reply | BackendError]:
        """Answer all requests, `concurrency` at once, in their order."""
        return list(self._pool.map(self._answer, requests))

    def close(self) -> None:
        """Close all connections."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()

    def _answer(self, request: Request) -> Reply | BackendError:
        try:
            reply: Reply = self._tried(lambda attempt: self._fuse_one(request, attempt), jitter=request.clip_id)
            return reply
        except BackendError as error:
            return error

    def _fuse_one(self, request: Request, attempt: int) -> Reply:
        assert self.model is not None
        body = {
            "model": self.model.name,
            "messages": messages(request.statements),
            "max_tokens": self._config.max_tokens,
            "temperature": 0.0,
            "seed": self._config.seed + attempt,
            "response_format": {"type": "json_schema", "json_schema": {"name": "caption", "schema": SCHEMA}},
        }
        answer = self._call("POST", "/chat/completions", body)
        try:
            choice = answer["choices"][0]
            raw, reason = choice["message"]["content"] or "", choice.get("finish_reason")
        except (KeyError, IndexError, TypeError) as error:
            raise _Passing(f"an answer without a message: {str(answer)[:120]}") from error
        if reason == "content_filter":
            raise BackendError("the server refused by its content filter")
        try:
            short, dense = parse_reply(raw)
        except BackendError as error:
            cut = f"cut short at {self._config.max_tokens} tokens"
            raise _Passing(cut if reason == "length" else str(error)) from error
        usage = answer.get("usage") or {}
        return Reply(request.clip_id, short, dense, raw, usage.get("prompt_tokens"), usage.get("completion_tokens"))

    def _first_model(self) -> str:
        found = self._tried(lambda _: self._call("GET", "/models", None), jitter="models")
        try:
            return str(found["data"][0]["id"])
        except (KeyError, IndexError, TypeError) as error:
            raise BackendError(f"{self._config.base_url}/models names no model; set `model`") from error

    def _tried(self, call: Any, *, jitter: str) -> Any:
        """Call with retries; the last failure is a BackendError that names the server and the number of tries."""
        dice = random.Random(jitter)
        for attempt in range(self._config.retries + 1):
            try:
                return call(attempt)
            except _Passing as failure:
                if attempt == self._config.retries:
                    tries = f"{attempt + 1} tries" if attempt else "one try"
                    raise BackendError(f"{self._config.base_url}: {failure} (after {tries})") from failure
                wait_s = _FIRST_WAIT_S * 2**attempt * dice.uniform(0.5, 1.5)
                time.sleep(min(_LONGEST_WAIT_S, wait_s if failure.wait_s is None else failure.wait_s))
        raise AssertionError("unreachable")

    def _call(self, method: str, path: str, body: Any) -> Any:
        """Do one HTTP exchange and return its JSON; _Passing for what may pass, BackendError for what will not."""
        deadline = time.monotonic() + self._config.timeout_s
        connection = self._connection()
        try:
            data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
            connection.request(method, self._url.path + path, data, self._headers)
            if connection.sock is not None:
                connection.sock.settimeout(self._config.timeout_s)
            response = connection.getresponse()
            text = _read(response, connection, deadline)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _Passing(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from error
        if response.status in _PASSING:
            raise _Passing(f"HTTP {response.status}", _retry_after(response))
        if response.status != 200:
            said = text[:200].decode(errors="replace")
            raise BackendError(f"{self._config.base_url}: HTTP {response.status}: {said}")
        try:
            return json.loads(text)
        except ValueError as error:
            raise _Passing("the answer's body is no JSON") from error

    def _connection(self) -> http.client.HTTPConnection:
        """Return this worker's connection; http.client opens it again by itself after a close."""
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
            connection = kind(self._url.hostname or "", self._url.port, timeout=self._config.timeout_s)
            self._local.connection = connection
            with self._lock:
                self._open.append(connection)
        return connection


def _read(response: http.client.HTTPResponse, connection: http.client.HTTPConnection, deadline: float) -> bytes:
    """Read the body by the deadline: a socket's own timeout starts anew with every byte that drips in."""
    blocks = []
    while True:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer was not complete in time")
        if connection.sock is not None:
            connection.sock.settimeout(left_s)
        block = response.read1(_BLOCK)
        blocks.append(block)
        if not block or response.length == 0:
            response.read()  # marks the response as done, so that the connection can be used again
            return b"".join(blocks)


def _retry_after(response: http.client.HTTPResponse) -> float | None:
    try:
        return max(0.0, float(response.headers.get("Retry-After", "")))
    except ValueError:
        return None
