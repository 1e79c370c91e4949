"""Lint of all captions together: what videos share is found whatever the order, and only what is truly there."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captioning.corpus import FEWEST, NEAR, corpus_flags
from captioning.lint import FLAGS

Row = dict[str, Any]


def row(clip_id: str, dense: str | None, backend: str = "openai", outcome: str = "ok") -> Row:
    return {"clip_id": clip_id, "dense": dense, "backend": backend, "outcome": outcome}


def flags(*captions: tuple[str, str | None]) -> dict[str, set[str]]:
    return corpus_flags(row(clip_id, dense) for clip_id, dense in captions)


def shingles(text: str) -> set[tuple[str, ...]]:
    words = text.casefold().split()
    return {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def jaccard(one: str, other: str) -> float:
    a, b = shingles(one), shingles(other)
    return len(a & b) / len(a | b)


def words(r: random.Random, count: int) -> list[str]:
    return [f"w{n}" for n in r.sample(range(10**6), count)]


# -- duplicates ------------------------------------------------------------------------------------------------------


def test_a_caption_of_two_videos_is_a_duplicate_in_any_case() -> None:
    found = flags(("a:0-9", "A cat."), ("b:0-9", "a CAT."), ("a:9-20", "A cat."), ("c:0-9", "A dog."), ("d:0-9", None))
    assert found == {"a:0-9": {"duplicate:b:0-9"}, "a:9-20": {"duplicate:b:0-9"}, "b:0-9": {"duplicate:a:0-9"}}


def test_clips_of_one_video_and_pseudo_videos_of_one_still_share_their_content() -> None:
    text = "a man walks down a long road in the rain"
    assert flags(("a:0-9", text), ("a:9-20", text), ("a:20-30", f"{text}!")) == {}
    assert flags(*((f"s:0-1{motion}", text) for motion in ("", "@zoom_in", "@pan_left"))) == {}
    found = flags(("s:0-1@zoom_in", text), ("s:0-1@pan_left", text), ("t:0-1@zoom_in", text))
    assert found["s:0-1@pan_left"] == {"duplicate:t:0-1@zoom_in"}
    assert found["t:0-1@zoom_in"] == {"duplicate:s:0-1@pan_left"}


def test_captions_without_words_are_passed_over() -> None:
    assert flags() == {}
    assert flags(("a:0-9", ""), ("b:0-9", ""), ("c:0-9", "..."), ("d:0-9", "..."), ("e:0-9", None)) == {}


# -- near-duplicates -------------------------------------------------------------------------------------------------


def test_a_near_duplicate_names_the_nearest_caption_of_another_video() -> None:
    base = [f"w{i}" for i in range(100)]
    one, two = [*base[:-1], "x"], [*base[:-5], *"vwxyz"]
    found = flags(("a:0-9", " ".join(base)), ("b:0-9", " ".join(two)), ("c:0-9", " ".join(one)), ("a:9-18", "Other"))
    assert found["a:0-9"] == {"near_duplicate:c:0-9"}
    assert found["c:0-9"] == {"near_duplicate:a:0-9"}
    assert found["b:0-9"] <= {"near_duplicate:a:0-9", "near_duplicate:c:0-9"}
    assert "a:9-18" not in found


def test_other_marks_make_a_near_duplicate_even_of_two_words() -> None:
    assert flags(("a:0-9", "Black cat."), ("b:0-9", "black, cat")) == {
        "a:0-9": {"near_duplicate:b:0-9"},
        "b:0-9": {"near_duplicate:a:0-9"},
    }
    assert flags(("a:0-9", "Black cat."), ("b:0-9", "black dog")) == {}


def test_the_nearest_of_the_same_video_does_not_hide_one_of_another() -> None:
    base = [f"w{i}" for i in range(60)]
    crowd = [(f"a:{i}-{i + 1}", " ".join([*base[:-1], f"x{i}"])) for i in range(100)]
    found = flags(*crowd, ("b:0-9", " ".join([*base[:-1], "y"])))
    assert {clip for clip in found if clip.startswith("a:")} == {clip for clip, _ in crowd}
    assert all(names == {"near_duplicate:b:0-9"} for clip, names in found.items() if clip.startswith("a:"))


@pytest.mark.parametrize(
    ("changed", "near"),
    [
        (3, True),  # of 98 shingles: Jaccard 0.941
        (10, True),  # 0.815
        (11, False),  # 0.798
        (14, False),  # 0.75
        (30, False),
    ],
)
def test_planted_pairs_of_known_similarity_are_found(changed: int, near: bool) -> None:
    r = random.Random(3)
    rows, planted = [], set()
    for i in range(500):
        base = words(r, 100)
        pair = [" ".join(base), " ".join([*base[:-changed], *words(r, changed)])]
        assert (jaccard(*pair) >= NEAR) is near
        rows += [row(f"{i}{side}:0-9", text) for side, text in zip("ab", pair, strict=True)]
        planted |= {(f"{i}a:0-9", f"near_duplicate:{i}b:0-9"), (f"{i}b:0-9", f"near_duplicate:{i}a:0-9")}
    found = {(clip, flag) for clip, names in corpus_flags(rows).items() for flag in names}
    assert found <= planted
    assert len(found) >= 0.99 * len(planted) if near else not found


def test_in_a_crowd_of_captions_from_one_mould_nearly_all_near_duplicates_are_found() -> None:
    """Thousands of captions that share a good part of their shingles with one another, as a template's do."""
    r = random.Random(5)
    mould = [" ".join(words(r, 4)) for _ in range(12)]
    filled = [[r.randrange(4) for _ in mould] for _ in range(4000)]
    planted = [[*slots[:5], 4, 5, *slots[7:]] for slots in filled[:200]]
    texts = [" ".join(f"{part} s{n}" for part, n in zip(mould, slots, strict=True)) for slots in [*filled, *planted]]
    assert all(jaccard(*pair) >= NEAR for pair in zip(texts[:200], texts[4000:], strict=True))
    assert jaccard(texts[0], texts[1]) > 0.25
    found = corpus_flags(row(f"{i}:0-9", text) for i, text in enumerate(texts))
    near = {int(clip.split(":")[0]): names for clip, names in found.items() if "near_duplicate" in str(names)}
    assert sum(i in near for i in range(4000, 4200)) >= 190
    named = [(i, int(name.split(":")[1])) for i, names in near.items() for name in names if name.startswith("near")]
    assert all(jaccard(texts[i], texts[other]) >= NEAR for i, other in named)


