"""The UNet: a 2D text-to-image one whose spatial layers alternate with motion layers.

Frames ride in the batch through the spatial layers; motion layers see them together. A one-frame video is an image
and skips the motion layers, so that images and videos train the same spatial weights. Known frames (the anchor)
enter as extra channels of conv_in, [z_t, mask, masked z_0], whose weights start at zero (Follow-Your-Click, Ma et
al. 2024), and carry time 0 (Open-Sora 1.1).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from media.errors import ConfigError
from training.models.inputs import Anchor, Extras, ImageTokens, Text, with_channels
from training.models.layers import GroupNorm, ResBlock, SpatialTransformer, zeroed
from training.models.motion import motion_layer
from training.models.told import Told
from training.recipes.models import UNetConfig

__all__ = ["Anchor", "Text", "UNet"]


class _Stage(nn.Module):
    """Residual block, spatial transformer where there is attention, motion layers."""

    def __init__(self, wide_in: int, wide_out: int, config: UNetConfig, *, attends: bool, moves: bool = True) -> None:
        super().__init__()
        groups, stable = config.norm_groups, config.layout == "stable"
        image = None if config.image is None else config.image.width
        self.block = ResBlock(wide_in, wide_out, 4 * config.widths[0], groups)
        self.transformer = (
            SpatialTransformer(wide_out, config.heads, config.context_dim, groups, image=image, stable=stable)
            if attends
            else None
        )
        self.motion = nn.ModuleList(
            motion_layer(kind, wide_out, config.heads, groups, config.max_frames)
            for kind in (config.motion if moves else ())
        )

    def forward(self, x: Tensor, embedding: Tensor, text: Text, image: ImageTokens | None, frames: int) -> Tensor:
        x = self.block(x, embedding)
        if self.transformer is not None:
            x = self.transformer(x, text.tokens, text.mask, image)
        if frames > 1:
            for layer in self.motion:
                x = layer(x, frames)
        return x


class UNet(nn.Module):
    """The network. Its output has the latents' shape; what it means is the objective's business."""

    input_weight = "conv_in.weight"

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        first = config.widths[0]
        channels = config.latent_channels
        self.conv_in = nn.Conv2d(config.input_channels, first, 3, padding=1)
        with torch.no_grad():
            self.conv_in.weight[:, channels:].zero_()
        stable = config.layout == "stable"
        self.told = Told(config, first, 4 * first, clock=999.0 if stable else 1000.0)
        self.down, self.shrink, skips, width = nn.ModuleList(), nn.ModuleList(), [first], first
        for level, level_width in enumerate(config.widths):
            for _ in range(config.blocks):
                self.down.append(_Stage(width, level_width, config, attends=config.attends(level)))
                width = level_width
                skips.append(width)
            if level < len(config.widths) - 1:
                self.shrink.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
                skips.append(width)
        self.middle = nn.ModuleList(
            [_Stage(width, width, config, attends=stable or config.attends(len(config.widths) - 1))]
        )
        if stable:
            self.middle.append(_Stage(width, width, config, attends=False, moves=False))
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        for level, level_width in reversed(list(enumerate(config.widths))):
            for _ in range(config.blocks + 1):
                self.up.append(_Stage(width + skips.pop(), level_width, config, attends=config.attends(level)))
                width = level_width
            if level > 0:
                self.grow.append(nn.Conv2d(width, width, 3, padding=1))
        self.norm_out = GroupNorm(config.norm_groups, width)
        self.conv_out = zeroed(nn.Conv2d(width, channels, 3, padding=1))

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

        `fps` is f32[B], frames per second. h and w must be multiples of 2^(levels - 1). Raises ConfigError for a
        condition that the model was built without.
        """
        clips, frames = z.shape[:2]
        step = self.config.multiple
        if z.shape[-1] % step or z.shape[-2] % step:
            raise ConfigError(f"latents of {z.shape[-1]}x{z.shape[-2]}: this denoiser needs multiples of {step}")
        told = extras or Extras()
        x = with_channels(self.config, z, anchor, told.segmentation).flatten(0, 1)
        embedding = self.told.embedding(t, fps, told.vectors).flatten(0, 1)
        out = self._frames(x, embedding, self.told.text(text, t), self.told.image(told.image), frames)
        return out.view(clips, frames, *out.shape[1:])

    def _frames(self, x: Tensor, embedding: Tensor, text: Text, image: ImageTokens | None, frames: int) -> Tensor:
        """Go down and up again with f32[B*F, C, h, w]."""
        x = self.conv_in(x.contiguous(memory_format=torch.channels_last))
        skips, stages = [x], iter(self.down)
        for level in range(len(self.config.widths)):
            for _ in range(self.config.blocks):
                x = next(stages)(x, embedding, text, image, frames)
                skips.append(x)
            if level < len(self.shrink):
                x = self.shrink[level](x)
                skips.append(x)
        for stage in self.middle:
            x = stage(x, embedding, text, image, frames)
        stages = iter(self.up)
        for level in range(len(self.config.widths)):
            for _ in range(self.config.blocks + 1):
                x = next(stages)(torch.cat([x, skips.pop()], 1), embedding, text, image, frames)
            if level < len(self.grow):
                x = self.grow[level](F.interpolate(x, scale_factor=2.0, mode="nearest"))
        out: Tensor = self.conv_out(F.silu(self.norm_out(x)))
        return out

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
