"""Pixels and bytes: probe, decode, cut, encode, stills. The only room that knows libav and decord.

Importing this package is cheap: each name brings its module when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from media.errors import MediaError

if TYPE_CHECKING:
    from media.cutting import Crop, cut, cut_many
    from media.decoding import BACKENDS, Backend, decode, decode_bytes
    from media.encoding import PRESETS, CutMode, Encoded, Preset, encode
    from media.files import content_id, is_image, local_copy
    from media.frames import ArrayFrame, Frame, Matrix, Plane, Rgb, shrink_area
    from media.guard import Guard
    from media.indexing import FrameIndex, frame_index
    from media.probing import Probe, probe
    from media.remuxing import CopyCheck
    from media.spans import SkimError, read_span, skim
    from media.stills import decode_jpeg, jpeg, load_still, resize

__all__ = [
    "BACKENDS",
    "PRESETS",
    "ArrayFrame",
    "Backend",
    "CopyCheck",
    "Crop",
    "CutMode",
    "Encoded",
    "Frame",
    "FrameIndex",
    "Guard",
    "Matrix",
    "MediaError",
    "Plane",
    "Preset",
    "Probe",
    "Rgb",
    "SkimError",
    "content_id",
    "cut",
    "cut_many",
    "decode",
    "decode_bytes",
    "decode_jpeg",
    "encode",
    "frame_index",
    "is_image",
    "jpeg",
    "load_still",
    "local_copy",
    "probe",
    "read_span",
    "resize",
    "shrink_area",
    "skim",
]

_HOMES = {
    "cutting": ("Crop", "cut", "cut_many"),
    "decoding": ("BACKENDS", "Backend", "decode", "decode_bytes"),
    "encoding": ("PRESETS", "CutMode", "Encoded", "Preset", "encode"),
    "files": ("content_id", "is_image", "local_copy"),
    "frames": ("ArrayFrame", "Frame", "Matrix", "Plane", "Rgb", "shrink_area"),
    "guard": ("Guard",),
    "indexing": ("FrameIndex", "frame_index"),
    "probing": ("Probe", "probe"),
    "remuxing": ("CopyCheck",),
    "spans": ("SkimError", "read_span", "skim"),
    "stills": ("decode_jpeg", "jpeg", "load_still", "resize"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'media' has no attribute {name!r}")
    value = getattr(import_module(f"media.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
