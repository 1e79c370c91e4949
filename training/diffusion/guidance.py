"""Classifier-free guidance (Ho and Salimans 2021): its rescaling, its interval, and its form for two conditions."""

from __future__ import annotations

from torch import Tensor

__all__ = ["guided", "guided_twice", "rescaled", "scale_at"]


def guided(conditional: Tensor, unconditional: Tensor, scale: float, rescale: float = 0.0) -> Tensor:
    """Return u + s (c - u); with `rescale` in 0..1, moved that far towards the deviation of `conditional`.

    Deviations are taken per sample, over all other axes. Scale 1 is `conditional` to rounding, 0 `unconditional`.
    """
    return rescaled(unconditional + scale * (conditional - unconditional), conditional, rescale)


def guided_twice(
    full: Tensor, image: Tensor, nothing: Tensor, *, text_scale: float, image_scale: float, rescale: float = 0.0
) -> Tensor:
    """Return e_0 + s_i (e_i - e_0) + s_t (e_it - e_i) (Brooks et al. 2023, eq. 3), rescaled like `guided`.

    `full` was told image and text, `image` the image alone, `nothing` neither. With equal scales this is plain
    guidance of `full` away from `nothing`.
    """
    out = nothing + image_scale * (image - nothing) + text_scale * (full - image)
    return rescaled(out, full, rescale)


def rescaled(out: Tensor, conditional: Tensor, rescale: float) -> Tensor:
    """Return `out`, moved by `rescale` in 0..1 towards the deviation of `conditional` (Lin et al. 2024, eq. 15, 16)."""
    if rescale == 0.0:
        return out
    axes = tuple(range(1, out.ndim))
    ratio = conditional.std(axes, keepdim=True) / out.std(axes, keepdim=True).clamp_min(1e-8)
    return out * (rescale * ratio + (1.0 - rescale))


def scale_at(t: float, scale: float, interval: tuple[float, float] = (0.0, 1.0)) -> float:
    """Return the guidance scale at time t in 0..1: `scale` within the interval, its ends included, else 1.

    Guidance harms at high noise and is idle at low noise (Kynkaanniemi et al. 2024); at 1 the unconditional pass can
    be left out.
    """
    low, high = interval
    return scale if low <= t <= high else 1.0
