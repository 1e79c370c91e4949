"""From shard rows to batches: the split, the plan's place, latents, known frames in the loss."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import dataset
import media
from dataset.plan import Batch, Bucket
from dataset.shards import ShardReader, shard_row, write_shard
from media.errors import DatasetError, MediaError
from tests import videos
from tests.training import build
from training.conditions.text import TextTable
from training.data.batches import PlannedBatches, Sources, captions_of
from training.data.cache import ArrayCache
from training.data.clips import Clip, clips_of, split
from training.data.latents import Latents
from training.diffusion_task import DiffusionTask
from training.models.unet import UNet
from training.models.vae import load_vae
from training.pixels import fit_frames, to_pixels, to_unit
from training.recipes import DiffusionRecipe
from training.recipes.config import HeldOutConfig


def clip(name: str, source: str) -> Clip:
    return Clip(name, source, "clip", 8, 8.0, 32, 32, f"short {name}", f"dense {name}", name)


def prepared(
    squares: ShardReader, recipe: DiffusionRecipe, caches: Path | None = None, seed: int = 3
) -> tuple[Sources, PlannedBatches]:
    sources = Sources(clips_of(squares), recipe, seed)
    cache = ArrayCache(None if caches is None else caches / "latents")
    whole = recipe.clips.plan.first_frame == "random"
    latents = Latents(squares, sources.clips.values(), load_vae(), cache, whole=whole)
    return sources, PlannedBatches(sources, latents, recipe, seed)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=25), st.floats(0.02, 0.5), st.integers(0, 1000))
@example([1, 2], 0.5, 3)  # both would fit into twice the share, and nothing would be left
@settings(max_examples=60, deadline=None)
def test_sources_are_kept_aside_whole(sizes: list[int], fraction: float, seed: int) -> None:
    clips = [clip(f"{s}-{i}", str(s)) for s, size in enumerate(sizes) for i in range(size)]
    training, held_out = split(clips, HeldOutConfig(fraction=fraction, max_clips=10_000), seed)
    assert {c.video_id for c in training}.isdisjoint(c.video_id for c in held_out)
    assert sorted(c.clip_id for c in [*training, *held_out]) == sorted(c.clip_id for c in clips)
    assert training
    assert held_out
    assert len(held_out) <= max(2 * fraction * len(clips), min(sizes))
    assert (training, held_out) == split(clips, HeldOutConfig(fraction=fraction, max_clips=10_000), seed)


def test_one_source_is_split_by_clip_and_none_is_kept_aside_if_asked() -> None:
    clips = [clip(str(i), "only") for i in range(10)]
    training, held_out = split(clips, HeldOutConfig(fraction=0.2), 0)
    assert len(held_out) == 2
    assert len(training) == 8
    training, held_out = split(clips, HeldOutConfig(fraction=0.0, max_clips=3), 0)
    assert len(training) == 10
    assert held_out == clips[:3]


def test_few_held_out_clips_come_from_many_sources() -> None:
    clips = [clip(f"{s}-{i}", str(s)) for s in range(4) for i in range(10)]
    _, held_out = split(clips, HeldOutConfig(fraction=0.5, max_clips=2), 0)
    assert len({c.video_id for c in held_out}) == 2


def test_the_sequence_of_batches_goes_through_every_epoch_once(squares: ShardReader) -> None:
    recipe = build.recipe()
    sources = Sources(clips_of(squares), recipe, 3)
    per_epoch = [len(sources.epoch(e).batches) for e in range(5)]
    walked = [sources.at(i) for i in range(sum(per_epoch))]
    assert walked == [batch for e in range(5) for batch in sources.epoch(e).batches]
    trained = {i for batch in walked[: per_epoch[0]] for i in batch.ids}
    assert trained == {c.clip_id for c in sources.training}
    # A resumed run asks for a late batch first: it is the same one.
    assert Sources(clips_of(squares), recipe, 3).at(17) == walked[17]


def test_held_out_samples_are_never_in_a_batch(squares: ShardReader) -> None:
    sources = Sources(clips_of(squares), build.recipe(), 3)
    aside = {c.clip_id for c in sources.held_out}
    assert aside
    assert all(aside.isdisjoint(sources.at(i).ids) for i in range(40))


def test_empty_shards_are_refused(squares: ShardReader) -> None:
    class Nothing:
        def __len__(self) -> int:
            return 0

        def table_of(self, columns: object = None) -> object:
            return squares.table_of(columns).slice(0, 0)  # type: ignore[arg-type]

    with pytest.raises(DatasetError, match="the shards are empty"):
        clips_of(Nothing())  # type: ignore[arg-type]


def test_latents_are_those_of_the_planned_frames(squares: ShardReader) -> None:
    for first in ("random", "start"):
        recipe = build.recipe(clips={"plan": {**build.recipe().clips.plan.model_dump(), "first_frame": first}})
        sources, batches = prepared(squares, recipe)
        planned = sources.at(0)
        got = batches._batch(planned, dense=1.0, seed=0)
        assert got.latents.shape == (2, 4, 4, 4, 4)
        for i, clip_id in enumerate(planned.ids):
            pixels = media.decode_bytes(squares.row(clip_id)["media"])[planned.frames_of(i)]
            expected = load_vae().encode(to_unit(torch.from_numpy(pixels)))
            torch.testing.assert_close(got.latents[i], expected, rtol=0, atol=2e-3)


def test_the_cache_answers_without_the_media(squares: ShardReader, tmp_path: Path) -> None:
    recipe = build.recipe()
    sources, first = prepared(squares, recipe, tmp_path)
    every = [*sources.epoch(0).batches, *sources.held_out_plan.batches]
    ticks: list[tuple[int, int]] = []
    first._latents.fill(every, lambda *at: ticks.append(at))
    assert ticks == [(i, len(ticks)) for i in range(1, len(ticks) + 1)]
    assert ticks

    class NoMedia(ShardReader):
        def rows(self, ids: object, columns: object = None) -> list[dict[str, object]]:
            raise AssertionError("media was read")

    blind = NoMedia(squares.root, squares.name)
    _, again = prepared(blind, recipe, tmp_path)
    assert torch.equal(again.batch(0, 0, 1).latents, first.batch(0, 0, 1).latents)


def test_a_clip_shorter_than_its_row_says_is_named(squares: ShardReader) -> None:
    recipe = build.recipe()
    sources, _ = prepared(squares, recipe)
    longer = [dataclasses.replace(c, frames=9) for c in sources.clips.values()]
    latents = Latents(squares, longer, load_vae(), ArrayCache(None), whole=True)
    with pytest.raises(MediaError, match="frame 8 is asked for, 8 are there"):
        latents.of(sources.at(0))


def test_copies_and_references_give_the_frames_of_their_sources(squares: ShardReader, tmp_path: Path) -> None:
    """A copy begins before its clip and may end after; a reference has its frames elsewhere."""
    path = videos.write_video(tmp_path / "source.mp4", videos.numbered_frames(40, 32, 32))
    with torch.no_grad():
        rgb = np.stack([frame.rgb() for frame in media.read_span(path, 15, 23)])
        expected = load_vae().encode(to_unit(torch.from_numpy(rgb)))
    clip_row = {
        "clip_id": "v:15-23", "video_id": "v", "kind": "clip", "first_frame": 15, "end_frame": 23, "uri": str(path),
    }  # fmt: skip
    root = dataset.open_root(str(tmp_path / "D"), create=True)
    modes: tuple[media.CutMode, ...] = ("copy", "reference")
    for mode in modes:
        cut = media.cut(path, 15, 23, mode=mode)
        row = shard_row(
            clip_row, cut.data or None, frames=8, fps=cut.fps, width_px=32, height_px=32, run_id="r", cut=mode,
            in_frame=cut.in_frame,
        )  # fmt: skip
        write_shard(root, mode, [row], key=mode)
        reader = ShardReader(root, mode)
        bucket = Bucket(frames=4, height_px=32, width_px=32)
        batch = Batch(bucket, ("v:15-23",), (1,), (2.0,), tokens=4)
        for whole in (True, False):
            latents = Latents(reader, clips_of(reader), load_vae(), ArrayCache(None), whole=whole)
            torch.testing.assert_close(latents.of(batch)[0], expected[[1, 3, 5, 7]], rtol=0, atol=2e-3)
    path.unlink()
    with pytest.raises(MediaError, match=r"clip v:15-23: .*source\.mp4"):
        Latents(reader, clips_of(reader), load_vae(), ArrayCache(None), whole=True).of(batch)


def test_a_batch_is_a_function_of_its_step(squares: ShardReader, caches: Path) -> None:
    _, batches = prepared(squares, build.recipe(), caches)
    _, again = prepared(squares, build.recipe(), caches)
    late = again.batch(9, 0, 1)
    for step in range(10):
        batch = batches.batch(step, 0, 1)
    assert late.ids == batch.ids
    assert late.captions == batch.captions
    assert torch.equal(late.latents, batch.latents)


def test_images_are_one_frame_of_their_clips(squares: ShardReader, caches: Path) -> None:
    _, videos = prepared(squares, build.recipe(clips={"image_probability": 0.0}), caches)
    _, images = prepared(squares, build.recipe(clips={"image_probability": 1.0}), caches)
    for step in range(6):
        video, image = videos.batch(step, 0, 1), images.batch(step, 0, 1)
        assert image.ids == video.ids
        assert image.latents.shape[1] == 1
        assert any(torch.equal(image.latents[:, 0], video.latents[:, f]) for f in range(4))


def test_captions_are_mixed_in_proportion() -> None:
    clips = [clip(str(i), "s") for i in range(4_000)]
    said = captions_of(clips, 0.25, torch.Generator().manual_seed(0))
    assert sum(text.startswith("dense") for text in said) == pytest.approx(1_000, abs=110)
    assert all(text.endswith(f" {i}") for i, text in enumerate(said))


def task_of(squares: ShardReader, encoder: Path, caches: Path, **changes: object) -> DiffusionTask:
    recipe = build.recipe(**changes)
    sources, batches = prepared(squares, recipe, caches)
    texts = TextTable.build(encoder, sources.captions(), max_tokens=16, cache=ArrayCache(caches / "text"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = UNet(recipe.model)
        for parameter in unet.parameters():
            parameter.data.add_(0.1 * torch.randn(parameter.shape))
    return DiffusionTask(recipe, unet, batches, texts, device=torch.device("cpu"))


@pytest.mark.parametrize("objective", ["v", "flow"])
def test_the_loss_is_exactly_zero_on_known_frames(
    objective: str, squares: ShardReader, encoder: Path, caches: Path
) -> None:
    diffusion = build.flow() if objective == "flow" else {}
    task = task_of(squares, encoder, caches, diffusion=diffusion, clips={"image_probability": 0.0})
    batch = task.batch(0, 0, 1)
    known = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    eps = torch.randn(batch.latents.shape, generator=torch.Generator().manual_seed(0))
    error, weight = task.errors(batch, torch.tensor([0.5, 0.9]), eps, known, batch.captions)
    assert error[known > 0].tolist() == [0.0, 0.0]
    assert weight[known > 0].tolist() == [0.0, 0.0]
    assert bool((error[known == 0] > 0).all())
    # What is known is clean: other noise on it changes nothing anywhere.
    other = torch.where(known[:, :, None, None, None] > 0, torch.full_like(eps, 5.0), eps)
    again, _ = task.errors(batch, torch.tensor([0.5, 0.9]), other, known, batch.captions)
    assert torch.equal(again, error)


def test_a_known_frame_helps_the_others_at_once(squares: ShardReader, encoder: Path, caches: Path) -> None:
    # With anchor.residual an untrained network already predicts "like the first frame".
    task = task_of(squares, encoder, caches)
    torch.nn.init.zeros_(task.module.conv_out.weight)
    torch.nn.init.zeros_(task.module.conv_out.bias)
    figures = task.held_out()
    assert figures["anchored_t0.75"] < 0.6 * figures["text_t0.75"]


def test_held_out_figures_never_change_by_themselves(squares: ShardReader, encoder: Path, caches: Path) -> None:
    task = task_of(squares, encoder, caches)
    first = task.held_out()
    task.loss(task.batch(3, 0, 1), torch.Generator().manual_seed(1)).total.backward()  # type: ignore[no-untyped-call]
    assert task.held_out() == first
    assert first["loss"] == pytest.approx(sum(v for k, v in first.items() if k != "loss") / 4)


def test_frames_are_fitted_by_covering_and_cropping_the_centre() -> None:
    frames = torch.zeros(1, 40, 100, 3, dtype=torch.uint8)
    frames[:, :, 45:55] = 255
    fitted = fit_frames(frames, 20, 20)
    assert fitted.shape == (1, 3, 20, 20)
    bright = (fitted[0, 0, 10] > 0).nonzero().flatten().tolist()
    assert bright == [8, 9, 10, 11] or bright == [7, 8, 9, 10, 11, 12] or bright == [8, 9, 10, 11, 12]
    exact = torch.randint(0, 256, (2, 16, 16, 3), dtype=torch.uint8)
    assert torch.equal(to_pixels(fit_frames(exact, 16, 16)), exact)
