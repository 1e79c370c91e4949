"""Statements: gathered by id, merged, settled; conflicts recorded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captioning.statements import (
    as_statement,
    by_dimension,
    measured_camera,
    settle,
    statement_text,
    statements_of,
)
from experts.base import DIMENSIONS, Statement
from experts.motion import CAMERA_WORDS
from tests.captioning.sets import SPAN, load, parse

ROW = {"clip_id": "v:0-48", "first_frame": 0, "end_frame": 48}


def struct(s: Statement) -> dict:
    return {name: getattr(s, name) for name in Statement.__slots__}


def expert_row(*lines: str, clip_id: str = "v:0-48", error: str | None = None, **values) -> dict:
    return {"clip_id": clip_id, "error": error, "statements": [struct(parse(line)) for line in lines], **values}


def test_statements_come_back_from_rows_as_they_went_in():
    line = "tags | subject | animal | looks like | tabby cat | 0.72"
    assert statements_of([expert_row(line)], ROW) == [parse(line)]


def test_a_row_of_another_clip_is_refused():
    with pytest.raises(ValueError, match=r"w:0-48.*v:0-48"):
        statements_of([expert_row("tags | subject | animal | looks like | cat | 0.7", clip_id="w:0-48")], ROW)


def test_a_failed_expert_says_nothing():
    assert statements_of([expert_row(error="it fell"), {"clip_id": "v:0-48", "statements": None}], ROW) == []


def test_an_unknown_dimension_is_refused():
    with pytest.raises(ValueError, match=r"'smell'.*subject"):
        as_statement({**struct(parse("a | subject | b | is | c | 1")), "dimension": "smell"})


def test_the_measured_camera_speaks_where_no_expert_does():
    row = {**ROW, "camera_motion": "pan left", "camera_confidence": 0.8}
    assert [statement_text(s) for s in statements_of([], row)] == ["camera pans left"]
    told = statements_of([expert_row("motion | camera | camera | stays | still | 0.9")], row)
    assert [statement_text(s) for s in told] == ["camera stays still"]


@pytest.mark.parametrize("motion", CAMERA_WORDS)
def test_every_measured_camera_motion_has_words(motion):
    (said,) = measured_camera({**ROW, "camera_motion": motion, "camera_confidence": 1.0})
    assert (said.predicate, said.value) == CAMERA_WORDS[motion]


def test_an_unsure_camera_is_silent():
    assert measured_camera({**ROW, "camera_motion": "pan left", "camera_confidence": 0.2}) == []
    assert measured_camera({**ROW, "camera_motion": None, "camera_confidence": None}) == []


def test_a_certain_nsfw_score_becomes_a_statement():
    said = statements_of([expert_row(nsfw_max=0.93)], ROW)
    assert [(s.expert, s.value) for s in said] == [("nsfw", "unsafe")]
    assert statements_of([expert_row(nsfw_max=0.5)], ROW) == []


def test_two_camera_moves_conflict_and_the_surer_stands():
    found = settle(
        [parse("motion | camera | camera | stays | still | 0.3"), parse("motion | camera | camera | pans | left | 0.9")]
    )
    assert [statement_text(s) for s in found.statements] == ["camera pans left"]
    assert str(found.conflicts[0]) == "motion: camera stays still (0.30) lost to motion: camera pans left (0.90)"


def test_a_move_and_its_speed_do_not_conflict():
    found = settle(
        [
            parse("motion | camera | camera | pans | left | 0.9"),
            parse("motion | camera | camera | moves | slowly | 0.7"),
        ]
    )
    assert len(found.statements) == 2
    assert not found.conflicts


def test_experts_that_agree_outweigh_one_that_is_surer():
    found = settle(
        [
            parse("a | count | people | number | 2 | 0.6"),
            parse("b | count | people | number | 2 | 0.6"),
            parse("c | count | people | number | 3 | 0.8"),
        ]
    )
    assert [s.value for s in found.statements] == ["2"]
    assert found.statements[0].confidence == pytest.approx(1 - 0.4 * 0.4)


def test_agreement_over_frames_counts():
    brief = Statement("a", "camera", "camera", "pans", "left", 0.9, 0, 10)
    whole = Statement("b", "camera", "camera", "stays", "still", 0.6, 0, 48)
    assert settle([brief, whole], span=SPAN).statements == (whole,)


def test_counts_of_different_things_stand_side_by_side():
    found = settle(
        [
            parse("a | count | picture | shows | two people | 0.9"),
            parse("a | count | picture | shows | three cars | 0.8"),
            parse("b | count | picture | shows | four people | 0.7"),
        ]
    )
    assert {s.value for s in found.statements} == {"two people", "three cars"}


def test_noise_is_left_out():
    assert settle([parse("tags | subject | animal | looks like | cat | 0.05")]).statements == ()
    assert settle([]).statements == ()


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(load()), st.randoms(use_true_random=False))
def test_settling_does_not_depend_on_the_order(labelled, dice):
    told = list(labelled.statements)
    dice.shuffle(told)
    assert settle(told, span=SPAN) == settle(labelled.statements, span=SPAN)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(load()))
def test_settling_twice_changes_nothing(labelled):
    once = settle(labelled.statements, span=SPAN).statements
    assert settle(once, span=SPAN).statements == once


def test_dimensions_come_in_their_order():
    groups = by_dimension([s for labelled in load() for s in labelled.statements])
    assert list(groups) == [d for d in DIMENSIONS if d in groups]
