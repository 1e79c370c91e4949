"""Training: shards and a recipe in, a latent text-to-video diffusion model out.

Importing this package is cheap: what needs torch is loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.checkpoint import Checkpoint
    from training.loop import TrainResult
    from training.recipes import DiffusionRecipe, VaeRecipe
    from training.trainer import train

__all__ = ["Checkpoint", "DiffusionRecipe", "TrainResult", "VaeRecipe", "train"]

_HOMES = {
    "Checkpoint": "training.checkpoint",
    "DiffusionRecipe": "training.recipes",
    "TrainResult": "training.loop",
    "VaeRecipe": "training.recipes",
    "train": "training.trainer",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
