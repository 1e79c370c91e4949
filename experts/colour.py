"""Which colours the picture has, by name and share; no model.

Every pixel of the keyframes, shrunk to 64 px, is given one of twelve names by hue, chroma and lightness in CIELAB:
black, white and grey by lightness where the chroma is small; else by hue angle, with brown for dark orange, pink
for light red and purple. The names are the basic colour terms of Berlin and Kay (1969) and teal.

Stated: a colour from a share of 12%; "is mostly" from 50%, "has much" from 25%, else "has some". Greys, black and
white are stated from 25%. The confidence is the share of keyframes in which the colour also passes, at most 0.95; it
is stated from 0.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataset.schema import Column
from experts.base import ClipView, ModelRef, Needs, Resources, Rgb, Statement

__all__ = ["COLOURS", "Colour", "colour_shares"]

COLOURS: Final = (
    "black",
    "white",
    "grey",
    "red",
    "orange",
    "brown",
    "yellow",
    "green",
    "teal",
    "blue",
    "purple",
    "pink",
)
"""The names, in the order of `colour_shares`."""

_NEUTRAL: Final = frozenset(("black", "white", "grey"))
_SAID: Final = 0.12
_SAID_NEUTRAL: Final = 0.25
_LEAST: Final = 0.5
# hue angle in CIELAB, degrees, from which each name holds; red goes on past 0
_HUES: Final = (
    (345.0, "pink"),
    (15.0, "red"),
    (48.0, "orange"),
    (80.0, "yellow"),
    (108.0, "green"),
    (168.0, "teal"),
    (222.0, "blue"),
    (308.0, "purple"),
)


class Colour:
    """Colours by name."""

    name: ClassVar[str] = "colour"
    version: ClassVar[str] = "2"
    needs: ClassVar[Needs] = "keyframes"
    roles: ClassVar[tuple[str, ...]] = ()
    resources: ClassVar[Resources] = Resources(cpus=0.5, memory_mb=150)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("colours", pa.list_(pa.string()), "colour names with at least 5% of the picture, largest first"),
        Column("colour_fractions", pa.list_(pa.float32()), "their shares of the picture, means over the keyframes"),
        Column("dominant_colour", pa.string(), "the largest"),
        Column("neutral_fraction", pa.float32(), "share of black, white and grey"),
        Column("colour_agreement", pa.list_(pa.float32()), "share of keyframes in which each of `colours` is stated"),
    )
    model: ModelRef | None = None

    def __init__(
        self, profile: str = "embedded", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        pass

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the columns of each clip."""
        return [_columns(np.stack([colour_shares(frame) for frame in view.frames])) for view in views]

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State the colours that are worth a word."""
        said = []
        triples = zip(values["colours"], values["colour_fractions"], values["colour_agreement"], strict=True)
        for name, share, agreement in triples:
            if share < _threshold(name) or agreement < _LEAST:
                continue
            predicate = "is mostly" if share >= 0.5 else "has much" if share >= 0.25 else "has some"
            said.append(
                Statement(
                    self.name,
                    "appearance",
                    "picture",
                    predicate,
                    name,
                    round(min(0.95, agreement), 3),
                    view.first_frame,
                    view.end_frame,
                )
            )
        return said


def colour_shares(frame: Rgb) -> npt.NDArray[np.float64]:
    """Return the share of each of COLOURS in a picture; they sum to 1."""
    import cv2

    scale = min(1.0, 64 / max(frame.shape[:2]))
    size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
    small = cv2.resize(np.ascontiguousarray(frame), size, interpolation=cv2.INTER_AREA)
    names = _names(cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3))
    counts = np.bincount(names, minlength=len(COLOURS))
    shares: npt.NDArray[np.float64] = counts / counts.sum()
    return shares


def _names(lab: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    lightness, chroma = lab[:, 0], np.hypot(lab[:, 1], lab[:, 2])
    hue = np.degrees(np.arctan2(lab[:, 2], lab[:, 1])) % 360
    names = np.full(len(lab), COLOURS.index("pink"))
    for start, name in _HUES[1:]:
        names[(hue >= start) & (hue < 345)] = COLOURS.index(name)

    def rename(where: npt.NDArray[np.bool_], name: str) -> None:
        names[where] = COLOURS.index(name)

    red = (hue >= 15) & (hue < 48)
    orange = (hue >= 48) & (hue < 80)
    rename((hue >= 345) & (lightness < 45), "purple")
    rename(((hue >= 345) | (hue < 15)) & (chroma > 45) & (lightness < 60), "red")
    rename(red & (lightness > 65) & (chroma < 50), "pink")
    rename(red & (lightness < 55) & (chroma < 38), "brown")
    rename(orange & ((lightness < 55) | (chroma < 32)), "brown")
    rename((hue >= 80) & (hue < 100) & (lightness < 50), "brown")
    rename((hue >= 100) & (hue < 108) & (lightness < 60), "green")
    grey_below = np.where((hue >= 190) & (hue < 300), 9.0, 12.0)  # faint blues are still seen as blue
    grey = chroma < grey_below
    rename(grey, "grey")
    rename(((lightness < 16) & (chroma < 25)) | (grey & (lightness < 24)), "black")
    rename((chroma < 16) & (lightness > 88), "white")
    return names


def _threshold(name: str) -> float:
    return _SAID_NEUTRAL if name in _NEUTRAL else _SAID


def _columns(shares: npt.NDArray[np.float64]) -> dict[str, Any]:
    mean = shares.mean(axis=0)
    order = [int(i) for i in np.argsort(-mean, kind="stable") if mean[i] >= 0.05]
    return {
        "colours": [COLOURS[i] for i in order],
        "colour_fractions": [float(mean[i]) for i in order],
        "dominant_colour": COLOURS[int(mean.argmax())],
        "neutral_fraction": float(sum(mean[COLOURS.index(name)] for name in _NEUTRAL)),
        "colour_agreement": [float((shares[:, i] >= _threshold(COLOURS[i])).mean()) for i in order],
    }
