"""The bucket plan turned into batches: step n of a run always gets the same samples, frames and captions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import torch

from dataset.plan import Batch, Plan, make_plan
from media.errors import DatasetError
from training.conditions.captions import mixed_captions
from training.data.clips import Clip, split
from training.data.latents import Latents
from training.diffusion_task import ClipBatch
from training.randomness import generator, seed_of
from training.recipes.config import DiffusionRecipe

__all__ = ["PlannedBatches", "Sources", "captions_of", "plan_of"]


def plan_of(clips: Sequence[Clip], recipe: DiffusionRecipe, *, seed: int, epoch: int) -> Plan:
    """Return the plan of one epoch over these clips."""
    columns = ("clip_id", "frames", "width_px", "height_px", "fps")
    table = pa.table({name: [getattr(clip, name) for clip in clips] for name in columns})
    return make_plan(table, recipe.clips.plan, seed=seed, epoch=epoch)


class Sources:
    """The split and its plans: what is trained on, what is kept aside, what is left out and why."""

    def __init__(self, clips: Sequence[Clip], recipe: DiffusionRecipe, seed: int) -> None:
        self.training, self.held_out = split(clips, recipe.held_out, seed)
        self._recipe, self._seed = recipe, seed
        self._plans: dict[int, Plan] = {}
        self._starts = [0]
        self.clips = {clip.clip_id: clip for clip in clips}
        self.held_out_plan = plan_of(self.held_out, recipe, seed=seed_of("held out"), epoch=0)
        if not self.epoch(0).batches:
            reasons = ", ".join(f"{n} {reason}" for reason, n in self.epoch(0).reasons().items())
            raise DatasetError(
                f"the plan has no batch: {len(self.training)} clips, rejected: {reasons or 'none'}. "
                "Change clips.plan of the recipe, or cut longer or larger clips"
            )

    def epoch(self, number: int) -> Plan:
        """Return the plan of an epoch; the last few are kept."""
        if number not in self._plans:
            if len(self._plans) > 3:
                self._plans.pop(min(self._plans))
            self._plans[number] = plan_of(self.training, self._recipe, seed=self._seed, epoch=number)
        return self._plans[number]

    def at(self, position: int) -> Batch:
        """Return batch `position` of the endless sequence of epochs: a resumed run goes on at its exact place."""
        while self._starts[-1] <= position:
            self._starts.append(self._starts[-1] + len(self.epoch(len(self._starts) - 1).batches))
        number = next(i for i in range(len(self._starts) - 2, -1, -1) if self._starts[i] <= position)
        return self.epoch(number).batches[position - self._starts[number]]

    def captions(self) -> list[str]:
        """Return every caption that a batch may hold."""
        medium = self._recipe.captions.medium > 0.0
        said = ((clip.short, clip.dense, clip.medium if medium else "") for clip in self.clips.values())
        return sorted({text for texts in said for text in texts})

    def table(self) -> list[dict[str, Any]]:
        """Return the first epoch's plan, a row per bucket, and a row per reason for what is left out."""
        rows = [dataclasses.asdict(row) for row in self.epoch(0).table()]
        left = {**self.epoch(0).reasons(), "held_out": len(self.held_out)}
        return rows + [{"bucket": f"rejected: {name}", "samples": count, "batches": 0} for name, count in left.items()]


def captions_of(clips: Sequence[Clip], dense: float, noise: torch.Generator, medium: float = 0.0) -> list[str]:
    """Choose the dense, the medium or the short caption of each clip."""
    return mixed_captions(clips, dense, medium, noise)


class PlannedBatches:
    """Batches of latents and captions, by step."""

    def __init__(self, sources: Sources, latents: Latents, recipe: DiffusionRecipe, seed: int) -> None:
        self._sources, self._latents, self._recipe, self._seed = sources, latents, recipe, seed
        self.held_out = [self._batch(batch, dense=1.0, seed=0) for batch in sources.held_out_plan.batches]

    def batch(self, step: int, micro: int, accumulate: int) -> ClipBatch:
        """Return the batch of that step and accumulation."""
        planned = self._sources.at(step * accumulate + micro)
        seed = seed_of(self._seed, step, micro, "captions")
        said = self._recipe.captions
        batch = self._batch(planned, dense=said.dense, seed=seed, medium=said.medium)
        noise = generator(self._seed, step, micro, "image")
        if float(torch.rand(1, generator=noise)) >= self._recipe.clips.image_probability:
            return batch
        # Where frames are joined in time, the first latent alone is a picture's.
        choice = 1 if self._latents.joins_frames else batch.latents.shape[1]
        frame = int(torch.randint(choice, (1,), generator=noise))
        return dataclasses.replace(batch, latents=batch.latents[:, frame : frame + 1])

    def _batch(self, planned: Batch, *, dense: float, seed: int, medium: float = 0.0) -> ClipBatch:
        clips = [self._sources.clips[clip_id] for clip_id in planned.ids]
        fps = [clip.fps / step for clip, step in zip(clips, planned.steps, strict=True)]
        captions = captions_of(clips, dense, torch.Generator().manual_seed(seed), medium)
        flow = [math.nan if clip.flow_mean_px_per_s is None else clip.flow_mean_px_per_s for clip in clips]
        vectors = {"motion": torch.tensor(flow)} if "motion" in self._recipe.model.vectors else {}
        return ClipBatch(list(planned.ids), self._latents.of(planned), captions, torch.tensor(fps), vectors)
