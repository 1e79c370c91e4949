"""Batches of procedural pictures, for an autoencoder that is trained without shards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from curation.worlds.leaves import leaves
from training.pixels import to_unit
from training.randomness import numbers, seed_of
from training.recipes.config import LeavesConfig

__all__ = ["LeavesBatch", "LeavesPictures"]


@dataclass(frozen=True, slots=True)
class LeavesBatch:
    """Crops f32[N, 3, crop, crop] in -1..1, and which picture each is from."""

    pixels: Tensor
    ids: list[str]


class LeavesPictures:
    """A fixed set of pictures, held as bytes; the held-out ones come from other seeds."""

    def __init__(self, config: LeavesConfig, seed: int) -> None:
        self._config, self._seed = config, seed
        self._pictures = self._render("train", config.images)
        self.held_out = to_unit(torch.from_numpy(self._render("held out", config.held_out)))

    def _render(self, part: str, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        size = self._config.size_px
        return np.stack([leaves(seed_of(self._seed, part, i), size, size) for i in range(count)])

    def batch(self, step: int, micro: int, size: int) -> LeavesBatch:
        """Return `size` random crops, mirrored and turned at random: a function of (seed, step, micro)."""
        rng = numbers(self._seed, step, micro, "crops")
        crop, room = self._config.crop_px, self._config.size_px - self._config.crop_px
        which = rng.integers(0, len(self._pictures), size)
        crops = []
        for i in which:
            top, left = rng.integers(0, room + 1, 2)
            piece = self._pictures[i, top : top + crop, left : left + crop]
            piece = np.rot90(piece, int(rng.integers(0, 4)))
            crops.append(piece[:, ::-1] if rng.random() < 0.5 else piece)
        return LeavesBatch(to_unit(torch.from_numpy(np.stack(crops))), [f"leaves:{i}" for i in which])
