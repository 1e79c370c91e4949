"""The plan: every sample is in one batch or has a reason, whatever the samples; and nothing but them decides."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dataset.plan import REASONS, Bucket, BucketRecipe, Plan, frame_indices, make_plan
from media.errors import DatasetError

SIZES = [(64, 64), (48, 64), (64, 48), (36, 64), (128, 128), (16, 200)]
PINNED = [
    (("v:000-x", "v:002-x"), (1, 4)),
    (("v:004-x", "v:001-x", "v:006-x"), (2, 1, 4)),
    (("v:007-x", "v:003-x", "v:005-x"), (2, 2, 3)),
]
MAYBE = st.sampled_from([None, 0, -1])


@st.composite
def samples(draw: st.DrawFn) -> pa.Table:
    count = draw(st.integers(0, 40))
    sizes = [draw(st.sampled_from(SIZES)) for _ in range(count)]
    frames: list[Any] = [draw(st.integers(1, 60) | MAYBE if i % 9 == 8 else st.integers(1, 60)) for i in range(count)]
    return table(
        [f"v:{i}-{i + 1}" for i in range(count)],
        frames,
        [height for height, _ in sizes],
        [width for _, width in sizes],
        [draw(st.sampled_from([5.0, 8.0, 24.0, 29.97, 60.0])) for _ in range(count)],
    )


@st.composite
def recipes(draw: st.DrawFn) -> BucketRecipe:
    buckets = {
        bucket.label: bucket
        for bucket in draw(
            st.lists(
                st.builds(
                    Bucket,
                    frames=st.sampled_from([1, 4, 8, 16]),
                    height_px=st.sampled_from([32, 48, 64]),
                    width_px=st.sampled_from([32, 48, 64]),
                    fps=st.sampled_from([None, 8.0, 24.0]),
                ),
                min_size=1,
                max_size=5,
            )
        )
    }
    return BucketRecipe(
        buckets=tuple(buckets.values()),
        tokens_per_batch=draw(st.integers(1024, 8192)),
        max_batch_size=draw(st.sampled_from([None, 1, 3])),
        max_crop_fraction=draw(st.sampled_from([0.0, 0.3, 0.9])),
        max_upscale=draw(st.sampled_from([0.5, 1.0, 4.0])),
        assign=draw(st.sampled_from(["best", "random"])),
        first_frame=draw(st.sampled_from(["random", "start", "middle"])),
        remainder=draw(st.sampled_from(["smaller", "reject"])),
    )


def table(ids: list[str], frames: list[Any], heights: list[int], widths: list[int], fps: list[float]) -> pa.Table:
    return pa.table(
        {
            "clip_id": pa.array(ids, pa.string()),
            "frames": pa.array(frames, pa.int32()),
            "height_px": pa.array(heights, pa.int32()),
            "width_px": pa.array(widths, pa.int32()),
            "fps": pa.array(fps, pa.float64()),
        }
    )


def same(count: int, frames: int = 16, height: int = 64, width: int = 64, fps: float = 8.0) -> pa.Table:
    ids = [f"v:{i:03}-x" for i in range(count)]
    return table(ids, [frames] * count, [height] * count, [width] * count, [fps] * count)


def recipe(*buckets: tuple[int, int, int, float | None], **more: Any) -> BucketRecipe:
    made = tuple(Bucket(frames=f, height_px=h, width_px=w, fps=r) for f, h, w, r in buckets)
    return BucketRecipe(**{"buckets": made, "tokens_per_batch": 4096, **more})


PROPERTIES = settings(max_examples=30, deadline=None)


@PROPERTIES
@given(samples(), recipes(), st.integers(0, 5), st.integers(0, 5))
def test_every_sample_is_in_one_batch_or_has_one_reason(
    found: pa.Table, rules: BucketRecipe, seed: int, epoch: int
) -> None:
    plan = make_plan(found, rules, seed=seed, epoch=epoch)
    placed = [clip_id for batch in plan.batches for clip_id in batch.ids] + [item.clip_id for item in plan.rejected]
    assert Counter(placed) == Counter(found.column("clip_id").to_pylist())
    assert {item.reason for item in plan.rejected} <= set(REASONS)
    assert sum(plan.reasons().values()) == len(plan.rejected)


@PROPERTIES
@given(samples(), recipes())
def test_every_batch_has_one_shape_and_keeps_to_the_budget(found: pa.Table, rules: BucketRecipe) -> None:
    plan = make_plan(found, rules)
    for batch in plan.batches:
        assert batch.bucket in rules.buckets
        assert 1 <= len(batch) <= rules.batch_size(batch.bucket)
        assert batch.tokens == len(batch) * rules.tokens(batch.bucket) <= rules.tokens_per_batch
    sizes = Counter((batch.bucket.label, len(batch) < rules.batch_size(batch.bucket)) for batch in plan.batches)
    assert all(count == 1 for (_, small), count in sizes.items() if small)
    assert rules.remainder == "smaller" or not any(small for _, small in sizes)


@PROPERTIES
@given(samples(), recipes(), st.integers(0, 3))
def test_the_frames_of_a_sample_are_its_own_and_none_is_used_twice(
    found: pa.Table, rules: BucketRecipe, seed: int
) -> None:
    length = dict(zip(found.column("clip_id").to_pylist(), found.column("frames").to_pylist(), strict=True))
    for batch in make_plan(found, rules, seed=seed).batches:
        for index, clip_id in enumerate(batch.ids):
            frames = batch.frames_of(index)
            assert len(frames) == batch.bucket.frames
            assert frames[0] >= 0
            assert frames[-1] < length[clip_id]
            assert all(b > a for a, b in pairwise(frames))


@PROPERTIES
@given(samples(), recipes(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(found: pa.Table, rules: BucketRecipe, rng: random.Random) -> None:
    order = list(range(found.num_rows))
    rng.shuffle(order)
    assert make_plan(found.take(pa.array(order, pa.int64())), rules, seed=1) == make_plan(found, rules, seed=1)


@PROPERTIES
@given(samples(), recipes(), st.integers(1, 7))
def test_any_number_of_workers_share_the_same_batches(found: pa.Table, rules: BucketRecipe, world: int) -> None:
    plan = make_plan(found, rules)
    shares = [plan.worker(rank, world) for rank in range(world)]
    assert len({len(share) for share in shares}) == 1
    dealt = [share[step] for step in range(len(shares[0])) for share in shares]
    assert [batch for batch in dealt if batch is not None] == list(plan.batches)
    assert dealt.count(None) < world


@PROPERTIES
@given(samples(), recipes(), st.integers(0, 50))
def test_a_resumed_run_is_the_exact_suffix(found: pa.Table, rules: BucketRecipe, done: int) -> None:
    plan = make_plan(found, rules, seed=3)
    assert plan.batches[:done] + make_plan(found, rules, seed=3).suffix(done) == plan.batches


@PROPERTIES
@given(samples(), recipes())
def test_the_table_adds_up(found: pa.Table, rules: BucketRecipe) -> None:
    plan = make_plan(found, rules)
    rows = plan.table()
    assert [row.bucket for row in rows] == [bucket.label for bucket in rules.buckets]
    assert sum(row.samples for row in rows) + len(plan.rejected) == found.num_rows
    assert sum(row.batches for row in rows) == len(plan.batches)
    assert sum(row.tokens for row in rows) == sum(batch.tokens for batch in plan.batches)
    for row in rows:
        assert 0 <= row.cropped_fraction <= rules.max_crop_fraction + 1e-6
        assert 0 <= row.dropped_frames_fraction < 1


def orders(plan: Plan) -> list[tuple[str, ...]]:
    return [batch.ids for batch in plan.batches]


def test_seed_and_epoch_change_the_order_and_only_they_do() -> None:
    found, rules = same(64), recipe((16, 64, 64, 8.0))
    assert orders(make_plan(found, rules, seed=1)) == orders(make_plan(found, rules, seed=1))
    assert orders(make_plan(found, rules, seed=1)) != orders(make_plan(found, rules, seed=2))
    assert orders(make_plan(found, rules, epoch=1)) != orders(make_plan(found, rules, epoch=2))
    prints = {make_plan(found, rules, seed=s, epoch=e).fingerprint for s in range(3) for e in range(3)}
    assert len(prints) == 9
    assert make_plan(found, rules).fingerprint == make_plan(found, rules).fingerprint


def test_the_plan_is_the_same_on_every_machine() -> None:
    """Drawn once and written down: a change here would make old runs impossible to resume."""
    plan = make_plan(same(8, frames=20), recipe((16, 64, 64, 8.0), (16, 32, 32, None), tokens_per_batch=3072), seed=5)
    assert [(batch.ids, batch.first_frames) for batch in plan.batches] == PINNED


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (same(1, fps=6.0), "low_frame_rate"),
        (same(1, frames=15), "too_short"),
        (same(1, frames=31, fps=16.0), None),
        (same(1, frames=30, fps=16.0), "too_short"),
        (same(1, height=60, width=60), "too_small"),
        (same(1, height=64, width=128), "too_much_crop"),
        (same(1, height=64, width=96), None),
        (table(["a"], [None], [64], [64], [8.0]), "incomplete"),
        (table(["a"], [16], [64], [64], [float("nan")]), "incomplete"),
        (table(["a"], [16], [0], [64], [8.0]), "incomplete"),
    ],
)
def test_a_sample_that_fits_no_bucket_has_the_reason(found: pa.Table, reason: str | None) -> None:
    plan = make_plan(found, recipe((16, 64, 64, 8.0)))
    assert [item.reason for item in plan.rejected] == ([reason] if reason else [])


def test_the_reason_is_that_of_the_bucket_that_came_nearest() -> None:
    rules = recipe((64, 32, 32, 8.0), (16, 128, 128, 8.0), tokens_per_batch=1 << 14)
    assert make_plan(same(1), rules).reasons() == {"too_small": 1}


def test_an_id_that_is_there_twice_is_used_once() -> None:
    found = pa.concat_tables([same(3), same(2)])
    plan = make_plan(found, recipe((16, 64, 64, 8.0)))
    assert plan.reasons() == {"duplicate": 2}
    assert sum(len(batch) for batch in plan.batches) == 3


def test_a_remainder_is_a_smaller_batch_or_is_reported() -> None:
    rules = recipe((16, 64, 64, 8.0))
    assert rules.batch_size(rules.buckets[0]) == 4
    plan = make_plan(same(10), rules)
    assert sorted(len(batch) for batch in plan.batches) == [2, 4, 4]
    assert (plan.rows[0].batch_size, plan.rows[0].last_batch_size, plan.rejected) == (4, 2, ())
    plan = make_plan(same(10), recipe((16, 64, 64, 8.0), remainder="reject"))
    assert [len(batch) for batch in plan.batches] == [4, 4]
    assert plan.reasons() == {"remainder": 2}
    plan = make_plan(same(3), recipe((16, 64, 64, 8.0), remainder="reject"))
    assert (len(plan.batches), plan.reasons(), plan.rows[0].samples) == (0, {"remainder": 3}, 0)


def test_a_sample_goes_where_most_of_it_is_kept() -> None:
    rules = recipe((8, 32, 32, None), (16, 32, 32, None), (16, 64, 64, None), (16, 48, 64, None), max_crop_fraction=0.5)
    found = table(list("abcd"), [8, 16, 16, 16], [64, 40, 64, 48], [64, 40, 64, 64], [8.0] * 4)
    where = {clip_id: batch.bucket.label for batch in make_plan(found, rules).batches for clip_id in batch.ids}
    assert where == {"a": "8x32x32@native", "b": "16x32x32@native", "c": "16x64x64@native", "d": "16x48x64@native"}


def test_random_assignment_uses_every_bucket_that_fits_and_changes_with_the_epoch() -> None:
    rules = recipe((8, 32, 32, None), (16, 32, 32, None), (16, 64, 64, None), (32, 32, 32, None), assign="random")
    first, second = (make_plan(same(90), rules, epoch=epoch) for epoch in (0, 1))
    counts = {row.bucket: row.samples for row in first.rows}
    assert counts.pop("32x32x32@native") == 0
    assert all(15 <= count <= 45 for count in counts.values())
    places = [{clip_id: batch.bucket for batch in plan.batches for clip_id in batch.ids} for plan in (first, second)]
    assert places[0] != places[1]


def test_what_is_lost_is_told() -> None:
    (row,) = make_plan(same(4, frames=64, height=64, width=80, fps=24.0), recipe((16, 64, 64, 8.0))).rows
    assert row.cropped_fraction == pytest.approx(0.2)
    assert row.dropped_frames_fraction == pytest.approx(0.75)
    assert (row.tokens_per_sample, row.tokens) == (16 * 64, 4 * 16 * 64)


def test_frames_are_taken_at_the_buckets_rate() -> None:
    (batch,) = make_plan(same(1, frames=60, fps=24.0), recipe((16, 64, 64, 8.0), first_frame="start")).batches
    assert batch.frames_of(0) == list(range(0, 48, 3))
    (batch,) = make_plan(same(1, frames=60, fps=24.0), recipe((16, 64, 64, 8.0), first_frame="middle")).batches
    assert batch.frames_of(0)[0] == 7
    (batch,) = make_plan(same(1, frames=16, fps=7.5), recipe((16, 64, 64, 8.0))).batches
    assert batch.frames_of(0) == list(range(16))
    assert frame_indices(4, 2, 1.5) == [2, 4, 5, 7]


def test_the_first_frame_is_drawn_anew_each_epoch() -> None:
    rules = recipe((16, 64, 64, 8.0))
    drawn = {make_plan(same(1, frames=40), rules, epoch=epoch).batches[0].first_frames[0] for epoch in range(60)}
    assert drawn <= set(range(25))
    assert len(drawn) > 15


def test_a_still_fits_a_bucket_of_one_frame_whatever_its_rate() -> None:
    plan = make_plan(same(3, frames=1, fps=1.0), recipe((16, 64, 64, 24.0), (1, 64, 64, 24.0)))
    assert [(batch.bucket.frames, len(batch)) for batch in plan.batches] == [(1, 3)]


def test_no_samples_are_a_plan_too() -> None:
    plan = make_plan(same(0), recipe((16, 64, 64, 8.0)))
    assert (plan.batches, plan.rejected, plan.rows[0].samples) == ((), (), 0)
    assert plan.worker(0, 2) == ()


def test_tokens_follow_the_autoencoder() -> None:
    rules = recipe((17, 64, 64, None), spatial_stride=16, temporal_stride=4, causal=True)
    assert rules.tokens(rules.buckets[0]) == 5 * 4 * 4
    assert rules.batch_size(rules.buckets[0]) == 4096 // 80


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens_per_batch": 100}, "one sample is 1024 tokens, a batch may have 100"),
        ({"spatial_stride": 24}, "must be multiples of 24"),
        ({"temporal_stride": 3}, "the number of frames must be 3k"),
        ({"temporal_stride": 4, "causal": True}, "the number of frames must be 4k \\+ 1"),
        ({"buckets": ()}, "at least 1 item"),
        ({"buckets": [{"frames": 16, "height_px": 64, "width_px": 64}] * 2}, "is there twice"),
        ({"budget": 1}, "Extra inputs are not permitted"),
    ],
)
def test_an_impossible_recipe_is_refused_with_the_bucket(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        recipe((16, 64, 64, 8.0), **change)


def test_samples_without_a_column_are_refused() -> None:
    with pytest.raises(DatasetError, match="a plan needs the column fps"):
        make_plan(same(1).drop_columns("fps"), recipe((16, 64, 64, 8.0)))


@pytest.mark.parametrize(("rank", "world"), [(2, 2), (-1, 2), (0, 0)])
def test_a_worker_must_be_one_of_them(rank: int, world: int) -> None:
    with pytest.raises(ValueError, match="rank"):
        make_plan(same(1), recipe((16, 64, 64, 8.0))).worker(rank, world)
