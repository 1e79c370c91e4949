"""The checker: supported claims pass, planted ones are found, on labelled sets and by property."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from captioning.checker import Checker, make_checker
from captioning.claims import find_claims
from captioning.statements import settle
from captioning.words import COLOURS, NUMBERS, number_value
from experts.base import Statement
from tests.captioning.sets import DATA, SPAN, LabelledSet, load, parse

SETS = load()
KNOWN = load("first", "tune")
HELD = load("held")
SUPPORTED = [
    pytest.param(s, text, id=f"{s.name}-{i}") for s in load("first") for i, text in enumerate(s.supported)
]  # fmt: skip
PLANTED = [pytest.param(s, text, id=f"{s.name}-{i}") for s in KNOWN for i, (text, _) in enumerate(s.planted)]


def told(*lines: str) -> list[Statement]:
    return [parse(line) for line in lines]


@pytest.mark.parametrize(("labelled", "text"), SUPPORTED)
def test_supported_sentences_pass(labelled, text):
    checked = Checker().check(text, settle(labelled.statements, span=SPAN).statements)
    assert checked.ok, [(c.kind, c.text) for c in checked.unsupported]
    assert checked.evidence


@pytest.mark.parametrize(("labelled", "text"), PLANTED)
def test_planted_words_are_found(labelled, text):
    found = unsupported(labelled, text)
    assert any(set(wrong) <= found for wrong in labelled.readings[text]), found


def unsupported(labelled: LabelledSet, text: str) -> set[str]:
    checked = Checker().check(text, settle(labelled.statements, span=SPAN).statements)
    return {c.text for c in checked.unsupported}


def test_in_richer_wording_most_truths_pass():
    """What is lost says more than the statements: `topped with`, `the rider`, `go through a bend`."""
    sentences = [(s, text) for s in load("tune") for text in s.supported]
    lost = [text for s, text in sentences if unsupported(s, text)]
    assert len(lost) <= 0.06 * len(sentences), lost


def test_on_sets_that_it_was_not_tuned_on():
    """The bounds are those of the first run but for a little slack: of 140 planted three have a word not found."""
    planted = [(s, text) for s in HELD for text, _ in s.planted]
    missed = [t for s, t in planted if not any(set(wrong) <= unsupported(s, t) for wrong in s.readings[t])]
    passed = [text for s, text in planted if not unsupported(s, text)]
    true = [(s, text) for s in HELD for text in s.supported]
    lost = [text for s, text in true if unsupported(s, text)]
    assert len(missed) <= 0.04 * len(planted)
    assert len(passed) <= 0.02 * len(planted)
    assert len(lost) <= 0.1 * len(true)


PHRASINGS = yaml.safe_load((DATA / "phrasings.yaml").read_text("utf-8"))


def in_set(name: str, text: str):
    labelled = next(s for s in SETS if s.name == name)
    return Checker().check(text, settle(labelled.statements, span=SPAN).statements)


@pytest.mark.parametrize(("name", "text"), PHRASINGS["planted"])
def test_freely_worded_inventions_are_found(name, text):
    assert not in_set(name, text).ok


@pytest.mark.xfail(strict=True, reason="one red car of three, and half of `black and white`, are not told apart")
@pytest.mark.parametrize(("name", "text"), PHRASINGS["missed"])
def test_inventions_that_are_known_to_pass(name, text):
    assert not in_set(name, text).ok


def test_freely_worded_truths_mostly_pass():
    """What is lost are relations that no statement makes (`past three people`): strict by choice."""
    lost = [text for name, text in PHRASINGS["supported"] if not in_set(name, text).ok]
    assert len(lost) <= 0.2 * len(PHRASINGS["supported"]), lost


def test_the_labelled_sets_are_many_and_mixed():
    assert len(SETS) >= 60
    assert len(HELD) >= 20
    assert sum(len(s.supported) for s in SETS) >= 250
    assert sum(len(s.planted) for s in SETS) >= 350
    assert all(len(s.supported) >= 4 and len(s.planted) >= 5 for s in load("tune", "held"))
    kinds = {c.kind for s in SETS for text, _ in s.planted for c in find_claims(text)}
    assert kinds >= {"number", "colour", "quote", "direction", "camera", "negation", "gender", "place", "name", "word"}


def test_evidence_names_span_expert_and_statement():
    statements = told(
        "tags | subject | animal | looks like | tabby cat | 0.8", "motion | camera | camera | pans | left | 0.9"
    )
    evidence = Checker().check("A tabby cat, as the camera pans left.", statements).evidence
    assert [(e.span, e.expert, e.statement, e.score) for e in evidence] == [
        ("tabby cat", "tags", "animal looks like tabby cat", 1.0),
        ("pans left", "motion", "camera pans left", 1.0),
    ]


@pytest.mark.parametrize("text", ["A cat's toy.", "An «odd» cat.", "", "...", "A cat — a dog", "cat" * 50, "12,5%"])
def test_odd_texts_do_not_break_it(text):
    checked = Checker().check(text, told("tags | subject | animal | looks like | cat | 0.8"))
    assert len(checked.unsupported) <= len(checked.claims)


def test_a_text_of_no_claims_is_not_evidence():
    assert Checker().check("It is there.", []).claims == ()


@pytest.mark.parametrize(
    ("text", "ok"),
    [
        ("Three cars.", True),
        ("3 cars are visible.", True),
        ("Several cars.", True),
        ("Many cars.", False),
        ("A car.", True),
        ("Cars.", True),
        ("Two cars.", False),
        ("Three trucks.", False),
        ("Both cars.", False),
        ("Three vehicles.", True),
        ("A pair of cars.", False),
        ("Dozens of cars.", False),
    ],
)
def test_numbers_need_the_same_number_of_the_same_thing(text, ok):
    assert Checker().check(text, told("count | count | picture | shows | three cars | 0.9")).ok is ok


@pytest.mark.parametrize(
    ("text", "ok"),
    [
        ('The sign reads "STOP".', True),
        ('"STOP"', True),
        ('The sign reads "GO".', False),
        ("The sign reads “Stop!”", True),
        ('The sign reads "STOP HERE".', False),
        ('The sign reads "STO".', False),
        ('The sign reads "".', False),
        ("The sign says STOP.", False),
    ],
)
def test_written_text_must_be_the_statements(text, ok):
    """Unquoted, even the right word is a name that no statement speaks of: the caption must quote."""
    assert Checker().check(text, told("text | text | sign | reads | STOP | 0.9")).ok is ok


@pytest.mark.parametrize(
    ("text", "ok"),
    [
        ("The camera pans left.", True),
        ("The camera is panning left.", True),
        ("The camera moves left.", True),
        ("The camera pans to the left.", True),
        ("The camera pans right.", False),
        ("The camera tilts left.", False),
        ("The camera zooms in.", False),
        ("The camera is static.", False),
        ("The camera does not pan.", False),
        ("A pan to the left.", True),
        ("A dog moves left.", False),
        ("The view pans left.", True),
    ],
)
def test_camera_moves(text, ok):
    assert Checker().check(text, told("motion | camera | camera | pans | left | 0.9")).ok is ok


@pytest.mark.parametrize(
    ("text", "ok"),
    [
        ("There is almost no motion.", True),
        ("There is motion.", False),
        ("There is gentle motion.", False),
        ("There are no people.", False),
        ("A cat without a collar.", False),
        ("A cat is visible.", True),
    ],
)
def test_denials(text, ok):
    statements = told(
        "motion | action | scene | shows | almost no motion | 0.9", "tags | subject | animal | looks like | cat | 0.8"
    )
    assert Checker().check(text, statements).ok is ok


def test_colours_stay_with_their_things():
    statements = told(
        "worlds | appearance | car | is | red | 1",
        "worlds | appearance | bicycle | is | blue | 1",
        "worlds | subject | scene | shows | a car | 1",
        "worlds | subject | scene | shows | a bicycle | 1",
    )
    check = Checker().check
    assert check("A red car and a blue bicycle.", statements).ok
    assert check("The car is crimson.", statements).ok
    assert [c.text for c in check("A blue car and a red bicycle.", statements).unsupported] == ["blue", "red"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("A man rides a white horse.", set()),
        ("A man rides a black horse.", {"black"}),
        ("A horse rides a man.", {"rides", "man"}),
        ("The woman rides a horse.", {"rides", "horse"}),
        ("The man wears a red coat and a blue hat.", set()),
        ("The man wears a blue coat and a red hat.", {"blue", "coat", "red", "hat"}),
        ("The woman wears a red coat.", {"wears", "red", "coat"}),
        ("A man in a red coat.", set()),
        ("A woman in a red coat.", {"red", "coat"}),
        ("A man with a red umbrella.", {"red", "umbrella"}),
        ("The woman on the right holds an umbrella.", set()),
        ("The woman on the left holds an umbrella.", {"left"}),
        ("The man holds an umbrella.", {"holds", "umbrella"}),
        ("A horse is ridden by a man.", set()),
        ("A fox chases a hen across a yard.", set()),
        ("A hen chases a fox across a yard.", {"chases", "fox"}),
        ("A hen is chased by a fox.", set()),
        ("A fox is chased by a hen.", {"chased"}),
        ("The star is left of the ring.", set()),
        ("The ring is right of the star.", set()),
        ("The ring is left of the star.", {"left", "star"}),
        ("The star is right of the ring.", {"right", "ring"}),
        ("The first boat is green, and the second boat is yellow.", set()),
        ("The first boat is yellow.", {"yellow"}),
        ("A table without chairs.", {"without", "chairs"}),
        ("There is no motion.", {"no"}),
        ("There is almost no motion.", set()),
        ("A plate of three plums and two figs.", {"plate"}),
        ("Two plums and three figs.", {"Two", "three"}),
    ],
)  # fmt: skip
def test_who_does_what_to_whom(text, wrong):
    statements = told(
        "vlm | action | man | rides | a white horse along the beach | 0.9",
        "vlm | appearance | man | wears | a red coat and a blue hat | 0.9",
        "vlm | action | woman on the right | holds | a yellow umbrella | 0.9",
        "vlm | action | scene | shows | a fox chases a brown hen across a yard | 0.9",
        "worlds | appearance | star | is | left of the ring | 0.9",
        "vlm | appearance | first boat | is | green | 0.9",
        "vlm | appearance | second boat | is | yellow | 0.9",
        "vlm | setting | room | has | a table and no windows | 0.9",
        "vlm | subject | picture | shows | three plums and two figs | 0.9",
        "motion | action | scene | shows | almost no motion | 0.9",
    )
    assert wrong <= {c.text for c in Checker().check(text, statements).unsupported}
    assert bool(wrong) != Checker().check(text, statements).ok


def test_one_person_is_one_person_by_any_name():
    """Where one person was counted, the carpenter and the man are the same; where two were, they need not be."""
    lines = ["vlm | action | carpenter | saws | a plank | 0.9", "vlm | appearance | man | has | a grey beard | 0.9"]
    alone = told(*lines, "count | count | picture | shows | one person | 0.9")
    two = told(*lines, "count | count | picture | shows | two people | 0.9")
    assert Checker().check("A man saws a plank.", alone).ok
    assert not Checker().check("A man saws a plank.", two).ok


def test_what_is_kept_between_calls_changes_nothing():
    checker = Checker()
    for _ in range(2):
        assert checker.check("A cat.", _one("a cat")).ok
        assert not checker.check("A cat.", _one("a dog")).ok
    twice = checker.check("A cat. A cat.", _one("a cat"))
    assert [(c.start, c.sentence) for c in twice.claims] == [(2, 0), (9, 1)]


def test_words_pairs_without_an_embedder():
    pairs = yaml.safe_load((DATA / "words.yaml").read_text("utf-8"))
    for word, stated in pairs["false"]:
        assert not Checker().check(f"{word}.", _one(stated)).ok, (word, stated)


def test_words_pairs_with_the_embedder():
    """No false pair passes; of the true ones, at least four in five."""

    pairs = yaml.safe_load((DATA / "words.yaml").read_text("utf-8"))
    checker = make_checker("embedded")
    passed = {key: [p for p in pairs[key] if checker.check(f"{p[0]}.", _one(p[1])).ok] for key in ("true", "false")}
    assert passed["false"] == []
    assert len(passed["true"]) >= 0.8 * len(pairs["true"])


def _one(word: str) -> list[Statement]:
    return [Statement("tags", "subject", "scene", "shows", word, 0.9, *SPAN)]


def test_the_embedder_is_not_asked_about_closed_classes():
    asked: list[str] = []

    def embed(texts):
        asked.extend(texts)
        return np.ones((len(texts), 4), np.float32) / 2

    checker = Checker(embed)
    statements = told(
        "tags | subject | animal | looks like | cat | 0.8", "colour | appearance | picture | has much | red | 1"
    )
    assert not checker.check("Two blue.", statements).ok
    assert not checker.check("The camera pans left.", statements).ok
    assert asked == []


# -- properties ------------------------------------------------------------------------------------------------------

LABELLED = st.sampled_from(SETS)


@settings(max_examples=40, deadline=None)
@given(LABELLED, st.data())
def test_a_statements_own_words_pass(labelled, data):
    """A caption made of one statement's words, in their order, is supported by it."""
    statements = settle(labelled.statements, span=SPAN).statements
    s = data.draw(st.sampled_from(statements))
    value = f'"{s.value}"' if s.dimension == "text" else s.value
    text = f"No {s.subject}." if value == "0" else f"The {s.subject} {s.predicate} {value}."
    checked = Checker().check(text, statements)
    assert checked.ok, (text, [c.text for c in checked.unsupported])


