"""A chat server that sees: any OpenAI-compatible one (`vllm serve`, llama.cpp, a hosted one), pictures as data URLs.

Standard library only, one connection a request. A failure that may pass (no connection, timeout, 408, 429, 5xx, no
JSON) is tried again twice; what will not pass (400, 401, 404) fails at once. The key, if the server wants one, is
taken from `RUSHES_CAPTIONER_KEY`.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from experts.base import Rgb
from experts.standard._words import Answer
from media.errors import BackendError

__all__ = ["KEY", "ChatServer"]

KEY: Final = "RUSHES_CAPTIONER_KEY"
"""The environment variable that holds the server's key, if it wants one."""

_PASSING: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_TRIES: Final = 3
_WAIT_S: Final = 0.5
_LIMIT_S: Final = 120.0
_AT_ONCE: Final = 8
_JPEG_QUALITY: Final = 90


class ChatServer:
    """Answers questions about pictures; eight requests are in flight at once, so that the server can batch them."""

    def __init__(self, url: str, model: str | None, max_tokens: int) -> None:
        """Connect, and take the server's first model unless one is named. BackendError where nothing answers."""
        self._url, self._max_tokens = url.rstrip("/"), max_tokens
        self._headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY):
            self._headers["Authorization"] = f"Bearer {key}"
        self.name = model or self._first_model()

    def answer(self, questions: Sequence[tuple[Sequence[Rgb], str]]) -> list[Answer]:
        """Return the answer to each question, in their order; BackendError as soon as one has none."""
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="captioner") as pool:
            return list(pool.map(lambda question: self._one(*question), questions))

    def _one(self, frames: Sequence[Rgb], prompt: str) -> Answer:
        pictures = [{"type": "image_url", "image_url": {"url": _data_url(frame)}} for frame in frames]
        body = {
            "model": self.name,
            "messages": [{"role": "user", "content": [*pictures, {"type": "text", "text": prompt}]}],
            "max_tokens": self._max_tokens,
            "temperature": 0.0,
            "seed": 0,
            "logprobs": True,
        }
        said = self._call("/chat/completions", body)
        try:
            choice = said["choices"][0]
            text = str(choice["message"]["content"] or "")
            told = (choice.get("logprobs") or {}).get("content") or []
            tokens = [(str(token["token"]), float(token["logprob"])) for token in told]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise BackendError(f"{self._url}: an answer without a message: {str(said)[:120]}") from error
        return Answer(text, tuple(tokens))

    def _first_model(self) -> str:
        found = self._call("/models", None)
        try:
            return str(found["data"][0]["id"])
        except (KeyError, IndexError, TypeError) as error:
            raise BackendError(f"{self._url}/models names no model; name one in the profile") from error

    def _call(self, path: str, body: Any) -> Any:
        data = None if body is None else json.dumps(body).encode()
        for attempt in range(_TRIES):
            last = attempt == _TRIES - 1
            request = urllib.request.Request(self._url + path, data, self._headers)
            try:
                with urllib.request.urlopen(request, timeout=_LIMIT_S) as response:
                    return json.loads(response.read())
            except urllib.error.HTTPError as error:
                said = error.read(200).decode(errors="replace")
                error.close()
                if error.code not in _PASSING or last:
                    raise BackendError(f"{self._url}: HTTP {error.code}: {said}") from error
            except (OSError, http.client.HTTPException, ValueError) as error:
                if last:
                    raise BackendError(f"{self._url}: no answer ({_TRIES} tries): {error}") from error
            time.sleep(_WAIT_S * 2**attempt)
        raise AssertionError("unreachable")


def _data_url(frame: Rgb) -> str:
    from media import jpeg

    return "data:image/jpeg;base64," + base64.b64encode(jpeg(frame, quality=_JPEG_QUALITY)).decode()
