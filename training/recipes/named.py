"""Recipes that have a name: small functions, so that a new one is a changed copy of an old one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from training.recipes.config import DiffusionRecipe, LoopConfig, OptimiserConfig, VaeRecipe

__all__ = ["NAMED", "tiny", "vae"]


def tiny() -> DiffusionRecipe:
    """The demo's model: 16 frames of 64 x 64, a minute on two CPU cores."""
    return DiffusionRecipe(
        name="tiny",
        optimiser=OptimiserConfig(lr=2e-3, ema_decay=0.99),
        loop=LoopConfig(max_steps=2_000, checkpoint_every=100),
    )


def vae() -> VaeRecipe:
    """The packaged autoencoder: dead leaves, minutes on one CPU core."""
    return VaeRecipe(
        optimiser=OptimiserConfig(
            lr=1.5e-3, weight_decay=0.0, warmup_steps=100, decay_steps=5_000, clip_norm=0.3, ema_decay=0.998
        ),
        loop=LoopConfig(max_steps=5_000, checkpoint_every=500),
    )


NAMED: Mapping[str, Callable[[], DiffusionRecipe | VaeRecipe]] = MappingProxyType({"tiny": tiny, "vae": vae})
"""Every recipe that `training.recipes.load` knows by name."""
