"""The protocol of caption backends, and the one place that makes them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from experts.base import ModelRef, Statement
from media.errors import BackendError, ConfigError

__all__ = ["BACKENDS", "BackendConfig", "Fuser", "Reply", "Request", "make_backend"]


@dataclass(frozen=True, slots=True)
class Request:
    """What a backend gets: the clip's id, which it must answer with, and the settled statements."""

    clip_id: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a backend gives: the two texts as it wrote them, its raw output, and the tokens it took."""

    clip_id: str
    short: str
    dense: str
    raw: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None


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


class BackendConfig(BaseModel):
    """How captions are fused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backend: Literal["template", "embedded", "openai", "transformers"] = Field(
        "embedded",
        description="who fuses the statements: template (no model), embedded (SmolLM2 in process), "
        "openai (any OpenAI-compatible server), transformers (a local folder, in process)",
    )
    model: str | None = Field(
        None,
        description="the model's name on the server, or its file or folder; null takes the profile's (embedded) "
        "or the server's first (openai)",
    )
    base_url: str = Field("http://127.0.0.1:8000/v1", description="openai: where the server answers")
    api_key_env: str | None = Field(None, description="openai: the environment variable that holds the key, if any")
    concurrency: int = Field(8, ge=1, le=1024, description="openai: requests in flight at once")
    timeout_s: float = Field(60.0, gt=0, description="openai: seconds to wait for one answer")
    retries: int = Field(3, ge=0, le=10, description="openai: further tries after a failure that may pass")
    max_tokens: int = Field(160, ge=16, le=4096, description="completion tokens at most")
    threads: int = Field(1, ge=1, description="embedded and transformers: CPU threads")
    context: int = Field(1024, ge=256, description="embedded: context length in tokens")
    seed: int = Field(0, description="the seed; decoding is greedy")
    guided: Literal["facts", "schema"] = Field(
        "facts",
        description="embedded: what decoding is held to. facts: a grammar of the statements' own phrases, so "
        "that the model orders, chooses and joins but cannot invent; schema: any text in the JSON schema",
    )
    profile: str = Field("embedded", description="embedded: the profile whose language model is taken")


BACKENDS: Final[dict[str, str]] = {
    "template": "captioning.backends.template:TemplateFuser",
    "embedded": "captioning.backends.embedded:EmbeddedFuser",
    "openai": "captioning.backends.openai:OpenAIFuser",
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
        given = config.model_dump() if config else {}
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
