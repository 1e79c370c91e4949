"""The scene graph answers, in SQL, what a clip shows: things, their attributes, how they act and how they stand."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captioning import caption, graph, make_backend
from captioning.checker import Checker
from captioning.statements import settle
from captioning.words import number_value, stem
from dataset import Root, query
from experts.base import DIMENSIONS, Statement
from tests.captioning.sets import SPAN, load, parse
from tests.dataset.build import new_root

SETS = load()
Triple = tuple[str, str, str, tuple[str, ...]]


def told(*lines: str) -> list[Statement]:
    """Statements from `dimension | subject | predicate | value`."""
    return [parse(f"tags | {line} | 0.9") for line in lines]


def triples(*lines: str) -> list[Triple]:
    found = graph(told(*lines))
    return [(t["subject"], t["predicate"], t["object"], tuple(t["attributes"])) for t in found]


# -- what becomes of a statement -------------------------------------------------------------------------------------

ONE = [
    ("action | car | moves | left", [("car", "moves", "left", ())]),
    ("action | The Car | moves | to the left", [("car", "moves to", "left", ())]),
    ("action | red car | turns | right at the crossing", [
        ("car", "turns", "right", ("red",)), ("car", "turns at", "crossing", ("red",))]),
    ("subject | scene | shows | a red car", [("car", "is visible", "", ("red",))]),
    ("subject | scene | shows | a man and a white horse", [
        ("man", "is visible", "", ()), ("horse", "is visible", "", ("white",))]),
    ("subject | scene | shows | a black and white cat", [("cat", "is visible", "", ("black", "white"))]),
    ("action | scene | shows | a red car moving left", [
        ("car", "is visible", "", ("red",)), ("car", "moving", "left", ("red",))]),
    ("appearance | people | wear | denim shirts", [("person", "wear", "shirt", ()), ("shirt", "is", "", ("denim",))]),
    ("appearance | girl | has | long blond hair", [
        ("girl", "has", "hair", ()), ("hair", "is", "", ("long", "blond"))]),
    ("appearance | car | is | red", [("car", "is", "", ("red",))]),
    ("appearance | car | is | dark red", [("car", "is", "", ("dark", "red"))]),
    ("appearance | pavement | is | wet and shiny", [("pavement", "is", "", ("wet", "shiny"))]),
    ("setting | court | is | blue with white lines", [
        ("court", "with", "line", ("blue",)), ("line", "is", "", ("white",))]),
    ("subject | cup | is on | table", [("cup", "is on", "table", ())]),
    ("subject | cup | is | on the wooden table", [
        ("cup", "is on", "table", ()), ("table", "is", "", ("wooden",))]),
    ("appearance | person | is | on the right", [("person", "is on", "right", ())]),
    ("setting | stalls | are | in front of houses", [("stall", "is in front of", "house", ())]),
    ("subject | scene | shows | a red pot on the stove", [
        ("pot", "is visible", "", ("red",)), ("pot", "is on", "stove", ("red",))]),
    ("subject | scene | shows | a cup of coffee next to a window", [
        ("cup", "is visible", "", ()), ("cup", "of", "coffee", ()), ("coffee", "is next to", "window", ())]),
    ("action | singer | holds | a microphone and raises one arm", [
        ("singer", "holds", "microphone", ()), ("singer", "raises", "arm", ()), ("arm", "is", "", ("1",))]),
    ("count | picture | shows | two red cars", [("car", "is visible", "", ("2", "red"))]),
    ("count | people | number | 12", [("person", "is visible", "", ("12",))]),
    ("count | people | number | 0", [("person", "is absent", "", ())]),
    ("subject | scene | shows | no cars and no people", [
        ("car", "is absent", "", ()), ("person", "is absent", "", ())]),
    ("setting | room | has | no furniture", [("room", "has no", "furniture", ())]),
    ("subject | animal | looks like | tabby cat", [
        ("animal", "looks like", "cat", ()), ("cat", "is visible", "", ("tabby",))]),
    ("setting | scene | is in | a kitchen", [("scene", "is in", "kitchen", ())]),
    ("setting | scene | is | outdoors", [("scene", "is", "outdoors", ())]),
    ("action | scene | shows | almost no motion", [("scene", "shows", "almost no motion", ())]),
    ("camera | camera | pans | up left", [("camera", "pans", "up left", ())]),
    ("text | sign on the wall | reads | OPEN The 24 Hours", [("sign on the wall", "reads", "OPEN The 24 Hours", ())]),
    ("appearance | picture | has much | orange", [("picture", "is", "", ("much orange",))]),
    ("light | light | is | warm", [("light", "is", "", ("warm",))]),
]  # fmt: skip


@pytest.mark.parametrize(("line", "made"), ONE, ids=[line for line, _ in ONE])
def test_a_statement_becomes_triples(line: str, made: list[Triple]) -> None:
    assert triples(line) == made


# -- which thing is meant --------------------------------------------------------------------------------------------

RED, BLUE, MOVES = (
    "subject | scene | shows | a red car",
    "subject | scene | shows | a blue car",
    "action | car | moves | left",
)


def test_a_bare_name_is_the_one_thing_of_that_name() -> None:
    assert ("car", "moves", "left", ("red",)) in triples(RED, MOVES)
    assert ("car", "moves", "left", ("red",)) in triples("appearance | car | is | red", MOVES)
    assert ("car", "moves", "left", ("red", "shiny")) in triples(RED, "appearance | car | is | shiny", MOVES)
    assert ("car", "moves", "left", ("red",)) in triples("subject | scene | shows | two red cars", MOVES)


def test_of_two_things_of_one_name_a_bare_name_tells_not_which() -> None:
    found = triples(RED, BLUE, MOVES, "action | blue car | moves | right")
    assert {("car", "is visible", "", ("red",)), ("car", "is visible", "", ("blue",))} <= set(found)
    assert ("car", "moves", "left", ()) in found
    assert ("car", "moves", "right", ("blue",)) in found


def test_of_two_cars_the_red_one_need_not_be_the_one_that_moves() -> None:
    assert ("car", "moves", "left", ()) in triples(RED, "count | picture | shows | two cars", MOVES)


def test_a_colour_stated_of_a_bare_name_is_not_given_to_a_thing_of_another() -> None:
    found = triples(RED, "appearance | car | is | blue", MOVES)
    assert ("car", "is visible", "", ("red",)) in found
    assert not [t for t in found if {"red", "blue"} <= set(t[3])]


def test_a_number_is_of_its_own_triple() -> None:
    found = triples("count | car | number | 2", "appearance | car | is | red", MOVES)
    assert found == [("car", "is visible", "", ("2", "red")), ("car", "moves", "left", ("red",))]


def test_traffic_lights_are_not_the_light_of_the_scene() -> None:
    found = triples("action | bus | stands | at a traffic light", "light | light | is | cool")
    assert ("light", "is", "", ("cool",)) in found
    assert ("light", "is", "", ("traffic",)) in found


# -- properties ------------------------------------------------------------------------------------------------------

_GLUE = {"is", "visible", "absent", "no"}


def _words(text: str) -> set[str]:
    found = set()
    for word in re.findall(r"[^\W_]+(?:['’-][^\W_]+)*|\d+", text.casefold()):
        found |= {word, stem(word), str(number_value(word))}
    return found


def _is_told(word: str, among: set[str]) -> bool:
    irregular = {"person": "people", "man": "men", "woman": "women", "child": "children", "shelf": "shelves",
                 "loaf": "loaves"}  # fmt: skip
    return bool(_words(word) - {"None"} & among) or irregular.get(word) in among or f"{word}s" in among


def _holds(statements: list[Statement]) -> None:
    among = set().union(*(_words(f"{s.subject} {s.predicate} {s.value}") for s in statements)) - {"None"}
    for triple in graph(statements):
        for part in (triple["subject"], triple["predicate"], triple["object"], *triple["attributes"]):
            for word in re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", part.casefold()):
                assert word in _GLUE or _is_told(word, among), (triple, word)


@pytest.mark.parametrize("labelled", SETS, ids=lambda s: s.name)
def test_every_word_of_the_labelled_sets_triples_was_stated(labelled) -> None:
    statements = list(settle(labelled.statements, span=SPAN).statements)
    assert graph(statements)
    _holds(statements)


ALL = [s for labelled in SETS for s in labelled.statements]
NOUNS = st.sampled_from(["car", "red car", "two dogs", "the old man", "people", "scene", "picture", "cup of tea"])
SAID = st.sampled_from(["is", "are", "shows", "wears", "moves", "is on", "looks like", "has", "number", "has much"])
VALUES = st.sampled_from(
    ["red", "left", "a red hat and blue shoes", "on the table", "no cars", "3", "two", "many people in the park",
     "dark, in low key", "a dog chasing a ball", "down the street", "and", "with", ".", "half", "slowly to the left"]
)  # fmt: skip
MADE = st.builds(
    lambda dimension, subject, predicate, value: Statement("t", dimension, subject, predicate, value, 0.9, *SPAN),
    st.sampled_from(DIMENSIONS),
    NOUNS,
    SAID,
    VALUES,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(MADE, st.sampled_from(ALL)), max_size=6))
def test_every_word_of_a_triple_was_stated(statements: list[Statement]) -> None:
    _holds(statements)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30), st.text(max_size=10), st.text(max_size=30), st.sampled_from(DIMENSIONS))
def test_any_text_can_be_stated(subject, predicate, value, dimension) -> None:
    for triple in graph([Statement("t", dimension, subject, predicate, value, 0.9, *SPAN)]):
        assert all(isinstance(part, str) for part in (triple["subject"], triple["predicate"], triple["object"]))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(MADE, st.sampled_from(ALL)), max_size=6))
def test_no_triple_is_there_twice(statements: list[Statement]) -> None:
    found = [str(triple) for triple in graph(statements)]
    assert len(found) == len(set(found))


# -- in SQL ----------------------------------------------------------------------------------------------------------

SCENES = {
    "mover": (RED, MOVES, "subject | scene | shows | a blue bus"),
    "stated": ("appearance | car | is | red", "action | car | moves | left", "count | picture | shows | three people"),
    "phrase": ("action | scene | shows | a red car moving left",),
    "parked": (RED, "action | bus | moves | left"),
    "right": ("action | red car | moves | right", "action | blue car | moves | left"),
    "cups": ("subject | scene | shows | a green cup on the table", "count | picture | shows | two people"),
    "cup": ("subject | cup | is | on the table", "count | picture | shows | one person"),
    "under": ("subject | scene | shows | a cup under the table", "count | people | number | 0"),
    "worn": ("appearance | people | wear | denim shirts", "count | picture | shows | five people"),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A captions table, written by the template from statements."""
    made = new_root(tmp_path_factory.mktemp("graph"))
    backend, checker = make_backend("template"), Checker()
    rows = []
    for name, lines in SCENES.items():
        clip = {"clip_id": f"{name}:0-48", "first_frame": SPAN[0], "end_frame": SPAN[1]}
        rows.append(caption(clip, told(*lines), backend, checker, run_id="r"))
    made.write_part("captions", rows, key="all")
    return made


