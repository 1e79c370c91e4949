"""The protocol of caption backends, and the one place that makes them."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from captioning.statements import statement_text
from experts.base import ModelRef, Statement
from media.errors import BackendError, ConfigError

__all__ = ["BACKENDS", "BackendConfig", "Fuser", "Reply", "Request", "make_backend"]


@dataclass(frozen=True, slots=True)
class Request:
    """What a backend gets: the clip's id, which it must answer with, the settled statements, what they were seen in.

    `keyframes_hash` ties the request to the very pictures that the experts looked at.
    """

    clip_id: str
    statements: tuple[Statement, ...]
    keyframes_hash: str | None = None

    @property
    def key(self) -> str:
        """8 hex digits of the id, the keyframes and the statements: what a language model is to repeat."""
        said = "\n".join(statement_text(s) for s in self.statements)
        return hashlib.blake2b(f"{self.clip_id}\0{self.keyframes_hash}\0{said}".encode(), digest_size=4).hexdigest()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a backend gives: the texts as it wrote them, its raw output, and the tokens that all its tries took.

    `medium` is empty where the backend writes none.
    """

    clip_id: str
    short: str
    dense: str
    raw: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    medium: str = ""
    tries: int = 1


@runtime_checkable
class Fuser(Protocol):
    """A backend. `fuse` answers requests in their order, each with its own id.

    A request that failed is answered by the BackendError itself, so that one bad answer costs one caption. `close`
    frees what the backend holds and may be called twice. `model` and `prompt_hash` are None where there is none.
    """

    name: str
    model: ModelRef | None
    prompt_hash: str | None

    def fuse(self, requests: Sequence[Request]) -> list[Reply | BackendError]:
        """Return a reply, or the error, for each request."""
        ...

    def close(self) -> None:
        """Free models and connections."""
        ...


_TOKENS: Final = {"embedded": 160, "template": 160}
_TOKENS_FREE: Final = 768
"""Completion tokens where the config gives none: two texts within the embedded model's context, or three in full."""


class BackendConfig(BaseModel):
    """How captions are fused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backend: Literal["template", "embedded", "openai", "vllm", "transformers"] = Field(
        "embedded",
        description="who fuses the statements: template (no model), embedded (SmolLM2 in process), "
        "openai (any OpenAI-compatible server), vllm (inside Ray, no server), transformers (a folder, in process)",
    )
    model: str | None = Field(
        None,
        description="the model's name on the server, or its file or folder; null takes the profile's (embedded) "
        "or the server's first (openai)",
    )
    base_url: str = Field("http://127.0.0.1:8000/v1", description="openai: where the server answers")
    api_key_env: str | None = Field(None, description="openai: the environment variable that holds the key, if any")
    concurrency: int = Field(
        64,
        ge=1,
        le=4096,
        description="openai: requests in flight at most, of all workers together; how many are is as the server bears",
    )
    timeout_s: float = Field(60.0, gt=0, description="openai: seconds to wait for one answer")
    journal: str | None = Field(
        None,
        description="openai: a local folder where every paid answer is written down as it arrives, so that a run that "
        "was killed does not pay for it again",
    )
    retries: int = Field(3, ge=0, le=10, description="openai and vllm: further tries after a failure that may pass")
    max_tokens: int = Field(
        None,
        validate_default=True,
        ge=16,
        le=4096,
        description="completion tokens at most; null: 160 with embedded, 768 with those that write three texts freely",
    )
    threads: int = Field(1, ge=1, description="embedded and transformers: CPU threads")
    context: int = Field(1024, ge=256, description="embedded: context length in tokens")
    seed: int = Field(0, description="the seed; decoding is greedy, but for a second try after an answer of no use")
    guided: Literal["facts", "schema"] = Field(
        "facts",
        description="embedded: what decoding is held to. facts: a grammar of the statements' own phrases, so "
        "that the model orders, chooses and joins but cannot invent; schema: any text in the JSON schema",
    )
    profile: str = Field("embedded", description="embedded: the profile whose language model is taken")
    window_s: float = Field(
        12.0, ge=0, description="a clip of over one and a half times this is captioned in windows too; 0: never"
    )
    zh: bool = Field(False, description="openai and transformers: translate the finished captions into Chinese too")
    replicas: int = Field(1, ge=1, description="vllm: engines side by side, each with GPUs of its own")
    tensor_parallel: int = Field(1, ge=1, description="vllm: GPUs that share one engine")

    @field_validator("max_tokens", mode="before")
    @classmethod
    def _enough_tokens(cls, value: Any, info: ValidationInfo) -> Any:
        return _TOKENS.get(info.data.get("backend", ""), _TOKENS_FREE) if value is None else value


BACKENDS: Final[dict[str, str]] = {
    "template": "captioning.backends.template:TemplateFuser",
    "embedded": "captioning.backends.embedded:EmbeddedFuser",
    "openai": "captioning.backends.openai:OpenAIFuser",
    "vllm": "captioning.backends.given:GivenFuser",
    "transformers": "captioning.backends.transformers:TransformersFuser",
}
"""Every backend's name and where its class is."""


def make_backend(config: BackendConfig | str | None = None, **settings: Any) -> Fuser:
    """Return the backend that `config` names, its model loaded.

    `config` may be just a name; `settings` are then fields of `BackendConfig`. Raises ConfigError for an unknown
    name, MissingModelError where the model is not on this machine, BackendError where its runtime fails.
    """
    if isinstance(config, str):
        if config not in BACKENDS:
            raise ConfigError(f"backend: {config!r} is unknown; take one of {', '.join(BACKENDS)}")
        config = BackendConfig.model_validate({"backend": config, **settings})
    elif config is None or settings:
        given = config.model_dump(exclude_unset=True) if config else {}
        config = BackendConfig.model_validate({**given, **settings})
    module, _, name = BACKENDS[config.backend].partition(":")
    fuser: Fuser = getattr(importlib.import_module(module), name)(config)
    return fuser


def local_model(config: BackendConfig, what: str) -> Path:
    """Return `config.model` as a path that exists; ConfigError otherwise."""
    if config.model is None:
        raise ConfigError(f"model: the {config.backend} backend needs {what}")
    path = Path(config.model).expanduser()
    if not path.exists():
        raise ConfigError(f"model: {path} is not there; give {what}")
    return path
