"""How good the picture is technically, said from what the pass has measured; no model.

Defects and their thresholds, at a height of 360 px: blurred (variance of the Laplacian below 60), noisy (sigma above
8), blocky (block edges 1.6 times as steep as the rest), dark (over half of the pixels at luma 16 or less),
overexposed (over a quarter at 235 or more), flickering (over 6 levels), frozen (over half of the frames repeat).
Stated: each defect, with a confidence that grows from 0.6 at the threshold to 0.95 at twice the threshold; and
"sharp" when the Laplacian's variance is over 300 and there is no defect. `clarity` is 0 to 1: the logarithm of the
Laplacian's variance between 10 and 3,000. The grade is the clarity divided by how far each other defect is past its
threshold: 1 for a sharp picture with none, half of its clarity for one that is twice as noisy as the threshold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import pyarrow as pa

from dataset.schema import Column
from experts.base import ClipView, ModelRef, Needs, Resources, Statement

__all__ = ["DEFECTS", "Quality"]

DEFECTS: Final[dict[str, tuple[str, float, bool]]] = {
    "blurred": ("sharpness_laplacian", 60.0, False),
    "noisy": ("noise_sigma", 8.0, True),
    "blocky": ("blockiness", 1.6, True),
    "dark": ("dark_clipped_fraction", 0.5, True),
    "overexposed": ("bright_clipped_fraction", 0.25, True),
    "flickering": ("flicker", 6.0, True),
    "frozen": ("frozen_fraction", 0.5, True),
}
"""Defect -> the measured column, the threshold, and whether it lies above."""

_SHARP: Final = 300.0


class Quality:
    """Technical quality in words."""

    name: ClassVar[str] = "quality"
    version: ClassVar[str] = "1"
    needs: ClassVar[Needs] = "row"
    roles: ClassVar[tuple[str, ...]] = ()
    resources: ClassVar[Resources] = Resources(cpus=0.1, memory_mb=100)
    columns: ClassVar[tuple[Column, ...]] = (
        Column(
            "defects",
            pa.list_(pa.string()),
            "blurred | noisy | blocky | dark | overexposed | flickering | frozen; null when nothing was measured",
        ),
        Column("defect_strengths", pa.list_(pa.float32()), "how far each is past its threshold: 1 is at it, 2 twice"),
        Column("clarity", pa.float32(), "0 to 1, from the variance of the Laplacian"),
        Column("sharp", pa.bool_(), "very sharp and without a defect"),
    )
    model: ModelRef | None = None

    def __init__(
        self, profile: str = "embedded", override: Mapping[str, str | Path] | None = None, threads: int | None = None
    ) -> None:
        pass

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        """Return the columns of each clip; nulls where nothing was measured."""
        return [_columns(view.row) for view in views]

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        """State each defect, or that the picture is sharp."""
        words = list(zip(values["defects"] or [], values["defect_strengths"] or [], strict=True))
        if values["sharp"]:
            words.append(("sharp", 2.0))
        return [
            Statement(
                self.name,
                "quality",
                "picture",
                "is",
                word,
                round(0.6 + 0.35 * min(1.0, strength - 1.0), 3),
                view.first_frame,
                view.end_frame,
            )
            for word, strength in words
        ]

    def grade(self, view: ClipView, prompt: str | None = None) -> float | None:
        """Return the clarity over the product of the other defects' strengths, 0 to 1; None without a clarity."""
        values = self.measure([view])[0]
        if values["clarity"] is None:
            return None
        strengths = zip(values["defects"], values["defect_strengths"], strict=True)
        return float(values["clarity"] / math.prod(strength for defect, strength in strengths if defect != "blurred"))


def _columns(row: Mapping[str, Any]) -> dict[str, Any]:
    measured = {name: row.get(column) for name, (column, _, _) in DEFECTS.items()}
    if all(value is None for value in measured.values()):
        return {"defects": None, "defect_strengths": None, "clarity": None, "sharp": None}
    strengths = {name: _strength(name, value) for name, value in measured.items() if value is not None}
    found = {name: strength for name, strength in strengths.items() if strength > 1.0}
    laplacian = measured["blurred"]
    span = math.log(3000 / 10)
    return {
        "defects": list(found),
        "defect_strengths": list(found.values()),
        "clarity": None if laplacian is None else min(1.0, max(0.0, math.log(max(laplacian, 1e-9) / 10) / span)),
        "sharp": None if laplacian is None else laplacian > _SHARP and not found,
    }


def _strength(name: str, value: float) -> float:
    _, threshold, above = DEFECTS[name]
    return value / threshold if above else threshold / max(value, 1e-9)
