"""The judges of captions: the labels agree with themselves, worlds are read exactly, what is left is counted."""

from __future__ import annotations

import pytest

from benchmarks import caption_worlds as worlds
from benchmarks.caption_quality import (
    Case,
    Drafts,
    PlantedJudge,
    SetJudge,
    Tally,
    WorldJudge,
    planted_cases,
    set_cases,
    tally_of,
    world_cases,
)
from captioning import Checker, make_backend
from captioning.statements import settle
from captioning.template import write
from tests.captioning.sets import SPAN, content_words, forms, load, words

SETS = load()
TABBY = next(s for s in SETS if s.name == "tabby")
MOVERS = next(s for s in SETS if s.name == "two-movers")


@pytest.mark.parametrize("labelled", SETS, ids=lambda s: s.name)
def test_the_labels_agree_with_the_sentences(labelled):
    for text in labelled.supported:
        assert labelled.wrong_in(text) == [], text
        assert labelled.said_in(text), text
    for text, wrong in labelled.planted:
        assert labelled.wrong_in(text), text
        assert {w.lower() for w in wrong} <= set(words(text))
    template = write(settle(labelled.statements, span=SPAN).statements)
    assert labelled.wrong_in(template.dense) == []
    assert len(labelled.said_in(template.dense)) >= 0.5 * len(labelled.facts)


def test_words_and_their_inflections():
    assert words('Two cats\' eyes: "A cat", 3.5%!') == ["two", "cats", "eyes", '"a cat"', "3.5%"]
    assert content_words("The camera is seen in a red light.") == ["red", "light"]
    assert forms("cats") & forms("cat")
    assert forms("running") & forms("runs")
    assert forms("chases") & forms("chasing")
    assert not forms("cat") & forms("car")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("A tabby cat in warm light.", []),
        ("A dog in warm light.", ["dog"]),
        ("An orange cat.", ["orange cat"]),
        ('The text "CAT" can be read.', ['"cat"']),
    ],
)
def test_a_set_judges_free_words(text, wrong):
    assert TABBY.wrong_in(text) == wrong
    claims, found, _ = SetJudge(TABBY).judge(text)
    assert found == len(wrong) <= claims


@pytest.mark.parametrize(
    ("after", "wrong"),
    [
        ("Two blue cars move left.", 1),
        ("Two cars move left.", 0),
        ("A blue bicycle moves right.", 0),
        ("The cars are green.", 1),
    ],
)
def test_what_is_left_of_a_draft_is_counted(after, wrong):
    judge = PlantedJudge(
        MOVERS, ("Two blue cars move left.", "A blue bicycle moves right while the camera stays still.")
    )
    assert judge.judge(after)[1] == wrong


@pytest.mark.parametrize("seed", range(40))
def test_what_the_template_says_of_a_world_is_true_and_complete(seed):
    world = worlds.make_world(seed)
    settled = settle(worlds.statements_of(world, seed), span=worlds.SPAN)
    assert settled.conflicts
    said = set(worlds.said(write(settled.statements).dense))
    assert said <= worlds.facts_of(world)
    assert worlds.facts_of(world) <= said | {f for f in worlds.facts_of(world) if f[0] in {"exists", "several"}}


@pytest.mark.parametrize("seed", range(40))
def test_a_draft_is_as_true_as_it_was_asked_to_be(seed):
    world = worlds.make_world(seed)
    assert set(worlds.said(worlds.draft(world, seed, corrupted=0.0))) <= worlds.facts_of(world)
    sentences = [s for s in worlds.draft(world, seed, corrupted=1.0).split(".") if s.strip()]
    assert all(not set(worlds.said(s)) <= worlds.facts_of(world) for s in sentences)
    assert worlds.draft(world, seed) == worlds.draft(world, seed)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("Two small red circles.", {("several", "circle"), ("count", "circle", "two"), ("size", "circle", "small"),
                                    ("colour", "circle", "red")}),
        ("The circle is red and large.", {("exists", "circle"), ("colour", "circle", "red"),
                                          ("size", "circle", "large")}),
        ("The star is to the right of the ring.", {("exists", "star"), ("exists", "ring"),
                                                   ("relation", "ring", "left of", "star")}),
        ("The star moves left while the ring moves up.", {("exists", "star"), ("exists", "ring"),
                                                          ("direction", "star", "left"), ("direction", "ring", "up")}),
        ("A ring and a star move upwards.", {("exists", "ring"), ("exists", "star"), ("direction", "ring", "up"),
                                             ("direction", "star", "up")}),
        ("The camera slowly zooms in.", {("camera", "camera", "zooms"), ("speed", "camera", "slowly"),
                                         ("direction", "camera", "in")}),
        ("A star on a grey background.", {("exists", "star"), ("colour", "background", "grey")}),
        ("A red.", {("colour", "nothing", "red")}),
    ],
)  # fmt: skip
def test_worlds_are_read_exactly(text, facts):
    assert set(worlds.said(text)) == facts


def test_a_word_of_no_meaning_is_refused():
    with pytest.raises(ValueError, match="'sings'"):
        worlds.said("The star sings.")


def test_figures_of_a_tally():
    tally = Tally(10, 2, 8, 0, 5, 4) + Tally(10, 0, 8, 0, 5, 5)
    assert tally.figures("_x") == {
        "unsupported_share_before_x": 0.1,
        "unsupported_share_after_x": 0.0,
        "supported_kept_share_x": 0.9,
    }
    assert Tally().figures("") == {
        "unsupported_share_before": 0.0,
        "unsupported_share_after": 0.0,
        "supported_kept_share": 1.0,
    }


def test_a_backend_that_says_nothing_true_loses_its_words():
    case = Case("tabby", "first", TABBY.statements, SetJudge(TABBY), "Three dogs bark. A blue sofa.")
    tally = tally_of([case], Drafts([case]), Checker())["first"]
    assert (tally.wrong_before, tally.wrong_after) == (5, 0)
    assert tally.outcomes == {"template": 1}


def test_the_bars_hold():
    """At most 1% unsupported after the checker, at least 95% of the facts kept."""
    for cases in (planted_cases(SETS, 1), world_cases(40)):
        total = sum(tally_of(cases, Drafts(cases), Checker()).values(), Tally()).figures("")
        assert total["unsupported_share_before"] > 0.1
        assert total["unsupported_share_after"] <= 0.01
        assert total["supported_kept_share"] >= 0.95
    template = sum(tally_of(set_cases(SETS), make_backend("template"), Checker()).values(), Tally()).figures("")
    assert (template["unsupported_share_after"], template["supported_kept_share"]) == (0.0, 1.0)
    assert isinstance(world_cases(1)[0].judge, WorldJudge)
