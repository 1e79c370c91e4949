"""The video backbone: a clip's frames to features, for the embedding and for the quality head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from experts._torch import inference
from experts.base import ClipView, Rgb
from experts.frames import evenly
from experts.standard._batches import in_batches
from experts.standard._load import folder_of, image_processor, model_type, pretrained
from experts.standard._place import Place

__all__ = ["Backbone"]

_BATCH: Final = 4
_HEIGHT: Final = 360
_KINDS: Final = {"videomae": "VideoMAEModel", "xclip": "XCLIPModel"}
_Floats = npt.NDArray[np.float32]


class Backbone:
    """VideoMAE or X-CLIP."""

    def __init__(self, role: str, profile: str, override: Mapping[str, str | Path] | None, place: Place) -> None:
        found = folder_of(role, profile, override)
        kind = model_type(role, found, "a video model of transformers", _KINDS)
        self._network = pretrained(_KINDS[kind], role, found, place)
        self._pictures = image_processor(role, found)
        self._xclip, self._place, self.model = kind == "xclip", place, found.ref
        config = self._network.config.vision_config if self._xclip else self._network.config
        self.frames = int(config.num_frames)
        self.dim = int(self._network.config.projection_dim if self._xclip else config.hidden_size)

    def tokens(self, views: Sequence[ClipView]) -> list[_Floats | None]:
        """Return [tokens, dim] of each clip (X-CLIP: one token); None where its frames cannot be had."""
        clips = [evenly(view, self.frames, _HEIGHT) for view in views]
        there = iter(in_batches([clip for clip in clips if clip is not None], _BATCH, self._look))
        return [None if clip is None else next(there) for clip in clips]

    def _look(self, clips: list[list[Rgb]]) -> list[_Floats]:
        videos = [[np.ascontiguousarray(frame) for frame in clip] for clip in clips]
        pixels: Any = self._place.put(self._pictures(videos)["pixel_values"])
        with inference(self._place.threads):
            if self._xclip:
                out = self._network.get_video_features(pixel_values=pixels).pooler_output[:, None]
            else:
                out = self._network(pixel_values=pixels).last_hidden_state
            return list(out.float().cpu().numpy())
