"""Which frames are given, which caption is learned, which numbers are said."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset.shards import ShardReader
from media.errors import ConfigError
from tests.training import build
from tests.training.test_data import prepared, task_of
from tests.training.test_denoisers import awake
from training.conditions.anchor import draw_known, known_mask
from training.conditions.captions import mixed_captions
from training.conditions.vectors import Vectors, drop_vectors, shape_vectors
from training.randomness import generator
from training.recipes.section import KnownFrames, VectorName

KINDS: tuple[KnownFrames, ...] = get_args(KnownFrames)
VIDEOS = {"image_probability": 0.0}
NAMES: tuple[VectorName, ...] = get_args(VectorName)


@given(st.integers(1, 9), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_given_frames_are_those_of_their_kind_and_never_all(frames: int, seed: int) -> None:
    noise = torch.Generator().manual_seed(seed)
    last = frames - 1
    expected = {"first": [0], "last": [last], "ends": [0, last]}
    for kind in KINDS:
        mask = known_mask(kind, frames, noise)
        known = mask.nonzero().flatten().tolist()
        assert mask.shape == (frames,)
        assert set(mask.tolist()) <= {0.0, 1.0}
        assert len(known) < frames
        if kind == "any":
            assert (len(known) > 0) == (frames > 1)
        elif frames > len(expected[kind]):
            assert known == expected[kind]
        else:
            assert known == []


def test_random_sets_have_every_size_and_every_frame() -> None:
    noise = torch.Generator().manual_seed(0)
    masks = torch.stack([known_mask("any", 5, noise) for _ in range(4_000)])
    sizes = Counter(masks.sum(1).int().tolist())
    assert set(sizes) == {1, 2, 3, 4}
    assert all(count == pytest.approx(1_000, abs=110) for count in sizes.values())
    assert bool((masks.mean(0) - 0.5).abs().max() < 0.04)


def test_kinds_are_drawn_by_their_weight_and_only_for_anchored_samples() -> None:
    anchored = torch.arange(6_000) % 3 > 0
    kinds: dict[KnownFrames, float] = {"first": 1.0, "ends": 3.0}
    mask = draw_known(anchored, 6, kinds, torch.Generator().manual_seed(0))
    assert mask[~anchored].sum() == 0
    shares = mask[anchored].mean(0)
    assert shares[0].item() == 1.0
    assert shares[-1].item() == pytest.approx(0.75, abs=0.03)
    assert shares[1:-1].sum() == 0
    again = draw_known(anchored, 6, kinds, torch.Generator().manual_seed(0))
    assert torch.equal(again, mask)
    assert draw_known(anchored, 1, {"first": 1.0}, torch.Generator()).sum() == 0
    only = draw_known(anchored, 6, {"first": 2.0}, torch.Generator())
    assert torch.equal(only[:, 0], anchored.float())
    assert only[:, 1:].sum() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_training_knows_the_frames_of_its_kind(
    kind: KnownFrames, squares: ShardReader, encoder: Path, caches: Path
) -> None:
    task = task_of(squares, encoder, caches, anchor={"probability": 1.0, "frames": {kind: 1.0}}, clips=VIDEOS)
    seen: list[torch.Tensor] = []

    def look(_module: object, _args: object, given: dict[str, Any]) -> None:
        if given["anchor"] is not None:
            seen.append(given["anchor"].mask)

    task.module.register_forward_pre_hook(look, with_kwargs=True)
    loss = task.loss(task.batch(0, 0, 1), torch.Generator().manual_seed(0))
    assert loss.total.item() > 0
    (mask,) = seen
    expected = {"first": [1, 0, 0, 0], "last": [0, 0, 0, 1], "ends": [1, 0, 0, 1]}
    if kind == "any":
        assert bool(((mask.sum(1) >= 1) & (mask.sum(1) <= 3)).all())
    else:
        assert mask.tolist() == [expected[kind]] * 2
    seen.clear()
    figures = task.held_out()
    assert seen
    assert all(m.any() for m in seen)
    assert all(kind == "any" or m.tolist() == [expected[kind]] * len(m) for m in seen)
    assert {"text_t0.25", "anchored_t0.25", "loss"} <= set(figures)


@dataclass(frozen=True)
class Said:
    short: str
    medium: str
    dense: str


def test_captions_are_mixed_by_density() -> None:
    clips = [Said(f"s{i}", f"m{i}", f"d{i}") for i in range(10_000)]
    chosen = mixed_captions(clips, 0.5, 0.2, torch.Generator().manual_seed(0))
    counts = Counter(text[0] for text in chosen)
    assert counts["d"] == pytest.approx(5_000, abs=200)
    assert counts["m"] == pytest.approx(2_000, abs=170)
    assert counts["s"] == pytest.approx(3_000, abs=190)
    assert all(text[1:] == str(i) for i, text in enumerate(chosen))
    assert chosen == mixed_captions(clips, 0.5, 0.2, torch.Generator().manual_seed(0))


def test_a_missing_caption_gives_way_to_the_nearest_or_to_none() -> None:
    noise = torch.Generator().manual_seed(0)
    assert mixed_captions([Said("s", "", "d")], 0.0, 1.0, noise) == ["d"]
    assert mixed_captions([Said("s", "", "")], 0.0, 1.0, noise) == ["s"]
    assert mixed_captions([Said("s", "m", "")], 1.0, 0.0, noise) == ["s"]
    assert mixed_captions([Said("", "m", "d")], 0.0, 0.0, noise) == [""]


def test_medium_captions_are_trained_on_where_the_recipe_says(squares: ShardReader, caches: Path) -> None:
    sources, batches = prepared(squares, build.recipe(captions={"dense": 0.0, "medium": 1.0}), caches)
    medium = {clip.medium for clip in sources.clips.values()}
    assert all(text.endswith("square moves") for text in medium)
    assert medium <= set(sources.captions())
    assert set(batches.batch(0, 0, 1).captions) <= medium
    assert medium.isdisjoint(prepared(squares, build.recipe(), caches)[0].captions())
    with pytest.raises(ConfigError, match=r"captions: .*dense: 0\.7 and medium: 0\.4 are more than 1"):
        build.recipe(captions={"dense": 0.7, "medium": 0.4})


def test_a_shape_tells_its_frames_and_its_size() -> None:
    told = shape_vectors(NAMES, (2, 16, 4, 8, 12), 8)
    assert told["frames"].tolist() == [16.0, 16.0]
    assert told["size"].tolist() == [[64.0, 96.0]] * 2
    assert set(told) == {"frames", "size"}
    assert shape_vectors((), (2, 16, 4, 8, 12), 8) == {}


@pytest.mark.parametrize("name", NAMES)
def test_a_fresh_number_says_nothing_and_a_trained_one_tells_values_apart(name: VectorName) -> None:
    vectors = Vectors((name,), 32, 16)
    values = torch.tensor([0.0, 1.0, 5.0, 9.5, 40.0, 300.0])
    told = {name: torch.stack([values, values + 1], 1) if name == "size" else values}
    assert torch.as_tensor(vectors(told)).abs().max() == 0
    awake(vectors)
    codes = torch.as_tensor(vectors(told))
    assert (torch.cdist(codes, codes) + torch.eye(6) * 100).min() > 1e-2
    unknown = torch.as_tensor(vectors({name: torch.full_like(told[name], torch.nan)}))
    assert unknown.abs().max() == 0


def test_numbers_add_up_and_unknown_names_are_refused() -> None:
    vectors = Vectors(("motion", "aesthetic"), 16, 8)
    awake(vectors)
    one, two = {"motion": torch.tensor([3.0])}, {"aesthetic": torch.tensor([6.0])}
    torch.testing.assert_close(vectors({**one, **two}), vectors(one) + vectors(two))
    with pytest.raises(ConfigError, match=r"size given, but this model was trained without it in model\.vectors"):
        vectors({"size": torch.ones(1, 2)})


def test_numbers_are_dropped_each_by_itself() -> None:
    told = {"motion": torch.ones(20_000), "size": torch.ones(20_000, 2)}
    left = drop_vectors(told, 0.25, torch.Generator().manual_seed(0))
    motion, size = left["motion"].isnan(), left["size"].isnan()
    assert motion.float().mean().item() == pytest.approx(0.25, abs=0.015)
    assert bool((size[:, 0] == size[:, 1]).all())
    assert (motion & size[:, 0]).float().mean().item() == pytest.approx(0.0625, abs=0.01)
    kept = drop_vectors(told, 0.0, torch.Generator())
    assert all(torch.equal(kept[name], told[name]) for name in told)


def test_measured_motion_comes_from_the_shards(squares: ShardReader, caches: Path) -> None:
    recipe = build.recipe(model={"vectors": ["motion", "frames"]})
    sources, batches = prepared(squares, recipe, caches)
    said = []
    for step in range(6):
        batch = batches.batch(step, 0, 1)
        known = [sources.clips[i].flow_mean_px_per_s for i in batch.ids]
        expected = [math.nan if flow is None else flow for flow in known]
        torch.testing.assert_close(batch.vectors["motion"], torch.tensor(expected), equal_nan=True)
        said += expected
    assert any(math.isnan(flow) for flow in said)
    assert any(flow >= 8.0 for flow in said)
    plain = prepared(squares, build.recipe(), caches)[1].batch(0, 0, 1)
    assert plain.vectors == {}


def test_every_draw_of_a_loss_comes_from_its_generator(squares: ShardReader, encoder: Path, caches: Path) -> None:
    changes = {
        "model": {"vectors": list(NAMES), "image": {"width": 8}},
        "anchor": {"frames": dict.fromkeys(KINDS, 1.0)},
    }
    task = task_of(squares, encoder, caches, **changes)
    batch = task.batch(1, 0, 1)
    losses = [task.loss(batch, generator(seed, "loss")).total.item() for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]
