"""Recipes that have a name: small functions, so that a new one is a changed copy of an old one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from training.recipes.config import (
    AnchorConfig,
    DiffusionConfig,
    DiffusionRecipe,
    HeldOutConfig,
    LoopConfig,
    OptimiserConfig,
    VaeRecipe,
)

__all__ = ["NAMED", "tiny", "vae"]


def tiny() -> DiffusionRecipe:
    """The demo's model: 16 frames of 64 x 64, a minute on a CPU.

    One thread: its layers are so small that a second gains little on an idle machine and loses much on a busy one,
    and one gives the same bits everywhere. Frames share half their noise, and an anchored clip starts near its first
    frame: with some hundred steps there is no time to learn that videos hardly change.
    """
    return DiffusionRecipe(
        name="tiny",
        diffusion=DiffusionConfig(shared_noise=0.5),
        anchor=AnchorConfig(residual_std=0.35),
        held_out=HeldOutConfig(max_clips=8, bins=3),
        optimiser=OptimiserConfig(lr=2e-3, ema_decay=0.99),
        loop=LoopConfig(max_steps=2_000, checkpoint_every=100, threads=1),
    )


def vae() -> VaeRecipe:
    """The packaged autoencoder: dead leaves, minutes on one CPU core."""
    return VaeRecipe(
        optimiser=OptimiserConfig(
            lr=1.5e-3, weight_decay=0.0, warmup_steps=100, decay_steps=5_000, clip_norm=0.3, ema_decay=0.998
        ),
        loop=LoopConfig(max_steps=5_000, checkpoint_every=500, threads=1),
    )


NAMED: Mapping[str, Callable[[], DiffusionRecipe | VaeRecipe]] = MappingProxyType({"tiny": tiny, "vae": vae})
"""Every recipe that `training.recipes.load` knows by name."""
