"""What a shot detector is: it is fed every frame of the one pass, and gives cuts as soon as it is sure of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from curation.planes import View

__all__ = ["Cut", "CutKind", "Detector", "detect"]

CutKind = Literal["hard", "dissolve", "fade", "wipe"]


@dataclass(frozen=True, slots=True)
class Cut:
    """A shot boundary.

    The shot before ends at `frame` (half-open) and the next begins at `end_frame`: equal for a hard cut, and for
    a gradual one the frames between belong to no shot. `score` is the detector's confidence, 0 to 1. `stitched` says
    that both sides show the same, so that the shot was taken to go on.
    """

    frame: int
    end_frame: int
    time_s: float
    kind: CutKind
    score: float
    detector: str
    stitched: bool = False

    def row(self) -> dict[str, Any]:
        """Return the cut as an element of the column `videos.cuts`."""
        return asdict(self)


@runtime_checkable
class Detector(Protocol):
    """The protocol. A detector is used for one video and thrown away; its memory does not grow with the video."""

    name: ClassVar[str]

    @property
    def settled(self) -> int:
        """Return a frame number: every cut whose `frame` is below it has been given, or never will be."""
        ...

    def feed(self, view: View) -> list[Cut]:
        """Take the next frame, in order; return the cuts that have become certain, in order."""
        ...

    def finish(self) -> list[Cut]:
        """Take the end of the video; return the remaining cuts."""
        ...


def detect(detector: Detector, views: Iterable[View]) -> list[Cut]:
    """Run `detector` over a whole video and return its cuts in order."""
    cuts: list[Cut] = []
    for view in views:
        cuts += detector.feed(view)
    return cuts + detector.finish()
