"""Any OpenAI-compatible chat server (`vllm serve`, llama.cpp, a hosted one): concurrent, bounded, and distrustful.

A failure that may pass (no connection, timeout, 408, 429, 5xx, a body that is no JSON, a reply that is cut short,
malformed or another question's) is tried again with exponential backoff and jitter, or after what `Retry-After` says;
what will not pass (400, 401, 404) fails at once. Every request has a wall limit that a dripping server cannot stretch.
How many are in flight is as the server bears (`_pace`); a server that stays silent is given up. Paid answers are
written down as they arrive (`captioning.journal`).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import warnings
import weakref
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import PurePosixPath
from time import time
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

import aiohttp

from captioning import asking
from captioning.asking import Answer, Question, Translation, Unanswered
from captioning.backends._line import CancelledError, Line
from captioning.backends._pace import Gate, Pace
from captioning.backends.base import BackendConfig, Reply, Request
from captioning.journal import Journal, journal_key
from captioning.prompts import prompt_hash
from experts.base import ModelRef
from media.errors import BackendError, ConfigError

__all__ = ["OpenAIFuser"]

T = TypeVar("T")
_PASSING: Final = frozenset({408, 409, 425, 429})
_STAYING: Final = frozenset({501, 505})
_STRAINED: Final = frozenset({429, 503})
_AWAY: Final = frozenset({502, 503, 504})  # what a gateway says whose server is away
_FIRST_WAIT_S: Final = 0.25
_NO_LIST: Final = frozenset({404, 405, 501})  # a server may serve chats and list no models
_LONGEST_WAIT_S: Final = 20.0
_LONGEST_ASKED_S: Final = 300.0
"""A server that asks for a longer wait than this is given up."""
_IDENTIFY_S: Final = 5.0
_KEPT_ALIVE_S: Final = 4.0  # less than uvicorn's own 5 s, so that no request meets a connection that it just closed
_LONGEST_ANSWER: Final = 4 << 20
_WARMER: Final = 0.4
_SPARE_FILES: Final = 256


class _Passing(Exception):
    """A failure worth another try.

    `strains`: a sign of load. `heard`: the server is there. `wait_s`: for how long it wants to be left alone.
    """

    def __init__(self, message: str, *, strains: bool = False, heard: bool = True, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.strains, self.heard, self.wait_s = strains, heard, wait_s


class _Refused(BackendError):
    """A failure that will not pass: an HTTP status and what the server said with it."""

    def __init__(self, message: str, status: int, said: str) -> None:
        super().__init__(message)
        self.status, self.said = status, said


@dataclass(slots=True)
class _Course:
    """How one question fares: its tries, the tokens that they took, and how the next one is sampled."""

    max_tokens: int
    seed: int
    temperature: float = 0.0
    tries: int = 0
    tokens_in: int | None = None
    tokens_out: int | None = None

    def add(self, usage: Any) -> int:
        """Add what the server says a try took; return its prompt tokens."""
        told = usage if isinstance(usage, dict) else {}
        used = [n if isinstance(n := told.get(f"{what}_tokens"), int) else None for what in ("prompt", "completion")]
        if used[0] is not None:
            self.tokens_in = (self.tokens_in or 0) + used[0]
        if used[1] is not None:
            self.tokens_out = (self.tokens_out or 0) + used[1]
        return used[0] or 0


class OpenAIFuser:
    """Fuses with a chat-completions server, at most `concurrency` requests at once, each held to its JSON schema.

    `guided` tells whether the server takes a `response_format`; one that refuses it is asked without. `remembered`
    counts the answers that the journal gave; their tokens are those of the run that paid for them. `unreached` says
    why a named model's server did not answer when it was first asked; None where it did, or has no list of models.
    """

    name = "openai"

    def __init__(self, config: BackendConfig) -> None:
        """Connect. ConfigError for an address or a key that cannot be; BackendError where nothing answers."""
        self._config = config
        url = _address(config.base_url)
        self._url = f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
        headers = _headers(config, url)
        self._journal = None if config.journal is None else Journal(config.journal)
        self._gate = Gate(Pace(config.concurrency))
        self.guided = True
        self.remembered = 0
        self.unreached: str | None = None
        _allow_files(config.concurrency + _SPARE_FILES)
        self._line = Line(lambda: _session(headers, config.timeout_s))
        self._finalizer = weakref.finalize(self, self._line.close)
        try:
            self._served, root, self._context = self._line.run(self._identify())
        except BaseException:
            self.close()
            raise
        self.model: ModelRef | None = ModelRef(root, "", "unknown")
        self.prompt_hash: str | None = prompt_hash()

    def ask(self, questions: Sequence[Question]) -> list[Answer | BackendError]:
        """Answer all questions, in their order; one that failed for good by its BackendError."""
        closed: list[Answer | BackendError] = [BackendError("the openai backend is closed") for _ in questions]
        if not self._finalizer.alive:
            return closed
        try:
            return self._line.run(self._ask(questions))
        except CancelledError:
            return closed

    def fuse(self, requests: Sequence[Request]) -> list[Reply | BackendError]:
        """Answer all requests, in their order."""
        return asking.fuse(requests, self.ask)

    def translate(self, texts: Sequence[tuple[str, str, str]]) -> list[Translation | BackendError]:
        """Translate each `(key, short, dense)` into Chinese, in their order."""
        return asking.translate(texts, self.ask)

    def close(self) -> None:
        """End all requests, connections and the thread that they live in."""
        self._finalizer()
        if self._journal is not None:
            self._journal.close()

    async def _ask(self, questions: Sequence[Question]) -> list[Answer | BackendError]:
        self._gate.try_again()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._answer(question)) for question in questions]
        return [task.result() for task in tasks]

    async def _answer(self, question: Question) -> Answer | BackendError:
        key, known = self._recall(question)
        if known is not None:
            return known
        course = _Course(self._config.max_tokens, self._config.seed)
        try:
            raw = await self._tried(lambda: self._exchange(question, course), jitter=question.key)
        except BackendError as error:
            return Unanswered(str(error), course.tokens_in, course.tokens_out, course.tries)
        answer = Answer(raw, course.tokens_in, course.tokens_out, course.tries)
        self._remember(key, answer)
        return answer

    def _recall(self, question: Question) -> tuple[str, Answer | None]:
        """Return the question's key in the journal, and its answer from there."""
        if self._journal is None or self.model is None:
            return "", None
        sampling = {"max_tokens": self._config.max_tokens, "seed": self._config.seed, "temperature": 0.0}
        key = journal_key(self.model.name, question, sampling)
        known = self._journal.get(key)
        if known is not None:
            try:
                question.check(known.raw)
            except BackendError:
                return key, None
            self.remembered += 1
        return key, known

    def _remember(self, key: str, answer: Answer) -> None:
        if self._journal is not None:
            try:
                self._journal.put(key, answer)
            except OSError as error:  # the answer in hand is worth more than its copy
                warnings.warn(f"journal: {error}; a run that is killed would pay again", RuntimeWarning, stacklevel=2)

    async def _exchange(self, question: Question, course: _Course) -> str:
        """Ask once, and return what was said if it passes the question's check."""
        course.tries += 1
        answer = await self._chat(question, course)
        prompt_tokens = course.add(answer.get("usage") if isinstance(answer, dict) else None)
        try:
            choice = answer["choices"][0]
            raw, reason = choice["message"]["content"] or "", choice.get("finish_reason")
            raw.encode()  # a lone surrogate is no text
        except (KeyError, IndexError, TypeError, AttributeError, UnicodeEncodeError) as error:
            raise _Passing(f"an answer without a message: {str(error)[:120]}") from error
        if reason == "content_filter":
            raise BackendError("the server refused by its content filter")
        try:
            question.check(raw)
        except BackendError as error:
            cut = f"cut short at {course.max_tokens} tokens" if reason == "length" else ""
            self._vary(course, bool(cut), prompt_tokens)
            raise _Passing(cut or str(error)) from error
        return str(raw)

    def _vary(self, course: _Course, was_cut: bool, prompt_tokens: int) -> None:
        """After an answer of no use: another seed, which needs some warmth to matter, and room for one cut short."""
        course.seed += 1
        course.temperature = _WARMER
        if was_cut:
            course.max_tokens = 2 * self._config.max_tokens
            if self._context is not None:
                course.max_tokens = max(1, min(course.max_tokens, self._context - prompt_tokens))

    async def _chat(self, question: Question, course: _Course) -> Any:
        """Do the exchange, guided where the server can; one that refuses to be is asked without, now and henceforth."""
        body: dict[str, Any] = {
            "model": self._served,
            "messages": question.chat,
            "max_tokens": course.max_tokens,
            "temperature": course.temperature,
            "seed": course.seed,
        }
        if not self.guided:
            return await self._call("POST", "/chat/completions", body)
        form = {"name": "caption", "schema": question.schema, "strict": True}
        guide = {"response_format": {"type": "json_schema", "json_schema": form}}
        try:
            return await self._call("POST", "/chat/completions", body | guide)
        except _Refused as refusal:
            if refusal.status != 400 or not any(word in refusal.said for word in ("response_format", "json_schema")):
                raise
        self.guided = False
        return await self._call("POST", "/chat/completions", body)

    async def _identify(self) -> tuple[str, str, int | None]:
        """Return the model's name on the server, its own name, and its context in tokens, as far as the server says."""
        named = self._config.model
        listed: Any = None
        try:
            if named is None:
                listed = await self._tried(lambda: self._call("GET", "/models", None), jitter="models")
            else:
                listed = await asyncio.wait_for(self._call("GET", "/models", None), _IDENTIFY_S)
        except (BackendError, _Passing, TimeoutError) as failure:
            if named is None:
                raise
            if not (isinstance(failure, _Refused) and failure.status in _NO_LIST):
                self.unreached = f"{self._url}: {failure or type(failure).__name__}"
        found = listed.get("data") if isinstance(listed, dict) else None
        models = [m for m in found if isinstance(m, dict) and m.get("id")] if isinstance(found, list) else []
        chosen = next((m for m in models if named in (None, m["id"])), {"id": named})
        if chosen["id"] is None:
            raise BackendError(f"{self._url}/models names no model; set `model`")
        root, context = chosen.get("root"), chosen.get("max_model_len")
        # A server's own folder is no name elsewhere; its last part is.
        own = PurePosixPath(root).name if isinstance(root, str) and root.startswith("/") else root
        return str(chosen["id"]), str(own or chosen["id"]), context if isinstance(context, int) else None

    async def _tried(self, call: Callable[[], Awaitable[T]], *, jitter: str) -> T:
        """Call with retries; the last failure is a BackendError that names the server and the number of tries."""
        dice = random.Random(jitter)
        for attempt in range(self._config.retries + 1):
            ticket = await self._gate.enter(again=attempt > 0)
            try:
                found = await call()
            except _Passing as failure:
                backoff_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**attempt * dice.uniform(0.5, 1.5))
                self._hand_back(ticket, failure, backoff_s)
                if attempt == self._config.retries:
                    tries = f"{attempt + 1} tries" if attempt else "one try"
                    if not failure.heard:
                        self._gate.gave_up(f"server died: {self._url}: {failure}")
                    raise BackendError(f"{self._url}: {failure} (after {tries})") from failure
                if not failure.wait_s:  # a server that says `at once`, or a moment that is past, names no wait
                    await self._gate.pause(backoff_s)
            except BaseException:
                self._gate.failed(ticket)
                raise
            else:
                self._gate.succeeded(ticket)
                return found
        raise AssertionError("unreachable")

    def _hand_back(self, ticket: int, failure: _Passing, backoff_s: float) -> None:
        wait_s = failure.wait_s or 0.0
        if wait_s > _LONGEST_ASKED_S:
            self._gate.die(f"{self._url}: {failure}: it wants to be left alone for {wait_s:.0f} s", wait_s)
            wait_s = 0.0
        strains = failure.strains or wait_s > 0
        self._gate.failed(ticket, strains=strains, heard=failure.heard, wait_s=wait_s, backoff_s=backoff_s)

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        """Do one HTTP exchange and return its JSON; _Passing for what may pass, BackendError for what will not."""
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        try:
            async with self._line.session.request(method, self._url + path, data=data, allow_redirects=False) as reply:
                text = await _read(reply)
        except TimeoutError as error:
            late = f"timed out after {self._config.timeout_s:g} s"
            raise _Passing(late, strains=True, heard=False) from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise BackendError(f"{self._url}: {error}") from error
        except (aiohttp.ClientError, OSError) as error:
            refused = isinstance(error, aiohttp.ClientConnectorError)
            raise _Passing(f"{type(error).__name__}: {error}", strains=refused, heard=False) from error
        status = reply.status
        if status in _PASSING or (status >= 500 and status not in _STAYING):
            heard = status not in _AWAY
            raise _Passing(f"HTTP {status}", strains=status in _STRAINED, heard=heard, wait_s=_retry_after(reply))
        if status != 200:
            said = text.decode(errors="replace")
            raise _Refused(f"{self._url}: HTTP {status}: {said[:200]}", status, said)
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise _Passing("the answer's body is no JSON") from error


