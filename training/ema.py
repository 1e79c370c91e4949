"""The moving average of the weights: what is evaluated, saved and generated from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["Ema"]


class Ema:
    """Average of a module's trainable parameters, w <- d w + (1 - d) w_t with d = min(decay, (1 + t) / (10 + t)).

    The rising d (Abadi et al., TensorFlow's ExponentialMovingAverage) forgets the random start within a few steps,
    so that a run of a hundred steps is already better averaged than not.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self._names = [name for name, p in module.named_parameters() if p.requires_grad]
        self._average = [p.detach().clone() for p in self._live(module)]

    def _live(self, module: nn.Module) -> list[nn.Parameter]:
        parameters = dict(module.named_parameters())
        return [parameters[name] for name in self._names]

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take in the weights after `step` steps."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._average, [p.detach() for p in self._live(module)], 1.0 - decay)

    @contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """Put the average into the module for as long as the context lasts."""
        live = self._live(module)
        kept = [p.detach().clone() for p in live]
        try:
            with torch.no_grad():
                torch._foreach_copy_([p.data for p in live], self._average)
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_([p.data for p in live], kept)

    def tensors(self) -> dict[str, Tensor]:
        """Return the averages by parameter name."""
        return dict(zip(self._names, self._average, strict=True))

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the averages of a checkpoint."""
        with torch.no_grad():
            for name, average in zip(self._names, self._average, strict=True):
                average.copy_(tensors[name])
