"""Forward processes: how much signal alpha(t) and noise sigma(t) a latent holds at time t in 0..1.

Variance-preserving schedules are tables of T = 1000 values of abar, alpha = sqrt(abar), sigma = sqrt(1 - abar), time
t standing at index round(t (T - 1)). The flow has alpha = 1 - t, sigma = t (Lipman et al. 2023; Liu et al. 2023).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor

__all__ = ["STEPS", "Process", "ScheduleName", "alphas_bar", "flow", "variance_preserving", "zero_terminal"]

STEPS: Final = 1000
ScheduleName = Literal["linear", "scaled_linear", "cosine"]


@dataclass(frozen=True, slots=True)
class Process:
    """A forward process: `levels(t)` gives (alpha, sigma), each of t's shape, for t in 0..1."""

    levels: Callable[[Tensor], tuple[Tensor, Tensor]]
    is_flow: bool

    def snr(self, t: Tensor) -> Tensor:
        """Signal-to-noise ratio alpha^2 / sigma^2; infinite where there is no noise."""
        alpha, sigma = self.levels(t)
        return alpha.square() / sigma.square()


def alphas_bar(schedule: ScheduleName, steps: int = STEPS, start: float = 0.00085, end: float = 0.012) -> Tensor:
    """Return abar_t = prod (1 - beta_s), f64[steps].

    linear: betas evenly from start to end (Ho et al. 2020); scaled_linear: their square roots (Stable Diffusion);
    cosine: abar = cos^2((t + .008) / 1.008 * pi / 2), betas at most .999 (Nichol and Dhariwal 2021, eq. 17).
    """
    if schedule == "cosine":
        time = torch.arange(steps + 1, dtype=torch.float64) / steps
        curve = torch.cos((time + 0.008) / 1.008 * math.pi / 2.0).square()
        betas = (1.0 - curve[1:] / curve[:-1]).clamp(max=0.999)
    elif schedule == "scaled_linear":
        betas = torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64).square()
    else:
        betas = torch.linspace(start, end, steps, dtype=torch.float64)
    return torch.cumprod(1.0 - betas, 0)


def zero_terminal(abar: Tensor) -> Tensor:
    """Rescale so that abar_T = 0 exactly and abar_1 is kept (Lin et al. 2024, algorithm 1)."""
    root = abar.sqrt()
    first, last = root[0], root[-1]
    return ((root - last) * first / (first - last)).square()


def variance_preserving(schedule: ScheduleName, *, zero_terminal_snr: bool = False) -> Process:
    """Return the process of a table of abar."""
    abar = alphas_bar(schedule)
    if zero_terminal_snr:
        abar = zero_terminal(abar)
    alphas, sigmas = abar.sqrt().float(), (1.0 - abar).sqrt().float()

    def levels(t: Tensor) -> tuple[Tensor, Tensor]:
        index = (t * (STEPS - 1)).round().long().clamp(0, STEPS - 1)
        return alphas.to(t.device)[index], sigmas.to(t.device)[index]

    return Process(levels, is_flow=False)


def flow() -> Process:
    """Return the straight process z_t = (1 - t) z_0 + t eps."""
    return Process(lambda t: (1.0 - t, t), is_flow=True)
