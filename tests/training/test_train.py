"""A whole run: it learns, it ends, it can be killed and goes on in the same bits."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import training
from dataset.shards import ShardReader
from media.errors import ConfigError, CorruptionError, DatasetError, MissingModelError, UserError
from tests.training import build
from training import TrainResult, checkpoint

REPOSITORY = Path(__file__).resolve().parents[2]


def lines(log: Path) -> list[dict[str, Any]]:
    found = [json.loads(text) for text in log.read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("wall_s", "data_wait_s")} for line in found]


def all_tensors(folder: Path) -> dict[str, Tensor]:
    saved = checkpoint.read(folder)
    return {f"{f}/{k}": v for f in ("model", "ema", "optimiser") for k, v in saved.tensors(f).items()}


def assert_same_run(a: TrainResult, b: TrainResult) -> None:
    ours, theirs = all_tensors(a.checkpoint), all_tensors(b.checkpoint)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert lines(a.log) == lines(b.log)
    assert (a.held_out_before, a.held_out_after, a.steps) == (b.held_out_before, b.held_out_after, b.steps)


def test_a_run_leaves_what_it_promises(trained: TrainResult) -> None:
    assert trained.steps == 6
    assert trained.checkpoint.name == "step-00000006"
    log = lines(trained.log)
    assert [line["step"] for line in log if "lr" in line] == [1, 2, 3, 4, 5, 6]
    assert [line["step"] for line in log if line.get("event") == "held_out"] == [0, 6]
    assert set(trained.before) == {"text_t0.25", "text_t0.75", "anchored_t0.25", "anchored_t0.75", "loss"}
    assert 0 < trained.trained_parameters == trained.parameters
    assert [row["bucket"] for row in trained.plan] == ["4x32x32@native", "rejected: held_out"]
    assert sorted(p.name for p in trained.checkpoint.parent.iterdir()) == ["step-00000004", "step-00000006"]
    again = TrainResult.load(trained.log.parent)
    assert again == trained
    assert TrainResult.load(trained.log.parent / "nowhere") is None


def test_the_same_seed_gives_the_same_run_and_another_seed_another(
    trained: TrainResult, squares: ShardReader, encoder: Path, caches: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"text_encoder_path": encoder, "cache_dir": caches}
    torch.manual_seed(99)  # what the caller drew before must not matter, nor be disturbed
    expected = torch.rand(2, generator=torch.Generator().manual_seed(99))[1]
    torch.rand(1)
    same = training.train(squares, build.recipe(), tmp_path / "same", seed=3, **options)
    assert torch.rand(1).item() == expected.item()
    assert_same_run(same, trained)
    other = training.train(squares, build.recipe(), tmp_path / "other", seed=4, max_steps=2, **options)
    assert lines(other.log)[1]["loss"] != lines(trained.log)[1]["loss"]


def test_a_run_killed_between_checkpoints_resumes_in_the_same_bits(
    trained: TrainResult, squares: ShardReader, encoder: Path, caches: Path, tmp_path: Path
) -> None:
    arguments = [str(squares.root.uri), str(encoder), str(caches), str(tmp_path), "5"]
    killed = subprocess.run(
        [sys.executable, "-m", "tests.training.resumable", *arguments], cwd=REPOSITORY, check=False, timeout=100
    )
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "result.json").exists()
    assert [line["step"] for line in lines(tmp_path / "log.jsonl")] == [0, 1, 2, 3, 4, 5]
    newest = checkpoint.latest(tmp_path)
    assert newest is not None
    assert newest.name == "step-00000004"
    # What a kill in the middle of a write leaves behind: half a folder, half a line.
    torn = newest.with_name(".step-00000006.tmp")
    shutil.copytree(newest, torn)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 6, "lo')
    resumed = training.train(squares, build.recipe(), tmp_path, text_encoder_path=encoder, cache_dir=caches, seed=3)
    assert_same_run(resumed, trained)
    assert not torn.exists()


def test_going_on_with_a_finished_run_does_nothing_more(
    trained: TrainResult, squares: ShardReader, encoder: Path, caches: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained.log.parent, tmp_path / "copy")
    calls: list[int] = []
    again = training.train(
        squares, build.recipe(), tmp_path / "copy", text_encoder_path=encoder, cache_dir=caches, seed=3,
        progress=lambda done, _: calls.append(done),
    )  # fmt: skip
    assert calls == []
    assert_same_run(again, trained)


@pytest.mark.parametrize("what", ["recipe", "seed", "plan of the data"])
def test_resuming_something_else_is_refused(
    what: str, trained: TrainResult, squares: ShardReader, encoder: Path, caches: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained.log.parent, tmp_path / "copy")
    options: dict[str, Any] = {"text_encoder_path": encoder, "cache_dir": caches, "seed": 5 if what == "seed" else 3}
    recipe = build.recipe(optimiser={"lr": 1e-3}) if what == "recipe" else build.recipe()
    data = build.shards(tmp_path / "fewer", sources=4) if what == "plan of the data" else squares
    with pytest.raises(ConfigError, match=f"holds a run with another {what}"):
        training.train(data, recipe, tmp_path / "copy", **options)
    replaced = training.train(data, recipe, tmp_path / "copy", resume=False, max_steps=1, **options)
    assert replaced.steps == 1


def test_a_damaged_checkpoint_is_named(trained: TrainResult, tmp_path: Path) -> None:
    shutil.copytree(trained.log.parent, tmp_path / "copy")
    newest = checkpoint.find(tmp_path / "copy")
    content = bytearray((newest / "ema.safetensors").read_bytes())
    content[-1] ^= 1
    (newest / "ema.safetensors").write_bytes(content)
    with pytest.raises(CorruptionError, match=r"ema\.safetensors: missing or damaged; remove step-00000006"):
        checkpoint.read(tmp_path / "copy")
    (newest / "state.json").write_text("{")
    with pytest.raises(CorruptionError, match=r"state\.json: damaged"):
        checkpoint.read(newest)
    with pytest.raises(UserError, match="no checkpoint there"):
        checkpoint.read(tmp_path / "nothing")


def test_a_deadline_ends_the_run_after_a_step(
    squares: ShardReader, encoder: Path, caches: Path, tmp_path: Path
) -> None:
    calls: list[tuple[int, int]] = []
    result = training.train(
        squares, build.recipe(loop={"max_steps": 100_000}), tmp_path, text_encoder_path=encoder, cache_dir=caches,
        max_seconds=0.01, progress=lambda *at: calls.append(at),
    )  # fmt: skip
    assert result.steps == 1
    assert len(calls) == 1


def test_only_motion_layers_change_when_asked(
    trained: TrainResult, squares: ShardReader, encoder: Path, caches: Path, tmp_path: Path
) -> None:
    recipe = build.recipe(train="motion", spatial=str(trained.checkpoint), clips={"image_probability": 0.0})
    result = training.train(squares, recipe, tmp_path, text_encoder_path=encoder, cache_dir=caches, max_steps=3)
    assert 0 < result.trained_parameters < result.parameters
    saved = checkpoint.read(trained.checkpoint)
    before = {**saved.tensors("model"), **saved.tensors("ema")}
    after = checkpoint.read(result.checkpoint).tensors("model")
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed
    assert all(".motion." in name for name in changed)


def test_it_memorises_a_few_clips(squares: ShardReader, encoder: Path, caches: Path, tmp_path: Path) -> None:
    recipe = build.recipe(
        optimiser={"lr": 5e-3},
        held_out={"fraction": 0.0, "max_clips": 4},
        captions={"dropout": 0.0},
        loop={"max_steps": 70, "checkpoint_every": 100},
    )
    result = training.train(squares, recipe, tmp_path, text_encoder_path=encoder, cache_dir=caches)
    assert result.held_out_after < 0.85 * result.held_out_before
    assert all(result.after[name] < result.before[name] for name in ("text_t0.75", "anchored_t0.25", "loss"))


def test_accumulated_batches_count_as_one_step(
    squares: ShardReader, encoder: Path, caches: Path, tmp_path: Path
) -> None:
    recipe = build.recipe(optimiser={"accumulate": 3})
    result = training.train(squares, recipe, tmp_path, text_encoder_path=encoder, cache_dir=caches, max_steps=2)
    assert [line["samples"] for line in lines(result.log) if "lr" in line] == [6, 6]


def test_half_precision_runs(squares: ShardReader, encoder: Path, caches: Path, tmp_path: Path) -> None:
    recipe = build.recipe(optimiser={"precision": "bf16"})
    result = training.train(squares, recipe, tmp_path, text_encoder_path=encoder, cache_dir=caches, max_steps=1)
    assert all(v.dtype == torch.float32 for v in checkpoint.read(result.checkpoint).tensors("model").values())


def test_missing_parts_are_named_before_any_step(squares: ShardReader, encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="needs shards"):
        training.train(None, build.recipe(), tmp_path, text_encoder_path=encoder)
    with pytest.raises(ConfigError, match="needs text_encoder_path"):
        training.train(squares, build.recipe(), tmp_path)
    with pytest.raises(MissingModelError, match=r"neither a \.safetensors file nor a diffusers folder"):
        training.train(squares, build.recipe(vae="nowhere.safetensors"), tmp_path, text_encoder_path=encoder)
    large = build.recipe(clips={"plan": {"buckets": [{"frames": 4, "height_px": 64, "width_px": 64}],
                                         "tokens_per_batch": 1024}})  # fmt: skip
    with pytest.raises(DatasetError, match=r"the plan has no batch: 8 clips, rejected: 8 too_small"):
        training.train(squares, large, tmp_path, text_encoder_path=encoder)
    assert not (tmp_path / "log.jsonl").exists()
