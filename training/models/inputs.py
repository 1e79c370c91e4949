"""What a denoiser is told: plain tensors in frozen records, the same for every denoiser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from media.errors import ConfigError
from training.recipes.models import DenoiserConfig

__all__ = ["Anchor", "Extras", "ImagePrompt", "ImageTokens", "Text", "class_shares", "with_channels"]


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


@dataclass(frozen=True, slots=True)
class ImagePrompt:
    """A picture of what to show, not of which frame: latents f32[B, C, h, w], and bool[B], true where there is one."""

    latents: Tensor
    given: Tensor


@dataclass(frozen=True, slots=True)
class ImageTokens:
    """An image prompt as a denoiser reads it: f32[B, L, D], and bool[B], true where there is one."""

    tokens: Tensor
    given: Tensor


@dataclass(frozen=True, slots=True)
class Extras:
    """Conditions that a denoiser may be built with, beside text, frame rate and known frames.

    `vectors` holds f32[B] or f32[B, 2] by name, NaN where unknown. `segmentation` is i64[B, F, H, W], the class at each
    pixel, at any size; -1 where unknown.
    """

    vectors: Mapping[str, Tensor] = field(default_factory=dict)
    image: ImagePrompt | None = None
    segmentation: Tensor | None = None


def class_shares(classes: Tensor, count: int, height: int, width: int) -> Tensor:
    """Return f32[B, F, count, height, width]: the share of each class in every position's area of i64[B, F, H, W].

    A class outside 0..count-1 has no share: unknown areas are zeros.
    """
    known = (classes >= 0) & (classes < count)
    one_hot = F.one_hot(classes.clamp(0, count - 1), count) * known[..., None]
    planes = one_hot.permute(0, 1, 4, 2, 3).flatten(0, 1).float()
    return F.adaptive_avg_pool2d(planes, (height, width)).view(*classes.shape[:2], count, height, width)


def with_channels(config: DenoiserConfig, z: Tensor, anchor: Anchor | None, segmentation: Tensor | None) -> Tensor:
    """Put the anchor's channels and the classes' beside latents f32[B, F, C, h, w]: zeros where there is none.

    Raises ConfigError for a condition that the model was built without.
    """
    parts = [z]
    if not config.anchor:
        if anchor is not None:
            raise ConfigError("first frame given, but this model was trained with model.anchor: false")
    elif anchor is None:
        parts += [torch.zeros_like(z[:, :, :1]), torch.zeros_like(z)]
    else:
        parts += [anchor.mask[:, :, None, None, None].expand_as(z[:, :, :1]), anchor.latents]
    count = config.segmentation_classes
    if segmentation is not None and count is None:
        raise ConfigError("segmentation given, but this model was trained without model.segmentation_classes")
    if segmentation is not None and count is not None:
        parts.append(class_shares(segmentation, count, *z.shape[-2:]).to(z))
    elif count is not None:
        parts.append(z.new_zeros(*z.shape[:2], count, *z.shape[-2:]))
    return torch.cat(parts, 2) if len(parts) > 1 else z
