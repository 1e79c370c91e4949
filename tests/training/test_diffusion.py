"""The mathematics: schedules, objectives, weights, guidance, samplers."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.denoise import draw_noise
from training.diffusion.guidance import guided
from training.diffusion.objectives import (
    Objective,
    loss_weight,
    noised,
    prior_target,
    process_of,
    target_of,
    to_noise,
    to_x0,
)
from training.diffusion.samplers import ddim, flow_euler, sample, times
from training.diffusion.schedules import (
    STEPS,
    Process,
    ScheduleName,
    alphas_bar,
    flow,
    variance_preserving,
    zero_terminal,
)
from training.recipes.config import DiffusionConfig

OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
SCHEDULES: tuple[ScheduleName, ...] = get_args(ScheduleName)
ALL_T = torch.linspace(0.0, 1.0, STEPS)


def process(objective: Objective, schedule: ScheduleName = "cosine", zero: bool = False) -> Process:
    return flow() if objective == "flow" else variance_preserving(schedule, zero_terminal_snr=zero)


def column(x: torch.Tensor) -> torch.Tensor:
    return x[:, None]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_signal_falls_all_the_way(schedule: ScheduleName) -> None:
    abar = alphas_bar(schedule)
    assert len(abar) == STEPS
    assert bool((abar.diff() < 0).all())
    assert 0.0 < abar[-1] < abar[0] < 1.0


def test_the_linear_schedules_have_the_published_betas() -> None:
    for schedule in ("linear", "scaled_linear"):
        abar = alphas_bar(schedule)  # type: ignore[arg-type]
        assert 1.0 - abar[0].item() == pytest.approx(0.00085)
        assert 1.0 - (abar[-1] / abar[-2]).item() == pytest.approx(0.012)
    middle = 1.0 - (alphas_bar("scaled_linear")[500] / alphas_bar("scaled_linear")[499]).item()
    assert middle == pytest.approx((0.00085**0.5 + 500 / 999 * (0.012**0.5 - 0.00085**0.5)) ** 2)


def test_the_cosine_schedule_follows_its_curve() -> None:
    def curve(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    abar = alphas_bar("cosine")
    assert abar[499].item() == pytest.approx(curve(0.5) / curve(0.0), rel=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_zero_terminal_snr_ends_in_pure_noise_and_begins_where_it_did(schedule: ScheduleName) -> None:
    before = alphas_bar(schedule)
    after = zero_terminal(before)
    assert after[-1].item() == 0.0
    assert after[0].item() == pytest.approx(before[0].item())
    assert bool((after.diff() < 0).all())


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_variance_is_preserved(schedule: ScheduleName, zero: bool) -> None:
    alpha, sigma = variance_preserving(schedule, zero_terminal_snr=zero).levels(ALL_T)
    torch.testing.assert_close(alpha**2 + sigma**2, torch.ones(STEPS))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("objective", "zero"), [("eps", False), ("v", False), ("v", True), ("flow", False)])
def test_x0_and_noise_are_recovered_at_every_t(objective: Objective, zero: bool, schedule: ScheduleName) -> None:
    noise = torch.Generator().manual_seed(0)
    x0 = torch.randn(STEPS, 6, generator=noise, dtype=torch.float64)
    eps = torch.randn(STEPS, 6, generator=noise, dtype=torch.float64)
    alpha, sigma = (column(x).double() for x in process(objective, schedule, zero).levels(ALL_T))
    if objective != "flow":  # tables are in single precision: make the pair exactly unit for this identity
        sigma = (1.0 - alpha**2).sqrt()
    xt = noised(x0, eps, alpha, sigma)
    answer = target_of(objective, x0, eps, alpha, sigma)
    torch.testing.assert_close(to_x0(objective, answer, xt, alpha, sigma), x0, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(to_noise(objective, answer, xt, alpha, sigma), eps, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("deviation", [1.0, 0.4])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_prior_is_the_posterior_mean_of_its_gaussian(objective: Objective, deviation: float) -> None:
    noise = torch.Generator().manual_seed(1)
    guess, xt = (torch.randn(STEPS, 3, generator=noise, dtype=torch.float64) for _ in range(2))
    alpha, sigma = (column(x).double() for x in process(objective).levels(ALL_T))
    if objective != "flow":
        sigma = (1.0 - alpha**2).sqrt()
    said = prior_target(objective, guess, deviation, xt, alpha, sigma)
    assert bool(torch.isfinite(said).all())
    gain = alpha * deviation**2 / (alpha**2 * deviation**2 + sigma**2)
    expected = guess + gain * (xt - alpha * guess)
    torch.testing.assert_close(to_x0(objective, said, xt, alpha, sigma), expected, rtol=1e-6, atol=1e-6)


def test_with_unit_deviation_v_learns_the_residual() -> None:
    noise = torch.Generator().manual_seed(1)
    guess, rest, eps = (torch.randn(STEPS, 3, generator=noise) for _ in range(3))
    alpha, sigma = (column(x) for x in process("v").levels(ALL_T))
    xt = noised(guess + rest, eps, alpha, sigma)
    prior = prior_target("v", guess, 1.0, xt, alpha, sigma)
    whole = target_of("v", guess + rest, eps, alpha, sigma)
    torch.testing.assert_close(whole - prior, target_of("v", rest, eps, alpha, sigma), rtol=1e-4, atol=1e-4)


def test_noise_is_unit_and_shared_as_asked() -> None:
    for shared in (0.0, 0.5, 1.0):
        eps = draw_noise((400, 3, 4, 3, 3), shared, torch.Generator().manual_seed(0))
        assert eps.std().item() == pytest.approx(1.0, abs=0.04)
        assert (eps[:, 0] * eps[:, 1]).mean().item() == pytest.approx(shared, abs=0.04)
        assert (eps[:200] * eps[200:]).mean().item() == pytest.approx(0.0, abs=0.05)


def test_min_snr_is_finite_everywhere_and_one_at_pure_noise() -> None:
    snr = torch.tensor([0.0, 1e-6, 1.0, 5.0, 100.0, math.inf])
    v = loss_weight("v", snr, 5.0)
    assert v[0] == 1.0
    torch.testing.assert_close(v[2:5], torch.tensor([1.0, 5.0 / 6.0, 5.0 / 101.0]))
    eps = loss_weight("eps", snr, 5.0)
    assert bool(torch.isfinite(v).all())
    assert bool(torch.isfinite(eps).all())
    torch.testing.assert_close(eps[2:5], torch.tensor([1.0, 1.0, 0.05]))
    assert bool((loss_weight("v", snr, None) == 1.0).all())
    assert bool((loss_weight("flow", snr, 5.0) == 1.0).all())


@given(st.floats(0.0, 12.0), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_guidance_extrapolates_from_the_unconditional(scale: float, seed: int) -> None:
    c, u = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(seed)).split(1)
    torch.testing.assert_close(guided(c, u, scale), u + scale * (c - u))
    torch.testing.assert_close(guided(c, u, 1.0), c)
    torch.testing.assert_close(guided(c, u, 0.0), u)
    torch.testing.assert_close(guided(c, c, scale), c)


def test_rescaled_guidance_has_the_conditional_deviation_per_sample() -> None:
    noise = torch.Generator().manual_seed(0)
    c, u = torch.randn(2, 3, 50, generator=noise)
    c = c * torch.tensor([[1.0], [2.0], [0.5]])
    torch.testing.assert_close(guided(c, u, 8.0, rescale=1.0).std(1), c.std(1))
    assert bool((guided(c, u, 8.0).std(1) > 2.0 * c.std(1)).all())


def test_sampling_times_start_at_pure_noise() -> None:
    assert times(4) == [1.0, 0.75, 0.5, 0.25, 0.0]
    with pytest.raises(ValueError, match="at least one step"):
        times(0)


@pytest.mark.parametrize("steps", [1, 7, 25])
@pytest.mark.parametrize(("objective", "zero"), [("eps", False), ("v", False), ("v", True), ("flow", False)])
def test_a_perfect_denoiser_reaches_its_latent(objective: Objective, zero: bool, steps: int) -> None:
    noise = torch.Generator().manual_seed(0)
    x0, start = torch.randn(2, 8, generator=noise), torch.randn(2, 8, generator=noise)
    config = DiffusionConfig(objective=objective, schedule="scaled_linear", zero_terminal_snr=zero)
    way = process_of(config)

    def denoise(state: torch.Tensor, t: float) -> torch.Tensor:
        alpha, sigma = way.levels(torch.tensor(t))
        eps = (state - alpha * x0) / sigma
        return target_of(objective, x0, eps, alpha, sigma)

    torch.testing.assert_close(sample(denoise, start, way, objective, steps), x0, rtol=1e-3, atol=1e-3)


def test_euler_on_a_flow_is_ddim_on_a_flow() -> None:
    noise = torch.Generator().manual_seed(0)
    weight, start = torch.randn(5, 5, generator=noise) * 0.3, torch.randn(3, 5, generator=noise)

    def denoise(state: torch.Tensor, t: float) -> torch.Tensor:
        return torch.tanh(state @ weight) * (0.5 + t)

    euler = flow_euler(denoise, start, flow(), "flow", times(9))
    torch.testing.assert_close(ddim(denoise, start, flow(), "flow", times(9)), euler, rtol=1e-4, atol=1e-5)


def test_ddim_samples_the_right_gaussian() -> None:
    # z_0 ~ N(m, s^2): the best denoiser is linear and known, so the samples' mean and deviation must come out.
    mean, deviation = 1.5, 0.5
    way = variance_preserving("cosine", zero_terminal_snr=True)

    def denoise(state: torch.Tensor, t: float) -> torch.Tensor:
        alpha, sigma = way.levels(torch.tensor(t))
        total = alpha**2 * deviation**2 + sigma**2
        x0 = mean + alpha * deviation**2 / total * (state - alpha * mean)
        return alpha * (sigma / total) * (state - alpha * mean) - sigma * x0

    start = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    out = sample(denoise, start, way, "v", 100)
    assert out.mean().item() == pytest.approx(mean, abs=0.02)
    assert out.std().item() == pytest.approx(deviation, abs=0.03)


@pytest.mark.parametrize("objective", ["v", "flow"])
def test_kept_values_are_kept_at_every_state(objective: Objective) -> None:
    seen = []

    def denoise(state: torch.Tensor, t: float) -> torch.Tensor:
        seen.append(state[0].item())
        return state * 0.1

    def keep(state: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.tensor([7.0]), state[1:]])

    out = sample(denoise, torch.randn(4), process(objective), objective, 5, keep)
    assert seen == [7.0] * 5
    assert out[0].item() == 7.0
