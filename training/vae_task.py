"""The autoencoder as a task of the loop: reconstruction and KL, no perceptual or adversarial loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from training.data.leaves import LeavesBatch, LeavesPictures
from training.loop import Loss
from training.models.vae import Vae, save_vae
from training.recipes.config import VaeRecipe

__all__ = ["VaeTask", "kl", "psnr"]


def kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Mean over latent values of KL(N(mean, variance) || N(0, 1)), nats (Kingma and Welling 2014, appendix B)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).mean()


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio per picture, dB, of f32[N, 3, H, W] in -1..1, clamped as it would be shown."""
    error = (a.clamp(-1.0, 1.0) - b.clamp(-1.0, 1.0)).square().mean((1, 2, 3))
    return 10.0 * torch.log10(4.0 / error.clamp_min(1e-10))


class VaeTask:
    """Reconstruct crops. The loss is Charbonnier's (between L1 and L2: sharp edges, no outlier rules) plus KL."""

    def __init__(self, recipe: VaeRecipe, seed: int) -> None:
        self.module = Vae(recipe.model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.notes: Mapping[str, Any] = {}
        self._recipe = recipe
        self._pictures = LeavesPictures(recipe.leaves, seed)

    def batch(self, step: int, micro: int, accumulate: int) -> LeavesBatch:
        """Return the crops of that step."""
        return self._pictures.batch(step, micro, self._recipe.batch_images)

    def loss(self, batch: LeavesBatch, noise: torch.Generator) -> Loss:
        """Return reconstruction plus weighted KL."""
        pixels = batch.pixels.to(memory_format=torch.channels_last)
        mean, log_variance = self.module.posterior(pixels)
        raw = mean + torch.randn(mean.shape, generator=noise) * (0.5 * log_variance).exp()
        error = self.module.reconstruct(raw) - pixels
        reconstruction = ((error.square() + 0.01).sqrt() - 0.1).mean()
        divergence = kl(mean, log_variance)
        total = reconstruction + self._recipe.kl_weight * divergence
        return Loss(total, {"reconstruction": reconstruction.item(), "kl": divergence.item()})

    def held_out(self) -> dict[str, float]:
        """Return mean squared error and PSNR on pictures never trained on."""
        pixels = self._pictures.held_out
        out = torch.cat([self.module.reconstruct(self.module.posterior(p)[0]) for p in torch.split(pixels, 8)])
        return {"loss": F.mse_loss(out, pixels).item(), "psnr_db": psnr(out, pixels).mean().item()}

    def extra_files(self) -> Mapping[str, Callable[[Path], None]]:
        """Return nothing: the checkpoint's own files suffice."""
        return {}

    def export(self, path: Path, notes: Mapping[str, str]) -> None:
        """Calibrate the latents on the held-out pictures and write the autoencoder."""
        self.module.calibrate(self._pictures.held_out)
        save_vae(self.module, path, notes)
