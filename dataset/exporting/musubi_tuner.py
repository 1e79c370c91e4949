"""musubi-tuner: folders of clips and captions, and a dataset config that names them.

Source: kohya-ss/musubi-tuner, `docs/dataset_config.md` and `src/musubi_tuner/dataset/`. With `frame_extraction =
"head"` a clip gives one item for every one of `target_frames` that it fills, and is dropped if it fills none; so clips
of one length share a folder, and each is used once, as long as it goes.
"""

from __future__ import annotations

from pathlib import Path

from dataset.exporting.pairs import Pairs, rung, toml_string
from dataset.exporting.samples import Sample

__all__ = ["MusubiTunerWriter"]

_MULTIPLE_PX = 16

_GENERAL = """\
# Written by rushes export. Paths are absolute: mend them when the folder moves.
# The clips run at {rates} fps. musubi-tuner takes every frame, whatever the rate; source_fps = {rate} in a section
# would thin them to the model's rate (24 HunyuanVideo, 16 Wan), and target_frames must shrink with it.
[general]
resolution = [{width}, {height}]
caption_extension = ".txt"
batch_size = 1
enable_bucket = true
bucket_no_upscale = true
"""
_DATASET = """
[[datasets]]
video_directory = {videos}
cache_directory = {cache}
target_frames = [{frames}]
frame_extraction = "head"
"""


class MusubiTunerWriter:
    """Writes `clips-<frames>/`, `clips.jsonl` and `dataset.toml`; musubi-tuner makes the cache folders itself."""

    def __init__(self, folder: Path, final: Path) -> None:
        self._folder, self._final = folder, final
        self._pairs = Pairs(folder)

    def add(self, sample: Sample) -> None:
        """Write one clip and its caption into the folder of its length."""
        self._pairs.add(sample, _place(rung(sample.record["frames"])))

    def finish(self) -> None:
        """Write the records and the config."""
        self._pairs.finish()
        width, height = self._pairs.size_px(_MULTIPLE_PX)
        rates = self._pairs.rates_text()
        text = _GENERAL.format(rates=rates, rate=float(min(self._pairs.rates)), width=width, height=height)
        for frames in sorted({shape[0] for shape in self._pairs.shapes}):
            text += _DATASET.format(
                videos=toml_string(str(self._final / _place(frames))),
                cache=toml_string(str(self._final / f"cache-{frames:03d}")),
                frames=frames,
            )
        (self._folder / "dataset.toml").write_text(text, encoding="utf-8")


def _place(frames: int) -> str:
    return f"clips-{frames:03d}"
