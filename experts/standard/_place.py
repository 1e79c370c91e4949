"""Where the standard experts run: on a GPU, or on a CPU if that was asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from experts._torch import default_threads
from media.errors import ConfigError, UserError

__all__ = ["DEVICE", "Place", "forced_device", "no_gpu", "place_of"]

DEVICE: Final = "RUSHES_EXPERT_DEVICE"
"""The environment variable that forces the device of the standard experts: `cpu`, `cuda`, `cuda:1`."""


@dataclass(frozen=True, slots=True)
class Place:
    """A device and the threads that its expert may use on the CPU."""

    device: str
    threads: int

    @property
    def half(self) -> bool:
        """Whether weights and pictures are bfloat16: on a GPU, not on a CPU."""
        return self.device.startswith("cuda")

    @property
    def dtype(self) -> Any:
        """The torch dtype of weights and pictures."""
        import torch

        return torch.bfloat16 if self.half else torch.float32

    def put(self, tensor: Any) -> Any:
        """Return a tensor on the device; floating-point ones in its dtype."""
        return tensor.to(self.device, self.dtype) if tensor.is_floating_point() else tensor.to(self.device)


def forced_device() -> str | None:
    """Return the device that was asked for, None if none was. ConfigError for one that torch does not know."""
    asked = os.environ.get(DEVICE, "").strip().lower()
    if not asked:
        return None
    if asked != "cpu" and asked.partition(":")[0] != "cuda":
        raise ConfigError(f"{DEVICE}: {asked!r} is no device; give cpu, cuda or cuda:N")
    return asked


def no_gpu(names: Sequence[str]) -> UserError:
    """Return the error of a machine on which these experts cannot run."""
    many = len(names) > 1
    return UserError(
        f"expert{'s' if many else ''} {', '.join(names)}: {'they want' if many else 'it wants'} a GPU and this machine "
        f"has none; run on one that has, leave {'them' if many else 'it'} out with --experts, or set {DEVICE}=cpu and "
        "wait (seconds to minutes a clip)"
    )


def place_of(name: str, threads: int | None) -> Place:
    """Return where the expert `name` runs. UserError where it would need a GPU and there is none."""
    import torch

    device = forced_device()
    if device != "cpu" and not torch.cuda.is_available():
        raise no_gpu([name])
    return Place(device or "cuda", threads or default_threads())
