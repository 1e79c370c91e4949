"""From noise to latents, as pure functions of a denoiser.

A denoiser is a function (z_t, t) -> prediction, t a float in 0..1, in the objective's own terms. Samplers never see
the network, the text or the guidance. With s = sigma / alpha and y = z / alpha, the probability flow is dy/ds = eps
(Karras et al. 2022, eq. 4 for the scaled variable): ddim, euler and heun follow that; dpmpp_2m follows the clean
latent in log-SNR; flow_euler and flow_heun follow a flow's velocity in t.

Every sampler takes the instants it stops at, from noise to data. An instant of exactly 0 is the clean latent itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor

from media.errors import ConfigError
from training.diffusion.objectives import Objective, to_noise, to_x0
from training.diffusion.schedules import Process
from training.diffusion.timesteps import times
from training.recipes.config import SamplerName

__all__ = [
    "SAMPLERS",
    "Denoiser",
    "Sampler",
    "ddim",
    "ddim_step",
    "dpmpp_2m",
    "euler",
    "euler_step",
    "flow_euler",
    "flow_heun",
    "heun",
    "sample",
    "times",
]

Denoiser = Callable[[Tensor, float], Tensor]
Keep = Callable[[Tensor], Tensor]


class Sampler(Protocol):
    """Noise in, latents out, by a denoiser's predictions at the instants. `keep` puts known frames back in a state."""

    def __call__(
        self,
        denoise: Denoiser,
        noise: Tensor,
        process: Process,
        objective: Objective,
        instants: Sequence[float],
        keep: Keep | None = None,
    ) -> Tensor:
        """Return the state at the last instant."""
        ...


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
    state = _kept(noise, keep)
    for now, then in pairwise(instants):
        x0, eps = _implied(denoise(state, now), state, now, process, objective)
        state = _kept(_moved(x0, eps, then, process), keep)
    return state


def euler(
    denoise: Denoiser,
    noise: Tensor,
    process: Process,
    objective: Objective,
    instants: Sequence[float],
    keep: Keep | None = None,
) -> Tensor:
    """Sample by Euler's method on dy/ds = eps (Karras et al. 2022, algorithm 1 without its second part).

    In exact arithmetic this is DDIM. Where alpha is 0 the variable y has no value, and the step is DDIM's.
    """
    state = _kept(noise, keep)
    for now, then in pairwise(instants):
        alpha, sigma = _levels(process, now)
        x0, eps = _implied(denoise(state, now), state, now, process, objective)
        if alpha == 0.0 or then == 0.0:
            state = _moved(x0, eps, then, process)
        else:
            ahead, level = _levels(process, then)
            state = ahead * (state / alpha + (level / ahead - sigma / alpha) * eps)
        state = _kept(state, keep)
    return state


def heun(
    denoise: Denoiser,
    noise: Tensor,
    process: Process,
    objective: Objective,
    instants: Sequence[float],
    keep: Keep | None = None,
) -> Tensor:
    """Sample by Heun's method on dy/ds = eps, order 2, two predictions a step (Karras et al. 2022, algorithm 1).

    The last step, to the clean latent, is Euler's, as there; so is one from where alpha is 0.
    """
    state = _kept(noise, keep)
    for now, then in pairwise(instants):
        alpha, sigma = _levels(process, now)
        x0, eps = _implied(denoise(state, now), state, now, process, objective)
        reached = _kept(_moved(x0, eps, then, process), keep)
        if alpha > 0.0 and then > 0.0:
            ahead, level = _levels(process, then)
            _, slope = _implied(denoise(reached, then), reached, then, process, objective)
            reached = ahead * (state / alpha + (level / ahead - sigma / alpha) * 0.5 * (eps + slope))
        state = _kept(reached, keep)
    return state


