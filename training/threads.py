"""How many CPU threads torch computes with, for as long as a run lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["limited"]


@contextmanager
def limited(threads: int | None) -> Iterator[None]:
    """Compute with that many threads (None: leave it as it is), then with as many as before."""
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
