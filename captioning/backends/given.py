"""Answers that were made elsewhere: a language model that ran over all questions at once, as vLLM does inside Ray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from captioning import asking
from captioning.asking import Answer, Question
from captioning.backends.base import BackendConfig, Reply, Request
from captioning.prompts import prompt_hash
from experts.base import ModelRef
from media.errors import BackendError, ConfigError

__all__ = ["GivenFuser"]


class GivenFuser:
    """Fuses with the answers in `answers`, by the key of their question; what is not there is an error of its clip."""

    name = "vllm"

    def __init__(self, config: BackendConfig) -> None:
        """ConfigError without a model's name."""
        if config.model is None:
            raise ConfigError("model: the vllm backend needs a model's name on the hub, or its folder")
        self.model: ModelRef | None = ModelRef(Path(config.model).name, "", "unknown")
        self.prompt_hash: str | None = prompt_hash()
        self.answers: Mapping[str, Answer | BackendError] = {}

    def ask(self, questions: Sequence[Question]) -> list[Answer | BackendError]:
        """Return the answers; one that does not pass its question's check is an error."""
        return [self._answer(question) for question in questions]

    def fuse(self, requests: Sequence[Request]) -> list[Reply | BackendError]:
        """Return the reply of each request, in order."""
        return asking.fuse(requests, self.ask)

    def close(self) -> None:
        """Let the answers go."""
        self.answers = {}

    def _answer(self, question: Question) -> Answer | BackendError:
        answer = self.answers.get(question.key)
        if answer is None:
            return BackendError("the language model gave no answer for this clip")
        if isinstance(answer, Answer):
            try:
                question.check(answer.raw)
            except BackendError as error:
                return error
        return answer
