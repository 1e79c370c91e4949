"""diffusion-pipe: a folder of clips and captions of the same stem, and `dataset.toml`.

Source: tdrussell/diffusion-pipe, `examples/dataset.toml` and `utils/dataset.py` (DirectoryDataset): every file of the
folder that is no caption is taken for media, so only clips and captions are there.
"""

from __future__ import annotations

from pathlib import Path

from dataset.exporting.pairs import RUNGS, Pairs, rung, toml_string
from dataset.exporting.samples import Sample

__all__ = ["DiffusionPipeWriter"]

_MULTIPLE_PX = 32
_MODEL_FPS = (16, 24)

_CONFIG = """\
# Written by rushes export. The path is absolute: mend it when the folder moves.
# The clips run at {rates} fps; diffusion-pipe takes them at its model's rate and puts each into the longest of
# frame_buckets that it fills. Lower resolutions and frame_buckets to what memory bears.
resolutions = [[{width}, {height}]]
enable_ar_bucket = true
min_ar = 0.5
max_ar = 2.0
num_ar_buckets = 7
frame_buckets = [{buckets}]

[[directory]]
path = {path}
num_repeats = 1
"""


class DiffusionPipeWriter:
    """Writes `clips/`, `clips.jsonl` and `dataset.toml`."""

    def __init__(self, folder: Path, final: Path) -> None:
        self._folder, self._final = folder, final
        self._pairs = Pairs(folder)

    def add(self, sample: Sample) -> None:
        """Write one clip and its caption."""
        self._pairs.add(sample, "clips")

    def finish(self) -> None:
        """Write the records and the config.

        A clip has duration x model rate frames there. The buckets go from what the shortest clip fills at 16 fps (Wan)
        to what the longest fills at 24 (HunyuanVideo), so that no clip of 5 frames or more is too short for all.
        """
        self._pairs.finish()
        low = rung(min(self._pairs.durations_s) * _MODEL_FPS[0] - 1)  # its own rounding may lose a frame
        high = rung(max(self._pairs.durations_s) * _MODEL_FPS[1])
        width, height = self._pairs.size_px(_MULTIPLE_PX)
        text = _CONFIG.format(
            rates=self._pairs.rates_text(),
            width=width,
            height=height,
            buckets=", ".join(str(frames) for frames in RUNGS if frames == 1 or low <= frames <= high),
            path=toml_string(str(self._final / "clips")),
        )
        (self._folder / "dataset.toml").write_text(text, encoding="utf-8")
