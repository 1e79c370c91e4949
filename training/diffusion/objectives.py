"""What the network predicts, and how the clean latent and the noise are read back from it.

    eps    target eps                         z_0 = (z_t - sigma p) / alpha
    v      target alpha eps - sigma z_0       z_0 = alpha z_t - sigma p        (Salimans and Ho 2022, appendix D)
    flow   target eps - z_0                   z_0 = z_t - t p                  (rectified flow, Liu et al. 2023)

Everywhere alpha and sigma broadcast against the latents.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from training.diffusion.schedules import Process, flow, variance_preserving
from training.recipes.config import DiffusionConfig

__all__ = ["Objective", "loss_weight", "noised", "prior_target", "process_of", "target_of", "to_noise", "to_x0"]

Objective = Literal["eps", "v", "flow"]


def process_of(config: DiffusionConfig) -> Process:
    """Return the forward process of a recipe."""
    if config.objective == "flow":
        return flow()
    return variance_preserving(config.schedule, zero_terminal_snr=config.zero_terminal_snr)


def noised(x0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return z_t."""
    return alpha * x0 + sigma * noise


def target_of(objective: Objective, x0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return what the network is asked for."""
    if objective == "eps":
        return noise
    if objective == "v":
        return alpha * noise - sigma * x0
    return noise - x0


def to_x0(objective: Objective, prediction: Tensor, xt: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return the clean latent that a prediction implies. For eps, alpha must not be 0: divided as it stands."""
    if objective == "eps":
        return (xt - sigma * prediction) / alpha
    if objective == "v":
        return alpha * xt - sigma * prediction
    return xt - sigma * prediction


def to_noise(objective: Objective, prediction: Tensor, xt: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return the noise that a prediction implies; defined at every t, pure noise included."""
    if objective == "eps":
        return prediction
    if objective == "v":
        return sigma * xt + alpha * prediction
    return xt + alpha * prediction


def prior_target(
    objective: Objective, guess: Tensor, deviation: float, xt: Tensor, alpha: Tensor, sigma: Tensor
) -> Tensor:
    """Return the best prediction from the prior z_0 ~ N(guess, deviation^2) alone: what a network adds its own to.

    E[z_0 | z_t] = g + alpha d^2 (z_t - alpha g) / D with D = alpha^2 d^2 + sigma^2, in the objective's terms and with
    sigma divided out, so that nothing is lost at t = 0. For v with d = 1 this is -sigma g: then the network's own
    target is that of the residual z_0 - g. Compare EDM's preconditioning (Karras et al. 2022, table 1).
    """
    variance = deviation**2
    total = alpha.square() * variance + sigma.square()
    if objective == "eps":
        return sigma * (xt - alpha * guess) / total
    if objective == "v":
        return sigma * (alpha * (1.0 - variance) * xt - guess) / total
    return ((sigma - alpha * variance) * xt - sigma * guess) / total


def loss_weight(objective: Objective, snr: Tensor, gamma: float | None) -> Tensor:
    """Return the min-SNR weight of each timestep (Hang et al. 2023), finite everywhere, for eps and v.

    eps: min(snr, g) / snr. v: min(snr + 1, g) / (snr + 1), which is 1 at pure noise, where the published
    min(snr, g) / (snr + 1) would switch the only useful target off. flow, or no gamma: 1.
    """
    if gamma is None or objective == "flow":
        return torch.ones_like(snr)
    if objective == "eps":
        return gamma / snr.clamp_min(gamma)
    return gamma / (snr + 1.0).clamp_min(gamma)
