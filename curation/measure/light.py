"""Light and colour of one frame, from the histogram of luma and the small chroma planes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from curation.planes import Plane, Planes, area, yuv_to_rgb

__all__ = ["Light", "measure_light"]

_LEVELS: Final = np.arange(256, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Light:
    """See `measure_light`."""

    mean: float
    contrast: float
    dark: float
    bright: float
    entropy: float
    colourfulness: float
    saturation: float
    warmth: float


def measure_light(planes: Planes, *, bt709: bool) -> Light:
    """Measure small planes, or a part of them.

    `mean`, `contrast`: mean and standard deviation of luma, 8-bit levels of the stream (16 to 235 in most video).
    `dark`, `bright`: shares of pixels at luma <= 16 and >= 235, 0 to 1.
    `entropy`: Shannon entropy of the luma histogram, 0 to 8 bits.
    `colourfulness`: M3 of Hasler and Suesstrunk 2003, 0 up; 15 is slight, 60 high.
    `saturation`: mean distance of (U, V) from grey, 0 to 181 levels.
    `warmth`: mean V minus mean U (Cr minus Cb), levels; positive is warm.
    """
    luma, chroma_u, chroma_v = (np.ascontiguousarray(plane) for plane in planes)
    share = cv2.calcHist([luma], [0], None, [256], [0, 256]).ravel().astype(np.float64) / luma.size
    mean = float(share @ _LEVELS)
    present = share[share > 0]
    u = chroma_u.astype(np.float32) - 128
    v = chroma_v.astype(np.float32) - 128
    y = area(luma, u.shape[1], u.shape[0])
    return Light(
        mean=mean,
        contrast=float(np.sqrt(max(0.0, share @ (_LEVELS - mean) ** 2))),
        dark=float(share[:17].sum()),
        bright=float(share[235:].sum()),
        entropy=float(-(present @ np.log2(present))),
        colourfulness=_colourfulness(y, u, v, bt709),
        saturation=float(np.sqrt(u * u + v * v).mean()),
        warmth=float(v.mean() - u.mean()),
    )


def _colourfulness(y: Plane, u: npt.NDArray[np.float32], v: npt.NDArray[np.float32], bt709: bool) -> float:
    """M3 = sigma + 0.3 mu of the opponent colours rg = R - G and yb = (R + G) / 2 - B, all of 0 to 255."""
    rgb = yuv_to_rgb(y, (u + 128).astype(np.uint8), (v + 128).astype(np.uint8), bt709=bt709).astype(np.float32)
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    rg, yb = red - green, (red + green) / 2 - blue
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))
