"""Rotary positions in time, height and width (Su et al. 2021; split as HunyuanVideo does, 16/56/56 of 128)."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["rotary_angles", "rotary_split", "rotated"]


def rotary_split(width: int) -> tuple[int, int, int]:
    """Return how many of a head's values turn with time, height and width: each even, about 1/8, 7/16 and 7/16."""
    time = max(2, width // 8)
    while time % 2 or (width - time) % 4:
        time += 1
    return time, (width - time) // 2, (width - time) // 2


def rotary_angles(frames: int, rows: int, columns: int, width: int, device: torch.device) -> Tensor:
    """Return f32[frames * rows * columns, width / 2]: by how much each pair of a head's values turns at each token."""
    parts = []
    for axis, (count, part) in enumerate(zip((frames, rows, columns), rotary_split(width), strict=True)):
        rates = 10_000.0 ** (-torch.arange(0, part, 2, device=device) / part)
        angles = torch.arange(count, device=device)[:, None] * rates
        shape = [1, 1, 1, part // 2]
        shape[axis] = count
        parts.append(angles.view(shape).expand(frames, rows, columns, -1))
    return torch.cat(parts, -1).flatten(0, 2)


def rotated(x: Tensor, angles: Tensor) -> Tensor:
    """Turn each pair (2i, 2i + 1) of f32[N, heads, L, width] by angle i of f32[L, width / 2].

    The scalar product of two tokens so turned depends on the difference of their places alone.
    """
    cos, sin = angles.cos(), angles.sin()
    a, b = x.float().view(*x.shape[:-1], -1, 2).unbind(-1)
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2).to(x.dtype)
