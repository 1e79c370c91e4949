"""Known frames: how they are shown to the denoiser, and kept out of the noise and the loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from training.models.inputs import Anchor
from training.recipes.section import KnownFrames

__all__ = ["anchor_of", "draw_known", "first_frame_mask", "keep_known", "known_mask"]


def first_frame_mask(anchored: Tensor, frames: int) -> Tensor:
    """Return f32[B, frames], 1 at frame 0 of the samples where bool[B] `anchored` is true."""
    mask = torch.zeros(len(anchored), frames, device=anchored.device)
    mask[:, 0] = anchored.float()
    return mask


def known_mask(kind: KnownFrames, frames: int, noise: torch.Generator) -> Tensor:
    """Return f32[frames], 1 at the frames that are given: first, last, both ends, or a random set.

    A random set is neither empty nor all: its size is uniform from 1 to frames - 1, and so is its choice. Of one frame
    nothing is given, for nothing would be left to learn; nor are both ends of two.
    """
    mask = torch.zeros(frames)
    if kind == "any" and frames > 1:
        count = int(torch.randint(1, frames, (1,), generator=noise))
        mask[torch.randperm(frames, generator=noise)[:count]] = 1.0
    elif frames > (2 if kind == "ends" else 1):
        mask[{"first": [0], "last": [-1], "ends": [0, -1]}[kind]] = 1.0
    return mask


def draw_known(anchored: Tensor, frames: int, kinds: Mapping[KnownFrames, float], noise: torch.Generator) -> Tensor:
    """Return f32[B, frames], 1 at known frames: samples where bool[B] `anchored` is true draw a kind by its weight."""
    if set(kinds) == {"first"}:  # nothing to draw
        return first_frame_mask(anchored & (frames > 1), frames)
    names, weights = list(kinds), torch.tensor(list(kinds.values()))
    mask = torch.zeros(len(anchored), frames)
    for i in range(len(anchored)):
        which = names[int(torch.multinomial(weights, 1, generator=noise))]
        mask[i] = known_mask(which, frames, noise) * anchored[i]
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
