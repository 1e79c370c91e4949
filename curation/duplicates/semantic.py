"""Semantic duplicates: clips whose embeddings point the same way, by cosines inside the cells of a k-means tree.

As an inverted file does (Jégou, Douze and Schmid, "Product quantization for nearest neighbor search", PAMI 2011), the
vectors are parted into cells, and only those of one cell are compared, by matrix products. A vector that lies between
two cells goes into both. Cells are parted again until they are small, so work grows a little faster than linearly. A
pair across a border that neither of its vectors is near is missed: it is a search for nearest neighbours, not a proof.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from curation.duplicates.clusters import Edges, Evidence
from curation.kmeans import centres_of

__all__ = ["semantic_pairs"]

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

LEAF: Final = 512
"""Cells of at most this many vectors are compared whole."""
ANCHORS: Final = 64
"""With how many of the best a vector is compared in a cell that cannot be parted."""
_BRANCH: Final = 32
_SAMPLE: Final = 40
_ROUNDS: Final = 8
_MARGIN: Final = 0.08


def semantic_pairs(vectors: F32, cosine: float, *, leaf: int = LEAF) -> Edges:
    """Return the pairs of unit `vectors` [N, D], best clip first, whose cosine is at least `cosine`.

    An edge's distance is 1 - cosine. Deterministic: the cells depend on nothing but the vectors and their order.
    """
    codes, cosines = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for members in _cells(vectors, leaf):
        rows = vectors[members]
        anchors = len(members) if len(members) <= leaf else ANCHORS
        for lo in range(0, len(members), 4096):
            alike = rows[:anchors] @ rows[lo : lo + 4096].T
            first, second = np.nonzero(alike >= cosine - 1e-6)
            right = first < second + lo
            first, second = first[right], second[right]
            codes.append(members[first] * len(vectors) + members[second + lo])
            cosines.append(alike[first, second])
    code, where = np.unique(np.concatenate(codes), return_index=True)
    one, other = np.divmod(code, max(1, len(vectors)))
    return Edges.of_kind(one, other, Evidence.SEMANTIC, np.clip(1 - np.concatenate(cosines)[where], 0, 2))


def _cells(vectors: F32, leaf: int) -> Iterator[I64]:
    """Yield the members of each cell, ascending; a vector may be in several."""
    todo = [np.arange(len(vectors))]
    while todo:
        members = todo.pop()
        if len(members) <= leaf:
            yield members
            continue
        parts = _part(vectors, members, min(_BRANCH, max(2, -(-2 * len(members) // leaf))))
        if max(map(len, parts)) > 0.8 * len(members):
            yield members
        else:
            todo += parts


def _part(vectors: F32, members: I64, branch: int) -> list[I64]:
    """Return the members of each of at most `branch` cells, by spherical k-means on a sample; a border's twice."""
    random = np.random.default_rng(len(members))
    chosen = random.choice(len(members), min(len(members), branch * _SAMPLE), replace=False)
    sample = vectors[members[np.sort(chosen)]]
    centres = centres_of(sample, branch, random, _ROUNDS)
    first, second = np.empty(len(members), np.int64), np.empty(len(members), np.int64)
    for lo in range(0, len(members), 1 << 16):
        likeness = vectors[members[lo : lo + (1 << 16)]] @ centres.T
        rows = np.arange(len(likeness))
        best = likeness.argmax(axis=1)
        top = likeness[rows, best]
        likeness[rows, best] = -2
        runner = likeness.argmax(axis=1)
        border = top - likeness[rows, runner] < _MARGIN
        first[lo : lo + len(rows)] = best
        second[lo : lo + len(rows)] = np.where(border, runner, best)
    return [cell for c in range(len(centres)) if len(cell := members[(first == c) | (second == c)])]
