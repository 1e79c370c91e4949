"""Split, measure, select: from a source's bytes to rows that say what every clip is like.

Importing this package is cheap: each name brings its module when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curation.config import CurateConfig, PseudoConfig
    from curation.cutting import clip_frames, encode_clip, encode_clips
    from curation.detectors import Cut
    from curation.ingestion import Ingested, detect_shots, ingest
    from curation.measure import Meter, measure_frames
    from curation.spreading import plan_spans, scan

__all__ = [
    "CurateConfig",
    "Cut",
    "Ingested",
    "Meter",
    "PseudoConfig",
    "clip_frames",
    "detect_shots",
    "encode_clip",
    "encode_clips",
    "ingest",
    "measure_frames",
    "plan_spans",
    "scan",
]

_HOMES = {
    "config": ("CurateConfig", "PseudoConfig"),
    "cutting": ("clip_frames", "encode_clip", "encode_clips"),
    "detectors": ("Cut",),
    "ingestion": ("Ingested", "detect_shots", "ingest"),
    "measure": ("Meter", "measure_frames"),
    "spreading": ("plan_spans", "scan"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'curation' has no attribute {name!r}")
    return getattr(import_module(f"curation.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
