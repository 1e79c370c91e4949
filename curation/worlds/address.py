"""A synthetic clip's address, which is the whole of it: the world, the seed, and how it is rendered.

    world://shapes/17?fps=8&frames=16&size=64x64&camera=true

The same address gives the same pictures on every machine, so a row needs no other source.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import numpy as np
import numpy.typing as npt

import media
from curation.worlds import world_named
from media import Encoded, MediaError, Preset
from media.errors import UserError

__all__ = ["SCHEME", "Address", "encode_world", "parse_address"]

SCHEME: Final = "world://"
_OWN: Final = ("fps", "frames", "size")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a synthetic clip is: `size` is (height, width), `options` are those of the world's `draw`."""

    world: str
    seed: int
    frames: int = 16
    fps: float = 8.0
    size: tuple[int, int] = (64, 64)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        """The address as text; the order in which options were given does not matter."""
        fps = f"{self.fps:g}" if float(f"{self.fps:g}") == self.fps else repr(self.fps)
        query = {"fps": fps, "frames": str(self.frames), "size": f"{self.size[0]}x{self.size[1]}"}
        query |= {name: json.dumps(value, separators=(",", ":")) for name, value in sorted(self.options.items())}
        return f"{SCHEME}{self.world}/{self.seed}?{urlencode(query, quote_via=quote, safe=',:[]')}"

    @property
    def video_id(self) -> str:
        """128-bit BLAKE2b of the address, hex: it stands for the bytes that other sources have."""
        return blake2b(self.uri.encode(), digest_size=16).hexdigest()

    @property
    def clip_id(self) -> str:
        """The id of the clip, which is the whole of it."""
        return f"{self.video_id}:0-{self.frames}"

    def draw(self) -> Any:
        """Return the scene. Raises UserError for a world or an option that is not there."""
        try:
            return world_named(self.world).draw(self.seed, frames=self.frames, fps=self.fps, **self.options)
        except TypeError as error:
            raise UserError(f"{self.uri}: {error}") from error

    def pictures(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the pictures, (height, width, 3), lazily."""
        return world_named(self.world).render(self.draw(), self.size)


def parse_address(uri: str) -> Address:
    """Return the address that a text says. Raises UserError for one that is none."""
    split = urlsplit(uri)
    query = dict(parse_qsl(split.query, strict_parsing=True)) if split.query else {}
    try:
        if not uri.startswith(SCHEME):
            raise ValueError("it does not begin with world://")
        height, _, width = query.get("size", "64x64").partition("x")
        options = {name: json.loads(value) for name, value in query.items() if name not in _OWN}
        size = int(height), int(width)
        length = int(query.get("frames", 16)), float(query.get("fps", 8))
        return Address(split.netloc, int(split.path.strip("/")), *length, size, options)
    except ValueError as error:
        raise UserError(f"{uri}: not the address of a synthetic clip: {error}") from error


def encode_world(
    row: Mapping[str, Any],
    *,
    max_height: int | None = None,
    crf: float = 18,
    preset: Preset = "veryfast",
    gop: int | None = None,
) -> Encoded | MediaError:
    """Render and encode the synthetic clip of a row of `clips`, verified; see `media.encode`.

    `max_height` scales larger pictures down. Returns what stands in the way, where something does.
    """
    frames = parse_address(row["uri"]).pictures()
    if max_height is not None and row["height_px"] > max_height:
        frames = (media.resize(picture, height=max_height) for picture in frames)
    try:
        return media.encode(frames, fps=row["fps"], crf=crf, preset=preset, gop=gop, verify=True)
    except MediaError as error:
        return error
