"""How everything moves: optical flow by RAFT, as torchvision has it, its weights from a local file.

Teed and Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", ECCV 2020; 12 updates. The file is what
torchvision's `raft_large` or `raft_small` loads (`raft_large_C_T_SKHT_V2-ff5fadd5.pth`, say); which of them, its own
names tell. Pictures are brought to -1 to 1 and padded at the right and at the bottom, by their own edges, to a
multiple of 8 and to at least 128 px.

Measured: two pairs of neighbouring frames a second, at a height of at most 360 px, in batches of 8 pairs of one clip;
speeds are in pixels a second at a height of 360 px, as the pass gives its own. Null where the frames cannot be had.
VBench's dynamic degree (a clip moves if the mean of the top 5% of the flow is over 6 px at 256) can be asked of the
column of the top 5%. `control` gives the flow from each frame of the view to the next. Nothing is stated: the expert
of motion speaks of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataset.schema import Column
from experts import weights
from experts._torch import inference
from experts.base import ClipView, Control, ModelRef, Needs, Resources, Rgb, Statement
from experts.flow import draw
from experts.frames import pairs_of
from experts.standard._batches import in_batches
from experts.standard._load import load_tensors, reading
from experts.standard._place import place_of
from experts.torchvision import ready

__all__ = ["Raft"]

_BATCH: Final = 8
_UPDATES: Final = 12
_PAIRS_PER_S: Final = 2.0
_HEIGHT: Final = 360
_LEAST: Final = 128
_TOP: Final = 0.05
_Floats = npt.NDArray[np.float32]
_Pair = tuple[Rgb, Rgb]


class Raft:
    """The flow."""

    name: ClassVar[str] = "raft"
    version: ClassVar[str] = "1"
    needs: ClassVar[Needs] = "frames"
    roles: ClassVar[tuple[str, ...]] = ("raft",)
    resources: ClassVar[Resources] = Resources(cpus=1.0, gpus=0.1, memory_mb=2000)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("raft_mean_px_per_s", pa.float32(), "mean length of the flow, at a height of 360 px"),
        Column("raft_top5_px_per_s", pa.float32(), "mean of the fastest 5% of the pixels, mean over the pairs"),
        Column("raft_pairs", pa.int32(), "pairs of frames that were looked at"),
    )
    model: ModelRef | None

    def __init__(
        self, profile: str = "standard", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        self._place = place_of(self.name, threads)
        found = weights.resolve("raft", profile, override)
        tensors = load_tensors("raft", found.path)
        with reading("raft", found.path, "weights of torchvision's raft_large or raft_small"):
            ready()
            from torchvision.models.optical_flow import raft_large, raft_small

            large = any(name.startswith("mask_predictor") for name in tensors)
            self._network = (raft_large if large else raft_small)(weights=None)
            self._network.load_state_dict(tensors)
        # Its own loop and correlation volume lose too much in bfloat16: flow is measured in float32 everywhere.
        self._network.to(self._place.device).eval()
        self.model = found.ref

    def flow(self, pairs: Sequence[_Pair]) -> list[_Floats]:
        """Return, for each pair, [H, W, 2]: how far each pixel moves to the right and down, in pixels."""
        return in_batches(list(pairs), _BATCH, self._look, alike=lambda pair: pair[0].shape)

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the columns of each clip."""
        return [_columns(self._speeds(view)) for view in views]

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State nothing."""
        return []

    def control(self, view: ClipView) -> Control:
        """Return the flow of each frame to the next: float32 [F, H, W, 2], pixels; the last frame's is zero.

        Values lie within the frame's longer side, either way; the picture of it is that of the control `flow`.
        """
        if not view.frames:
            return Control("flow", np.zeros((0, 0, 0, 2), np.float32), -1, 1, np.zeros((0, 0, 0, 3), np.uint8))
        height, width = view.frames[0].shape[:2]
        longest = float(max(height, width))
        maps = np.zeros((len(view.frames), height, width, 2), np.float32)
        for to, found in zip(maps, self.flow(list(pairwise(view.frames))), strict=False):
            to[:] = found.clip(-longest, longest)
        return Control("flow", maps, -longest, longest, np.stack([draw(vectors) for vectors in maps]))

    def _speeds(self, view: ClipView) -> list[tuple[float, float]]:
        """Return mean speed and speed of the fastest of each pair, a batch of pictures in memory at a time."""
        speeds = []
        pairs = (pair for pair in pairs_of(view, _PAIRS_PER_S, _HEIGHT) if pair[2] > 0)
        while batch := list(islice(pairs, _BATCH)):
            flows = self.flow([(first, second) for first, second, _ in batch])
            for flow, (_, _, apart) in zip(flows, batch, strict=True):
                speed = np.linalg.norm(flow, axis=2) / apart * (_HEIGHT / flow.shape[0])
                speeds.append((float(speed.mean()), _fastest(speed)))
        return speeds

    def _look(self, pairs: list[_Pair]) -> list[_Floats]:
        import torch

        height, width = pairs[0][0].shape[:2]
        down, right = (max(_LEAST, -(-side // 8) * 8) - side for side in (height, width))
        padding = ((0, 0), (0, down), (0, right), (0, 0))
        first, second = (
            torch.from_numpy(np.pad(np.stack([pair[at] for pair in pairs]), padding, mode="edge"))
            .permute(0, 3, 1, 2)
            .to(self._place.device, torch.float32)
            .div(127.5)
            .sub(1.0)
            .contiguous()
            for at in (0, 1)
        )
        with inference(self._place.threads):
            flow = self._network(first, second, num_flow_updates=_UPDATES)[-1]
            return list(flow[:, :, :height, :width].permute(0, 2, 3, 1).float().cpu().numpy())


def _columns(speeds: Sequence[tuple[float, float]]) -> dict[str, Any]:
    if not speeds:
        return {"raft_mean_px_per_s": None, "raft_top5_px_per_s": None, "raft_pairs": 0}
    return {
        "raft_mean_px_per_s": float(np.mean([mean for mean, _ in speeds])),
        "raft_top5_px_per_s": float(np.mean([fastest for _, fastest in speeds])),
        "raft_pairs": len(speeds),
    }


def _fastest(speed: _Floats) -> float:
    count = max(1, round(speed.size * _TOP))
    return float(np.partition(speed, speed.size - count, axis=None)[-count:].mean())