def _address(base_url: str) -> SplitResult:
    try:
        url = urlsplit(base_url.rstrip("/"))
        good = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        good = False
    if not good:
        raise ConfigError(f"base_url: {base_url.rpartition('@')[2]!r} is no http(s) address")
    return url


def _headers(config: BackendConfig, url: SplitResult) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    if config.api_key_env:
        key = os.environ.get(config.api_key_env)
        if not key:
            raise ConfigError(f"api_key_env: the environment has no {config.api_key_env}")
        headers["Authorization"] = f"Bearer {key}"
    elif url.username is not None:
        name_and_password = f"{unquote(url.username)}:{unquote(url.password or '')}"
        headers["Authorization"] = f"Basic {b64encode(name_and_password.encode()).decode()}"
    return headers


def _session(headers: Mapping[str, str], timeout_s: float) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=timeout_s),
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEPT_ALIVE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def _allow_files(wanted: int) -> None:
    """Raise this process's limit of open files, as far as it may, so that each connection has one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


async def _read(reply: aiohttp.ClientResponse) -> bytes:
    blocks, size = [], 0
    async for block in reply.content.iter_any():
        blocks.append(block)
        size += len(block)
        if size > _LONGEST_ANSWER:
            raise _Passing(f"the answer is longer than {_LONGEST_ANSWER >> 20} MiB")
    return b"".join(blocks)


def _retry_after(reply: aiohttp.ClientResponse) -> float | None:
    """Return the seconds that `Retry-After` asks for, in either of its forms."""
    said = reply.headers.get("Retry-After", "")
    try:
        wait_s = float(said)
    except ValueError:
        try:
            wait_s = parsedate_to_datetime(said).timestamp() - time()
        except ValueError:
            return None
    return max(0.0, wait_s) if wait_s == wait_s else None
