"""The one training loop. What is trained is a `Task`; how it is trained is here.

Each step's randomness is a function of (seed, step), batches too, and the checkpoint holds weights, average,
moments and step: so a run that is killed and resumed ends in the same bits as one that was not.
"""

from __future__ import annotations

import dataclasses
import json
import math
import platform
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from media.errors import ConfigError, UserError
from training import checkpoint
from training.ema import Ema
from training.randomness import generator, seed_of
from training.recipes.config import LoopConfig, OptimiserConfig

__all__ = ["Batch", "Loss", "Task", "TrainResult", "fit"]

Progress = Callable[[int, int], None]


class Batch(Protocol):
    """A batch: whatever a task makes of it, and whose samples they are."""

    ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss to step on, and figures for the log."""

    total: Tensor
    figures: Mapping[str, float] = field(default_factory=dict)


class Task(Protocol):
    """What the loop trains: a module, its batches, its loss."""

    module: nn.Module
    notes: Mapping[str, Any]
    """What a checkpoint should say of the data and models around the module; `data` must match on resume."""

    def batch(self, step: int, micro: int, accumulate: int) -> Any:
        """Return the batch of that step and accumulation: a pure function of its arguments."""
        ...

    def loss(self, batch: Any, noise: torch.Generator) -> Loss:
        """Return the loss of one batch; all randomness comes from `noise`."""
        ...

    def held_out(self) -> dict[str, float]:
        """Return held-out figures of the module as it is, always at the same noise; `loss` is the headline."""
        ...

    def extra_files(self) -> Mapping[str, Callable[[Path], None]]:
        """Return further files a checkpoint needs to be used alone."""
        ...


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a run came to. Held-out figures by name; `loss` is their mean, the rest are timestep bins or parts."""

    steps: int
    held_out_before: float
    held_out_after: float
    checkpoint: Path
    log: Path
    wall_s: float
    parameters: int
    trained_parameters: int
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)
    plan: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def load(cls, out: Path) -> TrainResult | None:
        """Return the result that a finished run left in its folder, or None."""
        file = out / "result.json"
        if not file.is_file():
            return None
        values = json.loads(file.read_text(encoding="utf-8"))
        return cls(**{**values, "checkpoint": out / values["checkpoint"], "log": out / values["log"]})

    def write(self, out: Path) -> None:
        """Write result.json, its paths relative to the folder."""
        values = dataclasses.asdict(self)
        values |= {"checkpoint": str(self.checkpoint.relative_to(out)), "log": str(self.log.relative_to(out))}
        temporary = out / ".result.json.tmp"
        temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
        temporary.replace(out / "result.json")


