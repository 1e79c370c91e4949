"""Questions to a language model, and its answers: what every backend that writes freely by the JSON schema shares.

A backend only carries questions to its model (`Ask`); what is asked, and what an answer must be, is said here once.
An answer is matched to its question by the id that the model repeats, never by its position.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from captioning.backends.base import Reply, Request
from captioning.prompts import CHINESE, SCHEMA_BY_KEY, in_chinese, messages
from captioning.reply import Texts, parse_object, parse_reply, text_of
from media.errors import BackendError

__all__ = ["Answer", "Ask", "Question", "Translation", "Unanswered", "fuse", "questions_of", "translate"]


@dataclass(frozen=True, slots=True)
class Question:
    """A chat, the schema of its answer, and the check that an answer passes or raises BackendError."""

    key: str
    chat: Sequence[Mapping[str, str]]
    schema: Mapping[str, Any]
    check: Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back and passed the check; the tokens are those of all tries."""

    raw: str
    tokens_in: int | None = None
    tokens_out: int | None = None
    tries: int = 1


class Unanswered(BackendError):
    """A question that failed for good, with the tokens that its tries took all the same."""

    def __init__(self, message: str, tokens_in: int | None, tokens_out: int | None, tries: int) -> None:
        super().__init__(message)
        self.tokens_in, self.tokens_out, self.tries = tokens_in, tokens_out, tries


Ask = Callable[[Sequence[Question]], Sequence[Answer | BackendError]]
"""Answer each question, in order; a question that failed for good is answered by its BackendError."""


@dataclass(frozen=True, slots=True)
class Translation:
    """Two texts in another language, and the tokens that they took."""

    short: str
    dense: str
    tokens_in: int | None = None
    tokens_out: int | None = None


def fuse(requests: Sequence[Request], ask: Ask) -> list[Reply | BackendError]:
    """Ask for the caption of each request."""
    return [
        answer if isinstance(answer, BackendError) else _reply(request, answer)
        for request, answer in zip(requests, ask(questions_of(requests)), strict=True)
    ]


def questions_of(requests: Sequence[Request]) -> list[Question]:
    """Return the question for each request."""
    return [_question(request) for request in requests]


def translate(texts: Sequence[tuple[str, str, str]], ask: Ask) -> list[Translation | BackendError]:
    """Ask for each `(key, short, dense)` in Chinese."""
    questions = [
        Question(key, in_chinese(short, dense, key), CHINESE, partial(_translated, key=key))
        for key, short, dense in texts
    ]
    found: list[Translation | BackendError] = []
    for question, answer in zip(questions, ask(questions), strict=True):
        if isinstance(answer, BackendError):
            found.append(answer)
        else:
            short, dense = _translated(answer.raw, question.key)
            found.append(Translation(short, dense, answer.tokens_in, answer.tokens_out))
    return found


def _question(request: Request) -> Question:
    key = request.key
    return Question(key, messages(request.statements, key), SCHEMA_BY_KEY, partial(_texts, key=key))


def _reply(request: Request, answer: Answer) -> Reply:
    texts = _texts(answer.raw, request.key)
    return Reply(
        request.clip_id, texts.short, texts.dense, answer.raw, answer.tokens_in, answer.tokens_out,
        medium=texts.medium, tries=answer.tries,
    )  # fmt: skip


def _texts(raw: str, key: str) -> Texts:
    texts = parse_reply(raw, key)
    _writable(*texts)
    return texts


def _translated(raw: str, key: str) -> tuple[str, str]:
    found = parse_object(raw)
    if found.get("id") != key:
        raise BackendError(f"the translation is of {found.get('id')!r}, asked was {key!r}")
    short, dense = text_of(found, "short", raw), text_of(found, "dense", raw)
    _writable(short, dense)
    return short, dense


def _writable(*texts: str) -> None:
    r"""Refuse a text with half a character (`"\ud83d"` alone, which JSON allows): no table can hold it."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise BackendError("the reply holds half a character") from None
