"""Shot boundaries by TransNetV2: for the detectors of curation, and to find a cut that they missed inside a clip.

`TransNet.probabilities` is the network over a whole video, in windows of 100 frames every 50, of which the middle 50
are kept. The expert reads the clip again at 48 x 27 pixels (its file is opened once more; a generated video, whose
frames are all in the view, is taken from there) and reports the most probable boundary inside. A clip made from a
still has none to find. From 0.5 a frame is a boundary, as its authors set it: then it is stated that the picture cuts
to another shot, with that probability, over the two frames on either side. The grade is 1 minus the probability.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataset.schema import Column
from experts import weights
from experts._torch import default_threads, inference
from experts.base import ClipView, ModelRef, Needs, Resources, Rgb, Statement

__all__ = ["Shots", "TransNet", "small"]

_WINDOW: Final = 100
_STEP: Final = 50
_MARGIN: Final = 25
_BOUNDARY: Final = 0.5
_EDGE: Final = 2  # frames at either end of a clip where its own boundary may still be felt


class TransNet:
    """The network with its weights."""

    def __init__(
        self, profile: str = "embedded", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        from experts._transnet import TransNetV2

        found = weights.resolve("shots", profile, override)
        self.model = found.ref
        self._network = TransNetV2.from_file(found.path)
        self._threads = threads or default_threads()

    def window(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return [N] as `probabilities`, from one pass over just these frames: for a short look at one doubtful place.

        A window of 25 frames costs a quarter of one of 100. Its outermost frames lack context: ask about the middle.
        """
        import torch

        if frames.ndim != 4 or frames.shape[1:] != (27, 48, 3) or frames.dtype != np.uint8:
            raise ValueError(f"expected uint8 [N, 27, 48, 3], got {frames.dtype} {list(frames.shape)}")
        if len(frames) == 0:
            return np.zeros(0, np.float32)
        with inference(self._threads):
            likely: npt.NDArray[np.float32] = self._network(torch.from_numpy(frames)[None])[0].sigmoid().numpy()
        return likely

    def probabilities(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return [N]: how probably each frame is the last before a boundary. `frames` is uint8 [N, 27, 48, 3] RGB."""
        import torch

        if frames.ndim != 4 or frames.shape[1:] != (27, 48, 3) or frames.dtype != np.uint8:
            raise ValueError(f"expected uint8 [N, 27, 48, 3], got {frames.dtype} {list(frames.shape)}")
        count = len(frames)
        if count == 0:
            return np.zeros(0, np.float32)
        after = _MARGIN + (-count) % _STEP
        padded = np.concatenate([frames[:1].repeat(_MARGIN, 0), frames, frames[-1:].repeat(after, 0)])
        kept = []
        with inference(self._threads):
            for start in range(0, len(padded) - _WINDOW + 1, _STEP):
                window = torch.from_numpy(padded[start : start + _WINDOW])[None]
                kept.append(self._network(window)[0, _MARGIN : _MARGIN + _STEP].sigmoid().numpy())
        return np.concatenate(kept)[:count]


class Shots:
    """The boundary inside a clip."""

    name: ClassVar[str] = "shots"
    version: ClassVar[str] = "2"
    needs: ClassVar[Needs] = "frames"
    roles: ClassVar[tuple[str, ...]] = ("shots",)
    resources: ClassVar[Resources] = Resources(cpus=1.0, memory_mb=700)
    columns: ClassVar[tuple[Column, ...]] = (
        Column(
            "missed_cut_probability",
            pa.float32(),
            "highest probability of a shot boundary inside the clip; null "
            "when its frames cannot be read again, as of a still",
        ),
        Column("missed_cut_frame", pa.int32(), "the source frame that would begin the next shot there"),
        Column("frames_seen", pa.int32(), "frames that were looked at"),
    )
    model: ModelRef | None

    def __init__(
        self, profile: str = "embedded", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        self._transnet = TransNet(profile, override, threads)
        self.model = self._transnet.model

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the columns of each clip."""
        return [self._columns(view) for view in views]

    def _columns(self, view: ClipView) -> dict[str, Any]:
        frames = _frames(view)
        if frames is None or len(frames) == 0:
            return {"missed_cut_probability": None, "missed_cut_frame": None, "frames_seen": 0}
        if len(frames) <= 2 * _EDGE + 1:
            return {"missed_cut_probability": 0.0, "missed_cut_frame": None, "frames_seen": len(frames)}
        inside = self._transnet.probabilities(frames)[_EDGE : len(frames) - _EDGE - 1]
        at = int(inside.argmax())
        return {
            "missed_cut_probability": float(inside[at]),
            "missed_cut_frame": view.first_frame + _EDGE + at + 1,
            "frames_seen": len(frames),
        }

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State that the picture cuts, where a boundary was found."""
        probability, cut = values["missed_cut_probability"], values["missed_cut_frame"]
        if cut is None or probability < _BOUNDARY:
            return []
        said = round(float(probability), 3)
        return [Statement(self.name, "camera", "picture", "cuts", "to another shot", said, cut - 1, cut + 1)]

    def grade(self, view: ClipView, prompt: str | None = None) -> float | None:
        """Return 1 minus the probability of a cut inside; None when the frames are not there."""
        probability = self.measure([view])[0]["missed_cut_probability"]
        return None if probability is None else 1.0 - float(probability)


def small(frame: Rgb) -> npt.NDArray[np.uint8]:
    """Return a picture as the network wants it: uint8 [27, 48, 3], the aspect not kept."""
    import cv2

    resized: npt.NDArray[np.uint8] = cv2.resize(np.ascontiguousarray(frame), (48, 27), interpolation=cv2.INTER_AREA)
    return resized


def _frames(view: ClipView) -> npt.NDArray[np.uint8] | None:
    """Return all frames of the clip, small; None when only some of them can be had."""
    if len(view.indices) == view.end_frame - view.first_frame > 0:
        return _stack(view.frames)
    uri = view.row.get("uri")
    if uri is None or view.row.get("kind") != "clip":
        return None
    from media import local_copy, read_span

    with local_copy(uri) as path:
        return _stack(frame.rgb(108) for frame in read_span(path, view.first_frame, view.end_frame))


def _stack(frames: Iterable[Rgb]) -> npt.NDArray[np.uint8]:
    pictures = [small(frame) for frame in frames]
    return np.stack(pictures) if pictures else np.zeros((0, 27, 48, 3), np.uint8)
