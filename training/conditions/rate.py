"""The frame rate as a condition: a sinusoid of its octave through an MLP whose last layer starts at zero."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.models.layers import sinusoid, zeroed

__all__ = ["FrameRate", "octaves"]


def octaves(values: Tensor, least: float = 0.1) -> Tensor:
    """Return a hundred times the octave of positive numbers: 12 against 24 matters as 6 against 12 does."""
    return 100.0 * torch.log2(values.clamp_min(least))


class FrameRate(nn.Module):
    """Embed frames per second. Octaves, not hertz, are the scale."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.width = width
        self.first, self.last = nn.Linear(width, embedding), zeroed(nn.Linear(embedding, embedding))

    def forward(self, fps: Tensor) -> Tensor:
        """Map f32[B], frames per second, to f32[B, embedding]; all zeros in a fresh model."""
        out: Tensor = self.last(F.silu(self.first(sinusoid(octaves(fps), self.width))))
        return out
