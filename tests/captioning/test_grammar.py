"""The grammar of facts: whatever it can derive is valid JSON, supported, complete, and says nothing twice."""

from __future__ import annotations

import json
import random
import re

import pytest

from captioning.checker import Checker
from captioning.grammar import bundled, facts_grammar, shorts
from captioning.reply import parse_reply
from captioning.statements import settle
from captioning.template import SHORT_WORDS, sayable
from captioning.words import word_count
from tests.captioning.sets import SPAN, load, parse

SETS = load()
PART = re.compile(r'"((?:[^"\\]|\\.)*)"|([a-z][a-z0-9-]*)|(\|)')


def rules_of(grammar: str) -> dict[str, list[list[tuple[str, str]]]]:
    """Parse the subset of GBNF that we write: alternatives of sequences of literals and names."""
    rules = {}
    for line in grammar.splitlines():
        name, _, body = line.partition(" ::= ")
        alternatives: list[list[tuple[str, str]]] = [[]]
        for literal, reference, bar in PART.findall(body):
            if bar:
                alternatives.append([])
            elif reference:
                alternatives[-1].append(("name", reference))
            else:
                alternatives[-1].append(("text", re.sub(r"\\(.)", r"\1", literal)))
        rules[name] = alternatives
    return rules


def derive(rules, dice: random.Random) -> str:
    out, stack = [], [("name", "root")]
    while stack:
        kind, value = stack.pop()
        if kind == "text":
            out.append(value)
        else:
            stack += reversed(dice.choice(rules[value]))
    return "".join(out)


@pytest.mark.parametrize("labelled", SETS, ids=lambda s: s.name)
def test_whatever_is_derived_holds(labelled):
    statements = settle(labelled.statements, span=SPAN).statements
    grammar = facts_grammar(statements)
    assert grammar is not None
    rules, dice, checker = rules_of(grammar), random.Random(labelled.name), Checker()
    facts = len(bundled(sayable(statements)))
    for _ in range(12):
        short, _, dense = parse_reply(derive(rules, dice))
        assert word_count(short) <= SHORT_WORDS
        for text in (short, dense):
            checked = checker.check(text, statements)
            assert checked.ok, (text, [(c.kind, c.text) for c in checked.unsupported])
        assert dense.count(".") <= facts + text.count('"')
        assert dense.endswith(".")


@pytest.mark.parametrize("labelled", SETS, ids=lambda s: s.name)
def test_every_name_is_defined_and_every_rule_is_reached(labelled):
    grammar = facts_grammar(settle(labelled.statements, span=SPAN).statements)
    assert grammar is not None
    rules = rules_of(grammar)
    used = {v for alternatives in rules.values() for a in alternatives for kind, v in a if kind == "name"}
    assert used <= set(rules)
    assert all(a for alternatives in rules.values() for a in alternatives)


def test_the_order_is_free():
    statements = [
        parse("tags | subject | animal | looks like | cat | 0.8"),
        parse("light | light | light | is | warm | 0.9"),
        parse("motion | camera | camera | pans | left | 0.9"),
    ]
    grammar = facts_grammar(statements)
    assert grammar is not None
    dice = random.Random(1)
    found = {parse_reply(derive(rules_of(grammar), dice)).dense for _ in range(200)}
    assert len(found) >= 10
    assert "A cat in warm light, as the camera pans left." in found
    assert all("cat" in t and "warm" in t and "left" in t for t in found)


def test_quotations_survive_the_json():
    statements = [parse('text | text | sign | reads | A "B" \\ C | 0.9')]
    grammar = facts_grammar(statements)
    assert grammar is not None
    found = json.loads(derive(rules_of(grammar), random.Random(0)))
    assert "A 'B' \\ C" in found["dense"]


def test_things_lead_the_short_captions():
    statements = [
        parse("tags | subject | animal | looks like | cat | 0.8"),
        parse("colour | appearance | picture | is mostly | red | 0.9"),
    ]
    assert all(s.startswith("A cat") for s in shorts(bundled(sayable(statements))))


def test_nothing_to_say_is_no_grammar():
    assert facts_grammar([]) is None
    assert facts_grammar([parse(f"text | text | sign | reads | {'word ' * 30} | 0.9")]) is None


def test_it_stays_small():
    everything = settle([s for labelled in SETS for s in labelled.statements], span=SPAN).statements
    grammar = facts_grammar(everything)
    assert grammar is None or len(grammar.splitlines()) < 6 * 2**8
