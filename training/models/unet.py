"""The denoiser: a small 2D text-to-image UNet whose spatial layers alternate with motion layers.

Frames ride in the batch through the spatial layers; motion layers see them together. A one-frame video is an image
and skips the motion layers, so that images and videos train the same spatial weights. Known frames (the anchor)
enter as extra channels of conv_in, [z_t, mask, masked z_0], whose weights start at zero (Follow-Your-Click, Ma et
al. 2024), and carry time 0 (Open-Sora 1.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from media.errors import ConfigError
from training.conditions.rate import FrameRate
from training.models.layers import GroupNorm, ResBlock, SpatialTransformer, sinusoid, zeroed
from training.models.motion import motion_layer
from training.recipes.config import UNetConfig

__all__ = ["Anchor", "Text", "UNet", "graft"]


@dataclass(frozen=True, slots=True)
class Text:
    """Token states f32[B, L, D] and bool[B, L], true at real tokens."""

    tokens: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> Text:
        """Return the same states on another device."""
        return Text(self.tokens.to(device), self.mask.to(device))


@dataclass(frozen=True, slots=True)
class Anchor:
    """Known frames: mask f32[B, F], 1 where known; latents f32[B, F, C, h, w], what the condition shows of them."""

    mask: Tensor
    latents: Tensor


class _Stage(nn.Module):
    """Residual block, spatial transformer where the level has one, motion layers."""

    def __init__(self, wide_in: int, wide_out: int, level: int, config: UNetConfig) -> None:
        super().__init__()
        groups, attends = config.norm_groups, level >= config.attention_from
        self.block = ResBlock(wide_in, wide_out, 4 * config.widths[0], groups)
        self.transformer = SpatialTransformer(wide_out, config.heads, config.text_dim, groups) if attends else None
        self.motion = nn.ModuleList(
            motion_layer(kind, wide_out, config.heads, groups, config.max_frames) for kind in config.motion
        )

    def forward(self, x: Tensor, embedding: Tensor, text: Text, frames: int) -> Tensor:
        x = self.block(x, embedding)
        if self.transformer is not None:
            x = self.transformer(x, text.tokens, text.mask)
        if frames > 1:
            for layer in self.motion:
                x = layer(x, frames)
        return x


class UNet(nn.Module):
    """The network. Its output has the latents' shape; what it means is the objective's business."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        first, wide = config.widths[0], 4 * config.widths[0]
        channels = config.latent_channels
        self.conv_in = nn.Conv2d(2 * channels + 1 if config.anchor else channels, first, 3, padding=1)
        with torch.no_grad():
            self.conv_in.weight[:, channels:].zero_()
        self.time = nn.Sequential(nn.Linear(first, wide), nn.SiLU(), nn.Linear(wide, wide))
        self.fps = FrameRate(first, wide) if config.fps else None
        self.down, self.shrink, skips, width = nn.ModuleList(), nn.ModuleList(), [first], first
        for level, level_width in enumerate(config.widths):
            for _ in range(config.blocks):
                self.down.append(_Stage(width, level_width, level, config))
                width = level_width
                skips.append(width)
            if level < len(config.widths) - 1:
                self.shrink.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
                skips.append(width)
        self.middle = nn.ModuleList([_Stage(width, width, len(config.widths) - 1, config)])
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        for level, level_width in reversed(list(enumerate(config.widths))):
            for _ in range(config.blocks + 1):
                self.up.append(_Stage(width + skips.pop(), level_width, level, config))
                width = level_width
            if level > 0:
                self.grow.append(nn.Conv2d(width, width, 3, padding=1))
        self.norm_out = GroupNorm(config.norm_groups, width)
        self.conv_out = zeroed(nn.Conv2d(width, channels, 3, padding=1))

    def forward(
        self, z: Tensor, t: Tensor, text: Text, *, fps: Tensor | None = None, anchor: Anchor | None = None
    ) -> Tensor:
        """Map latents f32[B, F, C, h, w] at times f32[B, F] in 0..1 to a prediction of the same shape.

        `fps` is f32[B], frames per second. h and w must be multiples of 2^(levels - 1). Raises ConfigError for a
        condition that the model was built without.
        """
        clips, frames = z.shape[:2]
        step = 2 ** (len(self.config.widths) - 1)
        if z.shape[-1] % step or z.shape[-2] % step:
            raise ConfigError(f"latents of {z.shape[-1]}x{z.shape[-2]}: this denoiser needs multiples of {step}")
        x = self._conditioned(z, anchor).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        embedding = self._embedding(t, fps, frames)
        x = self.conv_in(x)
        skips, stages = [x], iter(self.down)
        for level in range(len(self.config.widths)):
            for _ in range(self.config.blocks):
                x = next(stages)(x, embedding, text, frames)
                skips.append(x)
            if level < len(self.shrink):
                x = self.shrink[level](x)
                skips.append(x)
        x = self.middle[0](x, embedding, text, frames)
        stages = iter(self.up)
        for level in range(len(self.config.widths)):
            for _ in range(self.config.blocks + 1):
                x = next(stages)(torch.cat([x, skips.pop()], 1), embedding, text, frames)
            if level < len(self.grow):
                x = self.grow[level](F.interpolate(x, scale_factor=2.0, mode="nearest"))
        out: Tensor = self.conv_out(F.silu(self.norm_out(x)))
        return out.view(clips, frames, *out.shape[1:])

    def _conditioned(self, z: Tensor, anchor: Anchor | None) -> Tensor:
        """Put the anchor's channels beside the noisy latents: zeros where there is none."""
        if not self.config.anchor:
            if anchor is not None:
                raise ConfigError("first frame given, but this model was trained with model.anchor: false")
            return z
        if anchor is None:
            mask, latents = torch.zeros_like(z[:, :, :1]), torch.zeros_like(z)
        else:
            mask, latents = anchor.mask[:, :, None, None, None].expand_as(z[:, :, :1]), anchor.latents
        return torch.cat([z, mask, latents], 2)

    def _embedding(self, t: Tensor, fps: Tensor | None, frames: int) -> Tensor:
        """Return f32[B*F, E] of times, and of the frame rate where the model knows it."""
        width = self.config.widths[0]
        embedding: Tensor = self.time(sinusoid(1000.0 * t.flatten(), width))
        if fps is not None:
            if self.fps is None:
                raise ConfigError("fps given, but this model was trained with model.fps: false")
            embedding = embedding + self.fps(fps).repeat_interleave(frames, 0)
        return embedding

    def motion_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters of the motion layers."""
        for name, parameter in self.named_parameters():
            if ".motion." in name:
                yield parameter

    def freeze_spatial(self) -> None:
        """Let only the motion layers train."""
        self.requires_grad_(False)
        for parameter in self.motion_parameters():
            parameter.requires_grad_(True)


def graft(unet: UNet, state: Mapping[str, Tensor]) -> None:
    """Load a state of the same UNet with fewer conditions: no motion layers, no anchor channels, no frame rate.

    What the state lacks keeps its start, which is an identity. Raises ConfigError if spatial weights do not fit.
    """
    own = unet.state_dict()
    weight = state.get("conv_in.weight")
    merged = dict(state)
    if weight is not None and weight.shape[1] < own["conv_in.weight"].shape[1]:
        padded = torch.zeros_like(own["conv_in.weight"])
        padded[:, : weight.shape[1]] = weight
        merged["conv_in.weight"] = padded
    missing = [k for k in own if k not in merged and ".motion." not in k and not k.startswith("fps.")]
    wrong = [k for k, v in merged.items() if k not in own or own[k].shape != v.shape]
    if missing or wrong:
        first = (missing + wrong)[0]
        raise ConfigError(f"spatial: the checkpoint does not fit this model: {first} (model.widths, blocks, text_dim?)")
    unet.load_state_dict({**own, **merged})
