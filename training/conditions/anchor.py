"""Known frames: how they are shown to the denoiser, and kept out of the noise and the loss."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from training.models.unet import Anchor

__all__ = ["anchor_of", "first_frame_mask", "keep_known"]


def first_frame_mask(anchored: Tensor, frames: int) -> Tensor:
    """Return f32[B, frames], 1 at frame 0 of the samples where bool[B] `anchored` is true."""
    mask = torch.zeros(len(anchored), frames, device=anchored.device)
    mask[:, 0] = anchored.float()
    return mask


def anchor_of(x0: Tensor, mask: Tensor, fill: Literal["zeros", "repeat"]) -> Anchor:
    """Return what the denoiser sees of x0 f32[B, F, C, h, w] under a mask f32[B, F].

    Known frames are shown as they are. Unknown ones are zeros, or with `repeat` the last known frame before them
    (the first known one for those before it); a sample that knows no frame sees zeros.
    """
    shown = x0 * mask[:, :, None, None, None]
    if fill == "repeat":
        frames = torch.arange(mask.shape[1], device=mask.device)
        last = torch.where(mask > 0, frames, -1).cummax(1).values
        first = mask.argmax(1, keepdim=True)
        source = torch.where(last < 0, first, last)
        shown = shown[torch.arange(len(mask), device=mask.device)[:, None], source]
    return Anchor(mask, shown)


def keep_known(state: Tensor, x0: Tensor, mask: Tensor) -> Tensor:
    """Put the known frames of x0 into a state."""
    return torch.where(mask[:, :, None, None, None] > 0, x0, state)
