"""The text-to-video model as a task of the loop: noise, condition, predict, weigh."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from training.conditions.anchor import anchor_of, draw_known, keep_known, known_mask
from training.conditions.image import drop_prompts
from training.conditions.text import TextTable, without
from training.conditions.vectors import drop_vectors, shape_vectors
from training.denoise import draw_noise, predict, shift_of
from training.diffusion.objectives import loss_weight, noised, process_of, target_of
from training.diffusion.timesteps import shifted
from training.loop import Loss
from training.models.factory import Denoiser, freeze
from training.models.inputs import Extras, ImagePrompt
from training.models.vae import FACTOR
from training.randomness import generator
from training.recipes.config import DiffusionRecipe

__all__ = ["Batches", "ClipBatch", "DiffusionTask", "HeldOut"]


@dataclass(frozen=True, slots=True)
class ClipBatch:
    """Clean latents f32[B, F, C, h, w], their captions, their rates f32[B] in frames per second.

    `vectors` holds measured numbers f32[B] by the names of `model.vectors`, NaN where unknown; `segmentation`, where
    the model takes one, the class i64[B, F, H, W] at every pixel.
    """

    ids: list[str]
    latents: Tensor
    captions: list[str]
    fps: Tensor
    vectors: Mapping[str, Tensor] = field(default_factory=dict)
    segmentation: Tensor | None = None


class Batches(Protocol):
    """Where batches come from."""

    def batch(self, step: int, micro: int, accumulate: int) -> ClipBatch:
        """Return the batch of that step and accumulation."""
        ...

    @property
    def held_out(self) -> Sequence[ClipBatch]:
        """The held-out samples, in batches that never change."""
        ...


HeldOut = Sequence[ClipBatch]


class DiffusionTask:
    """Learn to predict the objective's target at every time, for every condition the recipe has."""

    def __init__(
        self,
        recipe: DiffusionRecipe,
        denoiser: Denoiser,
        batches: Batches,
        texts: TextTable,
        *,
        device: torch.device,
        vae_file: Path | None = None,
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        texts.check(recipe.model.text_dim)
        freeze(denoiser, recipe.train)
        self.module = denoiser.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.notes: Mapping[str, Any] = dict(notes or {})
        self._recipe, self._batches, self._texts, self._device = recipe, batches, texts, device
        self._vae_file = vae_file
        self._process = process_of(recipe.diffusion)

    def batch(self, step: int, micro: int, accumulate: int) -> ClipBatch:
        """Return the clips of that step."""
        return self._batches.batch(step, micro, accumulate)

    def loss(self, batch: ClipBatch, noise: torch.Generator) -> Loss:
        """Return the weighted error over unknown frames, at stratified random times."""
        count, frames = batch.latents.shape[:2]
        # One time from each of B equal bins: the same expectation as B free draws, with less variance.
        places = torch.randperm(count, generator=noise)
        times = shifted((places + torch.rand(count, generator=noise)) / count, self._shift(batch))
        anchored = torch.rand(count, generator=noise) < self._recipe.anchor.probability
        known = draw_known(anchored, frames, self._recipe.anchor.frames, noise)
        no_text, no_image = drop_prompts(count, self._recipe.captions.dropout, noise)
        eps = draw_noise(batch.latents.shape, self._recipe.diffusion.shared_noise, noise)
        extras = self._extras(batch, ~no_image, noise, self._recipe.captions.vector_dropout)
        error, weight = self.errors(batch, times, eps, known, without(batch.captions, no_text), extras)
        total = (error * weight).sum() / (error.numel() - known.sum()).clamp_min(1.0)
        return Loss(total)

    def _shift(self, batch: ClipBatch) -> float:
        return shift_of(self._recipe, batch.latents.shape)

    def _extras(self, batch: ClipBatch, prompted: Tensor, noise: torch.Generator, dropout: float) -> Extras:
        """Return the further conditions that the model takes: its numbers, a frame as image prompt, the classes.

        `prompted` bool[B] says which samples see the image prompt; one of a picture would be the picture itself.
        """
        model, x0 = self._recipe.model, batch.latents
        told = shape_vectors(model.vectors, x0.shape, FACTOR)
        told |= {name: batch.vectors[name] for name in model.vectors if name in batch.vectors}
        image = None
        if model.image is not None:
            # Where frames are joined in time, the first latent alone is a picture's.
            choice = 1 if self._recipe.clips.plan.temporal_stride > 1 else x0.shape[1]
            frame = torch.randint(choice, (len(x0),), generator=noise)
            given = prompted & (x0.shape[1] > 1)
            image = ImagePrompt(x0[torch.arange(len(x0)), frame].to(self._device), given.to(self._device))
        vectors = {name: values.to(self._device) for name, values in drop_vectors(told, dropout, noise).items()}
        classes = batch.segmentation if model.segmentation_classes is not None else None
        return Extras(vectors, image, None if classes is None else classes.to(self._device))

    def errors(
        self,
        batch: ClipBatch,
        times: Tensor,
        eps: Tensor,
        known: Tensor,
        captions: Sequence[str],
        extras: Extras | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return squared errors and their weights, each f32[B, F]; both exactly 0 at known frames.

        `times` f32[B] in 0..1, `eps` like the latents, `known` f32[B, F], 1 at frames that are given clean.
        """
        config = self._recipe.diffusion
        x0, eps, known = (x.to(self._device) for x in (batch.latents, eps, known))
        t = times.to(self._device)[:, None] * (1.0 - known)  # a known frame is clean: its time is 0
        alpha, sigma = (level[:, :, None, None, None] for level in self._process.levels(t))
        zt = keep_known(noised(x0, eps, alpha, sigma), x0, known)
        text = self._texts.batch(captions).to(self._device)
        anchor = anchor_of(x0, known, self._recipe.anchor.fill) if known.any() else None
        fps = batch.fps.to(self._device) if self._recipe.model.fps else None
        guess = predict(
            self.module, config, self._recipe.anchor, self._process, zt, t, text, fps=fps, anchor=anchor, extras=extras
        )
        error = (guess - target_of(config.objective, x0, eps, alpha, sigma)).float().square().mean((2, 3, 4))
        weight = loss_weight(config.objective, self._process.snr(t), config.min_snr_gamma)
        return error * (1.0 - known), weight * (1.0 - known)

    def held_out(self) -> dict[str, float]:
        """Return the unweighted error by timestep bin and by what is given, and their mean as `loss`.

        `text` is the caption alone; `anchored` adds the frames that the recipe gives most; `image` an image prompt.
        """
        kinds = {"text": (False, False)}
        if self._recipe.anchor.probability:
            kinds["anchored"] = (True, False)
        if self._recipe.model.image is not None:
            kinds["image"] = (False, True)
        figures: dict[str, float] = {}
        for name, (anchored, prompted) in kinds.items():
            for b in range(self._recipe.held_out.bins):
                middle = (b + 0.5) / self._recipe.held_out.bins
                figures[f"{name}_t{middle:.3g}"] = self._at(middle, b, anchored=anchored, prompted=prompted)
        figures["loss"] = sum(figures.values()) / len(figures)
        return figures

    def _at(self, time: float, which: int, *, anchored: bool, prompted: bool) -> float:
        """Return the mean error over unknown frames of all held-out clips at one time."""
        total, unknown = 0.0, 0.0
        kinds = self._recipe.anchor.frames
        for i, batch in enumerate(self._batches.held_out):
            count, frames = batch.latents.shape[:2]
            eps = draw_noise(batch.latents.shape, self._recipe.diffusion.shared_noise, generator("held out", which, i))
            drawn = generator("held out", "given", which, i)
            known = torch.zeros(count, frames)
            if anchored:
                known += known_mask(max(kinds, key=lambda kind: kinds[kind]), frames, drawn)
            extras = self._extras(batch, torch.full((count,), prompted), drawn, 0.0)
            error, _ = self.errors(batch, torch.full((count,), time), eps, known, batch.captions, extras)
            total += error.sum().item()
            unknown += (1.0 - known).sum().item()
        return total / max(1.0, unknown)

    def extra_files(self) -> Mapping[str, Callable[[Path], None]]:
        """Return the autoencoder's file, so that a checkpoint can be moved and used alone."""
        if self._vae_file is None:
            return {}
        content = self._vae_file.read_bytes()
        return {"vae.safetensors": lambda path: _write(path, content)}


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
