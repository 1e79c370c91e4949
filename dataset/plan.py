"""The bucket plan: which samples train together, in which shape and order, and which cannot train, and why.

A plan is a pure function of (samples, recipe, seed, epoch). The order of the samples' rows, and the number of
workers, do not matter. It is made, and can be printed, before a model exists; the same object drives training.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dataset.buckets import Bucket, BucketRecipe
from media.errors import DatasetError

__all__ = ["REASONS", "Batch", "Bucket", "BucketRecipe", "BucketRow", "Plan", "Rejected", "frame_indices", "make_plan"]

REASONS: Final = {
    "incomplete": "frames, size or frame rate is missing or not positive",
    "duplicate": "another row has the same id",
    "low_frame_rate": "its frame rate is below that of every bucket",
    "too_short": "it has fewer frames than every bucket needs at its frame rate",
    "too_small": "its picture would be enlarged more than the recipe allows",
    "too_much_crop": "more of its picture would be cut away than the recipe allows",
    "remainder": "it did not fill a last batch, and the recipe rejects those",
}
"""Why a sample is in no batch. With several buckets: the reason of the one that came nearest to taking it."""

_STAGES: Final = ("low_frame_rate", "too_short", "too_small", "too_much_crop")
_COLUMNS: Final = ("clip_id", "frames", "width_px", "height_px", "fps")
_CROP_AVERSION: Final = 4

Indices = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]


class Rejected(NamedTuple):
    """A sample that is in no batch."""

    clip_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples of one shape. `first_frames[i]` and `steps[i]` say which frames of sample i are used.

    `steps` is in media frames per bucket frame, 1 or more; see `frame_indices`.
    """

    bucket: Bucket
    ids: tuple[str, ...]
    first_frames: tuple[int, ...]
    steps: tuple[float, ...]
    tokens: int

    def __len__(self) -> int:
        return len(self.ids)

    def frames_of(self, index: int) -> list[int]:
        """Return the media frame numbers to read for sample `index`, one for each frame of the bucket."""
        return frame_indices(self.bucket.frames, self.first_frames[index], self.steps[index])


@dataclass(frozen=True, slots=True)
class BucketRow:
    """A bucket in a plan's table; fractions are over the samples it took."""

    bucket: str
    samples: int
    batches: int
    batch_size: int
    last_batch_size: int
    tokens_per_sample: int
    tokens: int
    cropped_fraction: float
    dropped_frames_fraction: float


