"""Shot detectors, one a file, behind one protocol that consumes the single pass."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Final

from curation.detectors.base import Cut, CutKind, Detector, detect
from curation.detectors.peers import PEERS, Peer
from media.errors import UserError

__all__ = ["NAMES", "Cut", "CutKind", "Detector", "detect", "make"]


def _content() -> Detector:
    from curation.detectors.content import Content

    return Content()


def _adaptive() -> Detector:
    from curation.detectors.adaptive import Adaptive

    return Adaptive()


def _histogram() -> Detector:
    from curation.detectors.histogram import Histogram

    return Histogram()


def _threshold() -> Detector:
    from curation.detectors.fades import Fades

    return Fades()


def _gradual() -> Detector:
    from curation.detectors.gradual import Gradual

    return Gradual()


def _transnet() -> Detector:
    from curation.detectors.transnet import TransNet

    return TransNet()


def _cascade() -> Detector:
    from curation.detectors.cascade import Cascade

    return Cascade()


_MAKERS: Final[dict[str, Callable[[], Detector]]] = {
    "adaptive": _adaptive,
    "cascade": _cascade,
    "content": _content,
    "gradual": _gradual,
    "histogram": _histogram,
    "threshold": _threshold,
    "transnet": _transnet,
}
NAMES: Final[tuple[str, ...]] = (*_MAKERS, *(f"scenedetect:{kind}" for kind in PEERS))
"""Every detector that can be asked for by name."""


def make(name: str) -> Detector:
    """Return a new detector of that name, for one video.

    Raises `UserError` for an unknown name and `MissingModelError` where the detector's weights are not there.
    """
    maker = _MAKERS.get(name)
    if maker is None and name in NAMES:
        return Peer(name.partition(":")[2])
    if maker is None:
        near = get_close_matches(name, NAMES, n=1, cutoff=0.4)
        hint = f": did you mean {near[0]!r}?" if near else f": one of {', '.join(NAMES)}"
        raise UserError(f"no shot detector is called {name!r}{hint}")
    return maker()
