"""A caption: statements fused by a backend, held against the statements, and written as one row with its evidence."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, get_args

from captioning.backends.base import Fuser, Reply, Request
from captioning.checker import Checked, Checker
from captioning.claims import find_claims
from captioning.graph import graph
from captioning.lint import clean, flags_of
from captioning.repair import Repaired, repair, shorten
from captioning.statements import Settled, settle, statement_text
from captioning.template import SHORT_WORDS, capitalised, sayable, structured, write
from experts.base import Statement
from media.errors import BackendError

__all__ = ["OUTCOMES", "Outcome", "caption", "caption_many"]

Outcome = Literal["ok", "repaired", "template", "blocked", "error"]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)
"""ok: as the model wrote it. repaired: unsupported words were taken out. template: the template wrote it, because it
was asked to or because nothing of the model's text held. blocked: unsafe to caption. error: nothing could be said."""


def caption(
    clip_row: Mapping[str, Any], statements: Sequence[Statement], backend: Fuser, checker: Checker, *, run_id: str
) -> dict[str, Any]:
    """Return one row of the captions table for the clip of `clip_row`."""
    return caption_many([(clip_row, statements)], backend, checker, run_id=run_id)[0]


def caption_many(
    jobs: Sequence[tuple[Mapping[str, Any], Sequence[Statement]]],
    backend: Fuser,
    checker: Checker,
    *,
    run_id: str,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Return a row of the captions table for each job `(clip row, statements)`, in order.

    Backends that can (a server) answer all at once. A backend's failure is that row's `error` and the template's
    caption, never an exception. Replies are matched by clip id, never by position.
    """
    settled = [settle(s, span=(row["first_frame"], row["end_frame"])) for row, s in jobs]
    asked = [
        Request(row["clip_id"], s.statements)
        for (row, _), s in zip(jobs, settled, strict=True)
        if s.statements and not _is_unsafe(s.statements)
    ]
    began = time.perf_counter()
    answers = _by_id(asked, backend.fuse(asked) if asked else [])
    each_s = (time.perf_counter() - began) / max(1, len(asked))
    rows = []
    for n, ((row, _), s) in enumerate(zip(jobs, settled, strict=True)):
        started = time.perf_counter()
        made = _row(row, s, answers.get(row["clip_id"]), backend, checker)
        wall_s = time.perf_counter() - started + (each_s if row["clip_id"] in answers else 0.0)
        rows.append({**made, "wall_s": wall_s, "run_id": run_id})
        if progress is not None:
            progress(n + 1, len(jobs))
    return rows


def _by_id(asked: Sequence[Request], given: Sequence[Reply | BackendError]) -> dict[str, Reply | BackendError]:
    """Match replies to requests by id; an answer for another clip is an error of the clip it was given for."""
    found: dict[str, Reply | BackendError] = {}
    for i, request in enumerate(asked):
        answer: Reply | BackendError = given[i] if i < len(given) else BackendError("the backend gave no answer")
        if isinstance(answer, Reply) and answer.clip_id != request.clip_id:
            answer = BackendError(f"the backend answered for clip {answer.clip_id} instead")
        found[request.clip_id] = answer
    return found


def _row(
    clip_row: Mapping[str, Any], settled: Settled, answer: Reply | BackendError | None, backend: Fuser, checker: Checker
) -> dict[str, Any]:
    statements = settled.statements
    base: dict[str, Any] = {
        "clip_id": clip_row["clip_id"],
        "structured": structured(statements),
        "graph": graph(statements),
        "dropped": [],
        "flags": sorted({f"conflict:{c.lost.dimension}" for c in settled.conflicts}),
        "conflicts": [str(c) for c in settled.conflicts],
        "experts": sorted({s.expert for s in statements}),
        "backend": backend.name,
        "model": backend.model.name if backend.model else None,
        "model_hash": (backend.model.hash or None) if backend.model else None,
        "prompt_hash": backend.prompt_hash,
        "raw": None,
        "tokens_in": None,
        "tokens_out": None,
        "error": None,
    }
    if _is_unsafe(statements):
        return {**base, "outcome": "blocked", "short": None, "dense": None, "evidence": [], "error": "unsafe content"}
    if answer is None:
        return {
            **base,
            "outcome": "error",
            "short": None,
            "dense": None,
            "evidence": [],
            "error": "no expert said anything of this clip",
        }
    if isinstance(answer, BackendError):
        return {**base, **_templated(statements, checker, clip_row, base["flags"]), "error": str(answer)}
    told = {"raw": answer.raw, "tokens_in": answer.tokens_in, "tokens_out": answer.tokens_out}
    if backend.name == "template":
        return {**base, **told, **_templated(statements, checker, clip_row, base["flags"])}
    return {**base, **told, **_verified(answer, statements, checker, clip_row, base["flags"])}


def _verified(
    reply: Reply, statements: Sequence[Statement], checker: Checker, clip_row: Mapping[str, Any], flags: list[str]
) -> dict[str, Any]:
    """Clean, check and repair the model's two texts; complete the dense one; fall to the template if it is empty."""
    dense_text, dense_flags = clean(reply.dense)
    short_text, short_flags = clean(reply.short)
    dense = repair(dense_text, statements, checker)
    short = repair(short_text, statements, checker)
    dropped = [*dense.dropped, *(d for d in short.dropped if d not in dense.dropped)]
    if not dense.text:
        made = _templated(statements, checker, clip_row, flags)
        return {**made, "dropped": dropped}
    found = {*flags, *dense_flags, *short_flags}
    fitting = shorten(short.text, SHORT_WORDS) or shorten(dense.text, SHORT_WORDS)
    if fitting and checker.check(fitting, statements).ok:
        if fitting != short.text and short.text:
            found.add("length")
    else:
        fitting = write(statements).short
        found.add("short_from_template")
    dense, added = _completed(dense, statements, checker)
    if added:
        found.add(f"completed:{added}")
    outcome = "repaired" if dropped or "short_from_template" in found else "ok"
    return {
        "outcome": outcome,
        "short": fitting,
        "dense": dense.text,
        "evidence": _evidence(dense.checked, checker.check(fitting, statements)),
        "dropped": dropped,
        "flags": sorted(found | flags_of(fitting, dense.text, clip_row)),
    }


def _completed(dense: Repaired, statements: Sequence[Statement], checker: Checker) -> tuple[Repaired, int]:
    """Add the template's sentences for what the model left out; return how many phrases were added."""
    evident = {e.statement for e in dense.checked.evidence}
    said = {(c.kind, c.value) for c in dense.checked.claims}
    missing: list[Statement] = []
    for p in sayable(statements):
        unsaid = [s for s in p.statements if statement_text(s) not in evident]
        if p.dimension in {"subject", "setting"} and len(unsaid) < len(p.statements):
            continue  # kind, group and class of one thing: the finest was said
        if not {(c.kind, c.value) for c in find_claims(p.clause)} <= said:
            missing += unsaid
    left_out = [capitalised(p.clause) for p in sayable(missing)]
    if not left_out:
        return dense, 0
    checked = checker.check(" ".join([dense.text, *left_out]), statements)
    return (Repaired(checked.text, checked, dense.dropped), len(left_out)) if checked.ok else (dense, 0)


def _templated(
    statements: Sequence[Statement], checker: Checker, clip_row: Mapping[str, Any], flags: list[str]
) -> dict[str, Any]:
    written = write(statements)
    return {
        "outcome": "template" if written.dense else "error",
        "short": written.short or None,
        "dense": written.dense or None,
        "evidence": _evidence(checker.check(written.dense, statements), checker.check(written.short, statements)),
        "flags": sorted({*flags, *flags_of(written.short, written.dense, clip_row)}),
    }


def _evidence(*checked: Checked) -> list[dict[str, Any]]:
    seen: dict[tuple[str, str], dict[str, Any]] = {}
    for c in checked:
        for e in c.evidence:
            seen.setdefault(
                (e.span.lower(), e.statement),
                {
                    "span": e.span,
                    "dimension": e.dimension,
                    "expert": e.expert,
                    "statement": e.statement,
                    "score": e.score,
                },
            )
    return list(seen.values())


def _is_unsafe(statements: Sequence[Statement]) -> bool:
    return any(s.expert == "nsfw" and s.value.lower() in {"unsafe", "explicit", "nsfw"} for s in statements)
