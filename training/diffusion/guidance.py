"""Classifier-free guidance (Ho and Salimans 2021) and its rescaling (Lin et al. 2024, section 3.4)."""

from __future__ import annotations

from torch import Tensor

__all__ = ["guided"]


def guided(conditional: Tensor, unconditional: Tensor, scale: float, rescale: float = 0.0) -> Tensor:
    """Return u + s (c - u); with `rescale` in 0..1, moved that far towards the deviation of `conditional`.

    Deviations are taken per sample, over all other axes. Scale 1 is `conditional` to rounding, 0 `unconditional`.
    """
    out = unconditional + scale * (conditional - unconditional)
    if rescale == 0.0:
        return out
    axes = tuple(range(1, out.ndim))
    ratio = conditional.std(axes, keepdim=True) / out.std(axes, keepdim=True).clamp_min(1e-8)
    return out * (rescale * ratio + (1.0 - rescale))
