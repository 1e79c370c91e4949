"""In which order clips are laid out in shards: by id, or bucket by bucket, so that a part serves one batch shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataset import BucketRecipe, Root, make_plan
from pipelines.config import ShardConfig

__all__ = ["buckets_of", "laid_out"]


def laid_out(root: Root, clip_ids: Sequence[str], config: ShardConfig) -> list[dict[str, Any]]:
    """Return `clip_id` and `bucket` of each clip, in the order in which they are cut: buckets apart, of none last.

    Raises ConfigError for a recipe that cannot be used.
    """
    if config.by_bucket is None:
        return [{"clip_id": clip_id, "bucket": None} for clip_id in clip_ids]
    from pipelines import modelling

    found = buckets_of(root, clip_ids, modelling.bucket_recipe(config.by_bucket), config.max_height_px)
    items = [{"clip_id": clip_id, "bucket": found.get(clip_id)} for clip_id in clip_ids]
    return sorted(items, key=lambda item: (item["bucket"] is None, item["bucket"] or "", item["clip_id"]))


def buckets_of(
    root: Root, clip_ids: Sequence[str], recipe: BucketRecipe, max_height_px: int | None = None
) -> dict[str, str]:
    """Return the label of the bucket that takes each clip, cut at most `max_height_px` high.

    A clip that no bucket takes is not there. A recipe that assigns at random has no layout: the bucket that keeps most
    of the clip is taken.
    """
    columns = ["clip_id", "frames", "fps", "width_px", "height_px"]
    rows = root.read("clips", columns, pc.field("clip_id").isin(pa.array(clip_ids, pa.string())))
    height = rows["height_px"].to_numpy().astype(np.float64)
    scale = np.ones(len(height)) if max_height_px is None else np.minimum(1, max_height_px / height)
    for name in ("width_px", "height_px"):
        sides = np.round(rows[name].to_numpy() * scale / 2).astype(np.int64) * 2 if max_height_px else rows[name]
        rows = rows.set_column(rows.schema.get_field_index(name), name, pa.array(sides) if max_height_px else sides)
    settled = recipe.model_copy(update={"assign": "best", "remainder": "smaller"})
    plan = make_plan(rows, settled)
    return {clip_id: batch.bucket.label for batch in plan.batches for clip_id in batch.ids}
