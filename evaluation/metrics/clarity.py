"""How sharp and clean the picture is."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from evaluation.metrics.base import Metric, Missing
from evaluation.structure import NOISE_COHERENCE, structure
from evaluation.view import View

__all__ = ["METRIC", "clarity"]

_BAND_PX: Final = 2.0


def clarity(view: View) -> float | Missing:
    """Strength of oriented fine detail at the profile's size: falls with blur and with noise.

    Metric Q of Zhu and Milanfar 2010 (IEEE Transactions on Image Processing 19:12): s1 x coherence of each
    8 x 8 patch, patches that white noise could explain counting 0. Here of the detail band alone (luma less
    its Gaussian of 2 px), which makes it three times as sensitive to blur; s1 is an RMS gradient; averaged
    over all patches and stills. Every video is seen at the profile's size, small ones enlarged, so
    resolutions compare. (The variance of the Laplacian, common for this, rises with noise.)
    """
    values = []
    for still in view.stills:
        luma = np.asarray(cv2.cvtColor(still, cv2.COLOR_RGB2GRAY), dtype=np.float32)
        strength, coherence = structure(luma - np.asarray(cv2.GaussianBlur(luma, (0, 0), _BAND_PX), dtype=np.float32))
        values.append(float(np.where(coherence > NOISE_COHERENCE, strength * coherence, 0.0).mean()))
    return float(np.mean(values))


METRIC: Final = Metric("clarity", unit="levels per px", better="higher", title="Clarity", measure=clarity)
