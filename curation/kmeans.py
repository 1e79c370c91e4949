"""Spherical k-means: unit vectors parted into clusters by their cosines (Dhillon and Modha 2001).

Seeds are drawn as k-means++ does (Arthur and Vassilvitskii 2007), of several draws the best, on a sample; the same
vectors in the same order give the same clusters.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["centres_of", "nearest_centres", "spherical_kmeans"]

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

_SAMPLE_PER_CLUSTER: Final = 64
_SMALLEST_SAMPLE: Final = 16_384
_ROUNDS: Final = 25
_CHUNK: Final = 1 << 14
_SAME: Final = 1e-6


def spherical_kmeans(vectors: F32, clusters: int, *, seed: int = 0) -> tuple[I64, F32]:
    """Return the cluster of each of the unit `vectors` [N, D], and the clusters' unit centres [K, D], largest first.

    K is `clusters`, or fewer where there are not as many different vectors. Of clusters of one size, the one whose
    first vector comes first is first.
    """
    if not len(vectors):
        return np.empty(0, np.int64), np.empty((0, vectors.shape[1]), np.float32)
    random = np.random.default_rng(seed)
    size = min(len(vectors), max(_SMALLEST_SAMPLE, clusters * _SAMPLE_PER_CLUSTER))
    sample = vectors[np.sort(random.choice(len(vectors), size, replace=False))]
    centres = centres_of(sample, clusters, random)
    labels, _ = nearest_centres(vectors, centres)
    return _largest_first(labels, centres)


def centres_of(sample: F32, clusters: int, random: np.random.Generator, rounds: int = _ROUNDS) -> F32:
    """Return the unit centres [K, D] of unit vectors `sample` [S, D], S at least 1, after at most `rounds` rounds.

    K is `clusters`, or fewer where there are not as many different vectors.
    """
    centres = _seeds(sample, clusters, random)
    before = np.empty(0, np.int64)
    for _ in range(rounds):
        labels, cosines = nearest_centres(sample, centres)
        if np.array_equal(labels, before):
            break
        before = labels
        centres = _means(sample, labels, cosines, centres)
    return centres


def nearest_centres(vectors: F32, centres: F32) -> tuple[I64, F32]:
    """Return for each of `vectors` [N, D] the nearest of `centres` [K, D] and their cosine."""
    labels, cosines = np.empty(len(vectors), np.int64), np.empty(len(vectors), np.float32)
    for lo in range(0, len(vectors), _CHUNK):
        likeness = vectors[lo : lo + _CHUNK] @ centres.T
        best = likeness.argmax(axis=1)
        labels[lo : lo + len(best)] = best
        cosines[lo : lo + len(best)] = likeness[np.arange(len(best)), best]
    return labels, cosines


def _seeds(sample: F32, clusters: int, random: np.random.Generator) -> F32:
    """Draw seeds with a chance that grows with the squared distance, 2 - 2 cosine, to the nearest one so far.

    Of a few draws that one is taken which leaves the least distance.
    """
    chosen = [int(random.integers(len(sample)))]
    apart = np.maximum(1 - sample @ sample[chosen[0]], 0).astype(np.float64)
    draws = 8 + int(np.log(clusters))
    while len(chosen) < clusters:
        apart[apart < _SAME] = 0
        total = apart.sum()
        if total <= 0:
            break
        drawn = np.searchsorted(np.cumsum(apart), random.random(draws) * total, side="right")
        left = np.minimum(apart, np.maximum(1 - sample[drawn] @ sample.T, 0))
        best = int(left.sum(axis=1).argmin())
        chosen.append(int(drawn[best]))
        apart = left[best]
    return sample[chosen]


def _means(sample: F32, labels: I64, cosines: F32, centres: F32) -> F32:
    """Return the unit means; an empty cluster begins again at the vector that is served worst."""
    order = np.argsort(labels, kind="stable")
    held, starts = np.unique(labels[order], return_index=True)
    sums = np.add.reduceat(sample[order], starts, axis=0)
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    moved = centres.copy()
    moved[held] = np.where(norms > _SAME, sums / np.maximum(norms, _SAME), centres[held])
    empty = np.setdiff1d(np.arange(len(centres)), held)
    moved[empty] = sample[np.argsort(cosines, kind="stable")[: len(empty)]]
    return moved


def _largest_first(labels: I64, centres: F32) -> tuple[I64, F32]:
    held, first, inverse, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -counts))
    rank = np.empty(len(held), np.int64)
    rank[order] = np.arange(len(held))
    return rank[inverse.ravel()], centres[held[order]]
