"""Repair and lint: what is taken out, and what is left."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captioning.checker import Checker
from captioning.lint import FLAGS, clean, flags_of
from captioning.repair import repair, shorten
from captioning.statements import settle
from captioning.words import word_count
from tests.captioning.sets import SPAN, load, parse

SETS = load()
CAT = [
    parse("tags | subject | animal | looks like | tabby cat | 0.8"),
    parse("light | light | light | is | warm | 0.9"),
    parse("motion | camera | camera | pans | left | 0.9"),
    parse("count | count | picture | shows | two people | 0.9"),
]


@pytest.mark.parametrize(
    ("text", "left", "dropped"),
    [
        ("A tabby cat in warm light.", "A tabby cat in warm light.", ()),
        ("A fluffy tabby cat in warm light.", "A tabby cat in warm light.", ("fluffy",)),
        ("A red tabby cat.", "A tabby cat.", ("red",)),
        ("An orange cat.", "A cat.", ("orange",)),
        ("A tabby cat on a sofa, as the camera pans left.", "A tabby cat, as the camera pans left.", ("on a sofa",)),
        ("A tabby cat and a dog.", "A tabby cat.", ("and a dog",)),
        ("A dog barks. The light is warm.", "The light is warm.", ("A dog barks",)),
        ("The camera pans right.", "", ("The camera pans right",)),
        ("Three people are visible.", "People are visible.", ("Three",)),
        ("The camera pans right over a cat.", "", ("The camera pans right over a cat",)),
        ("A dog and a tabby cat sleep.", "", ("A dog and a tabby cat sleep",)),
        ("A dog barks while the camera pans left.", "The camera pans left.", ("A dog barks while",)),
        ("The camera pans left, and a dog barks.", "The camera pans left.", ("and a dog barks",)),
        ("A tabby cat chases a mouse in warm light.", "A tabby cat in warm light.", ("chases a mouse",)),
        ("A small red tabby cat.", "A tabby cat.", ("small red",)),
        ("A tabby cat with a red and blue collar.", "A tabby cat.", ("with a red and blue collar",)),
        ("The light is soft and warm.", "The light is warm.", ("soft and",)),
        ("Two people and a dog are visible.", "Two people are visible.", ("and a dog",)),
        ("A tabby cat and a dog are visible.", "A tabby cat is visible.", ("and a dog are",)),
        ("The camera pans left, slowly.", "The camera pans left.", ("slowly",)),
        ("It is there.", "", ("It is there",)),
        ("", "", ()),
    ],
)
def test_repair_takes_out_what_nothing_supports(text, left, dropped):
    found = repair(text, CAT, Checker())
    assert (found.text, found.dropped) == (left, dropped)


PIECES = [text for s in SETS for text in (*s.supported, *(t for t, _ in s.planted))]


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(SETS), st.lists(st.sampled_from(PIECES), max_size=4))
def test_what_repair_leaves_is_always_supported(labelled, pieces):
    statements = settle(labelled.statements, span=SPAN).statements
    found = repair(" ".join(pieces), statements, Checker())
    assert found.checked.ok
    assert Checker().check(found.text, statements).ok
    assert repair(found.text, statements, Checker()).text == found.text


@pytest.mark.parametrize("labelled", SETS, ids=lambda s: s.name)
def test_supported_sentences_among_planted_ones_are_kept(labelled):
    """Those, that is, which the checker holds supported by themselves."""
    statements = settle(labelled.statements, span=SPAN).statements
    mixed = [t for pair in zip(labelled.supported, (t for t, _ in labelled.planted), strict=False) for t in pair]
    found = repair(" ".join(mixed), statements, Checker())
    for sentence in mixed[::2]:
        assert sentence in found.text or not Checker().check(sentence, statements).ok
    assert found.dropped


SMALL = [
    parse("captioner | action | man | rides | a white horse along the beach | 0.9"),
    parse("captioner | appearance | man | wears | a blue shirt and brown boots | 0.9"),
    parse("captioner | action | dog | sits | on a bench | 0.9"),
]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("A man rides a black horse along the beach.", "A man rides a horse along the beach."),
        ("The man wears a brown shirt and blue boots.", "The man wears a shirt and boots."),
        ("The man wears a blue shirt and green gloves.", "The man wears a blue shirt."),
        ("The man sits on a bench and rides a horse.", "The man rides a horse."),
        ("A dog rides a white horse, and a man wears brown boots.", "A dog, and a man wears brown boots."),
        ("The dog rides a white horse.", ""),
        ("A cat sits on a bench.", ""),
    ],
)
def test_the_smallest_part_goes(text, left):
    assert repair(text, SMALL, Checker()).text == left


def test_shorten_cuts_at_boundaries():
    text = "A tabby cat in warm light with a red ball, as the camera slowly pans left over the quiet street. More."
    assert word_count(shorten(text, 15)) <= 15
    assert shorten(text, 15).startswith("A tabby cat in warm light")
    assert shorten("word " * 30, 15) == ""
    assert shorten("", 15) == ""


@pytest.mark.parametrize(
    ("text", "left", "flags"),
    [
        ("The video shows a cat.", "A cat.", {"boilerplate"}),
        ("In this clip, we can see a cat.", "A cat.", {"boilerplate"}),
        ("This short video features a cat.", "A cat.", {"boilerplate"}),
        ("A cat. A cat. A dog.", "A cat. A dog.", {"repetition"}),
        ("A cat sits. The dog ru", "A cat sits.", {"unfinished"}),
        ("A cat sits", "A cat sits.", set()),
        ("The scene is in a kitchen.", "The scene is in a kitchen.", set()),
        ("The picture shows", "The picture shows.", set()),
        ("", "", set()),
    ],
)
def test_cleaning(text, left, flags):
    assert clean(text) == (left, flags)


MEASURED = {"camera_motion": "pan left", "camera_confidence": 0.9, "flow_mean_px_per_s": 80.0}


@pytest.mark.parametrize(
    ("text", "row", "contradicts"),
    [
        ("The camera pans left.", MEASURED, False),
        ("The camera pans right.", MEASURED, True),
        ("The camera stays still.", MEASURED, True),
        ("The camera moves left.", MEASURED, False),
        ("There is almost no motion.", MEASURED, True),
        ("There is strong motion.", {"flow_mean_px_per_s": 0.2}, True),
        ("There is strong motion.", {"flow_mean_px_per_s": 90.0}, False),
        ("The camera pans right.", {**MEASURED, "camera_confidence": 0.3, "flow_mean_px_per_s": None}, False),
        ("The camera pans right.", {}, False),
        ("A cat.", MEASURED, False),
    ],
)
def test_contradiction_with_measured_motion_is_flagged(text, row, contradicts):
    assert ("motion_contradiction" in flags_of(text, text, row)) is contradicts


def test_length_and_repetition_are_flagged():
    assert "length" in flags_of("word " * 16, "A cat sits on a mat there.", {})
    assert "length" in flags_of("A cat.", "word " * 201, {})
    assert "length" in flags_of("A cat.", "A cat.", {})
    assert "repetition" in flags_of("A cat.", "one two three four five and one two three four five", {})
    assert flags_of("A cat.", "A cat sits on a mat there.", {}) == set()


def test_every_flag_is_described():
    assert all(len(text) > 10 for text in FLAGS.values())
