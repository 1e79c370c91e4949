"""The scene graph: triples from the statements, which SQL can ask for `a red car that moves left`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from captioning.phrases import WHOLE
from captioning.words import number_value
from experts.base import Statement

__all__ = ["graph"]

_ATTRIBUTE: Final = frozenset({"appearance", "light", "style", "quality"})


def graph(statements: Sequence[Statement]) -> list[dict[str, Any]]:
    """Return triples `{subject, predicate, object, attributes}` in the order of the statements.

    Statements of appearance, light and quality that only qualify a subject (`car is red`) become attributes of that
    subject's triples, and of a triple `<subject> is <value>` where the subject has none. Counts become attributes
    too: `{subject: people, predicate: is visible, attributes: [3]}`.
    """
    attributes: dict[str, list[str]] = {}
    for s in statements:
        if s.dimension in _ATTRIBUTE:
            degree = s.predicate.removeprefix("is").removeprefix("has").strip()
            attributes.setdefault(_name(s.subject), []).append(f"{degree} {s.value}".strip())
    triples: list[dict[str, Any]] = []
    seen: set[str] = set()
    for s in statements:
        if s.dimension in _ATTRIBUTE:
            continue
        triples.append(_triple(s, attributes))
        seen.add(triples[-1]["subject"])
    for s in statements:
        subject = _name(s.subject)
        if s.dimension in _ATTRIBUTE and subject not in seen:
            seen.add(subject)
            triples.append({"subject": subject, "predicate": "is", "object": "", "attributes": attributes[subject]})
    return triples


def _triple(s: Statement, attributes: dict[str, list[str]]) -> dict[str, Any]:
    subject = _name(s.subject)
    if s.dimension == "count":
        number, _, rest = s.value.strip().partition(" ")
        if number_value(number) is not None:
            thing = _name(rest) if rest and subject in WHOLE else subject
            counted = [number, *attributes.get(thing, [])]
            return {"subject": thing, "predicate": "is visible", "object": "", "attributes": counted}
    value = s.value if s.dimension == "text" else _name(s.value)
    own = attributes.get(subject, [])
    return {"subject": subject, "predicate": s.predicate.strip(), "object": value, "attributes": list(own)}


def _name(text: str) -> str:
    words = text.strip().split()
    while len(words) > 1 and words[0].lower() in {"a", "an", "the"}:
        words = words[1:]
    return " ".join(words)
