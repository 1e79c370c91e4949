"""Numbers as conditions: how long, how large, how much motion, how beautiful.

Each is a sinusoid of its scale through an MLP whose last layer starts at zero, added to the time's embedding (SDXL's
micro-conditions, Podell et al. 2023, section 2.2). A number that is not known adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from media.errors import ConfigError
from training.conditions.rate import octaves
from training.models.layers import sinusoid, zeroed
from training.recipes.section import VectorName

__all__ = ["Vectors", "drop_vectors", "shape_vectors"]

_SCALES: Final[Mapping[VectorName, tuple[int, Callable[[Tensor], Tensor]]]] = MappingProxyType({
    "frames": (1, octaves),
    "size": (2, octaves),
    "motion": (1, lambda speed: octaves(1.0 + speed.clamp_min(0.0))),
    "aesthetic": (1, lambda score: 100.0 * score),
})  # fmt: skip
"""How many numbers a vector has, and on which scale: lengths and speeds in octaves, a score as it is."""


class _Number(nn.Module):
    def __init__(self, name: VectorName, width: int, embedding: int) -> None:
        super().__init__()
        self.count, self.scale = _SCALES[name]
        self.width = width
        self.first = nn.Linear(self.count * width, embedding)
        self.last = zeroed(nn.Linear(embedding, embedding))

    def forward(self, values: Tensor) -> Tensor:
        values = values.float().reshape(len(values), self.count)
        known = ~values.isnan().any(1, keepdim=True)
        code = sinusoid(self.scale(values.nan_to_num(1.0)), self.width).flatten(1)
        out: Tensor = self.last(F.silu(self.first(code))) * known
        return out


class Vectors(nn.Module):
    """Embed the numbers a model is told, by name. A fresh one says nothing."""

    def __init__(self, names: Sequence[VectorName], width: int, embedding: int) -> None:
        super().__init__()
        # Not the bare name: `.motion.` in a parameter's name means a motion layer.
        self.numbers = nn.ModuleDict({f"of_{name}": _Number(name, width, embedding) for name in names})

    def forward(self, told: Mapping[str, Tensor]) -> Tensor | float:
        """Map f32[B] or f32[B, 2] by name, NaN where unknown, to f32[B, embedding]; what is not told adds nothing.

        Raises ConfigError for a name that the model was built without.
        """
        for name in told:
            if f"of_{name}" not in self.numbers:
                raise ConfigError(f"{name} given, but this model was trained without it in model.vectors")
        return sum((self.numbers[f"of_{name}"](values) for name, values in told.items()), 0.0)


def shape_vectors(names: Sequence[VectorName], shape: Sequence[int], factor: int) -> dict[str, Tensor]:
    """Return those of `names` that a latent's shape [B, F, C, h, w] tells: its frames, and its size in pixels."""
    batch, frames, _, height, width = shape
    found = {
        "frames": torch.full((batch,), float(frames)),
        "size": torch.tensor([[float(height * factor), float(width * factor)]]).expand(batch, 2),
    }
    return {name: found[name] for name in names if name in found}


def drop_vectors(told: Mapping[str, Tensor], probability: float, noise: torch.Generator) -> dict[str, Tensor]:
    """Leave each number of each sample unsaid with that probability, so that none is needed to generate."""
    out: dict[str, Tensor] = {}
    for name in sorted(told):
        gone = torch.rand(len(told[name]), generator=noise) < probability
        out[name] = torch.where(gone.view(-1, *[1] * (told[name].ndim - 1)), torch.nan, told[name])
    return out
