"""Hugging Face videofolder: media files beside a table that names them.

Spec: https://huggingface.co/docs/datasets/video_load#videofolder. Everything lies under `train/`, which makes it the
split of that name whatever the files are called.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dataset.exporting.samples import RECORD, Sample

__all__ = ["VideoFolderWriter"]


class VideoFolderWriter:
    """Writes `train/<key>.mp4`, and `train/metadata.parquet`: `file_name`, then the columns of `samples.RECORD`."""

    def __init__(self, folder: Path, final: Path) -> None:
        self._folder = folder / "train"
        self._folder.mkdir()
        self._rows: list[dict[str, Any]] = []

    def add(self, sample: Sample) -> None:
        """Write the media, and keep the record for the table."""
        name = f"{sample.key}.mp4"
        (self._folder / name).write_bytes(sample.media)
        self._rows.append({"file_name": name, **sample.record})

    def finish(self) -> None:
        """Write the table."""
        schema = pa.schema([pa.field("file_name", pa.string()), *RECORD])
        pq.write_table(pa.Table.from_pylist(self._rows, schema), self._folder / "metadata.parquet")
