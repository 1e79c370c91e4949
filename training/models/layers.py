"""The spatial parts of the denoiser: embeddings, residual blocks, attention."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.models.inputs import ImageTokens

M = TypeVar("M", bound=nn.Module)

__all__ = [
    "Attention",
    "FeedForward",
    "GroupNorm",
    "ImageFusion",
    "ResBlock",
    "SpatialTransformer",
    "sinusoid",
    "split_heads",
    "zeroed",
]


def zeroed(module: M) -> M:
    """Set every parameter of a module to zero, so that a branch ending in it starts as nothing."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def sinusoid(values: Tensor, width: int, longest: float = 10_000.0) -> Tensor:
    """Return f32[..., width] sines and cosines of f32[...] at periods from 2 pi to 2 pi * longest."""
    half = width // 2
    rates = torch.exp(-math.log(longest) * torch.arange(half, device=values.device) / half)
    angles = values.float()[..., None] * rates
    out = torch.cat([angles.cos(), angles.sin()], -1)
    return F.pad(out, (0, width - 2 * half))


class GroupNorm(nn.GroupNorm):
    """GroupNorm whose weights, or whose input, may be frozen.

    torch 2.13's channels-last kernel for the CPU writes both gradients, the input's and the weights', whether or not
    both are wanted, and the process dies where one is not: such a norm is given the other layout.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise f32[N, C, ...]."""
        if input.requires_grad != self.weight.requires_grad:
            input = input.contiguous()
        return super().forward(input)


class ResBlock(nn.Module):
    """GroupNorm, SiLU, convolution, twice, the embedding added between."""

    def __init__(self, wide_in: int, wide_out: int, embedding: int, groups: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = GroupNorm(groups, wide_in), GroupNorm(groups, wide_out)
        self.conv1 = nn.Conv2d(wide_in, wide_out, 3, padding=1)
        self.conv2 = nn.Conv2d(wide_out, wide_out, 3, padding=1)
        self.embed = nn.Linear(embedding, wide_out)
        self.skip = nn.Conv2d(wide_in, wide_out, 1) if wide_in != wide_out else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Map f32[N, wide_in, h, w] with embeddings f32[N, E] to f32[N, wide_out, h, w]."""
        h = self.conv1(F.silu(self.norm1(x))) + self.embed(F.silu(embedding))[:, :, None, None]
        out: Tensor = self.skip(x) + self.conv2(F.silu(self.norm2(h)))
        return out


class ImageFusion(nn.Module):
    """Keys and values of an image prompt for queries made for the text, behind a gate that starts shut.

    Adds tanh(alpha) Attn(q, K_image, V_image), alpha = 0 at first: see `conditions/image.py`.
    """

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.key_value = nn.Linear(context, 2 * width, bias=False)
        self.alpha = nn.Parameter(torch.zeros(()))

    def forward(self, q: Tensor, image: ImageTokens) -> Tensor:
        """Map queries f32[B, heads, L, d] to what they read of the picture; zeros where there is none."""
        k, v = (split_heads(p, q.shape[1]) for p in self.key_value(image.tokens).chunk(2, -1))
        y = F.scaled_dot_product_attention(q, k, v)
        return torch.tanh(self.alpha) * image.given[:, None, None, None] * y


class Attention(nn.Module):
    """Multi-head attention of queries f32[N, L, width] over a context f32[N, M, context]."""

    def __init__(self, width: int, heads: int, context: int | None = None, image: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(context or width, 2 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.fusion = None if image is None else ImageFusion(width, image)

    def forward(
        self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None, image: ImageTokens | None = None
    ) -> Tensor:
        """Attend; `mask` is bool[N, M], true where the context may be looked at."""
        seen = x if context is None else context
        q, (k, v) = self._split(self.query(x)), (self._split(p) for p in self.key_value(seen).chunk(2, -1))
        allowed = None if mask is None else mask[:, None, None, :]
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        if self.fusion is not None and image is not None:
            y = y + self.fusion(q, image)
        out: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        return split_heads(x, self.heads)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Map f32[N, L, width] to f32[N, heads, L, width / heads]."""
    return x.view(*x.shape[:-1], heads, -1).transpose(1, 2)


class FeedForward(nn.Module):
    """GEGLU (Shazeer 2020), twice as wide inside unless told otherwise."""

    def __init__(self, width: int, inner: int = 2) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, 2 * inner * width), nn.Linear(inner * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map f32[..., width] to f32[..., width]."""
        value, gate = self.up(x).chunk(2, -1)
        out: Tensor = self.down(value * F.gelu(gate))
        return out


class SpatialTransformer(nn.Module):
    """Self-attention within a frame, cross-attention to the text, feed-forward, added to the input.

    `stable` is Stable Diffusion's: a projection before, and a wider feed-forward.
    """

    def __init__(
        self, width: int, heads: int, text: int, groups: int, *, image: int | None = None, stable: bool = False
    ) -> None:
        super().__init__()
        self.norm = GroupNorm(groups, width, eps=1e-6 if stable else 1e-5)
        self.proj_in = nn.Linear(width, width) if stable else nn.Identity()
        self.norm_self, self.norm_text, self.norm_feed = (nn.LayerNorm(width) for _ in range(3))
        self.attend_self, self.attend_text = Attention(width, heads), Attention(width, heads, text, image)
        self.feed = FeedForward(width, 4 if stable else 2)
        self.proj_out = nn.Linear(width, width)

    def forward(self, x: Tensor, text: Tensor, mask: Tensor, image: ImageTokens | None = None) -> Tensor:
        """Map f32[B*F, C, h, w], every F frames reading one text f32[B, L, D] under its mask bool[B, L]."""
        height, clips = x.shape[2], len(text)
        y = self.proj_in(self.norm(x).permute(0, 2, 3, 1).flatten(1, 2))
        y = y + self.attend_self(self.norm_self(y))
        # The frames of a clip read the same text: one long query instead of F copies of the keys.
        query = self.norm_text(y).reshape(clips, -1, y.shape[-1])
        y = y + self.attend_text(query, text, mask, image).view(y.shape)
        y = self.proj_out(y + self.feed(self.norm_feed(y)))
        out: Tensor = x + y.view(len(x), height, -1, y.shape[-1]).permute(0, 3, 1, 2)
        return out
