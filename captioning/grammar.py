"""A grammar of facts: GBNF that holds a language model to the statements' own phrases while it decodes.

The model chooses what leads, in which order the facts come, which stand in one sentence, and how they are joined;
it cannot invent a fact, nor say one twice, nor leave one out of the dense text. The state of the grammar is the set of
facts said so far, so it has about `5 * 2^n` rules; facts of a dimension are bundled to keep n at most eight.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Final

from captioning.english import be, joined
from captioning.phrases import Phrase
from captioning.template import SHORT_WORDS, capitalised, sayable
from captioning.words import word_count
from experts.base import Statement

__all__ = ["facts_grammar", "shorts"]

_MOST_FACTS: Final = 8
_SHORT_ADJUNCTS: Final = 3
_THINGS: Final = frozenset({"subject", "count", "setting"})


def facts_grammar(statements: Sequence[Statement]) -> str | None:
    """Return the GBNF of the JSON replies that `statements` allow; None if nothing short enough can be said."""
    facts = [_leading(p) for p in bundled(sayable(statements))[:_MOST_FACTS]]
    if not facts or not shorts(facts):
        return None
    rules = [
        'root ::= "{\\"short\\": " short ", \\"dense\\": \\"" start-0 "\\"}"',
        f"short ::= {' | '.join(_literal(json.dumps(s, ensure_ascii=False)) for s in shorts(facts))}",
        *_dense_rules(facts),
    ]
    return "\n".join(rules)


def bundled(told: Sequence[Phrase]) -> list[Phrase]:
    """Join the phrases that belong together, nouns into a noun, clauses into a clause.

    Phrases of one dimension and subject are joined; all of a dimension where that leaves more than the grammar takes.
    """
    fine = _grouped(told, lambda p: (p.dimension, "" if p.dimension != "appearance" else p.statements[0].subject))
    return fine if len(fine) <= _MOST_FACTS else _grouped(told, lambda p: (p.dimension, ""))


def _grouped(told: Sequence[Phrase], key: Callable[[Phrase], tuple[str, str]]) -> list[Phrase]:
    groups: dict[tuple[str, str], list[Phrase]] = {}
    for p in told:
        groups.setdefault(key(p), []).append(p)
    return [_bundle(group) for group in groups.values()]


def _leading(p: Phrase) -> Phrase:
    """People lead: `one person with a suit and tie`, never a suit and tie with one person."""
    return replace(p, adjunct=None) if p.dimension == "count" and p.noun is not None else p


def _bundle(group: Sequence[Phrase]) -> Phrase:
    first = group[0]
    if len(group) == 1:
        return first
    statements = tuple(s for p in group for s in p.statements)
    nouns = [p.noun for p in group if p.noun is not None]
    if first.dimension == "subject" and len(nouns) == len(group):
        noun = joined(nouns)
        return Phrase(statements, f"{noun} {be(noun)} visible", noun, f"with {noun}")
    adjunct = first.adjunct if nouns else None
    return Phrase(statements, joined([p.clause for p in group]), first.noun, adjunct)


def shorts(facts: Sequence[Phrase]) -> list[str]:
    """Return the short captions that the facts allow: a lead and up to three adjuncts, in at most 15 words.

    Whoever was counted leads, else a thing, else text, the look of the picture, or a clause by itself. Only those are
    taken that say as much as fits, or one fact less: greedy decoding would stop at the first full stop it may.
    """
    found: dict[str, int] = {}
    leads = [p for p in facts if p.noun is not None]
    things = [p for p in leads if p.dimension in _THINGS]
    for lead in [p for p in things if p.dimension == "count"] or things or leads:
        others = [p for p in facts if p is not lead and p.adjunct]
        for n in range(min(_SHORT_ADJUNCTS, len(others)), -1, -1):
            for chosen in permutations(others, n):
                if text := _short(lead, chosen):
                    weight = sum(2 if p in things else 1 for p in chosen)
                    found.setdefault(text, weight)
    if not found:
        found = {capitalised(p.clause): 0 for p in facts if word_count(p.clause) <= SHORT_WORDS}
    most = max(found.values(), default=0)
    return [text for text, weight in found.items() if weight >= most - 1]


def _short(lead: Phrase, chosen: Sequence[Phrase]) -> str | None:
    text = lead.noun or ""
    for i, p in enumerate(chosen):
        adjunct = p.adjunct or ""
        last = i == len(chosen) - 1
        if (adjunct.startswith("as ") and not last) or (adjunct.startswith("with ") and (i or " with " in text)):
            return None
        text += f"{', ' if adjunct.startswith('as ') else ' '}{adjunct}"
    return capitalised(text) if word_count(text) <= SHORT_WORDS else None


def _dense_rules(facts: Sequence[Phrase]) -> Iterator[str]:
    """One rule for each set of facts said and place in the sentence.

    start: a sentence begins. noun: it has its noun and no verb yet. tail: a noun and an adjunct. mid: one clause, a
    second may follow. full: the sentence must end.
    """
    everything = (1 << len(facts)) - 1
    for said in range(everything + 1):
        end = '"."' if said == everything else f'". " start-{said}'
        if said < everything:
            yield f"start-{said} ::= {' | '.join(_starts(facts, said))}"
        if said:
            for i in _nouns_among(facts, said):
                yield f"noun-{said}-{i} ::= {' | '.join(_after_noun(facts, said, i))}"
            yield f"tail-{said} ::= {' | '.join([end, *_adjuncts(facts, said)])}"
            yield f"mid-{said} ::= {' | '.join([end, *_after_clause(facts, said)])}"
            yield f"full-{said} ::= {end}"


def _nouns_among(facts: Sequence[Phrase], said: int) -> list[int]:
    return [i for i, p in enumerate(facts) if said >> i & 1 and p.noun is not None and p.dimension in _THINGS]


def _starts(facts: Sequence[Phrase], said: int) -> Iterator[str]:
    unsaid = list(_unsaid(facts, said))
    people_wait = any(p.dimension == "count" and p.noun is not None for _, p in unsaid)
    for then, p in unsaid:
        if people_wait and p.dimension == "subject":
            continue
        if p.noun is not None and p.dimension in _THINGS:
            yield f"{_escaped(_first_up(p.noun))} noun-{then}-{facts.index(p)}"
        else:
            yield f"{_escaped(_first_up(p.clause))} {'full' if _is_compound(p) else 'mid'}-{then}"


def _after_noun(facts: Sequence[Phrase], said: int, newest: int) -> Iterator[str]:
    yield f"{_escaped(f' {be(facts[newest].noun or str())} visible')} mid-{said}"
    yield from _adjuncts(facts, said)


def _adjuncts(facts: Sequence[Phrase], said: int) -> Iterator[str]:
    for then, p in _unsaid(facts, said):
        if p.adjunct is not None and p.adjunct.startswith("as "):
            yield f"{_escaped(', ' + p.adjunct)} full-{then}"
        elif p.adjunct is not None:
            yield f"{_escaped(' ' + p.adjunct)} tail-{then}"


def _after_clause(facts: Sequence[Phrase], said: int) -> Iterator[str]:
    for then, p in _unsaid(facts, said):
        if not _is_compound(p):
            yield f"{_escaped(', and ' + p.clause)} full-{then}"
        if p.dimension == "camera" and p.adjunct is not None:
            yield f"{_escaped(', ' + p.adjunct)} full-{then}"


def _is_compound(p: Phrase) -> bool:
    return "," in p.clause or " and " in p.clause


def _unsaid(facts: Sequence[Phrase], said: int) -> Iterator[tuple[int, Phrase]]:
    """Yield what is left to say, each with the set of facts said after it."""
    return ((said | 1 << i, p) for i, p in enumerate(facts) if not said >> i & 1)


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]


def _escaped(text: str) -> str:
    """Return `text` as a GBNF literal of the inside of a JSON string."""
    return _literal(json.dumps(text, ensure_ascii=False)[1:-1])


def _literal(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{quoted}"'
