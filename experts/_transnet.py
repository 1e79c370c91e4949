"""TransNetV2: the network, to hold the carrier's weights.

Soucek and Lokoc, "TransNet V2: An effective deep network architecture for fast shot transition detection", 2020
(figure 1): three cells of two dilated blocks, each block four (2+1)D convolutions that look 1, 2, 4 and 8 frames
away; beside them two similarity heads that compare every frame with the 50 before and the 50 after it, one on
learned features, one on colour histograms of 8 x 8 x 8 bins.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["HEIGHT", "WIDTH", "TransNetV2"]

HEIGHT: Final = 27
WIDTH: Final = 48
_REACH: Final = 50  # frames before and after that the similarity heads look at
_DILATIONS: Final = (1, 2, 4, 8)
_FILTERS: Final = (16, 32, 64)


def _separable(inputs: int, filters: int, dilation: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(inputs, 2 * filters, (1, 3, 3), padding=(0, 1, 1), bias=False),
        nn.Conv3d(2 * filters, filters, (3, 1, 1), dilation=(dilation, 1, 1), padding=(dilation, 0, 0), bias=False),
    )


class _Block(nn.Module):
    """Dilated block: [N, C, T, H, W] -> [N, 4 * filters, T, H, W]."""

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(_separable(inputs, filters, dilation) for dilation in _DILATIONS)
        self.norm = nn.BatchNorm3d(4 * filters, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.norm(torch.cat([branch(x) for branch in self.branches], dim=1))
        return normed


class _Cell(nn.Module):
    """Two blocks with a residual from the first, then the picture is halved."""

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__()
        self.first, self.second = _Block(inputs, filters), _Block(4 * filters, filters)

    def forward(self, x: Tensor) -> Tensor:
        early = functional.relu(self.first(x))
        return functional.avg_pool3d(functional.relu(self.second(early)) + early, (1, 2, 2))


class TransNetV2(nn.Module):
    """uint8 [N, T, 27, 48, 3] RGB -> logits [N, T]: is this the last frame before a transition (or within one)."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, *(4 * filters for filters in _FILTERS))
        self.cells = nn.ModuleList(_Cell(widths[i], filters) for i, filters in enumerate(_FILTERS))
        self.project = nn.Linear(sum(widths[1:]), 128)
        self.feature_head = nn.Linear(2 * _REACH + 1, 128)
        self.colour_head = nn.Linear(2 * _REACH + 1, 128)
        self.hidden = nn.Linear(widths[-1] * (HEIGHT // 8) * (WIDTH // 8) + 256, 1024)
        self.answer = nn.Linear(1024, 1)

    @classmethod
    def from_file(cls, path: Path) -> TransNetV2:
        """Return the network with the weights at `path`, ready to be evaluated."""
        stored = torch.load(path, map_location="cpu", weights_only=True)
        network = cls()
        network.load_state_dict({_ours(key): value for key, value in stored.items() if "cls_layer2" not in key})
        return network.eval()

    def forward(self, frames: Tensor) -> Tensor:
        """Return the logits of a batch of windows."""
        x = frames.permute(0, 4, 1, 2, 3).float() / 255
        pooled = []
        for cell in self.cells:
            x = cell(x)
            pooled.append(x.mean(dim=(3, 4)))
        features = functional.normalize(self.project(torch.cat(pooled, dim=1).transpose(1, 2)), dim=2)
        flat = x.permute(0, 2, 3, 4, 1).flatten(2)
        heads = [
            functional.relu(self.colour_head(_neighbours(_histograms(frames)))),
            functional.relu(self.feature_head(_neighbours(features))),
        ]
        hidden = functional.relu(self.hidden(torch.cat([*heads, flat], dim=2)))
        logits: Tensor = self.answer(hidden)
        return logits[..., 0]


def _neighbours(features: Tensor) -> Tensor:
    """Return [N, T, 101]: each frame's similarity with its neighbours, from 50 before to 50 after, 0 outside."""
    similar = functional.pad(features @ features.transpose(1, 2), (_REACH, _REACH))
    times = torch.arange(features.shape[1])[:, None]
    return similar[:, times, times + torch.arange(2 * _REACH + 1)]


def _histograms(frames: Tensor) -> Tensor:
    """Return unit colour histograms [N, T, 512], red the most significant."""
    bins = ((frames.long() >> 5) @ torch.tensor([64, 8, 1])).flatten(2)
    # Counted in place: a one-hot tensor of a window takes half a gigabyte.
    counts = torch.zeros(*bins.shape[:2], 512).scatter_add_(2, bins, torch.ones(1).expand(bins.shape))
    return functional.normalize(counts, dim=2)


def _ours(key: str) -> str:
    """Translate a key of the weights file into ours."""
    for theirs, ours in (
        ("SDDCNN.", "cells."),
        ("DDCNN.0.", "first."),
        ("DDCNN.1.", "second."),
        (".bn.", ".norm."),
        (".layers.", "."),
        ("Conv3D_1", "branches.0"),
        ("Conv3D_2", "branches.1"),
        ("Conv3D_4", "branches.2"),
        ("Conv3D_8", "branches.3"),
        ("frame_sim_layer.projection", "project"),
        ("frame_sim_layer.fc", "feature_head"),
        ("color_hist_layer.fc", "colour_head"),
        ("fc1", "hidden"),
        ("cls_layer1", "answer"),
    ):
        key = key.replace(theirs, ours)
    return key