QUERIES = {
    "a red car moves left": (
        """
        SELECT clip_id FROM captions
        WHERE len(list_filter(graph, lambda t: t.subject = 'car' AND list_contains(t.attributes, 'red')
                              AND t.predicate IN ('moves', 'moving') AND t.object = 'left')) > 0
        """,
        {"mover", "stated", "phrase"},
    ),
    "more than two people": (
        """
        SELECT DISTINCT clip_id FROM (SELECT clip_id, unnest(graph) AS t FROM captions)
        WHERE t.subject = 'person' AND t.predicate = 'is visible'
          AND len(list_filter(t.attributes, lambda a: try_cast(a AS INTEGER) > 2)) > 0
        """,
        {"stated", "worn"},
    ),
    "nobody": (
        """
        SELECT DISTINCT clip_id FROM (SELECT clip_id, unnest(graph) AS t FROM captions)
        WHERE t.subject = 'person' AND t.predicate = 'is absent'
        """,
        {"under"},
    ),
    "a cup is on a table": (
        """
        SELECT DISTINCT clip_id FROM (SELECT clip_id, unnest(graph) AS t FROM captions)
        WHERE t.subject = 'cup' AND t.predicate = 'is on' AND t.object = 'table'
        """,
        {"cups", "cup"},
    ),
    "somebody wears something of denim": (
        """
        WITH g AS (SELECT clip_id, unnest(graph) AS t FROM captions)
        SELECT DISTINCT worn.clip_id FROM g AS worn JOIN g AS thing USING (clip_id)
        WHERE worn.t.predicate IN ('wear', 'wears') AND thing.t.subject = worn.t.object
          AND list_contains(thing.t.attributes, 'denim')
        """,
        {"worn"},
    ),
}


@pytest.mark.parametrize("asked", QUERIES)
def test_sql_finds_the_clips(root: Root, asked: str) -> None:
    sql, clips = QUERIES[asked]
    assert {row["clip_id"].split(":")[0] for row in query(root, sql).to_pylist()} == clips
