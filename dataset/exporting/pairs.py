"""What the trainers' folders share: a clip beside its caption, the records, and the shapes their configs ask for."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from pathlib import Path
from typing import Final

from dataset.exporting.samples import Sample

__all__ = ["RECORDS", "RUNGS", "Pairs", "rounded", "rung", "toml_string"]

RECORDS: Final = "clips.jsonl"
"""A line of JSON per clip: its file, then its record. It lies above the media, where no trainer looks."""

RUNGS: Final = (1, 5, 9, 17, 25, 33, 49, 65, 81, 97, 129)
"""Clip lengths in frames: 4 n + 1, as the causal video VAEs of these trainers' models need; from 9 on also 8 n + 1."""


def rung(frames: float) -> int:
    """Return the longest of `RUNGS` that a clip of `frames` frames fills."""
    return RUNGS[max(0, bisect_right(RUNGS, frames) - 1)]


def rounded(size_px: int, multiple: int) -> int:
    """Return `size_px` rounded down to `multiple`, which is the least it can be."""
    return max(multiple, size_px - size_px % multiple)


def toml_string(text: str) -> str:
    """Return `text` as a basic string of TOML 1.0."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


class Pairs:
    """Writes `<subfolder>/<key>.mp4` with `<key>.txt`, and `clips.jsonl`; remembers lengths, durations and sizes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._records: list[str] = []
        self._sizes: Counter[tuple[int, int]] = Counter()
        self.shapes: set[tuple[int, int, int]] = set()
        """Every rung, height and width, in pixels, that a clip has."""
        self.durations_s: list[float] = []
        self.rates: set[float] = set()

    def add(self, sample: Sample, subfolder: str) -> None:
        """Write one clip and its caption."""
        place = self._folder / subfolder
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{sample.key}.mp4").write_bytes(sample.media)
        (place / f"{sample.key}.txt").write_text(sample.caption + "\n", encoding="utf-8", newline="\n")
        record = {"file": f"{subfolder}/{sample.key}.mp4", **sample.record}
        self._records.append(json.dumps(record, ensure_ascii=False))
        width, height, frames = (int(sample.record[name]) for name in ("width_px", "height_px", "frames"))
        self._sizes[width, height] += 1
        self.shapes.add((rung(frames), height, width))
        self.durations_s.append(sample.record["duration_s"])
        self.rates.add(round(sample.record["fps"], 3))

    def size_px(self, multiple: int) -> tuple[int, int]:
        """Return width and height of the commonest clip, the larger of two, rounded down to `multiple`."""
        (width, height), _ = max(self._sizes.items(), key=lambda item: (item[1], item[0][0] * item[0][1], item[0]))
        return rounded(width, multiple), rounded(height, multiple)

    def rates_text(self) -> str:
        """Return the clips' rates for a comment, frames per second: `25`, or `24 to 30`."""
        low, high = min(self.rates), max(self.rates)
        return f"{low:g}" if low == high else f"{low:g} to {high:g}"

    def finish(self) -> None:
        """Write the records."""
        (self._folder / RECORDS).write_text("\n".join(self._records) + "\n", encoding="utf-8", newline="\n")
