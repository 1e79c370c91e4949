"""The cure for a torchvision, built for CUDA, that stands beside a CPU-only torch: see `experts/torchvision.py`.

This room may not import experts, so it has a small one of its own. transformers imports torchvision wherever it is
installed; where that fails, not even a text encoder can be loaded.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import Any, Final

import torch

__all__ = ["ready"]

_declared: Final[list[Any]] = []


def ready() -> None:
    """Make torchvision importable where it is installed; call it before importing a model of transformers."""
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]  # half imported
        _declared.append(torch.library.Library("torchvision", "FRAGMENT"))  # type: ignore[no-untyped-call]
        for operator in ("nms", "qnms"):
            _declared[-1].define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        importlib.import_module("torchvision")
