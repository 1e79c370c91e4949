"""The loop's own promises: averaging, clipping, rates, a loss that is not finite."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from media.errors import ConfigError, UserError
from training import checkpoint
from training.ema import Ema
from training.loop import Loss, fit
from training.randomness import generator, numbers, seed_of
from training.recipes.config import LoopConfig, OptimiserConfig


@dataclass
class Numbers:
    ids: list[str]
    value: float


class Line:
    """Fit w to 3 by gradient descent, with a gradient as steep as asked."""

    def __init__(self, steepness: float = 1.0, bad_step: int | None = None) -> None:
        self.module = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.module.weight)
        self.notes: Mapping[str, Any] = {}
        self._steepness, self._bad = steepness, bad_step

    def batch(self, step: int, micro: int, accumulate: int) -> Numbers:
        return Numbers([f"clip-{step}-{micro}"], math.nan if step == self._bad else 1.0)

    def loss(self, batch: Numbers, noise: torch.Generator) -> Loss:
        error = (self.module.weight.sum() - 3.0) * batch.value
        return Loss(self._steepness * error.square(), {"error": error.item()})

    def held_out(self) -> dict[str, float]:
        return {"loss": (self.module.weight.item() - 3.0) ** 2, "weight": self.module.weight.item()}

    def extra_files(self) -> Mapping[str, Callable[[Path], None]]:
        return {"note.txt": lambda path: (path.write_text("hello"), None)[1]}


def run(
    task: Line, out: Path, *, steps: int = 8, every: int = 100, **optimiser: Any
) -> tuple[Any, list[dict[str, Any]]]:
    config = OptimiserConfig(**{"lr": 0.1, "warmup_steps": 0, "weight_decay": 0.0, **optimiser})
    loop = LoopConfig(max_steps=steps, checkpoint_every=every)
    result = fit(task, config, loop, out, seed=0, recipe={"r": 1})
    return result, [json.loads(text) for text in (out / "log.jsonl").read_text().splitlines()]


def test_randomness_is_a_function_of_its_purpose() -> None:
    assert seed_of(1, 2, "a") == seed_of(1, 2, "a")
    assert len({seed_of(1, 2), seed_of(2, 1), seed_of(12), seed_of("1", 2), seed_of(1, 2, "a")}) == 5
    assert 0 <= seed_of("x") < 2**63
    first = torch.rand(3, generator=generator(1, "a"))
    assert torch.equal(first, torch.rand(3, generator=generator(1, "a")))
    assert numbers(1, "a").random() == numbers(1, "a").random()


def test_the_average_follows_its_formula() -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    ema, expected = Ema(module, 0.5), 0.0
    for step in range(1, 20):
        with torch.no_grad():
            module.weight.fill_(float(step))
        ema.update(module, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert ema.tensors()["weight"].item() == pytest.approx(expected)
    with ema.applied(module):
        assert module.weight.item() == pytest.approx(expected)
    assert module.weight.item() == 19.0


def test_frozen_weights_are_not_averaged() -> None:
    module = nn.Linear(2, 2)
    module.bias.requires_grad_(False)
    assert set(Ema(module, 0.9).tensors()) == {"weight"}


def test_the_average_is_what_is_evaluated_and_saved(tmp_path: Path) -> None:
    task = Line()
    result, _ = run(task, tmp_path, ema_decay=0.9)
    saved = checkpoint.read(result.checkpoint)
    average, live = saved.tensors("ema")["weight"].item(), saved.tensors("model")["weight"].item()
    assert 0.0 < average < live
    assert result.after["weight"] == pytest.approx(average)
    assert task.module.weight.item() == pytest.approx(live)


def test_the_gradient_is_clipped(tmp_path: Path) -> None:
    # Adam does not care for the scale of its gradients, so look at the log: the norm before clipping, and the moment.
    result, log = run(Line(steepness=1e6), tmp_path, clip_norm=0.5, steps=1)
    assert log[1]["grad_norm"] == pytest.approx(6e6)
    moments = checkpoint.read(result.checkpoint).tensors("optimiser")
    assert moments["weight|exp_avg"].abs().item() == pytest.approx(0.05, rel=1e-4)


def test_the_rate_warms_up_and_decays(tmp_path: Path) -> None:
    _, log = run(Line(), tmp_path, lr=1.0, warmup_steps=4, decay_steps=8)
    rates = [line["lr"] for line in log if "lr" in line]
    cosine = [0.5 * (1 + math.cos(math.pi * step / 8)) for step in range(8)]
    assert rates == pytest.approx([min(1.0, (i + 1) / 4) * c for i, c in enumerate(cosine)])


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_loss_that_is_not_finite_names_its_samples_and_saves_nothing(accumulate: int, tmp_path: Path) -> None:
    task = Line(bad_step=3)
    with pytest.raises(UserError) as caught:
        run(task, tmp_path, every=2, accumulate=accumulate)
    said = str(caught.value)
    assert all(f"clip-3-{micro}" in said for micro in range(accumulate))
    assert "step 3" in said
    assert "optimiser.lr (0.1)" in said
    newest = checkpoint.latest(tmp_path)
    assert newest is not None
    assert newest.name == "step-00000002"
    assert math.isfinite(checkpoint.read(newest).tensors("model")["weight"].item())


def test_accumulation_averages(tmp_path: Path) -> None:
    _, one = run(Line(), tmp_path / "one")
    _, three = run(Line(), tmp_path / "three", accumulate=3)
    assert [line["loss"] for line in one] == pytest.approx([line["loss"] for line in three])


def test_old_checkpoints_go_and_extra_files_come_along(tmp_path: Path) -> None:
    result, _ = run(Line(), tmp_path, every=1)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["step-00000007", "step-00000008"]
    assert (result.checkpoint / "note.txt").read_text() == "hello"


def test_nothing_to_train_is_said(tmp_path: Path) -> None:
    task = Line()
    task.module.requires_grad_(False)
    with pytest.raises(ConfigError, match="every parameter is frozen"):
        run(task, tmp_path)
