"""Pictures as networks want them, where a checkpoint's own processor needs packages that we do without."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experts.base import Rgb
from experts.standard._load import reading

__all__ = ["PictureSpec", "normalised", "picture_spec", "resized"]


@dataclass(frozen=True, slots=True)
class PictureSpec:
    """How a checkpoint's pictures are: their side in pixels, the mean and deviation of each channel (0 to 1)."""

    side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def picture_spec(role: str, folder: Path) -> PictureSpec:
    """Return what the preprocessor_config.json of a checkpoint says; its pictures are squares."""
    with reading(role, folder, "a checkpoint with its preprocessor_config.json"):
        said = json.loads((folder / "preprocessor_config.json").read_text("utf-8"))
        size = said["size"]
        side = size if isinstance(size, int) else size.get("height", size.get("shortest_edge"))
        mean, std = (tuple(float(value) for value in said[f"image_{name}"]) for name in ("mean", "std"))
        return PictureSpec(int(side), (mean[0], mean[1], mean[2]), (std[0], std[1], std[2]))


def resized(frame: Rgb, height: int, width: int) -> Rgb:
    """Return a picture at another size, by Pillow's bilinear filter, which widens as it shrinks."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(frame))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))


def normalised(frames: Sequence[Rgb], spec: PictureSpec, height: int, width: int) -> Any:
    """Return a float32 tensor [N, 3, height, width] of pictures, scaled to mean 0 and deviation 1."""
    import torch

    stacked = np.stack([resized(frame, height, width) for frame in frames]).astype(np.float32) / 255
    scaled = (stacked - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)))
