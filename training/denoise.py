"""What training and generation share: a denoiser's prediction, and the noise it is trained on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from training.diffusion.objectives import prior_target
from training.diffusion.schedules import Process
from training.diffusion.timesteps import resolution_shift
from training.models.factory import Denoiser
from training.models.inputs import Anchor, Extras, Text
from training.recipes.config import AnchorConfig, DiffusionConfig, DiffusionRecipe

__all__ = ["draw_noise", "predict", "shift_of"]


def draw_noise(shape: Sequence[int], shared: float, noise: torch.Generator) -> Tensor:
    """Return unit Gaussian noise f32[B, F, C, h, w], frames of a clip correlated by `shared`.

    The mixed noise of PYoCo (Ge et al. 2023, eq. 5): frames resemble each other, and so may their noise.
    """
    own = torch.randn(tuple(shape), generator=noise)
    common = torch.randn((shape[0], 1, *shape[2:]), generator=noise)
    return own if shared == 0.0 else shared**0.5 * common + (1.0 - shared) ** 0.5 * own


def shift_of(recipe: DiffusionRecipe, shape: Sequence[int]) -> float:
    """Return how far the times of latents [B, F, C, h, w] are moved to noise, in training as in sampling."""
    shift = recipe.diffusion.timestep_shift
    return resolution_shift(recipe.model.tokens(shape[3], shape[4]), shape[1]) if shift is None else shift


def predict(
    denoiser: Denoiser,
    diffusion: DiffusionConfig,
    anchoring: AnchorConfig,
    process: Process,
    zt: Tensor,
    t: Tensor,
    text: Text,
    *,
    fps: Tensor | None,
    anchor: Anchor | None,
    extras: Extras | None = None,
) -> Tensor:
    """Return the objective's prediction f32[B, F, C, h, w] at times t f32[B, F].

    With `anchor.residual`, frames of an anchored clip start from what the anchor repeats there: copying the first
    frame needs no learning, moving it does. Clips without an anchor are the network's alone.
    """
    prediction: Tensor = denoiser(zt, t, text, fps=fps, anchor=anchor, extras=extras)
    if anchor is None or not anchoring.residual:
        return prediction
    alpha, sigma = (level[:, :, None, None, None] for level in process.levels(t))
    prior = prior_target(diffusion.objective, anchor.latents, anchoring.residual_std, zt, alpha, sigma)
    return prediction + prior * anchor.mask.amax(1)[:, None, None, None, None]