@dataclass(frozen=True)
class Plan:
    """The batches of one epoch, in order, and what is left out."""

    recipe: BucketRecipe
    seed: int
    epoch: int
    batches: tuple[Batch, ...]
    rejected: tuple[Rejected, ...]
    rows: tuple[BucketRow, ...]

    def table(self) -> list[BucketRow]:
        """Return a row for every bucket of the recipe, the empty ones too."""
        return list(self.rows)

    def reasons(self) -> dict[str, int]:
        """Return how many samples were rejected, by reason, most frequent first."""
        return dict(Counter(item.reason for item in self.rejected).most_common())

    def worker(self, rank: int, world: int) -> tuple[Batch | None, ...]:
        """Return what worker `rank` of `world` does: at step s, batch s * world + rank.

        Every worker has the same number of steps. Where the last step has no batch left for one, it gets None and
        must still take part in the collective operations.
        """
        if not 0 <= rank < world:
            raise ValueError(f"rank {rank} of {world} workers")
        steps = -(-len(self.batches) // world)
        own = self.batches[rank::world]
        return own + (None,) * (steps - len(own))

    def suffix(self, done: int) -> tuple[Batch, ...]:
        """Return the batches that are left after the first `done`: where a resumed run goes on."""
        return self.batches[done:]

    @cached_property
    def fingerprint(self) -> str:
        """12 hex digits that change when any batch does: a checkpoint keeps them, to resume the right plan."""
        digest = blake2b(digest_size=6)
        for batch in self.batches:
            digest.update(repr((batch.bucket.label, batch.ids, batch.first_frames, batch.steps)).encode())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _Samples:
    ids: list[str]
    frames: Floats
    height: Floats
    width: Floats
    fps: Floats


def frame_indices(frames: int, first: int, step: float) -> list[int]:
    """Return `frames` media frame numbers from `first`, `step` apart, to the nearest frame."""
    return [first + int(index * step + 0.5) for index in range(frames)]


def make_plan(samples: pa.Table, recipe: BucketRecipe, *, seed: int = 0, epoch: int = 0) -> Plan:
    """Return the plan of one epoch over `samples`.

    `samples` has the columns clip_id, frames, width_px, height_px and fps of the media, as shards have them; others
    are ignored. Every row is in exactly one batch, or is rejected with one of `REASONS`. Raises DatasetError if a
    column is missing.
    """
    if missing := [name for name in _COLUMNS if name not in samples.column_names]:
        there = ", ".join(samples.column_names)
        raise DatasetError(f"a plan needs the column {missing[0]}; these samples have {there}")
    usable, rejected = _usable(samples)
    fits, stage = _fit(usable, recipe)
    taken = _assign(usable, recipe, fits, _random(len(usable.ids), seed, epoch, "assign"))
    rejected += [Rejected(usable.ids[i], _STAGES[stage[i]]) for i in np.flatnonzero(taken < 0)]
    starts = _random(len(usable.ids), seed, epoch, "start")
    batches: list[Batch] = []
    rows = []
    for index, bucket in enumerate(recipe.buckets):
        members = np.flatnonzero(taken == index)
        order = members[np.argsort(_random(len(members), seed, epoch, bucket.label), kind="stable")]
        size = recipe.batch_size(bucket)
        if recipe.remainder == "reject" and len(order) % size:
            left = order[len(order) - len(order) % size :]
            rejected += [Rejected(usable.ids[i], "remainder") for i in left]
            order = order[: len(order) - len(left)]
        made = _batches(usable, recipe, bucket, order, starts)
        batches += made
        rows.append(_row(usable, recipe, bucket, order, made))
    mixed = np.argsort(_random(len(batches), seed, epoch, "batches"), kind="stable")
    return Plan(recipe, seed, epoch, tuple(batches[i] for i in mixed), tuple(sorted(rejected)), tuple(rows))


def _usable(samples: pa.Table) -> tuple[_Samples, list[Rejected]]:
    """Sort the samples, so that the order of their rows tells nothing, and put aside what cannot be planned."""
    table = samples.select(list(_COLUMNS)).sort_by([(name, "ascending") for name in _COLUMNS])
    ids = [str(value) for value in table.column("clip_id").to_pylist()]
    numbers = {
        name: table.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
        for name in _COLUMNS[1:]
    }
    complete = np.logical_and.reduce([np.isfinite(values) & (values > 0) for values in numbers.values()])
    seen: set[str] = set()
    keep, rejected = [], []
    for index, (clip_id, whole) in enumerate(zip(ids, complete.tolist(), strict=True)):
        if not whole:
            rejected.append(Rejected(clip_id, "incomplete"))
        elif clip_id in seen:
            rejected.append(Rejected(clip_id, "duplicate"))
        else:
            seen.add(clip_id)
            keep.append(index)
    at = np.asarray(keep, dtype=np.intp)
    frames, width, height, fps = (numbers[name][at] for name in _COLUMNS[1:])
    return _Samples([ids[i] for i in keep], frames, height, width, fps), rejected


def _fit(samples: _Samples, recipe: BucketRecipe) -> tuple[list[npt.NDArray[np.bool_]], npt.NDArray[np.int8]]:
    """Return, for each bucket, which samples it can take; and for each sample the furthest test it failed at."""
    furthest = np.zeros(len(samples.ids), np.int8)
    fits = []
    for bucket in recipe.buckets:
        scale = np.maximum(bucket.height_px / samples.height, bucket.width_px / samples.width)
        tests = (
            _fast_enough(samples, bucket, recipe),
            _last_index(samples, bucket) < samples.frames,
            scale <= recipe.max_upscale + 1e-9,
            _cropped(samples, bucket) <= recipe.max_crop_fraction + 1e-9,
        )
        passed = np.logical_and.accumulate(np.stack(tests), axis=0).sum(axis=0)
        fits.append(passed == len(tests))
        furthest = np.maximum(furthest, np.minimum(passed, len(tests) - 1).astype(np.int8))
    return fits, furthest


def _assign(
    samples: _Samples, recipe: BucketRecipe, fits: list[npt.NDArray[np.bool_]], draw: npt.NDArray[np.uint64]
) -> Indices:
    """Return the bucket of each sample, -1 for none."""
    taken = np.full(len(samples.ids), -1, np.intp)
    if recipe.assign == "random":
        choices = np.sum(fits, axis=0)
        pick = np.where(choices > 0, draw % np.maximum(choices, 1).astype(np.uint64), 0).astype(np.intp)
        for index, fit in enumerate(fits):
            taken[fit & (pick == 0) & (taken < 0)] = index
            pick -= fit
        return taken
    best = np.zeros(len(samples.ids))
    for index, (bucket, fit) in enumerate(zip(recipe.buckets, fits, strict=True)):
        volume = bucket.frames * bucket.height_px * bucket.width_px
        score = np.where(fit, volume * (1 - _cropped(samples, bucket)) ** _CROP_AVERSION, 0)
        better = fit & (score > best * (1 + 1e-9))
        taken[better], best[better] = index, score[better]
    return taken


def _batches(
    samples: _Samples, recipe: BucketRecipe, bucket: Bucket, order: Indices, starts: npt.NDArray[np.uint64]
) -> list[Batch]:
    ids = [samples.ids[i] for i in order]
    steps = _step(samples, bucket)[order]
    slack = (samples.frames - 1 - _last_index(samples, bucket))[order].astype(np.uint64)
    if recipe.first_frame == "random":
        first = starts[order] % (slack + np.uint64(1))
    else:
        first = slack // np.uint64(2) if recipe.first_frame == "middle" else np.zeros_like(slack)
    firsts, strides, size = first.tolist(), steps.tolist(), recipe.batch_size(bucket)
    tokens = recipe.tokens(bucket)
    cuts = [slice(i, i + size) for i in range(0, len(ids), size)]
    return [Batch(bucket, tuple(ids[c]), tuple(firsts[c]), tuple(strides[c]), tokens * len(ids[c])) for c in cuts]


def _row(samples: _Samples, recipe: BucketRecipe, bucket: Bucket, order: Indices, made: list[Batch]) -> BucketRow:
    area = (samples.height * samples.width)[order]
    cropped = (_cropped(samples, bucket)[order] * area).sum() / max(area.sum(), 1)
    frames = samples.frames[order].sum()
    return BucketRow(
        bucket=bucket.label,
        samples=len(order),
        batches=len(made),
        batch_size=recipe.batch_size(bucket),
        last_batch_size=len(made[-1]) if made else 0,
        tokens_per_sample=recipe.tokens(bucket),
        tokens=sum(batch.tokens for batch in made),
        cropped_fraction=round(float(cropped), 6),
        dropped_frames_fraction=round(float(1 - bucket.frames * len(order) / frames) if frames else 0.0, 6),
    )


def _step(samples: _Samples, bucket: Bucket) -> Floats:
    """Media frames per bucket frame: 1 at the native rate, and never less, for no frame is shown twice."""
    if bucket.fps is None or bucket.frames == 1:
        return np.ones(len(samples.ids))
    return np.maximum(1.0, samples.fps / bucket.fps)


def _last_index(samples: _Samples, bucket: Bucket) -> Floats:
    return np.floor((bucket.frames - 1) * _step(samples, bucket) + 0.5)


def _fast_enough(samples: _Samples, bucket: Bucket, recipe: BucketRecipe) -> npt.NDArray[np.bool_]:
    if bucket.fps is None or bucket.frames == 1:
        return np.ones(len(samples.ids), np.bool_)
    return samples.fps >= bucket.fps * (1 - recipe.fps_tolerance) - 1e-9


def _cropped(samples: _Samples, bucket: Bucket) -> Floats:
    """Share of the picture that is cut away when it is scaled to cover the bucket."""
    ratio = (samples.width / samples.height) / (bucket.width_px / bucket.height_px)
    return 1 - np.minimum(ratio, 1 / ratio)


def _random(count: int, seed: int, epoch: int, purpose: str) -> npt.NDArray[np.uint64]:
    """Return `count` numbers of 64 random bits that depend on the arguments alone: Philox, keyed by their hash."""
    key = blake2b(repr((seed, epoch, purpose)).encode(), digest_size=16).digest()
    return np.random.Philox(key=np.frombuffer(key, np.uint64)).random_raw(count)
