"""Syntax: which word is said of which, in the sentences that captions are made of."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.syntax import Role, clause_starts, part_starts, roles
from captioning.tagging import tag_words
from captioning.words import stem, tokens


def role_of(text: str, word: str) -> Role:
    found = tokens(text)
    return roles(found)[next(t.start for t in found if t.text == word)]


def stems(words: str) -> set[str]:
    return {stem(w) for w in words.split()}


@pytest.mark.parametrize(
    ("text", "word", "kind", "of", "to"),
    [
        ("A man rides a white horse.", "rides", "verb", "man", "horse"),
        ("A man rides a white horse.", "white", "modifier", "horse", ""),
        ("A man is riding a horse.", "riding", "verb", "man", "horse"),
        ("The car is red.", "red", "modifier", "car", ""),
        ("The apples are red and green.", "green", "modifier", "apples", ""),
        ("Red and green apples.", "Red", "modifier", "apples", ""),
        ("The man wears a suit and a tie.", "tie", "noun", "man", ""),
        ("A man in a suit and a tie talks.", "talks", "verb", "man", ""),
        ("A woman with a hat is visible.", "hat", "noun", "woman", ""),
        ("A hen is chased by a fox.", "chased", "verb", "fox", "hen"),
        ("Milk is poured into a cup.", "poured", "verb", "", "milk"),
        ("Waves breaking on rocky cliffs.", "breaking", "verb", "waves", ""),
        ("Waves breaking on rocky cliffs.", "on", "link", "waves", "cliffs"),
        ("The star is left of the ring.", "left", "link", "star", "ring"),
        ("The star moves left.", "left", "adverb", "star", ""),
        ("The star moves slowly while the ring quickly moves up.", "quickly", "adverb", "ring", ""),
        ("A fox runs, and the hen sits on a fence.", "sits", "verb", "hen", ""),
        ("A fox runs, and the hen sits on a fence.", "on", "link", "hen", "fence"),
        ("A shoal of fish swims below a boat.", "swims", "verb", "shoal fish", ""),
        ("There is a dog on a mat.", "on", "link", "dog", "mat"),
        ("The scene shows a dog and a cat sleeps.", "sleeps", "verb", "cat", ""),
        ("A black and white collie drives sheep.", "drives", "verb", "collie", "sheep"),
        ("A man who sings loudly.", "sings", "verb", "man", ""),
        ("Players run after a ball.", "run", "verb", "players", ""),
        ("The scene shows a fox chases a hen.", "chases", "verb", "fox", "hen"),
        ("Below the boat, yellow fish swim.", "yellow", "modifier", "fish", ""),
    ],
)
def test_who_and_what(text, word, kind, of, to):
    role = role_of(text, word)
    assert (role.kind, role.of, role.to) == (kind, stems(of), stems(to))


@pytest.mark.parametrize(
    ("text", "word", "marks"),
    [
        ("The man on the left wears a hat.", "wears", {"left"}),
        ("The first boat is green.", "green", {"first"}),
        ("A red car turns.", "turns", {"red"}),
        ("A man carries an old sack.", "sack", {"old"}),
        ("A man lifts his left hand.", "hand", {"left"}),
    ],
)
def test_marks_tell_one_from_another(text, word, marks):
    assert role_of(text, word).marks == marks


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("A dog runs while a cat sleeps.", ["A dog runs ", "while a cat sleeps."]),
        ("A dog runs, and a cat sleeps.", ["A dog runs", ", and a cat sleeps."]),
        ("A dog runs and barks.", ["A dog runs and barks."]),
        ("A dog and a cat sleep.", ["A dog and a cat sleep."]),
        ("A man with a hat and a stick walks.", ["A man with a hat and a stick walks."]),
        ("A dog, as the camera pans left.", ["A dog", ", as the camera pans left."]),
    ],
)
def test_clauses(text, clauses):
    starts = [0, *clause_starts(tokens(text)), len(text)]
    assert [text[a:b] for a, b in pairwise(starts)] == clauses


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("A man rides a horse along the beach", ["A man ", "rides a horse ", "along the beach"]),
        ("The car is slowly turning left", ["The car ", "is slowly turning left"]),
        ("There is a dog in a kitchen", ["There is a dog ", "in a kitchen"]),
        ("Red and blue cars are visible", ["Red and blue cars ", "are visible"]),
        ("A man sits and reads a book", ["A man ", "sits ", "and reads a book"]),
        ("The star is to the left of the ring", ["The star ", "is to the left of the ring"]),
    ],
)
def test_parts(text, parts):
    starts = [0, *part_starts(tokens(text)), len(text)]
    assert [text[a:b] for a, b in pairwise(starts)] == parts


@given(st.text(max_size=80))
def test_any_text_can_be_read(text):
    found = tokens(text)
    assert len(tag_words(found)) == len(found)
    assert set(roles(found)) <= {t.start for t in found}
    for starts in (clause_starts(found), part_starts(found)):
        assert set(starts) <= {t.start for t in found}


COMMON = "a the dog cats runs running red two and , with on is left of slowly who no while there shows"


@given(st.lists(st.sampled_from(COMMON.split())))
def test_any_order_of_words_can_be_read(words):
    found = tokens(" ".join(words))
    assert all(role.kind for role in roles(found).values())
    assert clause_starts(found) == sorted(clause_starts(found))
    assert part_starts(found) == sorted(set(part_starts(found)))
