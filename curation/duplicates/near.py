"""Near duplicates: clips whose keyframes look alike, by the votes of their perceptual hashes.

Candidates are clips that share a hash, or have two within `nearest` bits of each other; each candidate is then held to
all its keyframes. Rows come in order of preference, the best first. Where a picture is in very many clips, by one hash
or by hashes that differ a little, each of them is compared with the best few over all those hashes: a cluster needs no
more, since its representative is the best, and so candidates grow linearly. What that leaves out is counted: a clip
whose only match is none of the best few is missed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from curation.duplicates.banding import U64, first_few, pairs_within
from curation.duplicates.clusters import Edges, Evidence

__all__ = ["informative", "near_pairs"]

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

ANCHORS: Final = 8
"""With how many of the best clips that hold a picture, in whatever hash, the others are compared."""
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
    returned is the number of comparisons left out of pictures that are in many clips; if it is 0 no pair is missed.
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
    values, seen, which = np.unique(hashes[owner, column], return_index=True, return_inverse=True)
    order = np.argsort(seen)  # owners ascend, so a hash that is seen first has the best owner
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    which, owner = _once(rank[which], owner)
    starts = np.searchsorted(which, np.arange(len(values) + 1))
    # A clip has a hash in each column at most, so the owners of these are no fewer than ANCHORS, if there are as many.
    few = ANCHORS * hashes.shape[1]
    alike = pairs_within(values[order], nearest, best=few)
    below = first_few(alike.first, alike.second, few)
    of = np.concatenate([np.arange(len(values)), alike.second, alike.first[below]])
    other = np.concatenate([np.arange(len(values)), alike.first, alike.second[below]])
    of, best, left_out = _best_owners(of, other, owner, starts)
    sizes = np.diff(starts)
    skipped = alike.skipped + (len(alike.first) - len(below)) + int((sizes * left_out).sum())
    codes = [np.empty(0, np.int64)]
    place = np.arange(len(of)) - np.searchsorted(of, of)
    for anchor in range(ANCHORS):
        here = place == anchor
        repeats = sizes[of[here]]
        inside = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        first, second = owner[np.repeat(starts[of[here]], repeats) + inside], np.repeat(best[here], repeats)
        apart = first != second
        low, high = np.minimum(first, second)[apart], np.maximum(first, second)[apart]
        codes.append(np.unique(low * len(hashes) + high))
    return np.unique(np.concatenate(codes)), skipped


def _best_owners(of: I64, other: I64, owner: I64, starts: I64) -> tuple[I64, I64, I64]:
    """Return, for each hash, itself and the hashes `other` that are like it, the ANCHORS best of their owners.

    They come as two arrays, hash and owner, sorted; beside them how many owners of each hash [H] are left out.
    """
    sizes = np.diff(starts)
    found = [(np.empty(0, np.int64), np.empty(0, np.int64))]
    for anchor in range(ANCHORS):
        some = sizes[other] > anchor
        found.append((of[some], owner[starts[other[some]] + anchor]))
    hashes, best = _once(*(np.concatenate(column) for column in zip(*found, strict=True)))
    kept = first_few(hashes, best, ANCHORS)
    left_out = np.bincount(hashes, minlength=len(sizes)) - np.bincount(hashes[kept], minlength=len(sizes))
    left_out += np.bincount(of, np.maximum(sizes[other] - ANCHORS, 0), len(sizes)).astype(np.int64)
    return hashes[kept], best[kept], left_out


def _once(one: I64, other: I64) -> tuple[I64, I64]:
    """Return pairs of numbers below 2^32 sorted, each once."""
    packed = np.unique((one.astype(np.uint64) << np.uint64(32)) | other.astype(np.uint64))
    return (packed >> np.uint64(32)).astype(np.int64), (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)
