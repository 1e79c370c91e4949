"""Synthetic worlds in the dataset: rendered, described from the truth, and sharded, block by block, in parallel.

A block is 64 seeds that follow each other. Its rows are one part of each table, named by the world, how it is rendered
and the block: so a run that was killed, or asks for more, writes only blocks that lack something, each whole, over what
was there of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import media
from captioning.caption import keyframes_hash
from curation.worlds import world_named
from curation.worlds.address import Address
from curation.worlds.rows import caption_row, clip_row, truth_row, truth_schema, video_row
from dataset import Root, schema_of
from dataset.shards import shard_row
from media.errors import UserError
from pipelines.engine import Item, Part
from pipelines.progress import Reporter
from pipelines.steps import Work, drive, working

__all__ = ["BLOCK", "WorldStage", "check", "make_world", "worlds_into"]

BLOCK: Final = 64
"""Clips in one Parquet part of each table."""

_CRF: Final = 12.0
"""Flat colours show what a codec does: near lossless, and still a few kilobytes for 16 frames of 64 px."""

_LEAST_PX: Final = 16


@dataclass(frozen=True, slots=True)
class WorldJob:
    """What every clip of one call has in common: an address but for its seed, and the shard set, if any."""

    like: Address
    shards: str | None = "train"
    measure: bool = False

    def address(self, seed: int) -> Address:
        """Return the address of one clip."""
        like = self.like
        return Address(like.world, seed, like.frames, like.fps, like.size, like.options)

    def key(self, block: int) -> str:
        """Return the key of a block's parts: it does not change with how many clips are asked for."""
        return f"{self.address(block * BLOCK).uri} and {BLOCK - 1} more"


class WorldStage:
    """Seeds -> rows of videos, clips, captions, the truth, and shards. Items: block, tables (the seeds of each)."""

    def __init__(self, *, root: str, job: WorldJob, run_id: str) -> None:
        self._job = job
        self._run_id = run_id
        self._world = world_named(job.like.world)

    def __call__(self, items: Sequence[Item]) -> tuple[Iterator[Part], list[str]]:
        """Render and describe the clips of each block."""
        notes: list[str] = []
        return self._parts(items), notes

    def _parts(self, items: Sequence[Item]) -> Iterator[Part]:
        for item in items:
            seeds = sorted({seed for some in item["tables"].values() for seed in some})
            made = {seed: self._clip(self._job.address(seed)) for seed in seeds}
            for table, some in item["tables"].items():
                schema = truth_schema() if table == "experts/truth" else schema_of(table)
                yield Part(table, [made[seed][table] for seed in some], schema, self._job.key(item["block"]))

    def _clip(self, address: Address) -> dict[str, dict[str, Any]]:
        scene = address.draw()
        truth = self._world.truth(scene)
        pictures = list(self._world.render(scene, address.size))
        video = video_row(address, self._run_id)
        clip = clip_row(address, pictures, self._run_id, measure=self._job.measure)
        caption = caption_row(address, truth, keyframes_hash(clip["keyframes"]), self._run_id)
        rows = {
            "videos": video,
            "clips": clip,
            "experts/truth": truth_row(address, truth, self._run_id),
            "captions": caption,
        }
        if self._job.shards is not None:
            encoded = media.encode(pictures, fps=address.fps, crf=_CRF, verify=True)
            rows[f"shards/{self._job.shards}"] = shard_row(
                {**clip, "camera_motion": clip["camera_motion"] or truth.camera},
                encoded.data,
                psnr_db=encoded.psnr_db,
                frames=encoded.frames,
                fps=encoded.fps,
                width_px=encoded.width_px,
                height_px=encoded.height_px,
                caption=caption,
                video=video,
                tags=[truth.captions.label],
                run_id=self._run_id,
            )
        return rows


def make_world(
    root: Root,
    world: str,
    count: int,
    *,
    frames: int = 16,
    size: tuple[int, int] = (64, 64),
    fps: float = 8.0,
    seed: int = 0,
    shards: str | None = "train",
    options: Mapping[str, Any] | None = None,
    measure: bool = False,
    engine: str = "ray",
    workers: int | None = None,
    report: Reporter | None = None,
) -> Work:
    """Put clips of the seeds `seed` to `seed + count` of a world into the dataset, as far as they are not there.

    `size` is (height, width), even. Every clip is a row of `videos`, `clips` (kind synthetic; measured with `measure`),
    `experts/truth`, `captions` and, unless `shards` is None, of that shard set. `options` are those of the world's
    `draw`. Sources that were removed stay out. Raises UserError as `check` does.
    """
    like_all = check(world, count, frames=frames, size=size, fps=fps, seed=seed, options=options)
    job = WorldJob(like_all, shards, measure)
    like = {"world": world, "frames": frames, "size": list(size), "fps": fps, "options": dict(options or {})}
    # Under "sources": other clips are not the same ones otherwise, so there is nothing to warn of.
    config = {"sources": {**like, "seed": seed, "count": count, "shards": shards}, "measure": measure}
    with working(root, "worlds", config, report or Reporter(), engine, workers) as work:
        worlds_into(work, job, count, seed)
    return work


def check(
    world: str,
    count: int,
    *,
    frames: int = 16,
    size: tuple[int, int] = (64, 64),
    fps: float = 8.0,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> Address:
    """Return the address of the first clip. Raises UserError for a world, an option, a size ... that cannot be."""
    if count < 1 or frames < 1 or seed < 0 or fps <= 0:
        raise UserError(f"worlds: count {count}, frames {frames}, fps {fps:g}, seed {seed}: one is below its least")
    if min(size) < _LEAST_PX or size[0] % 2 or size[1] % 2:
        raise UserError(f"worlds: size {size[0]}x{size[1]}: both even, and {_LEAST_PX} at least")
    first = Address(world, seed, frames, fps, size, dict(options or {}))
    first.draw()
    return first


def worlds_into(work: Work, job: WorldJob, count: int, seed: int) -> None:
    """Render what the dataset lacks of these seeds."""
    tables = ["videos", "clips", "experts/truth", "captions", *([f"shards/{job.shards}"] if job.shards else [])]
    have = {table: _sources(work.root, table) for table in tables}
    items: list[Item] = []
    for block in range(seed // BLOCK, (seed + count - 1) // BLOCK + 1):
        if todo := _lacking(job, block, range(seed, seed + count), have, work.root.removed()):
            items.append({"block": block, "tables": todo})
    title = f"render {job.like.world}"
    drive(work, WorldStage, {"root": work.place, "job": job}, items, 1, f"blocks of {BLOCK} clips", title=title)


def _lacking(
    job: WorldJob, block: int, asked: range, have: Mapping[str, set[str]], removed: Collection[str]
) -> dict[str, list[int]]:
    """Return, for each table that lacks a clip of the block that is asked for, all its seeds of that block."""
    ids = {seed: job.address(seed).video_id for seed in range(block * BLOCK, (block + 1) * BLOCK)}
    ids = {seed: video_id for seed, video_id in ids.items() if video_id not in removed}
    found = {}
    for table, there in have.items():
        if any(seed in asked and video_id not in there for seed, video_id in ids.items()):
            found[table] = [seed for seed, video_id in ids.items() if seed in asked or video_id in there]
    return found


def _sources(root: Root, table: str) -> set[str]:
    """Return the ids of the sources that a table has a row of."""
    column = "video_id" if table == "videos" else "clip_id"
    return {name.partition(":")[0] for name in root.ids(table, column)} if root.exists(table) else set()
