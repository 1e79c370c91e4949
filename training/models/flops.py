"""What a forward pass costs: floating-point operations, two to a multiply-add, of matrix products and convolutions.

Counted without weights or data (on torch's meta device), for any denoiser; and, for the DiT, by formula, which the
count confirms. A training step costs about three times its forward pass.
"""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from training.models.factory import build_denoiser
from training.models.inputs import Extras, ImagePrompt, Text
from training.recipes.models import ConnectorConfig, DenoiserConfig, DiTConfig

__all__ = ["counted_flops", "dit_flops"]


def counted_flops(config: DenoiserConfig, *, clips: int, frames: int, height: int, width: int, text_tokens: int) -> int:
    """Return the operations of one forward pass over latents [clips, frames, C, height, width], told all it can be."""
    with torch.device("meta"), torch.no_grad():
        denoiser = build_denoiser(config).requires_grad_(False)
        z = torch.empty(clips, frames, config.latent_channels, height, width)
        text = Text(torch.empty(clips, text_tokens, config.text_dim), torch.empty(clips, text_tokens, dtype=torch.bool))
        vectors: dict[str, torch.Tensor] = {
            name: torch.empty(clips, 2 if name == "size" else 1) for name in config.vectors
        }
        image = None if config.image is None else ImagePrompt(z[:, 0], torch.empty(clips, dtype=torch.bool))
        fps = torch.empty(clips) if config.fps else None
        with FlopCounterMode(display=False) as counter:
            denoiser(z, torch.empty(clips, frames), text, fps=fps, extras=Extras(vectors, image))
    return int(counter.get_total_flops())


def dit_flops(config: DiTConfig, *, clips: int, frames: int, height: int, width: int, text_tokens: int) -> int:
    """Return the same by formula, for N = frames * height * width / patch^2 tokens of width W and M of text.

    A block: 2 N W (4 W) for the projections of self-attention, 4 N^2 W for itself, 4 N W^2 + 4 M D W + 4 N M W for
    cross-attention to M states of width D, 4 N W (r W) for the MLP of ratio r, and 12 W^2 a frame for the modulation.
    """
    n, w, area = frames * config.tokens(height, width), config.width, config.patch**2
    m = text_tokens if config.connector is None else config.connector.queries
    block = 8 * n * w * w + 4 * n * n * w
    block += 4 * n * w * w + 4 * m * config.context_dim * w + 4 * n * m * w
    block += 4 * n * w * config.mlp_ratio * w + 12 * frames * w * w
    ends = 2 * n * config.input_channels * area * w + 2 * n * w * config.latent_channels * area + 4 * frames * w * w
    told = 4 * frames * w * w + (4 * w * w if config.fps else 0)
    told += sum(2 * (3 if name == "size" else 2) * w * w for name in config.vectors)
    if config.image is not None:
        tokens, wide = height * width // config.image.patch**2, config.image.width
        told += 2 * tokens * config.latent_channels * config.image.patch**2 * wide
        block += 4 * tokens * wide * w + 4 * n * tokens * w
    if config.connector is not None:
        told += _connector_flops(config.connector, config.text_dim, text_tokens)
    return clips * (ends + told + config.depth * block)


def _connector_flops(config: ConnectorConfig, text_dim: int, text_tokens: int) -> int:
    """Return the operations of a connector over one caption."""
    w, q, seen = config.width, config.queries, config.queries + text_tokens
    block = 12 * w * w + 4 * q * w * w + 4 * seen * w * w + 4 * q * seen * w + 16 * q * w * w
    return 4 * w * w + 2 * text_tokens * text_dim * w + 2 * q * w * w + config.blocks * block
