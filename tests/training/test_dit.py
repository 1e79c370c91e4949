"""The diffusion transformer: its start, its positions, its cost."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from media.errors import ConfigError
from tests.training.test_denoisers import awake, draw, inputs, made, text
from training.models.dit import DiT, DiTBlock
from training.models.factory import build_denoiser
from training.models.flops import counted_flops, dit_flops
from training.models.rotary import rotary_angles, rotary_split, rotated
from training.recipes import parse
from training.recipes.models import ConnectorConfig, DiTConfig, ImageConfig, UNetConfig

CPU = torch.device("cpu")
SMALL = DiTConfig(width=24, depth=2, heads=2, text_dim=6, max_frames=8)


def test_a_fresh_block_is_the_identity() -> None:
    block = DiTBlock(SMALL)
    x, angles = draw(2, 3 * 4, 24), rotary_angles(3, 2, 2, 12, CPU)
    assert torch.equal(block(x, draw(2, 3, 24, seed=1), angles, text(), None), x)
    awake(block)
    assert (block(x, draw(2, 3, 24, seed=1), angles, text(), None) - x).abs().max() > 1e-2


def test_a_fresh_dit_predicts_zero_and_its_first_gradient_reaches_the_layer_that_starts_there() -> None:
    dit, (z, t) = DiT(SMALL), inputs()
    out = dit(z, t, text())
    assert out.abs().max() == 0
    (out - z).square().mean().backward()  # type: ignore[no-untyped-call]
    moved = {n for n, p in dit.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert moved == {"unpatchify.weight", "unpatchify.bias"}


def test_patches_are_put_back_where_they_were() -> None:
    # With identity layers in and out, and idle blocks, what comes out is what went in, normalised by token.
    dit = DiT(DiTConfig(width=16, depth=1, heads=2, text_dim=6, anchor=False, patch=2))
    with torch.no_grad():
        dit.patchify.weight.copy_(torch.eye(16))
        dit.patchify.bias.zero_()
        dit.unpatchify.weight.copy_(torch.eye(16))
    z, t = inputs(2, 3, 4, 6)
    out = dit(z, t, text())
    for row, column in ((0, 0), (2, 4)):
        token = z[1, 2, :, row : row + 2, column : column + 2]
        expected = (token - token.mean()) / (token.var(correction=0) + 1e-6).sqrt()
        torch.testing.assert_close(out[1, 2, :, row : row + 2, column : column + 2], expected, rtol=1e-4, atol=1e-4)


@given(st.integers(3, 64).map(lambda n: 2 * n))
def test_a_heads_values_are_shared_between_time_height_and_width(width: int) -> None:
    parts = rotary_split(width)
    assert sum(parts) == width
    assert all(part >= 2 and part % 2 == 0 for part in parts)
    assert parts[1] == parts[2]
    assert rotary_split(128) == (16, 56, 56)


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_scores_depend_on_relative_places_only(time: int, down: int, along: int, seed: int) -> None:
    frames, rows, columns, width = 6, 7, 8, 16
    angles = rotary_angles(frames, rows, columns, width, CPU).view(frames, rows, columns, -1)
    q, k = draw(1, 1, 1, width, seed=seed), draw(1, 1, 1, width, seed=seed + 1)

    def score(f: int, r: int, c: int) -> float:
        here, there = angles[f, r, c][None], angles[f + 2, r + 3, c + 4][None]
        return float((rotated(q, here) * rotated(k, there)).sum())

    assert score(time, down, along) == pytest.approx(score(0, 0, 0), abs=1e-4)
    far = float((rotated(q, angles[0, 0, 0][None]) * rotated(k, angles[3, 3, 4][None])).sum())
    assert abs(far - score(0, 0, 0)) > 1e-6
    assert rotated(q, angles[5, 6, 7][None]).norm().item() == pytest.approx(q.norm().item(), rel=1e-5)


def test_queries_and_keys_are_normalised() -> None:
    # Weights a hundred times larger leave attention as it was: scores cannot run away.
    block = DiTBlock(SMALL)
    awake(block)
    x, angles = draw(1, 12, 24), rotary_angles(3, 2, 2, 12, CPU)
    before = block.attend_self(x, angles)
    with torch.no_grad():
        for parameter in block.attend_self.query_key_value.parameters():
            parameter[: 2 * 24] *= 100.0
    torch.testing.assert_close(block.attend_self(x, angles), before, rtol=1e-4, atol=1e-5)


def test_every_frame_sees_every_other() -> None:
    dit, (z, t) = made("dit"), inputs(1, 4)
    base = dit(z, t, text(1))
    moved = z.clone()
    moved[:, 3, :, 3, 3] += 1.0
    assert bool(((dit(moved, t, text(1)) - base).abs().amax((0, 2, 3, 4)) > 1e-6).all())


@pytest.mark.parametrize(
    "config",
    [
        DiTConfig(),
        DiTConfig(fps=False, anchor=False, width=96, heads=3, depth=2, mlp_ratio=3, patch=1),
        DiTConfig(vectors=("size", "motion"), segmentation_classes=3, image=ImageConfig()),
        DiTConfig(connector=ConnectorConfig(width=32, blocks=2, queries=5), image=ImageConfig(patch=1)),
    ],
)
def test_counted_operations_are_those_of_the_formula(config: DiTConfig) -> None:
    shape = {"clips": 2, "frames": 5, "height": 8, "width": 12, "text_tokens": 7}
    assert counted_flops(config, **shape) == dit_flops(config, **shape)


def test_operations_grow_as_they_should() -> None:
    shape = {"clips": 1, "frames": 4, "height": 8, "width": 8, "text_tokens": 7}
    small = counted_flops(UNetConfig(motion=("temporal_attention",)), **shape)
    assert counted_flops(UNetConfig(motion=()), **shape) < small
    assert counted_flops(UNetConfig(motion=("temporal_attention", "temporal_conv")), **shape) > small
    assert counted_flops(UNetConfig(), **{**shape, "clips": 3}) == 3 * small


def test_the_formula_gives_the_published_cost_of_dit_xl_2() -> None:
    # Peebles and Xie 2023, table 4: 118.64 "Gflops", which are multiply-adds, without cross-attention.
    config, n, m = DiTConfig(width=1152, depth=28, heads=16), 256, 77
    whole = dit_flops(config, clips=1, frames=1, height=32, width=32, text_tokens=m)
    cross = 4 * n * 1152**2 + 4 * m * 384 * 1152 + 4 * n * m * 1152
    assert (whole - 28 * cross) / 2 == pytest.approx(118.64e9, rel=0.005)


def test_counting_needs_no_memory_for_the_weights() -> None:
    # A model of some ten billion parameters: counted in a moment, never made.
    huge = DiTConfig(width=4096, depth=40, heads=32)
    shape = {"clips": 1, "frames": 4, "height": 16, "width": 16, "text_tokens": 16}
    assert counted_flops(huge, **shape) == dit_flops(huge, **shape)


@pytest.mark.parametrize(("width", "heads"), [(130, 4), (20, 4), (36, 4)])
def test_heads_that_cannot_be_turned_are_refused(width: int, heads: int) -> None:
    with pytest.raises(ConfigError, match=r"model: .*width: .*each must be even and 6 or more"):
        parse({"model": {"kind": "dit", "width": width, "heads": heads}})


def test_the_factory_makes_what_the_recipe_says() -> None:
    assert isinstance(build_denoiser(DiTConfig()), DiT)
    assert type(build_denoiser(UNetConfig())).__name__ == "UNet"
