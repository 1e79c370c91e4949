"""How near things are: relative depth by Depth Anything, through transformers.

Yang et al., "Depth Anything V2", 2024. The network gives inverse depth up to scale and shift, so only what does not
change with them is measured: a frame's map is brought to 0 (the farthest hundredth) to 1 (the nearest) and is called
nearness. A checkpoint trained for metric depth gives metres instead, and is turned around (1 / metres). Pictures are
prepared as the checkpoint says, and share batches of at most 8 with others of their shape.

`control` gives a map a frame, brought to 0 to 1 over all frames together, so that it does not flicker.
Nothing is stated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataset.schema import Column
from experts._torch import inference
from experts.base import ClipView, Control, ModelRef, Needs, Resources, Rgb, Statement
from experts.standard._batches import by_clip, in_batches
from experts.standard._load import folder_of, image_processor, pretrained
from experts.standard._place import place_of

__all__ = ["Depth"]

_BATCH: Final = 8
_NEAR: Final = 2 / 3
_Floats = npt.NDArray[np.float32]


class Depth:
    """Nearness, measured and as a control."""

    name: ClassVar[str] = "depth"
    version: ClassVar[str] = "1"
    needs: ClassVar[Needs] = "keyframes"
    roles: ClassVar[tuple[str, ...]] = ("depth",)
    resources: ClassVar[Resources] = Resources(cpus=1.0, gpus=0.1, memory_mb=2000)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("nearness_mean", pa.float32(), "mean nearness, 0 far to 1 near, over pixels and keyframes"),
        Column("nearness_spread", pa.float32(), "standard deviation of nearness: low for a flat scene or a wall"),
        Column("near_area_fraction", pa.float32(), "share of the picture nearer than two thirds of the range"),
        Column("centre_nearness", pa.float32(), "nearness of the middle ninth less that of the rest, -1 to 1"),
    )
    model: ModelRef | None

    def __init__(
        self, profile: str = "standard", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        self._place = place_of(self.name, threads)
        found = folder_of("depth", profile, override)
        self._network = pretrained("AutoModelForDepthEstimation", "depth", found, self._place)
        self._pictures = image_processor("depth", found)
        self._metric = getattr(self._network.config, "depth_estimation_type", "relative") == "metric"
        self.model = found.ref

    def inverse_depth(self, frames: Sequence[Rgb]) -> list[_Floats]:
        """Return, for each picture, [H, W] of its own size: larger is nearer, up to scale and shift."""
        pictures = [np.ascontiguousarray(frame) for frame in frames]
        return in_batches(pictures, _BATCH, self._look, alike=lambda frame: frame.shape)

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the columns of each clip."""
        found = self.inverse_depth([frame for view in views for frame in view.frames])
        return [_columns([_scaled(one, one) for one in maps]) for maps in by_clip(views, found)]

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State nothing."""
        return []

    def control(self, view: ClipView) -> Control:
        """Return nearness for each frame: float32 [F, H, W], 0 to 1 over the clip."""
        if not view.frames:
            return Control("depth", np.zeros((0, 0, 0), np.float32), 0.0, 1.0)
        maps = np.stack(self.inverse_depth(view.frames))
        return Control("depth", _scaled(maps, maps), 0.0, 1.0)

    def _look(self, frames: list[Rgb]) -> list[_Floats]:
        import torch

        pixels = self._pictures(images=frames)["pixel_values"]
        with inference(self._place.threads):
            depth = self._network(pixel_values=self._place.put(pixels)).predicted_depth.float()
            if self._metric:
                depth = 1.0 / depth.clamp_min(1e-3)
            size = frames[0].shape[:2]
            full = torch.nn.functional.interpolate(depth[:, None], size=size, mode="bilinear", align_corners=False)
            return list(full[:, 0].cpu().numpy())


def _scaled(maps: _Floats, over: _Floats) -> _Floats:
    """Bring maps to 0 to 1, between the first and the last hundredth of `over`; 0 where all is equally far."""
    low, high = np.percentile(over, (1, 99))
    if high - low <= 1e-6 * abs(high):
        return np.zeros_like(maps)
    scaled: _Floats = ((maps - low) / (high - low)).clip(0.0, 1.0).astype(np.float32)
    return scaled


def _columns(maps: Sequence[_Floats]) -> dict[str, Any]:
    return {
        "nearness_mean": float(np.mean([one.mean() for one in maps])),
        "nearness_spread": float(np.mean([one.std() for one in maps])),
        "near_area_fraction": float(np.mean([(one > _NEAR).mean() for one in maps])),
        "centre_nearness": float(np.mean([_centre(one) for one in maps])),
    }


def _centre(one: _Floats) -> float:
    """Return the mean of the middle ninth less the mean of what lies around it."""
    height, width = one.shape
    inside = np.zeros(one.shape, np.bool_)
    inside[height // 3 : height - height // 3, width // 3 : width - width // 3] = True
    return float(one[inside].mean() - one[~inside].mean()) if inside.any() and not inside.all() else 0.0
