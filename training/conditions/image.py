"""A picture as a prompt: its latent's patches as tokens, read beside the text through gates that start shut.

    out = Attn(q, K_text, V_text) + tanh(alpha) Attn(q, K_image, V_image),   alpha = 0 in a fresh model

DynamiCrafter's fusion (Xing et al. 2024, eq. 3) has tanh(alpha) + 1; without the 1 a text-to-video model that gets
image prompts is, at first, the model it was, and alpha has a gradient from the first step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from media.errors import ConfigError
from training.models.inputs import ImagePrompt, ImageTokens
from training.models.layers import sinusoid

__all__ = ["ImagePatches", "drop_prompts"]


class ImagePatches(nn.Module):
    """Turn the latent of a picture into tokens that know their place."""

    def __init__(self, channels: int, patch: int, width: int) -> None:
        super().__init__()
        self.patch, self.width = patch, width
        self.project = nn.Linear(channels * patch**2, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, prompt: ImagePrompt) -> ImageTokens:
        """Map latents f32[B, C, h, w] to tokens f32[B, h w / patch^2, width]. Raises ConfigError for an odd size."""
        size = prompt.latents.shape[-2:]
        if size[0] % self.patch or size[1] % self.patch:
            raise ConfigError(f"image prompt of {size[1]}x{size[0]} latents: needs multiples of {self.patch}")
        rows, columns = (n // self.patch for n in size)
        patches = prompt.latents.reshape(*prompt.latents.shape[:2], rows, self.patch, columns, self.patch)
        tokens = self.project(patches.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2))
        # The place as a fraction: a picture may have another size than those of training.
        device, half = tokens.device, self.width // 2
        down = sinusoid(100.0 * (torch.arange(rows, device=device) + 0.5) / rows, half)
        along = sinusoid(100.0 * (torch.arange(columns, device=device) + 0.5) / columns, self.width - half)
        place = torch.cat([down[:, None].expand(-1, columns, -1), along[None].expand(rows, -1, -1)], -1)
        return ImageTokens(self.norm(tokens + place.flatten(0, 1)), prompt.given)


def drop_prompts(count: int, text: float, noise: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return bool[count] twice: whose caption is dropped, and whose image prompt is.

    One r ~ U(0, 1) a sample decides, with p = text / 2: r < p the text alone, p <= r < 2p both, 2p <= r < 3p the image
    alone (Brooks et al. 2023, section 3.2.1). So the denoiser learns each case that two-scale guidance asks it for.
    """
    r: Tensor = torch.rand(count, generator=noise)
    p = text / 2.0
    return r < text, (r >= p) & (r < text + p)
