"""The cure for a torchvision that stands beside a CPU-only torch and does not import.

Such a torchvision, built for CUDA, fails at its first line (`operator torchvision::nms does not exist`), because its
compiled operators cannot be loaded and one of its Python files registers a kernel for them. And transformers imports
torchvision wherever it is installed, so that then not even a text encoder can be loaded. Declaring the two operators
before the first import is enough: transforms, models and `box_iou` work; `ops.nms` and `io.decode_jpeg` do not, and
nothing here calls them.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import Any, Final

__all__ = ["have_torchvision", "ready"]

_OPERATORS: Final = ("nms", "qnms")
_declared: list[Any] = []
"""The library object: the operators live as long as it does."""


def have_torchvision() -> bool:
    """Return whether torchvision is installed; nothing is imported."""
    return "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is not None


def ready() -> None:
    """Make torchvision importable; call it before importing open_clip, torchvision or a model of transformers.

    Does nothing where torchvision is not installed, or imports by itself. May be called any number of times.
    """
    if not have_torchvision() or "torchvision" in sys.modules or _declared:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]  # half imported
        _declare()
        importlib.import_module("torchvision")


def _declare() -> None:
    import torch

    make: Any = torch.library.Library
    library = make("torchvision", "FRAGMENT")
    for name in _OPERATORS:
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(library)
