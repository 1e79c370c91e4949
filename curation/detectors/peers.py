"""`scenedetect:*`: the detectors of PySceneDetect (Castellano) behind our protocol, with their own defaults.

They are peers to compare with. They see the small planes as BGR, about as large as PySceneDetect's own downscaling
leaves a frame, and report every boundary as a hard cut: that is all they tell.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

import cv2

from curation.detectors.base import Cut
from curation.planes import View, yuv_to_rgb

__all__ = ["PEERS", "Peer"]

PEERS: Final[dict[str, str]] = {
    "adaptive": "AdaptiveDetector",
    "content": "ContentDetector",
    "hash": "HashDetector",
    "histogram": "HistogramDetector",
    "threshold": "ThresholdDetector",
}
"""PySceneDetect's classes by the names they are asked for, without the prefix."""

_RATE: Final = 25.0
"""PySceneDetect's time codes need a rate; only their frame numbers are read back."""
_LATE_FRAMES: Final = 64


class Peer:
    """One detector of PySceneDetect. A fade of its threshold detector may be reported as late as it lasts."""

    name: ClassVar[str] = "scenedetect"

    def __init__(self, kind: str) -> None:
        import scenedetect.detectors

        self._kind = kind
        self._detector: Any = getattr(scenedetect.detectors, PEERS[kind])()
        self._times: dict[int, float] = {}
        self._late = kind == "threshold"
        self._next = 0
        self._over = False

    @property
    def settled(self) -> int:
        """Frames long enough ago; with the threshold detector, none before the end."""
        if self._over:
            return self._next
        return 0 if self._late else max(0, self._next - _LATE_FRAMES)

    def feed(self, view: View) -> list[Cut]:
        """Hand the frame over."""
        self._times[view.index] = view.time_s
        if not self._late:
            self._times.pop(view.index - 2 * _LATE_FRAMES, None)
        self._next = view.index + 1
        picture = cv2.cvtColor(yuv_to_rgb(view.y, view.u, view.v, bt709=view.bt709), cv2.COLOR_RGB2BGR)
        return self._cuts(self._detector.process_frame(self._code(view.index), picture))

    def finish(self) -> list[Cut]:
        """Ask for what the detector held back."""
        if not self._next:
            return []
        self._over = True
        return self._cuts(self._detector.post_process(self._code(self._next - 1)))

    def _code(self, index: int) -> Any:
        from scenedetect import FrameTimecode

        return FrameTimecode(index, fps=_RATE)

    def _cuts(self, codes: list[Any]) -> list[Cut]:
        numbers = [int(code.frame_num) for code in codes]
        name = f"{self.name}:{self._kind}"
        return [Cut(n, n, self._times[n], "hard", 1.0, name) for n in numbers if n in self._times]
