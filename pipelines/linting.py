"""The lint of all captions together, kept beside them: what two videos share is known only of the whole dataset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from captioning.corpus import corpus_flags
from dataset import Root
from dataset.parts import serialise
from dataset.schema import CAPTION_LINT, CAPTION_LINT_COLUMNS, arrow_schema

__all__ = ["lint_captions", "lint_is_stale"]


def lint_captions(root: Root, run_id: str) -> int:
    """Compare all captions of `root`, write what is found, and return how many captions got a flag.

    What was found before is replaced, whole or not at all; the view `caption_lint` shows it: a row for each caption
    that has a text, with no flags where nothing was found.
    """
    clips: list[str] = []
    found = corpus_flags(_captions(root, clips))
    clips.sort()
    flags = [sorted(found.get(clip, ())) for clip in clips]
    columns = {"clip_id": clips, "flags": flags, "run_id": [run_id] * len(clips)}
    root.write_bytes(CAPTION_LINT, serialise(pa.table(columns, arrow_schema(CAPTION_LINT_COLUMNS))))
    return len(found)


def lint_is_stale(root: Root) -> bool:
    """Whether captions came or went since they were compared: a run may have been killed in between."""
    content = root.read_bytes(CAPTION_LINT)
    compared = 0 if content is None else pq.read_metadata(pa.BufferReader(content)).num_rows
    return bool(compared != root.read("captions", ["clip_id"], filter=pc.field("dense").is_valid()).num_rows)


def _captions(root: Root, clips: list[str]) -> Iterator[dict[str, Any]]:
    """Yield what the lint needs of each caption with a text, and note whose it is; a batch is held at a time."""
    if not root.exists("captions"):
        return
    columns = ["clip_id", "dense", "backend", "outcome"]
    with root.storage("captions"):
        for batch in root.dataset("captions").to_batches(columns=columns):
            for row in batch.to_pylist():
                if row["dense"]:
                    clips.append(row["clip_id"])
                    yield row
