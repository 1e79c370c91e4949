"""The parts of the search for duplicates: every pair within the distance, no chain, no matter the order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.duplicates.banding import pairs_within, plan
from curation.duplicates.clusters import Edges, Evidence, same_content, stars
from curation.duplicates.exact import overlapping, repeated_rows, same_key
from curation.duplicates.near import near_pairs
from curation.duplicates.semantic import semantic_pairs

HASH = st.integers(0, 2**64 - 1)


def flipped(value: int, bits: object) -> int:
    for bit in bits:  # type: ignore[attr-defined]
        value ^= 1 << bit
    return value


def families(seed: int, count: int, most: int) -> np.ndarray:
    """Random hashes, each with a few relatives at up to `most` bits."""
    random = np.random.default_rng(seed)
    found = []
    for value in random.integers(0, 2**64, count, dtype=np.uint64).tolist():
        found.append(value)
        for _ in range(random.integers(0, 4)):
            found.append(flipped(value, random.choice(64, random.integers(0, most + 1), replace=False).tolist()))
    return np.array(found, np.uint64)


def all_pairs(hashes: np.ndarray, distance: int) -> list[tuple[int, int, int]]:
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    first, second = np.nonzero(np.triu(apart <= distance, 1))
    return [(int(a), int(b), int(apart[a, b])) for a, b in zip(first, second, strict=True)]


def told(pairs: object) -> list[tuple[int, int, int]]:
    columns = (pairs.first, pairs.second, pairs.distance)  # type: ignore[attr-defined]
    return list(zip(*(column.tolist() for column in columns), strict=True))


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), distance=st.integers(0, 12))
def test_banding_finds_every_pair_within_the_distance_once_and_no_other(seed: int, distance: int) -> None:
    hashes = families(seed, 40, distance + 2)
    found = pairs_within(hashes, distance)
    assert told(found) == all_pairs(hashes, distance)
    assert found.skipped == 0


@settings(deadline=None, max_examples=40)
@given(st.lists(HASH, max_size=12), st.integers(0, 16))
def test_banding_holds_for_any_hashes_even_the_same_ones(values: list[int], distance: int) -> None:
    hashes = np.array(values, np.uint64)
    assert told(pairs_within(hashes, distance)) == all_pairs(hashes, distance)


@pytest.mark.parametrize("hashes", [10, 30_000, 3_000_000, 30_000_000])
@pytest.mark.parametrize("distance", range(17))
def test_any_plan_obeys_the_pigeonhole_principle_and_fits_its_key(hashes: int, distance: int) -> None:
    bands, agree = plan(hashes, distance)
    assert bands - agree >= distance
    assert agree * -(-64 // bands) <= 32


def test_a_plan_for_more_hashes_makes_smaller_buckets() -> None:
    keys = [64 * plan(n, 6)[1] / plan(n, 6)[0] for n in (1_000, 100_000, 3_000_000)]
    assert keys == sorted(keys)
    assert keys[-1] > 14


def test_many_tables_and_several_blocks_find_what_was_planted() -> None:
    random = np.random.default_rng(3)
    hashes = random.integers(0, 2**64, 200_000, dtype=np.uint64)
    planted = [flipped(h, random.choice(64, 6, replace=False).tolist()) for h in hashes[:500].tolist()]
    found = pairs_within(np.concatenate([hashes, np.array(planted, np.uint64)]), 6)
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert {(i, 200_000 + i) for i in range(500)} <= pairs
    assert len(found.first) == len(pairs)


def test_a_crowded_bucket_is_cut_short_and_says_so() -> None:
    hashes = np.arange(300, dtype=np.uint64)  # they differ in nine bits, and crowd the other bands
    found = pairs_within(hashes, 2, crowd=10)
    assert found.skipped > 0
    assert set(told(found)) < set(all_pairs(hashes, 2))


def picture(seed: int) -> int:
    """A hash as a picture has it: half its bits set."""
    bits = np.random.default_rng(seed).permutation(64)[:32]
    return sum(1 << int(bit) for bit in bits)


def near(rows: list[list[int]], distance: int = 8, nearest: int = 6, agreement: float = 0.5) -> list[tuple[int, int]]:
    width = max(map(len, rows))
    hashes = np.zeros((len(rows), width), np.uint64)
    valid = np.zeros((len(rows), width), np.bool_)
    for at, row in enumerate(rows):
        hashes[at, : len(row)] = np.array(row, np.uint64)
        valid[at, : len(row)] = True
    edges, _ = near_pairs(hashes, valid, distance, nearest, agreement)
    return sorted(zip(edges.first.tolist(), edges.second.tolist(), strict=True))


A, B, C, D, E = map(picture, range(5))


def test_most_keyframes_must_match_in_whatever_order() -> None:
    assert near([[A, B, C], [C, A, D]]) == [(0, 1)]
    assert near([[A, B, C], [A, D, E]]) == []
    assert near([[A, B, C], [A, D, E]], agreement=0.3) == [(0, 1)]


def test_one_picture_that_is_repeated_is_one_vote() -> None:
    assert near([[A, A, A], [A, B, C]]) == []
    assert near([[A, A, A], [A, A, A]]) == [(0, 1)]


def test_each_may_differ_by_the_distance_and_the_best_by_less() -> None:
    seven, eight, nine = (lambda h, n=n: flipped(h, range(n)) for n in (7, 8, 9))
    assert near([[A, B, C], [A, eight(B), D]]) == [(0, 1)]
    assert near([[A, B, C], [A, nine(B), D]]) == []
    assert near([[A, B, C], [seven(A), eight(B), D]]) == []
    assert near([[A, B, C], [seven(A), eight(B), D]], nearest=7) == [(0, 1)]


def test_a_crop_matches_the_whole_of_the_other_and_no_crop_of_it() -> None:
    hashes = np.array([[A, B], [D, E], [C, C]], np.uint64)
    crops = np.array([[[D, 0], [0, E]], [[0, 0], [0, 0]], [[D, 0], [0, E]]], np.uint64)
    edges, _ = near_pairs(hashes, np.ones((3, 2), np.bool_), 8, 6, 1.0, crops)
    assert list(zip(edges.first.tolist(), edges.second.tolist(), strict=True)) == [(0, 1), (1, 2)]


def test_the_clip_with_fewer_keyframes_decides_how_many_must_match() -> None:
    assert near([[A], [A, B, C]]) == [(0, 1)]
    assert near([[A], [], [A]]) == [(0, 2)]


def test_black_and_even_frames_say_nothing() -> None:
    black, even = 0, 1 << 63
    assert near([[black] * 3, [black] * 3, [even] * 3, [even] * 3]) == []
    assert near([[black, A, B], [black, A, B]]) == [(0, 1)]
    assert near([[black, A, B], [black, C, D]]) == []


def test_a_picture_in_very_many_clips_costs_no_square_of_them() -> None:
    hashes = np.full((20_000, 3), A, np.uint64)
    edges, _ = near_pairs(hashes, np.ones_like(hashes, np.bool_), 8, 6, 0.5)
    assert len(edges.first) < 20_000 * 9
    found = stars(20_000, Edges.joined([edges]))
    assert (found.representative == 0).all()


def scattered(count: int, bits: int = 3) -> np.ndarray:
    """Return hashes [count, 1] of one picture as encoders change it: each `bits` bits from a base, all different."""
    random = np.random.default_rng(2)
    found: dict[int, None] = {}
    while len(found) < count:
        found[flipped(A, random.choice(64, bits, replace=False).tolist())] = None
    return np.array(list(found), np.uint64)[:, None]


@pytest.mark.parametrize("count", [2_000, 20_000])
def test_a_picture_in_very_many_clips_by_hashes_that_differ_costs_no_square_of_them(count: int) -> None:
    hashes = scattered(count)
    edges, skipped = near_pairs(hashes, np.ones_like(hashes, np.bool_), 8, 6, 0.5)
    assert len(edges.first) < 9 * count
    assert skipped > 0
    assert (stars(count, Edges.joined([edges])).representative == 0).all()


def test_a_copy_is_found_among_very_many_clips_that_share_another_picture_with_it() -> None:
    cards = scattered(1_000)
    own = np.array([[picture(10 + n)] for n in range(1_000)], np.uint64)
    own[700] = flipped(int(own[600, 0]), [1, 2])
    hashes = np.concatenate([cards, own], axis=1)
    edges, _ = near_pairs(hashes, np.ones_like(hashes, np.bool_), 8, 6, 1.0)
    assert list(zip(edges.first.tolist(), edges.second.tolist(), strict=True)) == [(600, 700)]


def test_what_is_left_out_of_a_picture_in_many_clips_is_counted_and_of_one_in_a_few_nothing_is() -> None:
    few, many = np.full((8, 1), A, np.uint64), np.full((30, 1), A, np.uint64)
    assert near_pairs(few, np.ones_like(few, np.bool_), 8, 6, 0.5)[1] == 0
    assert near_pairs(many, np.ones_like(many, np.bool_), 8, 6, 0.5)[1] > 0


def test_a_clip_with_many_like_keyframes_hides_no_other_clip() -> None:
    still = scattered(16)[:, 0]  # sixteen keyframes of one picture, in each of three clips
    hashes = np.stack([still, still ^ np.uint64(1), still ^ np.uint64(2)])
    edges, skipped = near_pairs(hashes, np.ones_like(hashes, np.bool_), 8, 6, 0.5)
    assert (len(edges.first), skipped) == (3, 0)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), best=st.integers(1, 5))
def test_banding_for_the_best_finds_them_for_every_hash(seed: int, best: int) -> None:
    hashes = np.concatenate([families(seed, 10, 4), scattered(300)[:, 0]])
    np.random.default_rng(seed).shuffle(hashes)
    found = pairs_within(hashes, 4, best=best)
    wanted: dict[int, list[int]] = {}
    for first, second, _ in all_pairs(hashes, 4):
        wanted.setdefault(second, []).append(first)
    assert {(first, second) for first, second, _ in told(found)} == {
        (first, second) for second, firsts in wanted.items() for first in firsts[:best]
    }


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=40))
def test_a_cluster_is_a_star_and_no_clip_that_has_a_better_match_is_left(pairs: list[tuple[int, int]]) -> None:
    pairs = [(a, b) for a, b in pairs if a != b]
    edges = Edges.joined([Edges.of_kind([p[0] for p in pairs], [p[1] for p in pairs], Evidence.NEAR)])
    found = stars(15, edges)
    known = {(min(p), max(p)) for p in pairs}
    for clip, (head, edge) in enumerate(zip(found.representative.tolist(), found.edge.tolist(), strict=True)):
        assert found.representative[head] == head  # a representative has none
        assert (edge < 0) == (head == clip)
        if head != clip:
            assert (head, clip) in known  # the member itself matches
            assert (edges.first[edge], edges.second[edge]) == (head, clip)
    heads = {clip for clip in range(15) if found.representative[clip] == clip}
    assert not {pair for pair in known if set(pair) <= heads}  # representatives do not match each other


def test_a_chain_is_not_one_cluster() -> None:
    chain = Edges.joined([Edges.of_kind(range(9), range(1, 10), Evidence.NEAR)])
    assert stars(10, chain).representative.tolist() == [0, 0, 2, 2, 4, 4, 6, 6, 8, 8]


def test_being_the_same_is_transitive() -> None:
    edges = Edges.of_kind([1, 2, 5], [2, 4, 6], Evidence.KEYFRAMES)
    assert same_content(7, edges).tolist() == [0, 1, 1, 3, 1, 5, 5]


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abcd")), max_size=30))
def test_the_same_key_joins_everything_to_the_best(keyed: list[tuple[int, str]]) -> None:
    edges = same_key(keyed, Evidence.MEDIA)
    for first, second in zip(edges.first, edges.second, strict=True):
        assert first < second
        assert {k for p, k in keyed if p == first} & {k for p, k in keyed if p == second}


def test_rows_that_are_repeated_are_found_and_empty_ones_are_not() -> None:
    hashes = np.array([[1, 2], [1, 0], [1, 2], [0, 0], [0, 0], [1, 0]], np.uint64)
    valid = np.array([[1, 1], [1, 1], [1, 1], [0, 0], [0, 0], [1, 0]], np.bool_)
    assert repeated_rows(hashes, valid).tolist() == [0, 2]  # a missing hash is no hash of zero


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20), st.integers(1, 9)), max_size=15, unique=True))
def test_spans_that_share_half_of_the_shorter_are_found(spans: list[tuple[int, int, int]]) -> None:
    source, first = (np.array([s[i] for s in spans], np.int64) for i in (0, 1))
    end = first + np.array([s[2] for s in spans], np.int64)
    edges = overlapping(source, first, end, 0.5)
    wanted = set()
    for a in range(len(spans)):
        for b in range(a + 1, len(spans)):
            common = min(end[a], end[b]) - max(first[a], first[b])
            if source[a] == source[b] and common >= 0.5 * min(end[a] - first[a], end[b] - first[b]) and common > 0:
                wanted.add((a, b))
    assert set(zip(edges.first.tolist(), edges.second.tolist(), strict=True)) == wanted


def unit(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    rows = random.normal(size=shape).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize("leaf", [64, 4096])
def test_embeddings_that_are_alike_are_found(leaf: int) -> None:
    random = np.random.default_rng(1)
    base = unit(random, (3000, 64))
    noisy = base[:400] + 0.02 * random.normal(size=(400, 64)).astype(np.float32)
    vectors = np.concatenate([base, noisy / np.linalg.norm(noisy, axis=1, keepdims=True)])
    edges = semantic_pairs(vectors, 0.95, leaf=leaf)
    found = set(zip(edges.first.tolist(), edges.second.tolist(), strict=True))
    planted = {(i, 3000 + i) for i in range(400)}
    assert len(planted & found) >= (396 if leaf == 64 else 400)
    assert found <= planted
    assert edges.distance.max() < 0.05


def test_ever_so_many_equal_embeddings_cost_no_square_of_them() -> None:
    vectors = np.repeat(unit(np.random.default_rng(1), (1, 16)), 5000, axis=0)
    edges = semantic_pairs(vectors, 0.95)
    assert len(edges.first) < 5000 * 65
    assert (stars(5000, Edges.joined([edges])).representative == 0).all()


def test_without_embeddings_there_is_no_pair() -> None:
    assert not len(semantic_pairs(np.zeros((0, 8), np.float32), 0.9).first)
