"""The text-to-video model as a task of the loop: noise, condition, predict, weigh."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from training.conditions.anchor import anchor_of, first_frame_mask, keep_known
from training.conditions.text import TextTable, drop_captions
from training.denoise import draw_noise, predict
from training.diffusion.objectives import loss_weight, noised, process_of, target_of
from training.loop import Loss
from training.models.unet import UNet
from training.randomness import generator
from training.recipes.config import DiffusionRecipe

__all__ = ["Batches", "ClipBatch", "DiffusionTask", "HeldOut"]


@dataclass(frozen=True, slots=True)
class ClipBatch:
    """Clean latents f32[B, F, C, h, w], their captions, their rates f32[B] in frames per second."""

    ids: list[str]
    latents: Tensor
    captions: list[str]
    fps: Tensor


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
        unet: UNet,
        batches: Batches,
        texts: TextTable,
        *,
        device: torch.device,
        vae_file: Path | None = None,
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        texts.check(recipe.model.text_dim)
        if recipe.train == "motion":
            unet.freeze_spatial()
        self.module = unet.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
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
        times = (places + torch.rand(count, generator=noise)) / count
        anchored = torch.rand(count, generator=noise) < self._recipe.anchor.probability
        if frames == 1:
            anchored[:] = False
        captions = drop_captions(batch.captions, self._recipe.captions.dropout, noise)
        eps = draw_noise(batch.latents.shape, self._recipe.diffusion.shared_noise, noise)
        error, weight = self.errors(batch, times, eps, first_frame_mask(anchored, frames), captions)
        total = (error * weight).sum() / _unknown(error, anchored).clamp_min(1.0)
        return Loss(total)

    def errors(
        self, batch: ClipBatch, times: Tensor, eps: Tensor, known: Tensor, captions: Sequence[str]
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
        guess = predict(self.module, config, self._recipe.anchor, self._process, zt, t, text, fps=fps, anchor=anchor)
        error = (guess - target_of(config.objective, x0, eps, alpha, sigma)).float().square().mean((2, 3, 4))
        weight = loss_weight(config.objective, self._process.snr(t), config.min_snr_gamma)
        return error * (1.0 - known), weight * (1.0 - known)

    def held_out(self) -> dict[str, float]:
        """Return the unweighted error by timestep bin, with and without the first frame, and their mean as `loss`."""
        bins = self._recipe.held_out.bins
        kinds = {"text": False} if not self._recipe.anchor.probability else {"text": False, "anchored": True}
        figures: dict[str, float] = {}
        for name, anchored in kinds.items():
            for b in range(bins):
                middle = (b + 0.5) / bins
                figures[f"{name}_t{middle:.3g}"] = self._at(middle, anchored, b)
        figures["loss"] = sum(figures.values()) / len(figures)
        return figures

    def _at(self, time: float, anchored: bool, which: int) -> float:
        """Return the mean error over unknown frames of all held-out clips at one time."""
        total, frames = 0.0, 0.0
        for i, batch in enumerate(self._batches.held_out):
            shared = self._recipe.diffusion.shared_noise
            eps = draw_noise(batch.latents.shape, shared, generator("held out", which, i))
            known = first_frame_mask(torch.full((len(batch.ids),), anchored), batch.latents.shape[1])
            error, _ = self.errors(batch, torch.full((len(batch.ids),), time), eps, known, batch.captions)
            total += error.sum().item()
            frames += (1.0 - known).sum().item()
        return total / max(1.0, frames)

    def extra_files(self) -> Mapping[str, Callable[[Path], None]]:
        """Return the autoencoder's file, so that a checkpoint can be moved and used alone."""
        if self._vae_file is None:
            return {}
        content = self._vae_file.read_bytes()
        return {"vae.safetensors": lambda path: _write(path, content)}


def _unknown(error: Tensor, anchored: Tensor) -> Tensor:
    """Return how many frames the loss is over: all, less the first of every anchored clip."""
    return torch.as_tensor(error.numel(), dtype=torch.float32, device=error.device) - anchored.sum().to(error.device)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
