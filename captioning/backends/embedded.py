"""SmolLM2 in process: a GGUF file run by xllamacpp (llama.cpp), with no server to start and nothing to download.

A model this small mixes facts up, so by default it decodes under a grammar of the statements' own phrases
(`captioning.grammar`); with `guided: schema` it writes freely in the JSON schema and the checker takes out what it made
up. Decoding is greedy. The prompt's fixed part is evaluated once and kept.
"""

from __future__ import annotations

import gc
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from captioning.backends.base import BackendConfig, Reply, Request
from captioning.grammar import facts_grammar
from captioning.prompts import SCHEMA, messages, prompt_hash
from captioning.reply import parse_reply
from experts import weights
from experts.base import ModelRef, Statement
from media.errors import BackendError, ConfigError

__all__ = ["EmbeddedFuser"]

_QUIET: Final = -1


class EmbeddedFuser:
    """Fuses with a GGUF model in this process, on `threads` threads; not to be shared between threads."""

    name = "embedded"

    def __init__(self, config: BackendConfig | None = None) -> None:
        """Load the model. MissingModelError where it is not on this machine; BackendError where it does not load."""
        self._config = config or BackendConfig()
        override = {"language": self._config.model} if self._config.model else None
        found = weights.resolve("language", self._config.profile, override)
        self.model: ModelRef | None = found.ref
        self.prompt_hash: str | None = prompt_hash()
        self._server: Any = _open(found.path, self._config)
        self._cut_back()

    def fuse(self, requests: Sequence[Request]) -> list[Reply | BackendError]:
        """Answer one request after the other."""
        answers: list[Reply | BackendError] = []
        for request in requests:
            try:
                answers.append(self._fuse_one(request))
            except BackendError as error:
                answers.append(error)
        return answers

    def close(self) -> None:
        """Stop the runtime and free the model's memory."""
        self._server = None
        gc.collect()

    def _fuse_one(self, request: Request) -> Reply:
        if self._server is None:
            raise BackendError("the embedded backend is closed")
        guide = self._guide(request)
        raw, usage = self._complete(request.statements, self._config.max_tokens, guide)
        self._cut_back()
        texts = parse_reply(raw)
        return Reply(request.clip_id, texts.short, texts.dense, raw, usage["prompt_tokens"], usage["completion_tokens"])

    def _cut_back(self) -> None:
        """Leave in the cache the prompt of an empty list of facts, which shares the fixed part with any other."""
        self._complete((), 1, {})

    def _complete(
        self, statements: Sequence[Statement], most: int, guide: dict[str, Any]
    ) -> tuple[str, dict[str, int]]:
        asked = {
            "messages": messages(statements),
            "max_tokens": most,
            "temperature": 0.0,
            "seed": self._config.seed,
            "cache_prompt": True,
            **guide,
        }
        try:
            answer = self._server.handle_chat_completions(asked)
            return answer["choices"][0]["message"]["content"] or "", answer["usage"]
        except (KeyError, IndexError, TypeError, RuntimeError, ValueError) as error:
            raise BackendError(f"llama.cpp gave no answer: {error}") from error

    def _guide(self, request: Request) -> dict[str, Any]:
        if self._config.guided == "schema":
            return {"response_format": {"type": "json_schema", "json_schema": {"name": "caption", "schema": SCHEMA}}}
        grammar = facts_grammar(request.statements)
        if grammar is None:
            raise BackendError("the statements allow no sentence of at most 15 words")
        return {"grammar": grammar}


def _open(path: Path, config: BackendConfig) -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        raise ConfigError("backend: embedded needs xllamacpp; pip install -e '.[embedded]'") from error
    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.n_ctx = config.context
    settings.n_parallel = 1
    settings.cpuparams.n_threads = config.threads
    settings.cpuparams_batch.n_threads = config.threads
    settings.n_threads_http = 1
    settings.warmup = False
    settings.ui = False
    settings.verbosity = _QUIET
    settings.cache_ram_mib = 0
    # The runtime listens on a port of the loopback, which we never use: nobody else shall.
    settings.api_keys = [secrets.token_hex(16)]
    try:
        return xllamacpp.Server(settings)
    except (RuntimeError, ValueError) as error:
        raise BackendError(f"llama.cpp cannot load {path.name}: {error}") from error
