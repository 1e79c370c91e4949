"""A caption is a row: its outcome, its evidence, and what became of the model's words."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pyarrow as pa
import pytest

from captioning import Checker, Reply, Request, caption, caption_many, for_pseudo, graph, make_backend
from captioning.asking import Unanswered
from captioning.caption import OUTCOMES
from captioning.lint import FLAGS
from captioning.pseudo import known_motion
from captioning.statements import settle
from captioning.template import DENSE_WORDS
from captioning.words import word_count
from dataset.schema import BASE_TABLES, arrow_schema
from experts.base import ModelRef, Statement
from media.errors import BackendError, ConfigError
from tests.captioning.sets import load, parse

SETS = load()
TABBY = next(s for s in SETS if s.name == "tabby")
SCHEMA = arrow_schema(BASE_TABLES["captions"])


THINGS = [
    "cup", "plate", "fork", "spoon", "knife", "bowl", "lamp", "clock", "book", "pen", "letter", "key", "coin", "ring",
    "candle", "bottle", "jar", "basket", "box", "bag", "hat", "scarf", "glove", "shoe", "belt", "watch", "mirror",
    "brush", "comb", "towel",
]  # fmt: skip


class Scripted:
    """A backend that writes what the test tells it to."""

    name = "openai"
    model = ModelRef("scripted", "0" * 12, "none")
    prompt_hash = "f" * 12

    def __init__(self, write: Callable[[Request], Reply | BackendError]) -> None:
        self.write = write
        self.asked: list[Request] = []

    def fuse(self, requests: Sequence[Request]) -> list[Reply | BackendError]:
        self.asked += requests
        return [self.write(r) for r in requests]

    def close(self) -> None:
        pass


def says(short: str, dense: str) -> Scripted:
    return Scripted(lambda r: Reply(r.clip_id, short, dense, json.dumps([short, dense]), 11, 7))


def row_of(backend, statements=TABBY.statements, clip_row=TABBY.row) -> dict:
    return caption(clip_row, statements, backend, Checker(), run_id="run-1")


def fits_the_table(rows: list[dict]) -> None:
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    assert table.num_rows == len(rows)
    assert all(set(row) == set(SCHEMA.names) for row in rows)


@pytest.mark.parametrize("labelled", SETS, ids=lambda s: s.name)
def test_the_template_gives_a_full_row_for_every_set(labelled):
    row = row_of(make_backend("template"), labelled.statements, labelled.row)
    fits_the_table([row])
    assert row["outcome"] == "template"
    assert row["error"] is None
    assert row["model"] is None
    assert row["clip_id"] == labelled.row["clip_id"]
    assert row["evidence"]
    assert row["graph"]
    assert row["run_id"] == "run-1"
    assert set(row["experts"]) == {s.expert for s in labelled.statements}


def test_supported_words_are_ok():
    row = row_of(says("A tabby cat in warm light.", "A tabby cat in warm light. The camera stays still."))
    assert row["outcome"] == "ok"
    assert row["short"] == "A tabby cat in warm light."
    assert row["dense"].startswith("A tabby cat in warm light. The camera stays still.")
    assert row["dropped"] == []
    assert (row["tokens_in"], row["tokens_out"], row["model"]) == (11, 7, "scripted")
    fits_the_table([row])


def test_what_the_model_left_out_is_completed_and_said_so():
    row = row_of(says("A tabby cat.", "A tabby cat."))
    assert row["outcome"] == "ok"
    assert any(f.startswith("completed:") for f in row["flags"])
    for word in ("orange", "black", "warm", "still", "almost no motion"):
        assert word in row["dense"]


def test_unsupported_words_are_repaired_and_recorded():
    row = row_of(says("A fluffy tabby cat in warm light.", "A tabby cat in warm light. A dog barks at two men."))
    assert row["outcome"] == "repaired"
    assert row["short"] == "A tabby cat in warm light."
    assert "dog" not in row["dense"]
    assert row["dropped"] == ["A dog barks at two men", "fluffy"]
    assert "dog" in row["raw"]


def test_a_caption_of_which_nothing_holds_is_the_templates():
    row = row_of(says("A dog.", "Two dogs bark at a postman."))
    assert row["outcome"] == "template"
    assert row["dense"].startswith("A tabby cat is visible.")
    assert row["dropped"] == ["Two dogs bark at a postman", "A dog"]
    assert row["backend"] == "openai"


def test_a_backend_error_costs_one_caption_and_is_written_down():
    def write(request):
        good = Reply(request.clip_id, "A cat.", "A cat is visible.", "raw")
        return BackendError("the server said 500") if request.clip_id.startswith("tabby") else good

    jobs = [(s.row, s.statements) for s in SETS if s.name in {"tabby", "dog-indoors", "birds"}]
    rows = caption_many(jobs, Scripted(write), Checker(), run_id="r")
    fits_the_table(rows)
    (failed,) = [r for r in rows if r["clip_id"].startswith("tabby")]
    assert (failed["outcome"], failed["error"]) == ("template", "the server said 500")
    assert all(r["error"] is None for r in rows if r is not failed)


def test_an_answer_for_another_clip_is_refused():
    jobs = [(s.row, s.statements) for s in SETS[:3]]
    swapped = Scripted(lambda r: Reply(SETS[0].row["clip_id"], "A tabby cat.", "A tabby cat is visible."))
    rows = caption_many(jobs, swapped, Checker(), run_id="r")
    assert [r["outcome"] for r in rows] == ["ok", "template", "template"]
    assert "answered for clip tabby:0-48 instead" in rows[1]["error"]


def test_missing_answers_are_errors_of_their_clips():
    class Short(Scripted):
        def fuse(self, requests):
            return super().fuse(requests)[:1]

    short = Short(lambda r: Reply(r.clip_id, "A tabby cat.", "A tabby cat is visible."))
    rows = caption_many([(s.row, s.statements) for s in SETS[:2]], short, Checker(), run_id="r")
    assert rows[1]["error"] == "the backend gave no answer"


def test_no_statements_is_an_error_and_the_backend_is_not_asked():
    backend = says("A cat.", "A cat.")
    row = row_of(backend, [])
    assert (row["outcome"], row["short"], row["dense"]) == ("error", None, None)
    assert row["error"] == "no expert said anything of this clip"
    assert backend.asked == []
    fits_the_table([row])


def test_unsafe_content_is_blocked_before_the_backend():
    unsafe = Statement("nsfw", "quality", "picture", "is", "unsafe", 0.95, 0, 48)
    backend = says("A cat.", "A cat.")
    row = row_of(backend, [*TABBY.statements, unsafe])
    assert (row["outcome"], row["dense"]) == ("blocked", None)
    assert backend.asked == []
    fits_the_table([row])


def test_boilerplate_and_repetition_are_stripped_and_flagged():
    dense = "This clip shows a tabby cat. A tabby cat. The camera stays still."
    row = row_of(says("The video shows a tabby cat.", dense))
    assert row["short"] == "A tabby cat."
    assert {"boilerplate", "repetition"} <= set(row["flags"])
    assert row["outcome"] == "ok"


def test_a_long_short_is_cut_to_fifteen_words():
    long = "A tabby cat in warm light, as the camera stays still, and the picture is dark, with much orange."
    row = row_of(says(long, "A tabby cat is visible."))
    assert len(row["short"].split()) <= 15
    assert row["short"].startswith("A tabby cat in warm light")


def test_conflicts_are_recorded():
    told = [*TABBY.statements, parse("other | camera | camera | pans | left | 0.4")]
    row = row_of(make_backend("template"), told)
    assert row["flags"] == ["conflict:camera"]
    assert "camera pans left (0.40) lost to motion: camera stays still" in row["conflicts"][0]
    assert "pans" not in row["dense"]


def test_measured_motion_contradicts():
    measured = {**TABBY.row, "camera_motion": "pan left", "camera_confidence": 0.9}
    row = row_of(make_backend("template"), clip_row=measured)
    assert "motion_contradiction" in row["flags"]


def test_progress_is_told():
    seen: list[tuple[int, int]] = []
    jobs = [(s.row, s.statements) for s in SETS[:3]]
    caption_many(jobs, make_backend("template"), Checker(), run_id="r", progress=lambda *at: seen.append(at))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_the_graph_answers_for_a_red_car_that_moves_left():
    labelled = next(s for s in SETS if s.name == "two-movers")
    triples = graph(settle(labelled.statements).statements)
    assert {"subject": "car", "predicate": "moves", "object": "left", "attributes": ["red"]} in triples
    assert {"subject": "bicycle", "predicate": "moves", "object": "right", "attributes": ["blue"]} in triples
    assert {"subject": "car", "predicate": "is visible", "object": "", "attributes": ["2", "red"]} in triples


# -- pseudo-videos ---------------------------------------------------------------------------------------------------

MOTIONS = (
    "zoom_in",
    "zoom_out",
    "pan_left",
    "pan_right",
    "tilt_up",
    "tilt_down",
    "pan_up_left",
    "pan_up_right",
    "pan_down_left",
    "pan_down_right",
    "roll_left",
    "roll_right",
    "zoom_in+pan_left",
    "zoom_out+tilt_up+roll_right",
    "truck_left",
    "pedestal_up",
    "dolly_out",
)


def pseudo_row(motion: str) -> dict:
    return {"clip_id": f"tabby:0-1@{motion}", "kind": "pseudo", "motion": motion, "first_frame": 0, "end_frame": 1}


def test_every_pseudo_motion_has_words():
    from curation.pseudo import MOTIONS as KNOWN

    assert set(KNOWN) <= set(MOTIONS)


@pytest.mark.parametrize("motion", MOTIONS)
def test_a_pseudo_caption_is_the_stills_content_and_the_known_motion(motion):
    parent = row_of(says("A tabby cat in warm light.", "A tabby cat in warm light. The camera stays still."))
    row = for_pseudo(parent, pseudo_row(motion), run_id="run-2")
    fits_the_table([row])
    assert row["dense"].startswith("A tabby cat in warm light.")
    assert "stays still" not in row["dense"]
    assert row["outcome"] == "ok"
    assert row["backend"] == parent["backend"]
    assert "inherited" in row["flags"]
    assert "pseudo" in row["experts"]
    words = {w for s in known_motion(pseudo_row(motion)) for w in (s.predicate, s.value)}
    assert words <= set(row["dense"].replace(".", "").split())
    assert [e for e in row["evidence"] if e["expert"] == "pseudo"]
    assert len(row["short"].split()) <= 15
    assert row["run_id"] == "run-2"
    camera = [t for t in row["graph"] if t["subject"] == "camera"]
    assert {(t["predicate"], t["object"]) for t in camera} == {
        (s.predicate, s.value) for s in known_motion(pseudo_row(motion))
    }


def test_a_pseudo_caption_is_the_same_from_a_row_that_went_through_arrow():
    parent = row_of(make_backend("template"))
    read_back = pa.Table.from_pylist([parent], schema=SCHEMA).to_pylist()[0]
    ours, theirs = (for_pseudo(p, pseudo_row("zoom_in"), run_id="r") for p in (parent, read_back))
    assert pa.Table.from_pylist([ours], schema=SCHEMA).equals(pa.Table.from_pylist([theirs], schema=SCHEMA))


def test_the_pseudo_of_a_blocked_still_is_blocked_and_of_an_error_only_moves():
    blocked = row_of(make_backend("template"), [Statement("nsfw", "quality", "picture", "is", "unsafe", 0.95, 0, 48)])
    assert for_pseudo(blocked, pseudo_row("zoom_in"), run_id="r")["outcome"] == "blocked"
    empty = row_of(make_backend("template"), [])
    row = for_pseudo(empty, pseudo_row("zoom_in"), run_id="r")
    assert (row["outcome"], row["dense"], row["backend"]) == ("template", "The camera zooms in.", "template")


def test_a_measured_motion_that_denies_the_known_one_is_flagged():
    moved = {**pseudo_row("pan_left"), "camera_motion": "pan right", "camera_confidence": 0.95}
    row = for_pseudo(row_of(make_backend("template")), moved, run_id="r")
    assert "motion_contradiction" in row["flags"]


def test_a_motion_without_words_is_refused():
    with pytest.raises(ConfigError, match="wobble"):
        for_pseudo(row_of(make_backend("template")), pseudo_row("wobble"), run_id="r")


def test_outcomes_and_flags_are_closed_sets():
    assert OUTCOMES == ("ok", "repaired", "template", "blocked", "error")
    rows = [row_of(make_backend("template"), s.statements, s.row) for s in SETS]
    assert {f.split(":")[0] for r in rows for f in r["flags"]} <= set(FLAGS)


class Handing:
    """A backend that hands back what the test gives it, whatever is asked."""

    name = "openai"
    model = ModelRef("scripted", "0" * 12, "none")
    prompt_hash = "f" * 12

    def __init__(self, give: Callable[[Sequence[Request]], list[Reply | BackendError]]) -> None:
        self.fuse = give

    def close(self) -> None:
        pass


def test_replies_in_another_order_find_their_clips():
    jobs = [(s.row, s.statements) for s in SETS[:3]]
    shuffled = Handing(lambda asked: [Reply(r.clip_id, "", r.clip_id, f"raw of {r.clip_id}") for r in reversed(asked)])
    rows = caption_many(jobs, shuffled, Checker(), run_id="r")
    assert [row["error"] for row in rows] == [None] * 3
    assert len({row["clip_id"] for row in rows}) == 3


def test_tokens_of_a_question_that_failed_for_good_are_counted():
    spent = Handing(lambda asked: [Unanswered("HTTP 500", 40, 12, 4) for _ in asked])
    row = row_of(spent)
    assert (row["outcome"], row["tokens_in"], row["tokens_out"], row["tries"]) == ("template", 40, 12, 4)


def test_a_window_that_got_no_answer_says_so_in_the_row():
    clip = {"clip_id": "v:0-240", "first_frame": 0, "end_frame": 240, "duration_s": 24.0}
    said = [replace(s, end_frame=240) for s in TABBY.statements]

    def give(asked: Sequence[Request]) -> list[Reply | BackendError]:
        whole = Reply(asked[0].clip_id, "A tabby cat.", "A tabby cat.", "raw")
        return [whole, *(BackendError("HTTP 500") for _ in asked[1:])]

    (row,) = caption_many([(clip, said)], Handing(give), Checker(), run_id="r", window_s=8.0)
    assert row["outcome"] == "ok"
    assert row["error"] == "window 0-80: HTTP 500"
    assert row["windows"][0]["outcome"] == "template"


def test_a_dense_text_has_never_more_than_its_words():
    said = [parse(f"detector | subject | scene | shows | a {thing} on a table | 0.9") for thing in THINGS]
    dense = " ".join(f"A {thing} on a table is visible." for thing in THINGS)
    assert word_count(dense) > DENSE_WORDS
    row = row_of(says("A cup.", dense), said)
    assert row["outcome"] == "ok"
    assert DENSE_WORDS - 8 < word_count(row["dense"]) <= DENSE_WORDS
    assert "length" in row["flags"]
