"""The template: decent English, every claim of it supported, everything said."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captioning.checker import Checker
from captioning.english import article, be, count_word, joined
from captioning.phrases import phrases
from captioning.statements import settle
from captioning.template import DENSE_WORDS, SHORT_WORDS, capitalised, sayable, write
from captioning.words import word_count
from experts.base import Statement
from experts.motion import CAMERA_WORDS
from tests.captioning.sets import SPAN, load, parse

SETS = load()


@pytest.mark.parametrize("labelled", SETS, ids=lambda s: s.name)
def test_every_caption_is_supported_and_in_bounds(labelled):
    statements = settle(labelled.statements, span=SPAN).statements
    written = write(statements)
    for text in (written.short, written.dense):
        checked = Checker().check(text, statements)
        assert checked.ok, [(c.kind, c.text) for c in checked.unsupported]
        assert text[0].isupper()
        assert text.endswith(".")
    assert 1 <= word_count(written.short) <= SHORT_WORDS
    assert word_count(written.dense) <= DENSE_WORDS
    assert written == write(statements)


@pytest.mark.parametrize("labelled", SETS, ids=lambda s: s.name)
def test_every_phrase_is_supported_in_each_of_its_forms(labelled):
    statements = settle(labelled.statements, span=SPAN).statements
    for p in phrases(statements):
        for form in (p.clause, p.noun, p.adjunct and f"It is seen {p.adjunct}"):
            assert form is None or Checker().check(capitalised(form), statements).ok, form


@pytest.mark.parametrize("labelled", SETS, ids=lambda s: s.name)
def test_every_statement_is_in_one_phrase(labelled):
    statements = settle(labelled.statements, span=SPAN).statements
    assert {s for p in phrases(statements) for s in p.statements} == set(statements)
    assert sum(len(p.statements) for p in phrases(statements)) == len(statements)


READS = {
    "tabby": (
        "A tabby cat in warm light, as the camera stays still.",
        "A tabby cat is visible. The picture has much orange and some black. There is almost no motion. The camera "
        "stays still. The light is warm. The picture is dark, in low key.",
    ),
    "title-card": (
        'The on-screen text "BIG BUCK BUNNY", as the camera stays still.',
        'The picture is mostly black. The on-screen text "BIG BUCK BUNNY" and "a film in 3 parts" can be read. The '
        "camera stays still. The picture is dark, in low key.",
    ),
    "street-bikes": (
        "Three people with a mountain bike in cool light, as the camera quickly pans right.",
        "A mountain bike is visible. Three people are visible. The picture has much grey and some blue. There is "
        "strong motion. The camera quickly pans right. The light is cool.",
    ),
    "mountains": (
        "A mountain landscape in cool light, as the camera slowly pans right.",
        "The picture has much blue and white. There is almost no motion. The scene shows a mountain landscape. The "
        "camera slowly pans right. The light is cool.",
    ),
    "still-life-unknown": (
        "A picture with much green and some grey, as the camera zooms in.",
        "The picture has much green and some grey. There is clear motion. The camera zooms in. The contrast is high.",
    ),
}


@pytest.mark.parametrize("name", READS)
def test_it_reads_as_english(name):
    labelled = next(s for s in SETS if s.name == name)
    written = write(settle(labelled.statements, span=SPAN).statements)
    assert (written.short, written.dense) == READS[name]


def test_quality_is_structured_but_not_told():
    written = write(
        [
            parse("quality | quality | picture | is | noisy | 0.8"),
            parse("tags | subject | animal | looks like | cat | 0.8"),
        ]
    )
    assert "noisy" not in written.short + written.dense
    assert written.structured["quality"] == "the picture is noisy"


def test_an_unsure_tag_is_hedged():
    written = write([parse("tags | subject | animal | looks like | otter | 0.2")])
    assert written.short == "What looks like an otter."


def test_nothing_said_is_an_empty_caption():
    assert write([]).dense == ""
    assert write([]).short == ""


@pytest.mark.parametrize("motion", CAMERA_WORDS)
def test_every_camera_motion_reads_and_holds(motion):
    predicate, value = CAMERA_WORDS[motion]
    statements = [Statement("motion", "camera", "camera", predicate, value, 0.9, *SPAN)]
    written = write(statements)
    assert written.short == f"The camera {predicate} {value}."
    assert Checker().check(written.dense, statements).ok


def test_a_long_list_stays_within_the_dense_limit():
    statements = [parse(f"tags | action | thing{i} | carries | a very long word number{i} | 0.9") for i in range(60)]
    assert word_count(write(statements).dense) <= DENSE_WORDS


def test_one_person_stands_for_their_face():
    told = [
        parse("faces | subject | person | shows | their face | 0.9"),
        parse("count | count | picture | shows | one person | 0.9"),
    ]
    assert write(told).dense == "One person is visible."
    assert write(told[:1]).short == "A person's face."
    two = [told[0], parse("count | count | picture | shows | two people | 0.9")]
    assert write(two).dense == "A person's face is visible. Two people are visible."
    assert write(two).short == "Two people."
    assert all(p.noun is None for p in sayable(two) if p.dimension == "subject")


def test_two_cars_stand_for_a_car():
    told = [parse("tags | subject | vehicle | looks like | car | 0.9"), parse("count | count | car | number | 2 | 0.9")]
    assert write(told).dense == "Two cars are visible."


def test_who_was_not_spoken_of_is_introduced():
    place = parse("composition | appearance | person | is | on the right | 0.9")
    assert write([place]).dense == "A person is on the right."
    one = parse("count | count | picture | shows | one person | 0.9")
    assert write([place, one]).dense == "One person is visible. The person is on the right."
    two = parse("count | count | picture | shows | two people | 0.9")
    assert write([place, two]).dense == "Two people are visible. A person is on the right."


@pytest.mark.parametrize(
    ("noun", "said"),
    [
        ("tabby cat", "a tabby cat"),
        ("otter", "an otter"),
        ("unicycle", "a unicycle"),
        ("hourglass", "an hourglass"),
        ("people", "people"),
        ("sunglasses", "sunglasses"),
        ("two cars", "two cars"),
        ("the sea", "the sea"),
        ("snow", "snow"),
        ("umbrella", "an umbrella"),
        ("", ""),
    ],
)
def test_articles(noun, said):
    assert article(noun) == said


@pytest.mark.parametrize(
    ("noun", "verb"),
    [
        ("a cat", "is"),
        ("two cars", "are"),
        ("people", "are"),
        ("one person", "is"),
        ("a cat and a dog", "are"),
        ("snow", "is"),
    ],
)
def test_verbs_agree(noun, verb):
    assert be(noun) == verb


def test_lists_and_numbers():
    assert joined(["a", "b", "c"]) == "a, b and c"
    assert joined([]) == ""
    assert [count_word(n) for n in (0, 1, 12, 19, 20)] == ["zero", "one", "twelve", "nineteen", "20"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([s for labelled in SETS for s in labelled.statements]), min_size=1, max_size=12))
def test_any_mixture_of_statements_gives_a_supported_caption(mixture):
    statements = settle(mixture, span=SPAN).statements
    written = write(statements)
    for text in (written.short, written.dense):
        checked = Checker().check(text, statements)
        assert checked.ok, (text, [(c.kind, c.text) for c in checked.unsupported])


@pytest.mark.parametrize(
    ("noun", "with_article", "verb"),
    [
        ("pizza with cheese and tomatoes", "a pizza with cheese and tomatoes", "is"),
        ("tools hanging on a wall", "tools hanging on a wall", "are"),
        ("man and a horse", "a man and a horse", "are"),
        ("glass bowl of apples", "a glass bowl of apples", "is"),
        ("twelve sheep", "twelve sheep", "are"),
        ("orange", "an orange", "is"),
        ("sunlight in the sky", "a sunlight in the sky", "is"),
    ],
)
def test_article_and_verb_go_by_the_head_of_a_noun_phrase(noun: str, with_article: str, verb: str) -> None:
    assert (article(noun), be(noun)) == (with_article, verb)


def test_a_thing_that_a_longer_phrase_names_is_not_said_again() -> None:
    told = [
        parse("captioner | subject | scene | shows | two people on a bench | 0.9"),
        parse("count | count | picture | shows | two people | 0.9"),
        parse("detector | subject | scene | shows | a bench | 0.8"),
    ]
    (phrase,) = phrases(told)
    assert phrase.clause == "two people on a bench are visible"
    assert set(phrase.statements) == set(told)


@pytest.mark.parametrize(
    ("value", "short"),
    [
        ("a kitchen", "A dog in a kitchen."),
        ("a sandy beach", "A dog on a sandy beach."),
        ("under water", "A dog under water."),
        ("a river", "A dog with a river."),  # beside it, in it or before it: nobody said
    ],
)
def test_a_setting_is_where_things_are(value: str, short: str) -> None:
    told = [
        parse("tags | subject | scene | shows | a dog | 0.9"),
        parse(f"clip | setting | scene | shows | {value} | 0.9"),
    ]
    assert write(told).short == short


@pytest.mark.parametrize(
    ("value", "clause"),
    [
        ("playing football", "the scene shows playing football"),
        ("a fox chases a rabbit", "a fox chases a rabbit"),
        ("strong motion", "there is strong motion"),
    ],
)
def test_an_action_is_said_as_english_says_it(value: str, clause: str) -> None:
    assert [p.clause for p in phrases([parse(f"clip | action | scene | shows | {value} | 0.9")])] == [clause]
