"""Oriented structure of a picture, told from noise by how strongly its gradients agree. Pure functions."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["NOISE_COHERENCE", "structure"]

_PATCH_PX: Final = 8
_SIGNIFICANCE: Final = 0.001
_ROOT: Final = _SIGNIFICANCE ** (1 / (_PATCH_PX**2 - 1))
NOISE_COHERENCE: Final = ((1 - _ROOT) / (1 + _ROOT)) ** 0.5
"""Coherence that a patch of white noise exceeds with a chance of one in a thousand (Zhu and Milanfar 2010, eq. 13)."""

Plane = npt.NDArray[np.float32]


def structure(plane: Plane) -> tuple[Plane, Plane]:
    """Return strength and coherence of each 8 x 8 patch of f32[H,W].

    With s1 >= s2 the singular values of the patch's 64 x 2 matrix of gradients, strength is s1 / 8, the RMS
    gradient along the main direction in levels per pixel, and coherence (s1 - s2) / (s1 + s2), 0 where flat.
    """
    dy, dx = np.gradient(plane)
    xx, yy, xy = (_sums(np.asarray(p, dtype=np.float32)) for p in (dx * dx, dy * dy, dx * dy))
    root = np.sqrt((xx - yy) ** 2 + 4 * xy * xy)
    large = np.sqrt(np.maximum(xx + yy + root, 0) / 2)
    small = np.sqrt(np.maximum(xx + yy - root, 0) / 2)
    total = large + small
    coherence = np.divide(large - small, total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(large / _PATCH_PX, dtype=np.float32), np.asarray(coherence, dtype=np.float32)


def _sums(plane: Plane) -> Plane:
    rows, columns = plane.shape[0] // _PATCH_PX, plane.shape[1] // _PATCH_PX
    cut = plane[: rows * _PATCH_PX, : columns * _PATCH_PX]
    return np.asarray(cut.reshape(rows, _PATCH_PX, columns, _PATCH_PX).sum((1, 3)), dtype=np.float32)
