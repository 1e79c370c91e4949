"""Pixels as tensors: bytes to -1..1 and back, and fitting frames into a size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["fit_frames", "to_pixels", "to_unit"]


def to_unit(frames: Tensor) -> Tensor:
    """Map u8[..., H, W, 3] to f32[..., 3, H, W] in -1..1."""
    return frames.movedim(-1, -3).float() / 127.5 - 1.0


def to_pixels(unit: Tensor) -> Tensor:
    """Map f32[..., 3, H, W] in -1..1 to u8[..., H, W, 3], clamped and rounded."""
    return ((unit.clamp(-1.0, 1.0) + 1.0) * 127.5).round().to(torch.uint8).movedim(-3, -1)


def fit_frames(frames: Tensor, height: int, width: int) -> Tensor:
    """Resize u8[F, h, w, 3] to cover (height, width), keep the centre: f32[F, 3, height, width] in -1..1."""
    h, w = frames.shape[1:3]
    scale = max(height / h, width / w)
    size = max(height, round(h * scale)), max(width, round(w * scale))
    x = to_unit(frames)
    if size != (h, w):
        x = F.interpolate(x, size=size, mode="bilinear", antialias=True, align_corners=False)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    return x[:, :, top : top + height, left : left + width]
