"""Which rows of a shard set are trained on, and which are kept aside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import pyarrow as pa

from media.errors import DatasetError
from training.randomness import seed_of
from training.recipes.config import HeldOutConfig

__all__ = ["Clip", "Shards", "clips_of", "split"]

COLUMNS: Final = (
    "clip_id", "video_id", "kind", "frames", "fps", "width_px", "height_px", "short", "dense", "media_hash",
    "medium", "flow_mean_px_per_s",
)  # fmt: skip


class Shards(Protocol):
    """What training asks of a shard set; `dataset.shards.ShardReader` is one."""

    def __len__(self) -> int: ...

    def table_of(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows as one table, without media unless named."""
        ...

    def rows(self, ids: Sequence[str], columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Return the rows of these ids, in their order."""
        ...


@dataclass(frozen=True, slots=True)
class Clip:
    """A shard row without its media. Captions are never null here: a clip without one has the empty caption."""

    clip_id: str
    video_id: str
    kind: str
    frames: int
    fps: float
    width_px: int
    height_px: int
    short: str
    dense: str
    media_hash: str
    medium: str = ""
    flow_mean_px_per_s: float | None = None


def clips_of(shards: Shards) -> list[Clip]:
    """Return the clips of a shard set, by id. Raises DatasetError if there are none."""
    rows = shards.table_of(COLUMNS).to_pylist()
    if not rows:
        raise DatasetError("the shards are empty: nothing to train on")
    for row in rows:
        row |= {"short": row["short"] or "", "medium": row["medium"] or "", "dense": row["dense"] or row["short"] or ""}
    clips = [Clip(**row) for row in rows]
    return sorted(clips, key=lambda clip: clip.clip_id)


def split(clips: Sequence[Clip], config: HeldOutConfig, seed: int) -> tuple[list[Clip], list[Clip]]:
    """Return (training, held-out) clips. Whole sources are kept aside: no sibling of a held-out clip is learned.

    Sources are taken in an order that depends on the seed and their ids alone, passing over one that would take more
    than twice the wanted share, or all that is left to train on. A set of one source is split by clip, for want of
    better.
    """
    wanted = config.fraction * len(clips)
    by_source: dict[str, list[Clip]] = {}
    for clip in clips:
        by_source.setdefault(clip.video_id, []).append(clip)
    if len(by_source) == 1:
        by_source = {clip.clip_id: [clip] for clip in clips}
    if config.fraction == 0.0 or len(by_source) == 1:
        return list(clips), list(clips)[: config.max_clips]
    order = sorted(by_source, key=lambda source: seed_of(seed, "held out", source))
    aside: list[str] = []
    count = 0
    for source in order:
        size = len(by_source[source])
        if count < wanted and count + size <= 2.0 * wanted and count + size < len(clips):
            aside.append(source)
            count += size
    if not aside:
        aside = [min(order, key=lambda source: len(by_source[source]))]
    kept = set(aside)
    training = [clip for source, some in by_source.items() if source not in kept for clip in some]
    held_out = list(_rounds([by_source[source] for source in aside]))
    return training, held_out[: config.max_clips]


def _rounds(groups: list[list[Clip]]) -> Iterator[Clip]:
    """Yield the first of each group, then the second of each, and so on: every source is heard early."""
    for i in range(max(map(len, groups))):
        for group in groups:
            if i < len(group):
                yield group[i]
