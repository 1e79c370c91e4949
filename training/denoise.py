"""The one call that training and generation share: a denoiser's prediction, its known part added."""

from __future__ import annotations

from torch import Tensor

from training.diffusion.objectives import residual_target
from training.models.unet import Anchor, Text, UNet
from training.recipes.config import AnchorConfig, DiffusionConfig

__all__ = ["predict"]


def predict(
    unet: UNet, diffusion: DiffusionConfig, anchoring: AnchorConfig, zt: Tensor, t: Tensor, sigma: Tensor, text: Text,
    *, fps: Tensor | None, anchor: Anchor | None,
) -> Tensor:
    """Return the objective's prediction f32[B, F, C, h, w] at times t f32[B, F], sigma f32[B, F, 1, 1, 1].

    With `anchor.residual`, unknown frames of an anchored clip are predicted as a difference from what the anchor
    repeats there: copying the first frame needs no learning, moving it does.
    """
    prediction: Tensor = unet(zt, t, text, fps=fps, anchor=anchor)
    if anchor is not None and anchoring.residual:
        prediction = prediction + residual_target(diffusion.objective, anchor.latents, sigma)
    return prediction
