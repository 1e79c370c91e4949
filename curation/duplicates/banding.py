"""All pairs of 64-bit hashes within a Hamming distance, found without comparing all pairs.

The bits are cut into bands. Hashes that differ in at most r bits agree wholly in at least m - r of m bands, by the
pigeonhole principle; so for every choice of k = m - r bands the hashes are sorted by those bands, and only neighbours
with equal bands are compared (Manku, Jain and Das Sarma, "Detecting near-duplicates for web crawling", WWW 2007,
section 3). More bands make smaller buckets and more tables: the plan with the least expected work is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["HashPairs", "pairs_within", "plan"]

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

_BITS: Final = 64
_KEY_BITS: Final = 32
_STEP: Final = 37  # odd: i -> 37 i mod 64 moves every bit elsewhere, and neighbours far apart
_BLOCK: Final = 1 << 16
_SORT_NS, _COMPARE_NS = 60.0, 3.0


@dataclass(frozen=True, slots=True)
class HashPairs:
    """Pairs of hashes, each once: `first` < `second` (indices), int64, and `distance`, uint8, in bits.

    `skipped` counts comparisons that were left out because a bucket was crowded; if it is 0 no pair is missing.
    """

    first: I64
    second: I64
    distance: npt.NDArray[np.uint8]
    skipped: int


def plan(hashes: int, distance: int) -> tuple[int, int]:
    """Return (bands, bands that must agree) with the least expected work; their difference is `distance`."""

    def cost(agree: int) -> float:
        bands = distance + agree
        bucket = hashes / 2.0 ** (_BITS * agree // bands)
        return comb(bands, agree) * hashes * (_SORT_NS + _COMPARE_NS * bucket / 2)

    lawful = [k for k in range(1, 6) if k * -(-_BITS // (distance + k)) <= _KEY_BITS]
    agree = min(lawful, key=cost) if distance else 1
    return max(distance + agree, 2), agree


def pairs_within(hashes: U64, distance: int, *, crowd: int = 4096, threads: int = 2) -> HashPairs:
    """Return every pair of `hashes` [N] that differ in at most `distance` bits (0 to 16).

    A hash is compared with at most `crowd` others in one bucket; what is left out is counted. N is below 2^31.
    """
    bands, agree = plan(len(hashes), distance)
    edges = [_BITS * band // bands for band in range(bands + 1)]
    mixed = _mix(hashes)

    def search(chosen: tuple[int, ...]) -> tuple[I64, I64, int]:
        return _table(mixed, edges, chosen, distance, crowd)

    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(search, combinations(range(bands), agree))) if len(hashes) > 1 else []
    one = np.concatenate([f[0] for f in found] or [np.empty(0, np.int64)])
    other = np.concatenate([f[1] for f in found] or [np.empty(0, np.int64)])
    first, second = np.minimum(one, other), np.maximum(one, other)
    order = np.lexsort((second, first))
    first, second = first[order], second[order]
    apart = np.bitwise_count(hashes[first] ^ hashes[second])
    return HashPairs(first, second, apart, sum(f[2] for f in found))


def _mix(hashes: U64) -> U64:
    """Return the hashes with their bits in another order, the same for all.

    Neighbouring bits of a perceptual hash are neighbouring frequencies and often agree; a band should not hold them.
    """
    out = np.zeros_like(hashes)
    values = np.arange(256, dtype=np.uint64)
    for byte in range(8):
        moved = np.zeros(256, np.uint64)
        for bit in range(8):
            to = (8 * byte + bit) * _STEP % _BITS
            moved |= ((values >> np.uint64(bit)) & np.uint64(1)) << np.uint64(to)
        out |= moved[(hashes >> np.uint64(8 * byte)) & np.uint64(255)]
    return out


def _table(mixed: U64, edges: list[int], chosen: tuple[int, ...], distance: int, crowd: int) -> tuple[I64, I64, int]:
    """Return the pairs for which `chosen` are the first bands that agree, and the comparisons left out."""
    keys = np.zeros(len(mixed), np.uint64)
    for band in chosen:
        width = np.uint64(edges[band + 1] - edges[band])
        part = (mixed >> np.uint64(edges[band])) & ((np.uint64(1) << width) - np.uint64(1))
        keys = (keys << width) | part
    packed = (keys << np.uint64(_KEY_BITS)) | np.arange(len(mixed), dtype=np.uint64)
    packed.sort()
    index = (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)
    keys = packed >> np.uint64(_KEY_BITS)
    ordered = mixed[index]
    bounds = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1], [True]]))
    sizes = np.diff(bounds)
    later = np.repeat(bounds[1:], sizes) - np.arange(len(keys)) - 1
    here, there = [], []
    for lo in range(0, len(keys), _BLOCK):
        for at, step in _close(ordered, later, lo, distance, crowd):
            keep = _first_table(ordered[at] ^ ordered[at + step], edges, chosen)
            here.append(index[at[keep]])
            there.append(index[at[keep] + step])
    skipped = int(np.maximum(later - crowd, 0).sum())
    empty = [np.empty(0, np.int64)]
    return np.concatenate(here or empty), np.concatenate(there or empty), skipped


def _close(ordered: U64, later: I64, lo: int, distance: int, crowd: int) -> Iterator[tuple[I64, int]]:
    """Yield, for a block of positions, those whose hash is close to that `step` places further on."""
    block = later[lo : lo + _BLOCK]
    for step in range(1, min(int(block.max()), crowd) + 1):
        open_ = block >= step
        if 4 * np.count_nonzero(open_) > len(block):
            end = min(lo + len(block), len(ordered) - step)
            differ = ordered[lo:end] ^ ordered[lo + step : end + step]
            at = np.flatnonzero((np.bitwise_count(differ) <= distance) & open_[: end - lo]) + lo
        else:
            at = np.flatnonzero(open_) + lo
            at = at[np.bitwise_count(ordered[at] ^ ordered[at + step]) <= distance]
        if len(at):
            yield at, step


def _first_table(differ: U64, edges: list[int], chosen: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Return where no band before the last of `chosen` agrees but the chosen: so each pair is told by one table."""
    agreeing = np.zeros(len(differ), np.int64)
    for band in range(chosen[-1] + 1):
        mask = np.uint64(((1 << (edges[band + 1] - edges[band])) - 1) << edges[band])
        agreeing += (differ & mask) == 0
    return np.asarray(agreeing == len(chosen))
