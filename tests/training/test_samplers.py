"""Samplers: their order of convergence where the answer is known, what they share, what they refuse."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from media.errors import ConfigError
from training.diffusion.guidance import guided, guided_twice, scale_at
from training.diffusion.objectives import Objective, target_of
from training.diffusion.samplers import SAMPLERS, sample
from training.diffusion.schedules import Process, flow, variance_preserving
from training.diffusion.timesteps import resolution_shift, shifted, times
from training.recipes.section import SamplerName

MEAN, DEVIATION = 0.7, 0.6
NAMES: tuple[SamplerName, ...] = get_args(SamplerName)
ANY_PROCESS: tuple[SamplerName, ...] = ("ddim", "euler", "heun", "dpmpp_2m")
ORDERS: dict[SamplerName, int] = {
    "ddim": 1, "euler": 1, "heun": 2, "dpmpp_2m": 2, "flow_euler": 1, "flow_heun": 2,
}  # fmt: skip


CASES: list[tuple[SamplerName, Objective, bool]] = [
    (name, objective, zero)
    for name in NAMES
    for objective, zero in (("eps", False), ("v", False), ("v", True), ("flow", False))
    if "flow" not in name or objective == "flow"
]


def way(objective: Objective, zero: bool = False) -> Process:
    return flow() if objective == "flow" else variance_preserving("scaled_linear", zero_terminal_snr=zero)


def smooth_way() -> Process:
    """A variance-preserving process in closed form: a table's steps would hide the order of a method."""
    return Process(lambda t: (torch.cos(t * math.pi / 2), torch.sin(t * math.pi / 2)), is_flow=False)


def gaussian(process: Process, objective: Objective) -> Callable[[Tensor, float], Tensor]:
    """Return the exact denoiser of z_0 ~ N(MEAN, DEVIATION^2)."""

    def denoise(state: Tensor, t: float) -> Tensor:
        alpha, sigma = (x.double() for x in process.levels(torch.tensor(t, dtype=torch.float64)))
        total = alpha**2 * DEVIATION**2 + sigma**2
        x0 = MEAN + alpha * DEVIATION**2 / total * (state - alpha * MEAN)
        eps = sigma / total * (state - alpha * MEAN)
        return target_of(objective, x0, eps, alpha, sigma)

    return denoise


def exact(process: Process, start: Tensor, begin: float, end: float) -> Tensor:
    """Follow the probability flow of that Gaussian in closed form: a state keeps its quantile."""

    def moments(t: float) -> tuple[Tensor, Tensor]:
        alpha, sigma = process.levels(torch.tensor(t, dtype=torch.float64))
        return alpha * MEAN, (alpha**2 * DEVIATION**2 + sigma**2).sqrt()

    (m, s), (to_m, to_s) = moments(begin), moments(end)
    return to_m + (start - m) / s * to_s


def error(name: SamplerName, process: Process, objective: Objective, steps: int) -> float:
    begin, end = 0.95, 0.15
    instants = [begin + (end - begin) * i / steps for i in range(steps + 1)]
    start = torch.linspace(-2.0, 2.0, 9, dtype=torch.float64)
    out = SAMPLERS[name](gaussian(process, objective), start, process, objective, instants)
    return (out - exact(process, start, begin, end)).abs().max().item()


@pytest.mark.parametrize(
    ("name", "objective"),
    [(name, objective) for name in ANY_PROCESS for objective in get_args(Objective)]
    + [("flow_euler", "flow"), ("flow_heun", "flow")],
)
def test_a_sampler_converges_with_its_order(name: SamplerName, objective: Objective) -> None:
    process = flow() if objective == "flow" else smooth_way()
    errors = [error(name, process, objective, steps) for steps in (32, 64, 128)]
    found = [math.log2(a / b) for a, b in pairwise(errors)]
    assert found == pytest.approx([ORDERS[name]] * 2, abs=0.25)


@pytest.mark.parametrize(("better", "worse"), [("heun", "euler"), ("dpmpp_2m", "ddim"), ("flow_heun", "flow_euler")])
def test_second_order_is_better_at_the_same_steps(better: SamplerName, worse: SamplerName) -> None:
    process = flow() if "flow" in better else smooth_way()
    objective: Objective = "flow" if "flow" in better else "v"
    assert error(better, process, objective, 16) < 0.2 * error(worse, process, objective, 16)


