"""From noise to latents, as pure functions of a denoiser.

A denoiser is a function (z_t, t) -> prediction, t a float in 0..1, in the objective's own terms. Samplers never see
the network, the text or the guidance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from training.diffusion.objectives import Objective, to_noise, to_x0
from training.diffusion.schedules import Process

__all__ = ["Denoiser", "ddim", "ddim_step", "euler_step", "flow_euler", "sample", "times"]

Denoiser = Callable[[Tensor, float], Tensor]
Keep = Callable[[Tensor], Tensor]


def times(steps: int) -> list[float]:
    """Return steps + 1 instants from 1 to 0, evenly: `trailing`, so that the first is pure noise."""
    if steps < 1:
        raise ValueError("sampling needs at least one step")
    return [1.0 - i / steps for i in range(steps)] + [0.0]


def ddim_step(x0: Tensor, noise: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Return the state at the level (alpha, sigma) of an implied x0 and noise (Song et al. 2021, eq. 12, eta = 0)."""
    return alpha * x0 + sigma * noise


def euler_step(xt: Tensor, velocity: Tensor, t: float, to: float) -> Tensor:
    """Follow dz/dt = velocity from t to `to` (one Euler step)."""
    return xt + (to - t) * velocity


def ddim(
    denoise: Denoiser,
    noise: Tensor,
    process: Process,
    objective: Objective,
    instants: Sequence[float],
    keep: Keep | None = None,
) -> Tensor:
    """Sample by DDIM. `keep`, if given, is applied to every state: it puts known frames back."""
    state = noise if keep is None else keep(noise)
    for now, then in pairwise(instants):
        alpha, sigma = process.levels(torch.tensor(now))
        prediction = denoise(state, now)
        x0 = to_x0(objective, prediction, state, alpha, sigma)
        if then == 0.0:
            state = x0
        else:
            eps = to_noise(objective, prediction, state, alpha, sigma)
            state = ddim_step(x0, eps, *process.levels(torch.tensor(then)))
        state = state if keep is None else keep(state)
    return state


def flow_euler(denoise: Denoiser, noise: Tensor, instants: Sequence[float], keep: Keep | None = None) -> Tensor:
    """Sample a flow by Euler's method; `keep` as in `ddim`."""
    state = noise if keep is None else keep(noise)
    for now, then in pairwise(instants):
        state = euler_step(state, denoise(state, now), now, then)
        state = state if keep is None else keep(state)
    return state


def sample(
    denoise: Denoiser, noise: Tensor, process: Process, objective: Objective, steps: int, keep: Keep | None = None
) -> Tensor:
    """Sample with the sampler that belongs to the objective: Euler for a flow, DDIM for eps and v."""
    if process.is_flow:
        return flow_euler(denoise, noise, times(steps), keep)
    return ddim(denoise, noise, process, objective, times(steps), keep)
