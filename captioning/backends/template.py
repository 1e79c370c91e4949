"""The backend without a model: the template's own text."""

from __future__ import annotations

from collections.abc import Sequence

from captioning import template
from captioning.backends.base import BackendConfig, Reply, Request
from experts.base import ModelRef
from media.errors import BackendError

__all__ = ["TemplateFuser"]


class TemplateFuser:
    """Writes every caption by `captioning.template`: deterministic, and in no time."""

    name = "template"

    def __init__(self, config: BackendConfig | None = None) -> None:
        self.model: ModelRef | None = None
        self.prompt_hash: str | None = None

    def fuse(self, requests: Sequence[Request]) -> list[Reply | BackendError]:
        """Return the template's text for each request."""
        written = [(r.clip_id, template.write(r.statements)) for r in requests]
        return [Reply(clip_id, w.short, w.dense) for clip_id, w in written]

    def close(self) -> None:
        """Nothing to free."""
