"""Which of a clip's captions is learned: a mixture of densities, so that prompts of any length are understood.

A model that has only seen dense captions fails on short prompts, and the reverse (DALL-E 3, Betker et al. 2023,
section 3.2): so each sample draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

__all__ = ["Captioned", "mixed_captions"]


class Captioned(Protocol):
    """A clip with captions of three densities; one that is missing is empty."""

    @property
    def short(self) -> str:
        """A sentence."""
        ...

    @property
    def medium(self) -> str:
        """A few sentences."""
        ...

    @property
    def dense(self) -> str:
        """All that is known."""
        ...


def mixed_captions(clips: Sequence[Captioned], dense: float, medium: float, noise: torch.Generator) -> list[str]:
    """Draw a caption for each clip: dense with that probability, medium with that, else short.

    A medium one that is missing gives way to the dense, a dense one to the short.
    """
    chosen = []
    for clip, draw in zip(clips, torch.rand(len(clips), generator=noise).tolist(), strict=True):
        order: tuple[str, ...]
        if draw < dense:
            order = (clip.dense, clip.short)
        elif draw < dense + medium:
            order = (clip.medium, clip.dense, clip.short)
        else:
            order = (clip.short,)
        chosen.append(next((text for text in order if text), ""))
    return chosen
