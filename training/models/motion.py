"""Motion layers: what turns a text-to-image UNet into a text-to-video one.

Each ends in a layer that starts at zero and adds to its input, so that a fresh motion UNet is, frame by frame, the
image UNet it was built from. They see x as f32[B*F, C, h, w] and never mix clips or positions, only frames.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from media.errors import ConfigError
from training.models.layers import Attention, FeedForward, GroupNorm, sinusoid, zeroed
from training.recipes.config import MotionLayer

__all__ = ["TemporalAttention", "TemporalConv", "motion_layer"]


class TemporalAttention(nn.Module):
    """AnimateDiff's motion module (Guo et al. 2024): self-attention along time at every position, twice.

    GroupNorm's statistics are those of each frame, as in the original: a frame's normalisation does not depend on its
    neighbours. Sinusoidal positions are added before each attention.
    """

    positions: Tensor

    def __init__(self, width: int, heads: int, groups: int, max_frames: int) -> None:
        super().__init__()
        self.norm = GroupNorm(groups, width)
        self.proj_in = nn.Linear(width, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attentions = nn.ModuleList(Attention(width, heads) for _ in range(2))
        self.norm_feed, self.feed = nn.LayerNorm(width), FeedForward(width)
        self.proj_out = zeroed(nn.Linear(width, width))
        self.register_buffer("positions", sinusoid(torch.arange(max_frames), width), persistent=False)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """Map f32[B*frames, C, h, w] to the same shape. Raises ConfigError above `max_frames`."""
        if frames > len(self.positions):
            raise ConfigError(f"{frames} frames, but model.max_frames is {len(self.positions)}: ask for fewer frames")
        count, width, height, breadth = x.shape
        clips = count // frames
        y = self.norm(x).view(clips, frames, width, height * breadth).permute(0, 3, 1, 2)
        y = self.proj_in(y.reshape(-1, frames, width))
        for norm, attention in zip(self.norms, self.attentions, strict=True):
            y = y + attention(norm(y) + self.positions[:frames])
        y = self.proj_out(y + self.feed(self.norm_feed(y)))
        y = y.view(clips, height * breadth, frames, width).permute(0, 2, 3, 1)
        out: Tensor = x + y.reshape(x.shape)
        return out


class TemporalConv(nn.Module):
    """ModelScope's temporal convolution (Wang et al. 2023): four of GroupNorm, SiLU, kernel (3, 1, 1); the last zero.

    A 3D kernel of (3, 1, 1) is a 2D kernel of (3, 1) over (time, position), and quicker as one. Statistics are taken
    over all frames, as in the original.
    """

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(GroupNorm(groups, width) for _ in range(4))
        self.convs = nn.ModuleList(nn.Conv2d(width, width, (3, 1), padding=(1, 0)) for _ in range(4))
        zeroed(self.convs[-1])

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """Map f32[B*frames, C, h, w] to the same shape."""
        count, width, height, breadth = x.shape
        y = x.reshape(count // frames, frames, width, height * breadth).transpose(1, 2)
        for norm, conv in zip(self.norms, self.convs, strict=True):
            y = conv(F.silu(norm(y)))
        return x + y.transpose(1, 2).reshape(x.shape)


def motion_layer(kind: MotionLayer, width: int, heads: int, groups: int, max_frames: int) -> nn.Module:
    """Return a motion layer of that kind."""
    if kind == "temporal_attention":
        return TemporalAttention(width, heads, groups, max_frames)
    return TemporalConv(width, groups)