class _Run:
    """The state of a run: module, average, optimiser, step. The one owner of all that changes."""

    def __init__(
        self, task: Task, optimiser: OptimiserConfig, loop: LoopConfig, out: Path, seed: int, recipe: dict[str, Any]
    ) -> None:
        self.task, self.config, self.loop, self.out, self.seed, self.recipe = task, optimiser, loop, out, seed, recipe
        self.step = 0
        self.before: dict[str, float] = {}
        self.named = [(n, p) for n, p in task.module.named_parameters() if p.requires_grad]
        if not self.named:
            raise ConfigError("train: nothing to train: every parameter is frozen")
        matrices = [p for _, p in self.named if p.ndim > 1]
        vectors = [p for _, p in self.named if p.ndim <= 1]
        decayed = {"params": matrices, "weight_decay": optimiser.weight_decay}
        groups = [g for g in (decayed, {"params": vectors, "weight_decay": 0.0}) if g["params"]]
        self.adam = torch.optim.AdamW(groups, lr=optimiser.lr, betas=optimiser.betas)
        self.ema = Ema(task.module, optimiser.ema_decay)
        self.log = out / "log.jsonl"
        self.saved_at = -1

    def rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then constant or a cosine to 0."""
        warm = min(1.0, (step + 1) / max(1, self.config.warmup_steps))
        if self.config.decay_steps is None:
            return self.config.lr * warm
        along = min(1.0, step / self.config.decay_steps)
        return self.config.lr * warm * 0.5 * (1.0 + math.cos(math.pi * along))

    def advance(self) -> dict[str, Any]:
        """Do one step and return its line for the log."""
        started, waited = time.perf_counter(), 0.0
        self.task.module.train()
        torch.manual_seed(seed_of(self.seed, self.step, "layers"))
        figures: dict[str, float] = {}
        ids: list[str] = []
        total = 0.0
        for micro in range(self.config.accumulate):
            asked = time.perf_counter()
            batch = self.task.batch(self.step, micro, self.config.accumulate)
            waited += time.perf_counter() - asked
            ids += batch.ids
            with self._precision():
                loss = self.task.loss(batch, generator(self.seed, self.step, micro, "noise"))
            (loss.total / self.config.accumulate).backward()  # type: ignore[no-untyped-call]
            total += float(loss.total.detach()) / self.config.accumulate
            for name, value in loss.figures.items():
                figures[name] = figures.get(name, 0.0) + value / self.config.accumulate
        norm = float(nn.utils.clip_grad_norm_([p for _, p in self.named], self.config.clip_norm))
        if not (math.isfinite(total) and math.isfinite(norm)):
            self.adam.zero_grad(set_to_none=True)
            raise UserError(
                f"step {self.step}: loss {total}, gradient norm {norm}: not finite. The batch was {', '.join(ids)}. "
                f"Look at these samples, or lower optimiser.lr ({self.config.lr}); the last checkpoint is untouched"
            )
        rate = self.rate(self.step)
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        self.step += 1
        self.ema.update(self.task.module, self.step)
        wall = time.perf_counter() - started
        return {
            "step": self.step,
            "loss": total,
            **figures,
            "lr": rate,
            "grad_norm": norm,
            "samples": len(ids),
            "wall_s": round(wall, 4),
            "data_wait_s": round(waited, 4),
        }

    def _precision(self) -> Any:
        if self.config.precision == "fp32":
            return nullcontext()
        return torch.autocast(next(self.task.module.parameters()).device.type, dtype=torch.bfloat16)

    def save(self) -> Path:
        """Write a checkpoint of this very state."""
        moments: dict[str, Tensor] = {}
        for name, parameter in self.named:
            for key, value in self.adam.state[parameter].items():
                moments[f"{name}|{key}"] = value
        state = {
            "recipe": self.recipe,
            "seed": self.seed,
            "held_out_before": self.before,
            **self.task.notes,
            "versions": {"torch": torch.__version__, "python": platform.python_version()},
        }
        tensors = {"model": self.task.module.state_dict(), "ema": self.ema.tensors(), "optimiser": moments}
        self.saved_at = self.step
        return checkpoint.save(self.out, self.step, tensors, state, keep=self.loop.keep, extra=self.task.extra_files())

    def start(self, resume: bool) -> None:
        """Take up the newest checkpoint, or clear what an earlier run left."""
        newest = checkpoint.latest(self.out) if resume else None
        if newest is not None:
            self.restore(newest)
            return
        shutil.rmtree(self.out / "checkpoints", ignore_errors=True)
        self.log.unlink(missing_ok=True)

    def look_before(self) -> None:
        """Take the held-out figures of the untrained module, once in the life of a run."""
        if not self.before:
            self.before = _held_out(self.task)
            _append(self.log, {"step": 0, "event": "held_out", **self.before})

    def restore(self, folder: Path) -> None:
        """Take the state of a checkpoint, and drop what the log says of later steps."""
        saved = checkpoint.read(folder)
        for what, there, here in (
            ("recipe", saved.recipe, self.recipe),
            ("seed", saved.state["seed"], self.seed),
            ("plan of the data", saved.state.get("data"), self.task.notes.get("data")),
        ):
            if there != here:
                raise ConfigError(f"{self.out}: holds a run with another {what}: give another folder, or do not resume")
        self.task.module.load_state_dict(saved.tensors("model"))
        self.ema.restore(saved.tensors("ema"))
        moments = saved.tensors("optimiser")
        for name, parameter in self.named:
            keys = [k for k in moments if k.startswith(f"{name}|")]
            state = {k.rpartition("|")[2]: moments[k] for k in keys}
            # AdamW keeps its step count on the CPU, its moments beside the weights.
            self.adam.state[parameter] = {k: v if k == "step" else v.to(parameter.device) for k, v in state.items()}
        self.step = self.saved_at = saved.step
        self.before = dict(saved.state["held_out_before"])
        _truncate(self.log, saved.step)


def fit(
    task: Task,
    optimiser: OptimiserConfig,
    loop: LoopConfig,
    out: Path,
    *,
    seed: int,
    recipe: dict[str, Any],
    max_steps: int | None = None,
    deadline: float | None = None,
    resume: bool = True,
    progress: Progress | None = None,
    begun: float | None = None,
) -> TrainResult:
    """Train until `max_steps` (in all) or `deadline` (a `time.monotonic` instant), whichever is first.

    The deadline is kept with the last held-out pass inside it, as far as one step allows; at least one step is
    done. `progress` gets (step, steps), or (seconds, seconds) since `begun` when there is a deadline.
    """
    out.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic() if begun is None else begun
    steps = loop.max_steps if max_steps is None else max_steps
    run = _Run(task, optimiser, loop, out, seed, recipe)
    run.start(resume)
    measured = time.monotonic()
    run.look_before()
    reserve = 1.3 * (time.monotonic() - measured) + 0.2
    while run.step < steps:
        line = run.advance()
        _append(run.log, line)
        if run.step % loop.checkpoint_every == 0:
            run.save()
        now = time.monotonic()
        if progress is not None:
            if deadline is None:
                progress(run.step, steps)
            else:
                progress(round(min(now, deadline) - begun), max(1, round(deadline - begun)))
        if deadline is not None and now + reserve + line["wall_s"] > deadline:
            break
    path = run.save() if run.saved_at != run.step else checkpoint.find(out)
    with run.ema.applied(task.module):
        after = _held_out(task)
    _append(run.log, {"step": run.step, "event": "held_out", **after})
    result = TrainResult(
        run.step,
        run.before["loss"],
        after["loss"],
        path,
        run.log,
        round(time.monotonic() - begun, 2),
        sum(p.numel() for p in task.module.parameters()),
        sum(p.numel() for _, p in run.named),
        run.before,
        after,
    )
    result.write(out)
    return result


def _held_out(task: Task) -> dict[str, float]:
    task.module.eval()
    with torch.no_grad():
        return task.held_out()


def _append(log: Path, line: Mapping[str, Any]) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _truncate(log: Path, step: int) -> None:
    """Drop the log's lines of steps after `step`, and a last line that was cut short."""
    if not log.is_file():
        return
    kept = []
    for text in log.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            break
        if line["step"] > step or (line.get("event") == "held_out" and line["step"] > 0):
            continue
        kept.append(text)
    temporary = log.with_suffix(".tmp")
    temporary.write_text("".join(f"{text}\n" for text in kept), encoding="utf-8")
    temporary.replace(log)