# -- lengths ---------------------------------------------------------------------------------------------------------


def lengths(*counts: int, backend: str = "openai", outcome: str = "ok") -> list[Row]:
    r = random.Random(len(counts))
    return [row(f"{backend}{outcome}{i}:0-9", " ".join(words(r, n)), backend, outcome) for i, n in enumerate(counts)]


def test_unusual_lengths_are_flagged_among_an_authors_own_captions() -> None:
    usual = [40 + i % 7 for i in range(60)]
    found = corpus_flags([*lengths(*usual, 4, 190), *lengths(*[5] * 30, backend="template", outcome="template")])
    assert found == {"openaiok60:0-9": {"length_outlier:short"}, "openaiok61:0-9": {"length_outlier:long"}}


def test_few_captions_are_no_measure_of_length() -> None:
    assert corpus_flags(lengths(*[40] * (FEWEST - 2), 200)) == {}
    assert set(corpus_flags(lengths(*[40] * (FEWEST - 1), 200))) == {f"openaiok{FEWEST - 1}:0-9"}


def test_a_word_more_than_always_is_no_outlier() -> None:
    assert corpus_flags(lengths(*[15] * 50, 16, 17, 14, 13)) == {}


def test_what_the_template_wrote_is_judged_as_the_templates() -> None:
    fallback = lengths(*[5] * 10, outcome="template")
    assert corpus_flags([*lengths(*[40 + i % 5 for i in range(50)]), *fallback]) == {}
    assert len(corpus_flags([*lengths(*[40 + i % 5 for i in range(50)]), *lengths(*[5] * 10, backend="openai2")])) == 0


# -- properties ------------------------------------------------------------------------------------------------------

TEXTS = st.lists(st.sampled_from(["a", "red", "blue", "cat", "dog", "sits", "runs", "on"]), min_size=1, max_size=9)
CORPORA = st.lists(st.tuples(st.sampled_from("vwxyz"), TEXTS), max_size=30).map(
    lambda told: [row(f"{video}:{i}-{i + 1}", " ".join(text)) for i, (video, text) in enumerate(told)]
)


@settings(max_examples=60, deadline=None)
@given(CORPORA, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rows: list[Row], r: random.Random) -> None:
    shuffled = r.sample(rows, len(rows))
    assert corpus_flags(shuffled) == corpus_flags(rows)


@settings(max_examples=60, deadline=None)
@given(CORPORA)
def test_every_flag_is_true_and_known(rows: list[Row]) -> None:
    text = {caption["clip_id"]: caption["dense"] for caption in rows}
    for clip, names in corpus_flags(rows).items():
        assert names
        for name in names:
            kind, _, detail = name.partition(":")
            assert kind in FLAGS
            if kind != "length_outlier":
                assert detail.split(":")[0] != clip.split(":")[0]
                assert (text[detail] == text[clip]) is (kind == "duplicate")
                assert jaccard(text[detail], text[clip]) >= NEAR


@settings(max_examples=60, deadline=None)
@given(CORPORA)
def test_a_duplicate_is_flagged_exactly_where_another_video_has_it(rows: list[Row]) -> None:
    found = corpus_flags(rows)
    for one in rows:
        others = [
            other for other in rows if other["clip_id"][0] != one["clip_id"][0] and other["dense"] == one["dense"]
        ]
        named = [name for name in found.get(one["clip_id"], ()) if name.startswith("duplicate:")]
        assert named == [f"duplicate:{min(other['clip_id'] for other in others)}"] if others else not named


@settings(max_examples=40, deadline=None)
@given(CORPORA, st.integers(0, 30))
def test_more_captions_never_undo_a_duplicate(rows: list[Row], some: int) -> None:
    def duplicates(of: list[Row]) -> set[str]:
        return {clip for clip, names in corpus_flags(of).items() if any(n.startswith("duplicate:") for n in names)}

    assert duplicates(rows[:some]) <= duplicates(rows)


def test_twenty_thousand_captions_take_seconds() -> None:
    r = random.Random(11)
    vocabulary = words(r, 5000)
    rows = [row(f"v{i // 5}:{i}-{i + 9}", " ".join(r.choices(vocabulary, k=60))) for i in range(20_000)]
    rows[-1]["dense"] = f"{rows[0]['dense']} again"
    began = time.process_time()
    found = corpus_flags(iter(rows))
    assert time.process_time() - began < 15  # some 1.2 s on a quiet core
    near = {clip for clip, names in found.items() if any(name.startswith("near_duplicate") for name in names)}
    assert near == {rows[0]["clip_id"], rows[-1]["clip_id"]}
