"""A diffusion transformer (Peebles and Xie 2023): every token of the clip attends to every other.

Blocks are modulated by the time through adaLN-zero: scale, shift and gate of each part come from a layer that starts at
zero, so a fresh block is the identity. Queries and keys are RMS-normalised, which keeps attention from saturating
(Esser et al. 2024, section 5.3.2), and turned by their places in time, height and width. Text is read by
cross-attention between the two parts (PixArt-alpha, Chen et al. 2024), its last layer zero at first.

Times are per frame, as everywhere here: a known frame has time 0. An image is a clip of one frame.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from media.errors import ConfigError
from training.models.inputs import Anchor, Extras, ImageTokens, Text, with_channels
from training.models.layers import ImageFusion, split_heads, zeroed
from training.models.rotary import rotary_angles, rotated
from training.models.told import Told
from training.recipes.models import DiTConfig

__all__ = ["DiT", "DiTBlock"]


class _Norm(nn.RMSNorm):
    """RMSNorm over a head's values, in single precision whatever the input has."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.float()).to(x.dtype)


class _SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm_query, self.norm_key = (_Norm(width // heads) for _ in range(2))

    def forward(self, x: Tensor, angles: Tensor) -> Tensor:
        q, k, v = (split_heads(p, self.heads) for p in self.query_key_value(x).chunk(3, -1))
        q, k = rotated(self.norm_query(q), angles), rotated(self.norm_key(k), angles)
        out: Tensor = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return out


class _CrossAttention(nn.Module):
    def __init__(self, width: int, heads: int, context: int, image: int | None) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(context, 2 * width)
        self.norm_query, self.norm_key = (_Norm(width // heads) for _ in range(2))
        self.fusion = None if image is None else ImageFusion(width, image)
        self.out = zeroed(nn.Linear(width, width))

    def forward(self, x: Tensor, text: Text, image: ImageTokens | None) -> Tensor:
        q = self.norm_query(split_heads(self.query(x), self.heads))
        k, v = (split_heads(p, self.heads) for p in self.key_value(text.tokens).chunk(2, -1))
        y = F.scaled_dot_product_attention(q, self.norm_key(k), v, attn_mask=text.mask[:, None, None])
        if self.fusion is not None and image is not None:
            y = y + self.fusion(q, image)
        out: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return out


class DiTBlock(nn.Module):
    """Self-attention, cross-attention to the text, MLP; the first and the last modulated and gated by the time."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        width, inner = config.width, config.mlp_ratio * config.width
        self.norm_self, self.norm_feed = (nn.LayerNorm(width, eps=1e-6, elementwise_affine=False) for _ in range(2))
        self.attend_self = _SelfAttention(width, config.heads)
        self.attend_text = _CrossAttention(
            width, config.heads, config.context_dim, None if config.image is None else config.image.width
        )
        self.feed = nn.Sequential(nn.Linear(width, inner), nn.GELU(approximate="tanh"), nn.Linear(inner, width))
        self.modulate = zeroed(nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, embedding: Tensor, angles: Tensor, text: Text, image: ImageTokens | None) -> Tensor:
        """Map tokens f32[B, F * positions, width] with embeddings f32[B, F, width] to the same shape."""
        # One modulation a frame, held as [B, F, 1, width] beside tokens [B, F, positions, width].
        parts = self.modulate(F.silu(embedding))[:, :, None].chunk(6, -1)
        scale_self, shift_self, gate_self, scale_feed, shift_feed, gate_feed = parts
        x = x + _gated(self.attend_self(_shown(self.norm_self(x), scale_self, shift_self), angles), gate_self)
        x = x + self.attend_text(x, text, image)
        return x + _gated(self.feed(_shown(self.norm_feed(x), scale_feed, shift_feed)), gate_feed)


def _frames_of(x: Tensor, per_frame: Tensor) -> Tensor:
    """Map tokens f32[B, F * positions, width] to f32[B, F, positions, width], F being that of f32[B, F, 1, width]."""
    return x.view(len(x), per_frame.shape[1], -1, x.shape[-1])


def _shown(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return (_frames_of(x, scale) * (1.0 + scale) + shift).flatten(1, 2)


def _gated(x: Tensor, gate: Tensor) -> Tensor:
    return (_frames_of(x, gate) * gate).flatten(1, 2)


class DiT(nn.Module):
    """The network, with the UNet's inputs and output. Any number of frames, any size that patches divide."""

    input_weight = "patchify.weight"

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.config = config
        width, area = config.width, config.patch**2
        self.patchify = nn.Linear(config.input_channels * area, width)
        with torch.no_grad():
            self.patchify.weight[:, config.latent_channels * area :].zero_()
        self.told = Told(config, width, width)
        self.blocks = nn.ModuleList(DiTBlock(config) for _ in range(config.depth))
        self.norm_out = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.modulate_out = zeroed(nn.Linear(width, 2 * width))
        self.unpatchify = zeroed(nn.Linear(width, config.latent_channels * area))

    def forward(
        self,
        z: Tensor,
        t: Tensor,
        text: Text,
        *,
        fps: Tensor | None = None,
        anchor: Anchor | None = None,
        extras: Extras | None = None,
    ) -> Tensor:
        """Map latents f32[B, F, C, h, w] at times f32[B, F] in 0..1 to a prediction of the same shape.

        `fps` is f32[B], frames per second. h and w must be multiples of the patch. Raises ConfigError for a condition
        that the model was built without.
        """
        patch, (frames, _, height, width) = self.config.patch, z.shape[1:]
        if height % patch or width % patch:
            raise ConfigError(f"latents of {width}x{height}: this denoiser needs multiples of {patch}")
        if frames > self.config.max_frames:
            raise ConfigError(
                f"{frames} frames, but model.max_frames is {self.config.max_frames}: ask for fewer frames"
            )
        told, (rows, columns) = extras or Extras(), (height // patch, width // patch)
        x = with_channels(self.config, z, anchor, told.segmentation)
        x = x.view(*x.shape[:3], rows, patch, columns, patch).permute(0, 1, 3, 5, 2, 4, 6)
        x = self.patchify(x.flatten(4).flatten(1, 3))
        embedding = self.told.embedding(t, fps, told.vectors)
        text, image = self.told.text(text, t), self.told.image(told.image)
        angles = rotary_angles(frames, rows, columns, self.config.width // self.config.heads, z.device)
        for block in self.blocks:
            x = block(x, embedding, angles, text, image)
        scale, shift = self.modulate_out(F.silu(embedding))[:, :, None].chunk(2, -1)
        out: Tensor = self.unpatchify(_shown(self.norm_out(x), scale, shift))
        out = out.view(len(z), frames, rows, columns, -1, patch, patch).permute(0, 1, 4, 2, 5, 3, 6)
        return out.reshape(z.shape)
