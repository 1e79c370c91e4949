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
from training.models.vae import Vae, autoencoder_of, load_vae, save_vae
from training.models.video_vae import VideoVae
from training.randomness import generator
from training.recipes.config import VaeRecipe
from training.recipes.models import VideoVaeConfig

__all__ = ["VaeTask", "drifting", "kl", "psnr"]


def kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Mean over latent values of KL(N(mean, variance) || N(0, 1)), nats (Kingma and Welling 2014, appendix B)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).mean()


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio per picture, dB, of f32[N, 3, H, W] in -1..1, clamped as it would be shown."""
    error = (a.clamp(-1.0, 1.0) - b.clamp(-1.0, 1.0)).square().mean((1, 2, 3))
    return 10.0 * torch.log10(4.0 / error.clamp_min(1e-10))


def drifting(pictures: Tensor, frames: int, noise: torch.Generator) -> Tensor:
    """Return clips f32[N, frames, 3, h, h] of windows that drift evenly over pictures f32[N, 3, H, H].

    Windows have 3/4 of the size, in multiples of 8; where each begins and ends is uniform, between pixels too.
    """
    count, size = len(pictures), pictures.shape[-1]
    window = max(8, size * 3 // 32 * 8)
    ends = torch.rand(2, count, 2, generator=noise) * (size - window)
    along = torch.linspace(0.0, 1.0, frames)[:, None, None]
    corner = (ends[0] * (1.0 - along) + ends[1] * along).transpose(0, 1).to(pictures.device)  # [N, frames, 2], pixels
    places = corner[..., None] + torch.arange(window, device=pictures.device)
    unit = (2.0 * places + 1.0) / size - 1.0  # grid_sample's -1..1, at the centres of pixels
    rows, columns = unit[:, :, 0, :, None], unit[:, :, 1, None, :]
    grid = torch.stack([columns.expand(-1, -1, window, -1), rows.expand(-1, -1, -1, window)], -1)
    out = F.grid_sample(pictures, grid.flatten(1, 2), mode="bilinear", padding_mode="border", align_corners=False)
    return out.view(count, 3, frames, window, window).transpose(1, 2)


class VaeTask:
    """Reconstruct crops. The loss is Charbonnier's (between L1 and L2: sharp edges, no outlier rules) plus KL.

    A video autoencoder gets clips of windows that drift over the crops, some of one frame: a picture is a clip too.
    """

    def __init__(self, recipe: VaeRecipe, seed: int) -> None:
        module = autoencoder_of(recipe.model)
        if isinstance(module, VideoVae) and module.config.start == "packaged":
            packaged = load_vae()
            assert isinstance(packaged, Vae)
            module.start(packaged.state_dict())
        self.module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.notes: Mapping[str, Any] = {}
        self._recipe = recipe
        self._pictures = LeavesPictures(recipe.leaves, seed)
        self._held_out = self._pictures.held_out
        if isinstance(recipe.model, VideoVaeConfig):
            self._held_out = drifting(self._held_out, recipe.model.clip_frames, generator("held out", "drift"))

    def batch(self, step: int, micro: int, accumulate: int) -> LeavesBatch:
        """Return the crops of that step."""
        return self._pictures.batch(step, micro, self._recipe.batch_images)

    def loss(self, batch: LeavesBatch, noise: torch.Generator) -> Loss:
        """Return reconstruction plus weighted KL."""
        pixels = batch.pixels
        if isinstance(self._recipe.model, VideoVaeConfig):
            image = float(torch.rand(1, generator=noise)) < self._recipe.image_probability
            pixels = drifting(pixels, 1 if image else self._recipe.model.clip_frames, noise)
        else:
            pixels = pixels.to(memory_format=torch.channels_last)
        mean, log_variance = self.module.posterior(pixels)
        raw = mean + torch.randn(mean.shape, generator=noise) * (0.5 * log_variance).exp()
        error = self.module.reconstruct(raw) - pixels
        reconstruction = ((error.square() + 0.01).sqrt() - 0.1).mean()
        divergence = kl(mean, log_variance)
        total = reconstruction + self._recipe.kl_weight * divergence
        return Loss(total, {"reconstruction": reconstruction.item(), "kl": divergence.item()})

    def held_out(self) -> dict[str, float]:
        """Return mean squared error and PSNR on pictures, or clips, never trained on."""
        known = self._held_out
        out = torch.cat([self.module.reconstruct(self.module.posterior(p)[0]) for p in torch.split(known, 8)])
        pictures = [x.flatten(0, -4) for x in (out, known)]
        return {"loss": F.mse_loss(out, known).item(), "psnr_db": psnr(*pictures).mean().item()}

    def extra_files(self) -> Mapping[str, Callable[[Path], None]]:
        """Return nothing: the checkpoint's own files suffice."""
        return {}

    def export(self, path: Path, notes: Mapping[str, str]) -> None:
        """Calibrate the latents on what was held out and write the autoencoder."""
        self.module.calibrate(self._held_out)
        save_vae(self.module, path, notes)
