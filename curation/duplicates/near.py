"""Near duplicates: clips whose keyframes look alike, by the votes of their perceptual hashes.

Candidates are clips that share a hash, or have two within `nearest` bits of each other; each candidate is then held to
all its keyframes. Rows come in order of preference, the best first, so where a picture is in very many clips each of
them is compared with the best few, which is what a cluster needs, and the work stays linear.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from curation.duplicates.banding import U64, pairs_within
from curation.duplicates.clusters import Edges, Evidence

__all__ = ["informative", "near_pairs"]

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

ANCHORS: Final = 8
"""With how many of the best clips that hold a picture the others are compared."""
_FAR: Final = 65
_CHUNK: Final = 1 << 22


def informative(hashes: U64) -> Mask:
    """Return which hashes tell anything of a picture.

    A DCT hash has half its bits above the median, unless many coefficients are equal: so it is for black, white and
    evenly coloured frames, which all look alike to it.
    """
    ones = np.bitwise_count(hashes)
    return np.asarray((ones >= 16) & (ones <= 48))


def near_pairs(
    hashes: U64, valid: Mask, distance: int, nearest: int, agreement: float, crops: U64 | None = None
) -> tuple[Edges, int]:
    """Return the near duplicates among clips with hashes [N, K], of which `valid` ones count; best clip first.

    Two clips are near duplicates when at least `agreement` of the keyframes of the one that has fewer match, each
    with a keyframe of the other within `distance` bits, in any order, seen from both sides; and the best of them is
    within `nearest`. With `crops` [N, K, V], hashes of V smaller views of each keyframe, it matches too when a view
    of one is like the whole of the other. An edge's distance is the mean, in bits, over matched keyframes. Also
    returned is the number of comparisons left out in crowded buckets.
    """
    valid = valid & informative(hashes)
    views = np.zeros((*hashes.shape, 0), np.uint64) if crops is None else crops
    looks = views.shape[2] + 1
    every = np.concatenate([hashes[:, :, None], views], axis=2).reshape(len(hashes), hashes.shape[1] * looks)
    candidates, skipped = _candidates(every, np.repeat(valid, looks, axis=1), min(nearest, distance))
    counts = valid.sum(axis=1)
    kept: list[tuple[npt.NDArray[np.generic], ...]] = []
    size = max(1, _CHUNK // max(1, hashes.shape[1]) ** 2)
    for lo in range(0, len(candidates), size):
        first, second = np.divmod(candidates[lo : lo + size], len(hashes))
        apart = np.bitwise_count(hashes[first][:, :, None] ^ hashes[second][:, None, :])
        for view in np.moveaxis(views, 2, 0):
            np.minimum(apart, np.bitwise_count(view[first][:, :, None] ^ hashes[second][:, None, :]), out=apart)
            np.minimum(apart, np.bitwise_count(hashes[first][:, :, None] ^ view[second][:, None, :]), out=apart)
        apart[~(valid[first][:, :, None] & valid[second][:, None, :])] = _FAR
        mine, theirs = apart.min(axis=2), apart.min(axis=1)
        votes = np.minimum((mine <= distance).sum(axis=1), (theirs <= distance).sum(axis=1))
        of = np.minimum(counts[first], counts[second])
        good = (votes >= np.ceil(agreement * of - 1e-9)) & (mine.min(axis=1) <= nearest)
        sums = np.where(mine <= distance, mine, 0).sum(axis=1) / np.maximum((mine <= distance).sum(axis=1), 1)
        kept.append((first[good], second[good], sums[good], votes[good], of[good]))
    columns = [np.concatenate(part) for part in zip(*kept, strict=True)] or [np.empty(0)] * 5
    return Edges.of_kind(columns[0], columns[1], Evidence.NEAR, columns[2], columns[3], columns[4]), skipped


def _candidates(hashes: U64, valid: Mask, nearest: int) -> tuple[I64, int]:
    """Return pairs of clips worth a look, each as first * N + second, sorted; and the comparisons left out."""
    owner, column = np.nonzero(valid)
    distinct, which = np.unique(hashes[owner, column], return_inverse=True)
    packed = np.unique((which.astype(np.uint64) << np.uint64(32)) | owner.astype(np.uint64))
    owners = (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)
    starts = np.searchsorted(packed, np.arange(len(distinct) + 1, dtype=np.uint64) << np.uint64(32))
    alike = pairs_within(distinct, nearest)
    codes = [np.empty(0, np.int64)]
    groups = np.arange(len(distinct))
    shared = groups[np.diff(starts) > 1]
    for one, other in ((shared, shared), (alike.first, alike.second), (alike.second, alike.first)):
        for first, second in _meet(owners, starts, one, other):
            apart = first != second
            low, high = np.minimum(first, second)[apart], np.maximum(first, second)[apart]
            codes.append(np.unique(low * len(hashes) + high))
    return np.unique(np.concatenate(codes)), alike.skipped


def _meet(owners: I64, starts: I64, one: I64, other: I64) -> Iterator[tuple[I64, I64]]:
    """Yield every owner of the hash `one[i]` with each of the best owners of `other[i]`."""
    sizes = np.diff(starts)
    for anchor in range(ANCHORS):
        some = sizes[other] > anchor
        if not some.any():
            return
        left, right = one[some], other[some]
        repeats = sizes[left]
        inside = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        yield owners[np.repeat(starts[left], repeats) + inside], np.repeat(owners[starts[right] + anchor], repeats)
