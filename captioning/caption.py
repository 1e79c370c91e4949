"""A caption: statements fused by a backend, held against the statements, and written as one row with its evidence."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from captioning.asking import Unanswered
from captioning.backends.base import Fuser, Reply, Request
from captioning.checker import Checker
from captioning.chinese import add_chinese
from captioning.graph import graph
from captioning.statements import Settled, settle, statement_text
from captioning.template import structured
from captioning.verified import templated, verified
from captioning.windows import Window, windows
from experts.base import Statement
from media.errors import BackendError

__all__ = ["OUTCOMES", "Outcome", "caption", "caption_many", "keyframes_hash", "requests_of"]

Outcome = Literal["ok", "repaired", "template", "blocked", "error"]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)
"""ok: as the model wrote it. repaired: unsupported words were taken out. template: the template wrote it, because it
was asked to or because nothing of the model's text held. blocked: unsafe to caption. error: nothing could be said."""

_Answers = Mapping[str, Reply | BackendError]


@dataclass(frozen=True, slots=True)
class _Job:
    """A clip to be captioned: its row, what holds of it, its windows where it is long, its keyframes' hash."""

    row: Mapping[str, Any]
    settled: Settled
    windows: tuple[Window, ...]
    seen: str | None

    @property
    def clip_id(self) -> str:
        return str(self.row["clip_id"])

    def requests(self) -> list[Request]:
        """Return what the backend is asked: the whole clip, and of each window what is new in it."""
        if not self.settled.statements or _is_unsafe(self.settled.statements):
            return []
        parts = [Request(self.part_id(w), w.begins, self.seen) for w in self.windows if w.begins]
        return [Request(self.clip_id, self.settled.statements, self.seen), *parts]

    def part_id(self, window: Window) -> str:
        """Return the id under which a window is asked for."""
        return f"{self.clip_id}#{window.first_frame}-{window.end_frame}"


def caption(
    clip_row: Mapping[str, Any], statements: Sequence[Statement], backend: Fuser, checker: Checker, *, run_id: str
) -> dict[str, Any]:
    """Return one row of the captions table for the clip of `clip_row`."""
    return caption_many([(clip_row, statements)], backend, checker, run_id=run_id)[0]


def requests_of(
    jobs: Sequence[tuple[Mapping[str, Any], Sequence[Statement]]], *, window_s: float = 0.0
) -> list[Request]:
    """Return what `caption_many` asks its backend for these jobs, in its order."""
    return [request for row, statements in jobs for request in _job(row, statements, window_s).requests()]


