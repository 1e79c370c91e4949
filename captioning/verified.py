"""What becomes of a model's words: cleaned, checked, repaired and completed, or the template's in their place."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from captioning.backends.base import Reply
from captioning.checker import Checked, Checker
from captioning.claims import find_claims
from captioning.lint import clean, flags_of
from captioning.repair import Repaired, repair, shorten
from captioning.statements import statement_text
from captioning.template import DENSE_WORDS, MEDIUM_WORDS, SHORT_WORDS, beginning, capitalised, sayable, write
from captioning.words import word_count
from experts.base import Statement

__all__ = ["templated", "verified"]

_OF_A_THING: Final = frozenset({"appearance", "action"})
"""Dimensions of which a part may stand and the rest be lost: `a jacket` of `an orange jacket`."""


def verified(
    reply: Reply, statements: Sequence[Statement], checker: Checker, clip_row: Mapping[str, Any], flags: Sequence[str]
) -> dict[str, Any]:
    """Return the columns of a caption made of a model's reply: outcome, texts, evidence, what was dropped, flags.

    Each text has one round of repair. The dense one is completed by the template with what it left out; where nothing
    of it holds, the template writes all three.
    """
    texts = {name: clean(getattr(reply, name)) for name in ("dense", "medium", "short")}
    repaired = {name: repair(text, statements, checker) for name, (text, _) in texts.items()}
    dropped = list(dict.fromkeys(words for name in texts for words in repaired[name].dropped))
    if not repaired["dense"].text:
        return {**templated(statements, checker, clip_row, flags), "dropped": dropped}
    found = {*flags, *(flag for _, own in texts.values() for flag in own)}
    whole = repaired["dense"]
    if word_count(whole.text) > DENSE_WORDS:  # never more, however much the model writes
        cut = checker.check(beginning(whole.text, DENSE_WORDS), statements)
        whole = Repaired(cut.text, cut, whole.dropped)
        found.add("length")
    dense, added = _completed(whole, statements, checker)
    if added:
        found.add(f"completed:{added}")
    short = _short(repaired, statements, checker, found)
    medium = _medium(repaired["medium"].text, dense.text, statements, checker)
    outcome = "repaired" if dropped or "short_from_template" in found else "ok"
    return {
        "outcome": outcome,
        "short": short,
        "medium": medium,
        "dense": dense.text,
        "evidence": _evidence(dense.checked, *(checker.check(text, statements) for text in (medium, short))),
        "dropped": dropped,
        "flags": sorted(found | flags_of(short, dense.text, clip_row)),
    }


def templated(
    statements: Sequence[Statement], checker: Checker, clip_row: Mapping[str, Any], flags: Sequence[str]
) -> dict[str, Any]:
    """Return the same columns, written by the template; outcome `error` where it can say nothing."""
    written = write(statements)
    texts = (written.dense, written.medium, written.short)
    return {
        "outcome": "template" if written.dense else "error",
        "short": written.short or None,
        "medium": written.medium or None,
        "dense": written.dense or None,
        "evidence": _evidence(*(checker.check(text, statements) for text in texts)),
        "flags": sorted({*flags, *flags_of(written.short, written.dense, clip_row)}),
    }


def _short(repaired: Mapping[str, Repaired], statements: Sequence[Statement], checker: Checker, found: set[str]) -> str:
    """Return the short text, cut to its length; else the beginning of another; else the template's."""
    own = repaired["short"].text
    fitting = shorten(own, SHORT_WORDS) or shorten(repaired["dense"].text, SHORT_WORDS)
    if not fitting or not checker.check(fitting, statements).ok:
        found.add("short_from_template")
        return write(statements).short
    if own and fitting != own:
        found.add("length")
    return fitting


def _medium(own: str, dense: str, statements: Sequence[Statement], checker: Checker) -> str:
    """Return the model's medium text where it holds and is no longer than it may be; else how the dense one begins."""
    if own and word_count(own) <= MEDIUM_WORDS:
        return own
    begun = beginning(own or dense, MEDIUM_WORDS)
    return begun if checker.check(begun, statements).ok else beginning(write(statements).dense, MEDIUM_WORDS)


def _completed(dense: Repaired, statements: Sequence[Statement], checker: Checker) -> tuple[Repaired, int]:
    """Add the template's sentences for what the model left out; return how many phrases were added."""
    evident = {e.statement for e in dense.checked.evidence}
    said = {(c.kind, c.value) for c in dense.checked.claims}
    missing: list[Statement] = []
    for p in sayable(statements):
        one_thing = p.dimension in {"subject", "setting"} and len(p.statements) > 1
        if one_thing and any(statement_text(s) in evident for s in p.statements):
            continue  # its kind, its group and its class: the finest was said
        if _told(p.clause, said):
            continue
        for s in p.statements:
            lost = s.dimension in _OF_A_THING and not all(_told(own.clause, said) for own in sayable([s]))
            if lost or statement_text(s) not in evident:
                missing.append(s)
    left_out = [capitalised(p.clause) for p in sayable(missing)]
    while left_out and word_count(" ".join([dense.text, *left_out])) > DENSE_WORDS:
        left_out.pop()
    if not left_out:
        return dense, 0
    checked = checker.check(" ".join([dense.text, *left_out]), statements)
    return (Repaired(checked.text, checked, dense.dropped), len(left_out)) if checked.ok else (dense, 0)


def _told(clause: str, said: Collection[tuple[str, str]]) -> bool:
    """Whether everything that `clause` claims is among what was said."""
    return all((c.kind, c.value) in said for c in find_claims(clause))


def _evidence(*checked: Checked) -> list[dict[str, Any]]:
    seen: dict[tuple[str, str], dict[str, Any]] = {}
    for c in checked:
        for e in c.evidence:
            columns = ("span", "dimension", "expert", "statement", "score")
            seen.setdefault((e.span.lower(), e.statement), {name: getattr(e, name) for name in columns})
    return list(seen.values())
