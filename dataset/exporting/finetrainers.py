"""finetrainers: a folder of clips and captions of the same stem, and the dataset config.

Source: huggingface/finetrainers, `finetrainers/data/dataset.py` (VideoCaptionFilePairDataset): it lists the `.txt` of
one folder and takes the video of the same stem. A `.tar`, `.parquet` or `metadata.json*` below would make it read
something else, so none is there.
"""

from __future__ import annotations

import json
from pathlib import Path

from dataset.exporting.pairs import Pairs, rounded
from dataset.exporting.samples import Sample

__all__ = ["FinetrainersWriter"]

_MULTIPLE_PX = 32


class FinetrainersWriter:
    """Writes `clips/`, `clips.jsonl` and `training.json`, whose buckets are [frames, height, width]."""

    def __init__(self, folder: Path, final: Path) -> None:
        self._folder, self._final = folder, final
        self._pairs = Pairs(folder)

    def add(self, sample: Sample) -> None:
        """Write one clip and its caption."""
        self._pairs.add(sample, "clips")

    def finish(self) -> None:
        """Write the records and the config: a bucket for each length and size that clips have.

        finetrainers takes the longest bucket that a clip fills, then the one nearest in aspect ratio.
        """
        self._pairs.finish()
        buckets = {(f, rounded(h, _MULTIPLE_PX), rounded(w, _MULTIPLE_PX)) for f, h, w in self._pairs.shapes}
        config = {
            "data_root": str(self._final / "clips"),
            "dataset_type": "video",
            "video_resolution_buckets": [list(bucket) for bucket in sorted(buckets)],
            "reshape_mode": "bicubic",
            "remove_common_llm_caption_prefixes": False,
        }
        text = json.dumps({"datasets": [config]}, indent=2, ensure_ascii=False)
        (self._folder / "training.json").write_text(text + "\n", encoding="utf-8")
