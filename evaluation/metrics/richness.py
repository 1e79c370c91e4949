"""How much there is to see."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from evaluation.metrics.base import Metric, Missing
from evaluation.sample import Frames
from evaluation.structure import NOISE_COHERENCE, structure
from evaluation.view import View

__all__ = ["METRIC", "richness"]

_SMALL_PX: Final = 64
_MOST_COLOURFUL: Final = 109.0  # "extremely colourful" in the paper's own scale
_DETAIL_LEVELS: Final = 3.0


def richness(view: View) -> float | Missing:
    """Mean of three shares, over the stills: tones, colours and detail.

    Tones: Shannon entropy of the luma histogram, over its most, 8 bits. Colours: M3 of Hasler and Suesstrunk
    2003 over 109, their "extremely colourful", at most 1. Both are read from the picture shrunk to a short
    side of 64 px by area, so that noise adds little. Detail: the share of 8 x 8 patches with oriented structure
    above what noise can explain (Zhu and Milanfar 2010) and above 3 levels per pixel. A definition of our own.
    """
    return float(np.mean([(_tones(p) + _colours(p) + _detail(s)) / 3 for s in view.stills for p in (_shrink(s),)]))


def _shrink(still: Frames) -> Frames:
    scale = _SMALL_PX / min(still.shape[:2])
    size = (max(1, round(still.shape[1] * scale)), max(1, round(still.shape[0] * scale)))
    return np.asarray(cv2.resize(still, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _tones(picture: Frames) -> float:
    luma = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    share = np.bincount(luma.reshape(-1), minlength=256) / luma.size
    share = share[share > 0]
    return float(-(share * np.log2(share)).sum()) / 8


def _colours(picture: Frames) -> float:
    red, green, blue = (picture[..., c].astype(np.float64) for c in range(3))
    rg, yb = red - green, (red + green) / 2 - blue
    value = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    return min(1.0, float(value) / _MOST_COLOURFUL)


def _detail(still: Frames) -> float:
    strength, coherence = structure(np.asarray(cv2.cvtColor(still, cv2.COLOR_RGB2GRAY), dtype=np.float32))
    return float(((coherence > NOISE_COHERENCE) & (strength > _DETAIL_LEVELS)).mean())


METRIC: Final = Metric("richness", unit="0 to 1", better="higher", title="Richness", measure=richness)
