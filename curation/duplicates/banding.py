"""All pairs of 64-bit hashes within a Hamming distance, found without comparing all pairs.

The bits are cut into bands. Hashes that differ in at most r bits agree wholly in at least m - r of m bands, by the
pigeonhole principle; so for every choice of k = m - r bands the hashes are sorted by those bands, and only neighbours
with equal bands are compared (Manku, Jain and Das Sarma, "Detecting near-duplicates for web crawling", WWW 2007,
section 3). More bands make smaller buckets and more tables: the plan with the least expected work is taken.

All pairs of N hashes of one picture are N^2 / 2. Where only the best few relatives of a hash are asked for, a crowded
bucket is gone through from its best hash on, and each hash leaves as soon as it has them.
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

__all__ = ["HashPairs", "first_few", "pairs_within", "plan"]

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

_BITS: Final = 64
_KEY_BITS: Final = 32
_STEP: Final = 37  # odd: i -> 37 i mod 64 moves every bit elsewhere, and neighbours far apart
_BLOCK: Final = 1 << 16
_SMALL: Final = 256
"""Buckets of at most this many hashes are compared whole."""
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


def pairs_within(
    hashes: U64, distance: int, *, best: int | None = None, crowd: int = 4096, threads: int = 2
) -> HashPairs:
    """Return every pair of `hashes` [N] that differ in at most `distance` bits (0 to 16).

    With `best`, hashes come best first, and a pair is left out when its second hash has that many pairs with better
    hashes than the first: so there are at most `best` N. A hash is compared with at most `crowd` others in one bucket;
    what is left out is counted. N is below 2^31.
    """
    bands, agree = plan(len(hashes), distance)
    edges = [_BITS * band // bands for band in range(bands + 1)]
    mixed = _mix(hashes)

    def search(chosen: tuple[int, ...]) -> tuple[I64, I64, int]:
        return _table(mixed, edges, chosen, distance, crowd, best)

    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(search, combinations(range(bands), agree))) if len(hashes) > 1 else []
    first = np.concatenate([f[0] for f in found] or [np.empty(0, np.int64)])
    second = np.concatenate([f[1] for f in found] or [np.empty(0, np.int64)])
    skipped = sum(f[2] for f in found)
    if best is not None:
        kept = first_few(second, first, best)
        skipped += len(first) - len(kept)
        first, second = first[kept], second[kept]
    order = np.lexsort((second, first))
    first, second = first[order], second[order]
    return HashPairs(first, second, np.bitwise_count(hashes[first] ^ hashes[second]), skipped)


def first_few(group: I64, value: I64, few: int) -> I64:
    """Return the places of the `few` least values of every group, by group and value."""
    order = np.lexsort((value, group))
    ordered = group[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(order) else order
    place = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    return np.asarray(order[place < few], np.int64)


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


def _table(
    mixed: U64, edges: list[int], chosen: tuple[int, ...], distance: int, crowd: int, best: int | None
) -> tuple[I64, I64, int]:
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
    crowded = np.repeat(sizes > _SMALL, sizes) if best is not None else np.zeros(len(keys), np.bool_)
    later = np.repeat(bounds[1:], sizes) - np.arange(len(keys)) - 1
    later[crowded] = 0
    empty = np.empty(0, np.int64)
    pairs = [(empty, empty)]
    for lo in range(0, len(keys), _BLOCK):
        pairs += [(at, at + step) for at, step in _close(ordered, later, lo, distance, crowd)]
    skipped = int(np.maximum(later - crowd, 0).sum())
    if best is not None:
        place = np.arange(len(keys)) - np.repeat(bounds[:-1], sizes)
        found, left_out = _close_to_the_best(ordered, place, np.flatnonzero(crowded), distance, crowd, best)
        pairs += found
        skipped += left_out
    here, there = (np.concatenate(ends) for ends in zip(*pairs, strict=True))
    if best is not None:
        # Of those a hash is close to, the best are its best in every table that holds them: so none is lost here.
        kept = first_few(there, here, best)
        here, there = here[kept], there[kept]
    mine = _first_table(ordered[here] ^ ordered[there], edges, chosen)
    return index[here[mine]], index[there[mine]], skipped


def _close_to_the_best(
    ordered: U64, place: I64, open_: I64, distance: int, crowd: int, best: int
) -> tuple[list[tuple[I64, I64]], int]:
    """Return, for the positions `open_`, the `best` first close ones of their buckets, and the comparisons left out.

    `place` is each position's place in its bucket.
    """
    pairs: list[tuple[I64, I64]] = []
    found = np.zeros(len(open_), np.int64)
    skipped = 0
    for step in range(crowd):
        more = place[open_] > step
        open_, found = open_[more], found[more]
        if not len(open_):
            break
        first = open_ - place[open_] + step
        close = np.bitwise_count(ordered[open_] ^ ordered[first]) <= distance
        pairs.append((first[close], open_[close]))
        found += close
        done = found == best
        skipped += int((place[open_[done]] - step - 1).sum())
        open_, found = open_[~done], found[~done]
    return pairs, skipped + int(np.maximum(place[open_] - crowd, 0).sum())


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