@pytest.mark.parametrize(("name", "objective", "zero"), CASES)
def test_samples_have_the_mean_and_deviation_of_the_data(name: SamplerName, objective: Objective, zero: bool) -> None:
    process = way(objective, zero)
    noise = torch.randn(20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    alpha, sigma = process.levels(torch.tensor(1.0))  # without zero terminal SNR the last state is not pure noise
    start = alpha * MEAN + (alpha**2 * DEVIATION**2 + sigma**2).sqrt() * noise
    out = sample(gaussian(process, objective), start, process, objective, 100, sampler=name)
    assert out.mean().item() == pytest.approx(MEAN, abs=0.03)
    assert out.std().item() == pytest.approx(DEVIATION, abs=0.03)


@pytest.mark.parametrize("steps", [1, 2, 11])
@pytest.mark.parametrize(("name", "objective", "zero"), CASES)
def test_a_perfect_denoiser_reaches_its_latent_by_every_sampler(
    name: SamplerName, objective: Objective, zero: bool, steps: int
) -> None:
    process, noise = way(objective, zero), torch.Generator().manual_seed(0)
    x0, start = torch.randn(2, 8, generator=noise), torch.randn(2, 8, generator=noise)

    def denoise(state: Tensor, t: float) -> Tensor:
        alpha, sigma = process.levels(torch.tensor(t))
        return target_of(objective, x0, (state - alpha * x0) / sigma, alpha, sigma)

    out = sample(denoise, start, process, objective, steps, sampler=name)
    torch.testing.assert_close(out, x0, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize(("objective", "zero"), [("eps", False), ("v", True), ("flow", False)])
def test_euler_in_the_scaled_variable_is_ddim(objective: Objective, zero: bool) -> None:
    process, start = way(objective, zero), torch.randn(50, generator=torch.Generator().manual_seed(0)).double()
    denoise = gaussian(process, objective)
    first, second = (sample(denoise, start, process, objective, 20, sampler=n) for n in ("euler", "ddim"))
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_known_values_are_put_back_in_every_state_that_is_looked_at(name: SamplerName) -> None:
    seen: list[float] = []

    def denoise(state: Tensor, t: float) -> Tensor:
        seen.append(state[0].item())
        return state * 0.1

    out = sample(
        denoise, torch.randn(4), flow(), "flow", 5, lambda state: torch.cat([torch.tensor([7.0]), state[1:]]),
        sampler=name,
    )  # fmt: skip
    assert set(seen) == {7.0}
    assert len(seen) == (8 if name == "heun" else 9 if name == "flow_heun" else 5)
    assert out[0].item() == 7.0


def test_samplers_that_are_not_there_or_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"sampler: there is no plms; there are ddim, euler, heun, dpmpp_2m"):
        sample(lambda z, _: z, torch.zeros(1), flow(), "flow", 1, sampler="plms")  # type: ignore[arg-type]
    for name in ("flow_euler", "flow_heun"):
        with pytest.raises(ConfigError, match="follow a flow; for eps and v take ddim"):
            sample(lambda z, _: z, torch.zeros(1), way("v"), "v", 1, sampler=name)  # type: ignore[arg-type]


def test_every_sampler_has_a_name_and_every_name_a_sampler() -> None:
    assert set(SAMPLERS) == set(NAMES)


@given(st.floats(0.0, 1.0), st.floats(0.1, 10.0))
@settings(max_examples=60, deadline=None)
def test_the_shift_keeps_both_ends_rises_and_is_undone_by_its_inverse(t: float, alpha: float) -> None:
    assert shifted(0.0, alpha) == 0.0
    assert shifted(1.0, alpha) == pytest.approx(1.0)
    moved = shifted(t, alpha)
    assert shifted(moved, 1.0 / alpha) == pytest.approx(t, abs=1e-9)
    assert moved >= t - 1e-12 if alpha >= 1 else moved <= t + 1e-12
    assert shifted(min(1.0, t + 0.01), alpha) >= moved


def test_the_shift_is_that_of_the_signal_to_noise_ratio() -> None:
    # A flow of alpha times the deviation of noise per signal: sigma / alpha is multiplied at every t (SD3, eq. 23).
    t = torch.linspace(0.05, 0.95, 10)
    ratio = shifted(t, 3.0) / (1.0 - shifted(t, 3.0))
    torch.testing.assert_close(ratio, 3.0 * t / (1.0 - t), rtol=1e-5, atol=1e-4)
    assert torch.equal(shifted(t, 1.0), t)


def test_the_resolution_shift_goes_through_its_two_points() -> None:
    assert resolution_shift(256, 1) == pytest.approx(1.0)
    assert resolution_shift(4096, 1) == pytest.approx(3.0)
    assert resolution_shift(256, 16) == pytest.approx(4.0)
    assert resolution_shift(2176, 4) == pytest.approx(4.0)


def test_shifted_instants_still_begin_at_noise_and_end_at_data() -> None:
    instants = times(10, 3.0)
    assert instants[0] == 1.0
    assert instants[-1] == 0.0
    assert instants == sorted(instants, reverse=True)
    assert sum(t > 0.5 for t in instants) > sum(t > 0.5 for t in times(10))


@given(st.floats(0.0, 9.0), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_equal_scales_are_plain_guidance(scale: float, seed: int) -> None:
    full, image, nothing = torch.randn(3, 1, 6, generator=torch.Generator().manual_seed(seed)).double()
    twice = guided_twice(full, image, nothing, text_scale=scale, image_scale=scale)
    torch.testing.assert_close(twice, guided(full, nothing, scale))


def test_each_scale_moves_along_its_own_condition() -> None:
    full, image, nothing = torch.eye(3)
    assert guided_twice(full, image, nothing, text_scale=0.0, image_scale=0.0).tolist() == nothing.tolist()
    assert guided_twice(full, image, nothing, text_scale=0.0, image_scale=1.0).tolist() == image.tolist()
    assert guided_twice(full, image, nothing, text_scale=1.0, image_scale=1.0).tolist() == full.tolist()
    moved = guided_twice(full, image, nothing, text_scale=5.0, image_scale=2.0)
    assert moved.tolist() == [5.0, -3.0, -1.0]
    batch = torch.randn(3, 2, 40, generator=torch.Generator().manual_seed(0)) * torch.tensor([[1.0], [3.0]])
    rescaled = guided_twice(*batch, text_scale=7.0, image_scale=2.0, rescale=1.0)
    torch.testing.assert_close(rescaled.std(1), batch[0].std(1))


def test_guidance_holds_within_its_interval_only() -> None:
    assert [scale_at(t, 6.0, (0.2, 0.8)) for t in (0.0, 0.1999, 0.2, 0.5, 0.8, 0.81, 1.0)] == [1, 1, 6, 6, 6, 1, 1]
    assert scale_at(1.0, 6.0) == scale_at(0.0, 6.0) == 6.0
