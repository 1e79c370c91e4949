"""What belongs together: masks from points, by SAM 2 through transformers.

Ravi et al., "SAM 2: Segment Anything in Images and Videos", 2024; the image model alone, frame by frame. Its picture
processor needs torchvision, so the preparation is ours, and it is short: the picture stretched to the square that the
network was built for (1,024 px), the ImageNet mean and deviation, points stretched with it. Of the three masks that
it offers for a prompt the one it trusts most is kept, brought back to the picture's size, and cut at a logit of 0.
Pictures go through in batches of 4.

Measured: the mask of the point in the middle, where most footage has its subject; its predicted overlap with the
truth is the confidence. `segment` takes any points. `control` draws the mask of the middle, in each frame anew;
`mask_from_click` and `control_from_click` are those of the control `mask`. Nothing is stated: a mask has no name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataset.schema import Column
from experts._click import carried
from experts._torch import inference
from experts.base import ClipView, Control, ModelRef, Needs, Resources, Rgb, Statement
from experts.standard._batches import by_clip, in_batches
from experts.standard._load import folder_of, pretrained
from experts.standard._pixels import PictureSpec, normalised
from experts.standard._place import place_of

__all__ = ["CENTRE", "Segmentation"]

_BATCH: Final = 4
_MEAN: Final = (0.485, 0.456, 0.406)
_STD: Final = (0.229, 0.224, 0.225)

Point = tuple[float, float]
"""x and y, as shares of the picture's width and height."""

CENTRE: Final[Point] = (0.5, 0.5)
_Mask = npt.NDArray[np.bool_]


class Segmentation:
    """Masks from points."""

    name: ClassVar[str] = "segmentation"
    version: ClassVar[str] = "1"
    needs: ClassVar[Needs] = "keyframes"
    roles: ClassVar[tuple[str, ...]] = ("segmentation",)
    resources: ClassVar[Resources] = Resources(cpus=1.0, gpus=0.2, memory_mb=2500)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("centre_mask_fraction", pa.float32(), "share of the picture of what is in its middle, mean"),
        Column("centre_mask_confidence", pa.float32(), "the mask's predicted overlap with the truth, 0 to 1, mean"),
        Column("centre_mask_stability", pa.float32(), "overlap of one keyframe's mask with the next; null for one"),
    )
    model: ModelRef | None

    def __init__(
        self, profile: str = "standard", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        self._place = place_of(self.name, threads)
        found = folder_of("segmentation", profile, override)
        self._network = pretrained("Sam2Model", "segmentation", found, self._place)
        size = self._network.config.prompt_encoder_config.image_size
        self._spec = PictureSpec(int(size if isinstance(size, int) else size[0]), _MEAN, _STD)
        self.model = found.ref

    def segment(
        self, frames: Sequence[Rgb], points: Sequence[Point], background: Sequence[Point] = ()
    ) -> list[tuple[_Mask, float]]:
        """Return, for each picture, the mask [H, W] of what the points lie on, and its confidence, 0 to 1.

        `background` are points that do not belong to it. ValueError without a point.
        """
        if not points:
            raise ValueError("a mask needs at least one point")
        return in_batches(list(frames), _BATCH, lambda batch: self._look(batch, points, background))

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the columns of each clip."""
        found = self.segment([frame for view in views for frame in view.frames], [CENTRE])
        return [_columns(masks) for masks in by_clip(views, found)]

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State nothing."""
        return []

    def control(self, view: ClipView) -> Control:
        """Return the mask of what is in the middle of each frame: uint8 [F, H, W], 0 or 255."""
        return _control([_drawn(mask) for mask, _ in self.segment(view.frames, [CENTRE])])

    def mask_from_click(self, frame: Rgb, point: Point) -> npt.NDArray[np.uint8]:
        """Return the mask of what lies at `point`: uint8 [H, W], 0 or 255. ValueError for a point outside."""
        if not (0 <= point[0] < 1 and 0 <= point[1] < 1):
            raise ValueError(f"point {point} lies outside the picture: x and y are shares of it, from 0 to 1")
        return _drawn(self.segment([frame], [point])[0][0])

    def control_from_click(self, view: ClipView, point: Point, frame: int = 0) -> Control:
        """Return the mask of what lies at `point` of the view's frame number `frame`, in every frame of the view.

        The network cuts it out once; it is carried along as the control `mask` carries its own. Raises ValueError for
        a point outside the picture, IndexError for a frame that the view has not.
        """
        frames = list(view.frames)
        if not 0 <= frame < len(frames):
            raise IndexError(f"frame {frame} of a view of {len(frames)}")
        mask = self.mask_from_click(frames[frame], point)
        backwards = list(carried(mask, frames[frame::-1]))
        return _control([*backwards[:0:-1], *carried(mask, frames[frame:])])

    def _look(
        self, frames: list[Rgb], points: Sequence[Point], background: Sequence[Point]
    ) -> list[tuple[_Mask, float]]:
        import torch

        side = self._spec.side
        at = torch.tensor([[list(point) for point in (*points, *background)]]) * side
        labels = torch.tensor([[1] * len(points) + [0] * len(background)])
        with inference(self._place.threads):
            out = self._network(
                pixel_values=self._place.put(normalised(frames, self._spec, side, side)),
                input_points=at.expand(len(frames), 1, -1, 2).to(self._place.device),  # bfloat16 would be 4 px off
                input_labels=self._place.put(labels.expand(len(frames), 1, -1)),
            )
            trust, masks = out.iou_scores[:, 0].float(), out.pred_masks[:, 0].float()
            found = []
            for frame, scores, logits in zip(frames, trust, masks, strict=True):
                best = int(scores.argmax())
                full = torch.nn.functional.interpolate(
                    logits[None, best : best + 1], size=frame.shape[:2], mode="bilinear", align_corners=False
                )
                found.append(((full[0, 0] > 0).cpu().numpy(), float(scores[best].clamp(0, 1))))
        return found


def _columns(found: Sequence[tuple[_Mask, float]]) -> dict[str, Any]:
    masks = [mask for mask, _ in found]
    overlaps = [_overlap(a, b) for a, b in pairwise(masks) if a.shape == b.shape]
    return {
        "centre_mask_fraction": float(np.mean([mask.mean() for mask in masks])),
        "centre_mask_confidence": float(np.mean([confidence for _, confidence in found])),
        "centre_mask_stability": float(np.mean(overlaps)) if overlaps else None,
    }


def _drawn(mask: _Mask) -> npt.NDArray[np.uint8]:
    return np.where(mask, 255, 0).astype(np.uint8)


def _control(masks: list[npt.NDArray[np.uint8]]) -> Control:
    return Control("mask", np.stack(masks) if masks else np.zeros((0, 0, 0), np.uint8), 0, 255)


def _overlap(a: _Mask, b: _Mask) -> float:
    """Return intersection over union; 1 for two empty masks."""
    union = (a | b).sum()
    return float((a & b).sum() / union) if union else 1.0
