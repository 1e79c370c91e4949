"""How the picture is lit: bright or dark, contrast, warm or cool; classical measures on the keyframes, no model.

Key: low when the median luma is below 60 and the brightest tenth still below 190, high when the median is above 165;
else mid. Contrast: the distance from the 5th to the 95th percentile of luma, low below 90, high above 190.
Temperature is of the colours, whatever lights them: mean of (a* + b*) / sqrt 2 in CIELAB, the axis from blue-green to
orange-red, over the pixels that are neither black nor white; warm above 10, cool below -6. Measures are means over
the keyframes. Stated where the keyframes agree (at least two thirds of them say the same); the confidence is 0.9
times their agreement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa

from dataset.schema import Column
from experts.base import ClipView, ModelRef, Needs, Resources, Rgb, Statement

__all__ = ["Light"]

_AGREE: Final = 2 / 3
_KEYS: Final = {"low": "dark", "high": "bright"}


class Light:
    """Light in words."""

    name: ClassVar[str] = "light"
    version: ClassVar[str] = "1"
    needs: ClassVar[Needs] = "keyframes"
    roles: ClassVar[tuple[str, ...]] = ()
    resources: ClassVar[Resources] = Resources(cpus=0.5, memory_mb=150)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("key", pa.string(), "low | mid | high"),
        Column("temperature", pa.string(), "warm | neutral | cool"),
        Column("contrast", pa.string(), "low | normal | high"),
        Column("luma_median", pa.float32(), "median luma, 0 to 255, mean over the keyframes"),
        Column("luma_range", pa.float32(), "95th minus 5th percentile of luma, mean over the keyframes"),
        Column("lab_warmth", pa.float32(), "mean (a* + b*) / sqrt 2 of CIELAB; positive is warm"),
        Column("light_agreement", pa.float32(), "smallest share of keyframes that agree on key, temperature, contrast"),
    )
    model: ModelRef | None = None

    def __init__(
        self, profile: str = "embedded", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        pass

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the columns of each clip."""
        return [_columns(view.frames) for view in views]

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State what stands out: a warm or cool light, a dark or bright picture, a low or high contrast."""
        agreement = values["light_agreement"]
        said: list[tuple[str, str]] = []
        if values["temperature"] != "neutral":
            said.append(("colours", values["temperature"]))
        if values["key"] != "mid":
            said.append(("picture", _KEYS[values["key"]]))
        if values["contrast"] != "normal":
            said.append(("contrast", values["contrast"]))
        if agreement < _AGREE:
            return []
        return [
            Statement(
                self.name,
                "light",
                subject,
                "are" if subject == "colours" else "is",
                value,
                round(0.9 * agreement, 3),
                view.first_frame,
                view.end_frame,
            )
            for subject, value in said
        ]


def _columns(frames: Sequence[Rgb]) -> dict[str, Any]:
    measured = np.array([_measure(frame) for frame in frames], dtype=np.float64)
    mean = measured.mean(axis=0)
    words = _words(mean)
    each = [_words(row) for row in measured]
    agreement = min(sum(row[i] == words[i] for row in each) / len(each) for i in range(3))
    return {
        "key": words[0],
        "temperature": words[1],
        "contrast": words[2],
        "luma_median": float(mean[0]),
        "luma_range": float(mean[2]),
        "lab_warmth": float(mean[3]),
        "light_agreement": agreement,
    }


def _words(measured: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[str, str, str]:
    median, bright, span, warmth = measured
    key = "low" if median < 60 and bright < 190 else "high" if median > 165 else "mid"
    temperature = "warm" if warmth > 10 else "cool" if warmth < -6 else "neutral"
    contrast = "low" if span < 90 else "high" if span > 190 else "normal"
    return key, temperature, contrast


def _measure(frame: Rgb) -> tuple[float, float, float, float]:
    """Return median luma, 90th percentile, 5-95 range, and warmth, of one picture shrunk to 96 px."""
    import cv2

    scale = 96 / max(frame.shape[:2])
    size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
    small = cv2.resize(np.ascontiguousarray(frame), size, interpolation=cv2.INTER_AREA)
    luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    p5, median, p90, p95 = np.percentile(luma, [5, 50, 90, 95])
    seen = (lab[..., 0] > 12) & (lab[..., 0] < 96)
    warmth = float((lab[..., 1][seen] + lab[..., 2][seen]).mean() / np.sqrt(2)) if seen.any() else 0.0
    return float(median), float(p90), float(p95 - p5), warmth
