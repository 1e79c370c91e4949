"""How the torch experts run: without gradients, on as many threads as their actor was given."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

__all__ = ["default_threads", "inference"]


def default_threads() -> int:
    """Return the threads of one expert: `$RUSHES_EXPERT_THREADS`, or 1, for one actor is one core."""
    return max(1, int(os.environ.get("RUSHES_EXPERT_THREADS", "1")))


@contextlib.contextmanager
def inference(threads: int) -> Iterator[None]:
    """Run the block without gradients on `threads` threads; torch's own setting is put back afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)