@settings(max_examples=40, deadline=None)
@given(LABELLED, st.sampled_from(sorted(w for w, n in NUMBERS.items() if n >= 4)), st.data())
def test_a_foreign_number_is_always_caught(labelled, number, data):
    """A number that no statement has, put anywhere but in a quotation, is unsupported."""
    statements = settle(labelled.statements, span=SPAN).statements
    assume(NUMBERS[number] not in {number_value(w) for s in statements for w in f"{s.subject} {s.value}".split()})
    text = _with_word(data, labelled, number)
    assert number in {c.text for c in Checker().check(text, statements).unsupported}


def _with_word(data, labelled, word):
    words = data.draw(st.sampled_from(labelled.supported)).split()
    outside = [i for i in range(len(words)) if " ".join(words[:i]).count('"') % 2 == 0]
    at = data.draw(st.sampled_from(outside))
    return " ".join([*words[:at], word, *words[at:]])


@settings(max_examples=40, deadline=None)
@given(LABELLED, st.sampled_from(sorted(COLOURS)), st.data())
def test_a_foreign_colour_is_always_caught(labelled, colour, data):
    statements = settle(labelled.statements, span=SPAN).statements
    words = " ".join(f"{s.subject} {s.value}" for s in statements).lower().replace(",", " ").split()
    assume(COLOURS[colour] not in {COLOURS[w] for w in words if w in COLOURS})
    text = _with_word(data, labelled, colour)
    assert colour in {c.text for c in Checker().check(text, statements).unsupported}


@settings(max_examples=40, deadline=None)
@given(LABELLED, st.text(max_size=80))
def test_any_text_is_checked_and_claims_lie_in_it(labelled, text):
    checked = Checker().check(text, labelled.statements)
    for claim in checked.claims:
        assert text[claim.start : claim.end] == claim.text
    assert set(checked.unsupported) <= set(checked.claims)
