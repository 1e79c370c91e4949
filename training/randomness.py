"""Randomness as a function of what it is for: (seed, step, purpose), never of what was drawn before.

So a resumed run, a run with other workers and a held-out pass in between all see the same numbers (the edm2
trainer's idea: Karras et al. 2024, `training_loop.py`).
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch

__all__ = ["generator", "numbers", "seed_of"]


def seed_of(*keys: int | str) -> int:
    """Return a 63-bit seed that depends on every key and on their order."""
    text = "\x1f".join(f"{type(key).__name__}:{key}" for key in keys)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(*keys: int | str) -> torch.Generator:
    """Return a torch generator, on the CPU, for that purpose."""
    return torch.Generator().manual_seed(seed_of(*keys))


def numbers(*keys: int | str) -> np.random.Generator:
    """Return a numpy generator for that purpose."""
    return np.random.default_rng(seed_of(*keys))