def caption_many(
    jobs: Sequence[tuple[Mapping[str, Any], Sequence[Statement]]],
    backend: Fuser,
    checker: Checker,
    *,
    run_id: str,
    window_s: float = 0.0,
    zh: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Return a row of the captions table for each job `(clip row, statements)`, in order.

    A clip row's `keyframes`, where it has them, tie the caption to the pictures it was made of. Clips of more than one
    and a half times `window_s` seconds are captioned in windows too (0: never). With `zh`, a backend that can
    translates the finished texts. Backends that can (a server) answer all at once. A backend's failure is that row's
    `error` and the template's caption, never an exception. Replies are matched by clip id, never by position.
    """
    todo = [_job(row, statements, window_s) for row, statements in jobs]
    asked = [request for job in todo for request in job.requests()]
    began = time.perf_counter()
    answers = _by_id(asked, backend.fuse(asked) if asked else [])
    each_s = (time.perf_counter() - began) / max(1, len(asked))
    rows = []
    for n, job in enumerate(todo):
        started = time.perf_counter()
        made = _row(job, answers, backend, checker)
        wall_s = time.perf_counter() - started + each_s * len(job.requests())
        rows.append({**made, "wall_s": wall_s, "run_id": run_id})
        if progress is not None:
            progress(n + 1, len(jobs))
    if zh:
        add_chinese(rows, backend)
    return rows


def keyframes_hash(keyframes: Sequence[Mapping[str, Any]] | None) -> str | None:
    """Return the 128-bit BLAKE2b, hex, of a clip's keyframes with their frame numbers; None without any."""
    if not keyframes:
        return None
    digest = hashlib.blake2b(digest_size=16)
    for keyframe in keyframes:
        digest.update(f"{keyframe['frame']} {len(keyframe['jpeg'])} ".encode() + keyframe["jpeg"])
    return digest.hexdigest()


def _job(row: Mapping[str, Any], statements: Sequence[Statement], window_s: float) -> _Job:
    span = int(row["first_frame"]), int(row["end_frame"])
    settled = settle(statements, span=span)
    long_s = row.get("duration_s") or 0.0
    length = round(window_s * (span[1] - span[0]) / long_s) if window_s and long_s else 0
    return _Job(row, settled, tuple(windows(statements, span, length)), keyframes_hash(row.get("keyframes")))


def _by_id(asked: Sequence[Request], given: Sequence[Reply | BackendError]) -> dict[str, Reply | BackendError]:
    """Match replies to requests by id, whatever their order; what has no reply of its own is an error of its clip."""
    replies = {answer.clip_id: answer for answer in given if isinstance(answer, Reply)}
    found: dict[str, Reply | BackendError] = {}
    for i, request in enumerate(asked):
        answer = replies.get(request.clip_id) or (given[i] if i < len(given) else None)
        if answer is None:
            answer = BackendError("the backend gave no answer")
        elif isinstance(answer, Reply) and answer.clip_id != request.clip_id:
            answer = BackendError(f"the backend answered for clip {answer.clip_id} instead")
        found[request.clip_id] = answer
    return found


def _row(job: _Job, answers: _Answers, backend: Fuser, checker: Checker) -> dict[str, Any]:
    statements, answer = job.settled.statements, answers.get(job.clip_id)
    given = [a for r in job.requests() if isinstance(a := answers[r.clip_id], Reply | Unanswered)]
    flags = sorted({f"conflict:{c.lost.dimension}" for c in job.settled.conflicts})
    base: dict[str, Any] = {
        "clip_id": job.clip_id,
        "keyframes_hash": job.seen,
        **dict.fromkeys(("short", "medium", "dense", "short_zh", "dense_zh", "raw", "error")),
        "structured": structured(statements),
        "graph": graph(statements),
        "evidence": [],
        "dropped": [],
        "flags": flags,
        "conflicts": [str(c) for c in job.settled.conflicts],
        "experts": sorted({s.expert for s in statements}),
        "windows": [],
        "backend": backend.name,
        "model": backend.model.name if backend.model else None,
        "model_hash": (backend.model.hash or None) if backend.model else None,
        "prompt_hash": backend.prompt_hash,
        "tokens_in": _total(answer.tokens_in for answer in given),
        "tokens_out": _total(answer.tokens_out for answer in given),
        "tries": max((answer.tries for answer in given), default=None),
    }
    if _is_unsafe(statements):
        return {**base, "outcome": "blocked", "error": "unsafe content"}
    if answer is None:
        return {**base, "outcome": "error", "error": "no expert said anything of this clip"}
    parts: dict[str, Any] = {"windows": [_window(job, window, answers, backend, checker) for window in job.windows]}
    if isinstance(answer, BackendError):
        return {**base, **parts, **templated(statements, checker, job.row, flags), "error": str(answer)}
    failed = ((w, answers.get(job.part_id(w))) for w in job.windows)
    lost = [f"window {w.first_frame}-{w.end_frame}: {a}" for w, a in failed if isinstance(a, BackendError)]
    parts["error"] = "; ".join(lost) or None
    if backend.name == "template":
        return {**base, **parts, **templated(statements, checker, job.row, flags)}
    return {**base, **parts, "raw": answer.raw, **verified(answer, statements, checker, job.row, flags)}


def _window(job: _Job, window: Window, answers: _Answers, backend: Fuser, checker: Checker) -> dict[str, Any]:
    """Return a window's struct: its frames, what is said of what is new in it, and what began and ended."""
    answer = answers.get(job.part_id(window))
    made: Mapping[str, Any] = {"outcome": None, "dense": None}
    if isinstance(answer, Reply) and backend.name != "template":
        made = verified(answer, window.begins, checker, job.row, ())
    elif answer is not None:
        made = templated(window.begins, checker, job.row, ())
    return {
        "first_frame": window.first_frame,
        "end_frame": window.end_frame,
        "outcome": made["outcome"],
        "text": made["dense"],
        "begins": [statement_text(s) for s in window.begins],
        "ends": [statement_text(s) for s in window.ends],
    }


def _total(numbers: Any) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def _is_unsafe(statements: Sequence[Statement]) -> bool:
    return any(s.expert == "nsfw" and s.value.lower() in {"unsafe", "explicit", "nsfw"} for s in statements)