def dpmpp_2m(
    denoise: Denoiser,
    noise: Tensor,
    process: Process,
    objective: Objective,
    instants: Sequence[float],
    keep: Keep | None = None,
) -> Tensor:
    """Sample by DPM-Solver++(2M), order 2, one prediction a step (Lu et al. 2022, algorithm 2).

    The first step has no step before it, and one from or to an infinite log-SNR no length: those are of order 1.
    """
    state, last, length = _kept(noise, keep), None, math.inf
    for now, then in pairwise(instants):
        alpha, sigma = _levels(process, now)
        x0, eps = _implied(denoise(state, now), state, now, process, objective)
        if alpha == 0.0 or then == 0.0:
            state, last = _moved(x0, eps, then, process), x0 if alpha > 0.0 else None
        else:
            ahead, level = _levels(process, then)
            h = math.log(float(ahead / level)) - math.log(float(alpha / sigma))
            clean = x0
            if last is not None:
                ratio = length / h
                clean = (1.0 + 0.5 / ratio) * x0 - 0.5 / ratio * last
            state = level / sigma * state - ahead * math.expm1(-h) * clean
            last, length = x0, h
        state = _kept(state, keep)
    return state


def flow_euler(
    denoise: Denoiser,
    noise: Tensor,
    process: Process,
    objective: Objective,
    instants: Sequence[float],
    keep: Keep | None = None,
) -> Tensor:
    """Sample a flow by Euler's method on dz/dt = the prediction."""
    _flow_only(process)
    state = _kept(noise, keep)
    for now, then in pairwise(instants):
        state = _kept(euler_step(state, denoise(state, now), now, then), keep)
    return state


def flow_heun(
    denoise: Denoiser,
    noise: Tensor,
    process: Process,
    objective: Objective,
    instants: Sequence[float],
    keep: Keep | None = None,
) -> Tensor:
    """Sample a flow by Heun's method, order 2, two predictions a step; the last step, to t = 0, is Euler's."""
    _flow_only(process)
    state = _kept(noise, keep)
    for now, then in pairwise(instants):
        velocity = denoise(state, now)
        reached = _kept(euler_step(state, velocity, now, then), keep)
        if then > 0.0:
            reached = euler_step(state, 0.5 * (velocity + denoise(reached, then)), now, then)
        state = _kept(reached, keep)
    return state


SAMPLERS: Mapping[SamplerName, Sampler] = MappingProxyType({
    "ddim": ddim, "euler": euler, "heun": heun, "dpmpp_2m": dpmpp_2m, "flow_euler": flow_euler, "flow_heun": flow_heun,
})  # fmt: skip
"""Every sampler by name. Those of a flow's velocity need a flow; the others take any process."""


def sample(
    denoise: Denoiser,
    noise: Tensor,
    process: Process,
    objective: Objective,
    steps: int,
    keep: Keep | None = None,
    *,
    sampler: SamplerName | None = None,
    shift: float = 1.0,
) -> Tensor:
    """Sample in `steps` steps; without a name by what belongs to the objective: Euler for a flow, DDIM for eps and v.

    `shift` moves the instants to noise, as `timesteps.shifted`. Raises ConfigError for a flow's sampler without one.
    """
    name = sampler or ("flow_euler" if process.is_flow else "ddim")
    if name not in SAMPLERS:
        raise ConfigError(f"sampler: there is no {name}; there are {', '.join(SAMPLERS)}")
    return SAMPLERS[name](denoise, noise, process, objective, times(steps, shift), keep)


def _kept(state: Tensor, keep: Keep | None) -> Tensor:
    return state if keep is None else keep(state)


def _levels(process: Process, t: float) -> tuple[Tensor, Tensor]:
    return process.levels(torch.tensor(t))


def _implied(
    prediction: Tensor, state: Tensor, t: float, process: Process, objective: Objective
) -> tuple[Tensor, Tensor]:
    """Return the clean latent and the noise that a prediction implies."""
    levels = _levels(process, t)
    return to_x0(objective, prediction, state, *levels), to_noise(objective, prediction, state, *levels)


def _moved(x0: Tensor, eps: Tensor, then: float, process: Process) -> Tensor:
    """Take DDIM's step; at time 0 nothing of the noise is left, whatever the table's first value says."""
    return x0 if then == 0.0 else ddim_step(x0, eps, *_levels(process, then))


def _flow_only(process: Process) -> None:
    if not process.is_flow:
        raise ConfigError("sampler: flow_euler and flow_heun follow a flow; for eps and v take ddim, heun or dpmpp_2m")
