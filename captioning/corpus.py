"""Lint of all captions of a dataset together: what two videos share, wholly or nearly, and unusual lengths.

Near-duplicates are found by MinHash (Broder 1997) of word 3-shingles and banding (Indyk and Motwani 1998), and every
pair found is verified on the shingles themselves. No caption is compared with all others: within a band captions are
sorted, as in an LSH forest (Bawa et al. 2005), and each is compared with its nearest neighbours of other videos. So
the time is near-linear however alike the captions are, and the state is 8 bytes a word and about 1 kB a caption.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEWEST", "NEAR", "OUTLYING", "corpus_flags"]

NEAR: Final = 0.8
"""From this Jaccard similarity of their word 3-shingles two captions are near-duplicates."""

OUTLYING: Final = 3.5
"""Beyond this modified z-score a length is an outlier (Iglewicz and Hoaglin 1993)."""

FEWEST: Final = 20
"""With fewer captions of one author their lengths are not judged."""

_HASHES: Final = 64
_BANDS: Final = 16  # of 4 hashes: of pairs at Jaccard 0.8, 1 - (1 - 0.8**4)**16 = 0.9998 meet in a band
_DEPTH: Final = 4  # bands that a caption's place is sorted by: where the first one is full, the others tell nearer ones
_REACH: Final = 16  # neighbours looked at in a band, to either side
_LIKELY: Final = 38  # hashes of 64 that must agree: four standard deviations below 0.8 * 64
_PARTNERS: Final = 8  # likeliest partners of a caption that are verified
_BLOCK: Final = 2048
_PAIRS: Final = 65_536
_WORD: Final = re.compile(r"\w+")
_LAST: Final = np.uint64(2**64 - 1)
_RANDOM: Final = np.random.default_rng(1997).integers(0, 2**63, (2, _HASHES), dtype=np.uint64)
_MULTIPLY: Final = _RANDOM[0] * np.uint64(2) + np.uint64(1)
_ADD: Final = _RANDOM[1]
_PLACES: Final = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)

_U64 = NDArray[np.uint64]
_Int = NDArray[np.int64]


def corpus_flags(rows: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """Return the flags of those captions that have any, by clip id, whatever the order of `rows`.

    Rows have `clip_id`, `dense` and `backend`, and may have `outcome`; those without a dense caption are passed over.
    The video of a clip is what stands before the colon of its id: clips of one video, and pseudo-videos of one still,
    share their content and are no duplicates of each other.

    - `duplicate:<clip>`: that clip of another video has the same dense caption, in any case
    - `near_duplicate:<clip>`: another one, whose Jaccard similarity is at least `NEAR`; the most similar that was found
    - `length_outlier:short`, `:long`: beyond `OUTLYING` among the captions of the same author (the backend, or the
      template where the outcome says so), by the median of the logarithms of word counts and their MAD
    """
    corpus = _Corpus()
    for row in rows:
        corpus.add(row)
    return corpus.flags()


class _Hashed(dict[str, int]):
    """Words and their 64-bit hashes, the same in every process."""

    def __missing__(self, word: str) -> int:
        value = self[word] = int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")
        return value


class _Corpus:
    """Captions as they come: their clips, and of each different text its shingles and its signature."""

    def __init__(self) -> None:
        self.clips: list[str] = []
        self.text_of, self.video_of, self.author_of, self.words_of = array("q"), array("q"), array("q"), array("q")
        self.videos: dict[str, int] = {}
        self.authors: dict[str, int] = {}
        self.texts: dict[bytes, int] = {}
        self.hashed = _Hashed()
        self.pending, self.pending_counts = array("Q"), array("q")
        # They grow in place: to concatenate parts would hold all twice.
        self.shingles, self.signatures, self.counts = bytearray(), bytearray(), array("q")

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in one caption."""
        text = (row.get("dense") or "").casefold()
        words = _WORD.findall(text)
        if not words:
            return
        clip_id = str(row["clip_id"])
        author = "template" if row.get("outcome") == "template" else str(row.get("backend"))
        digest = blake2b(text.encode(), digest_size=16).digest()
        if digest not in self.texts:
            self.pending.extend([self.hashed[word] for word in words])
            self.pending.extend([0] * (3 - len(words)))
            self.pending_counts.append(max(3, len(words)))
        self.clips.append(clip_id)
        self.text_of.append(self.texts.setdefault(digest, len(self.texts)))
        self.video_of.append(self.videos.setdefault(clip_id.partition(":")[0], len(self.videos)))
        self.author_of.append(self.authors.setdefault(author, len(self.authors)))
        self.words_of.append(len(words))
        if len(self.pending_counts) >= _BLOCK:
            self._sign()

    def flags(self) -> dict[str, set[str]]:
        """Return the flags of what was taken in."""
        if not self.clips:
            return {}
        if self.pending_counts:
            self._sign()
        # From here a clip is its place among the sorted ids, and a text its place among the sorted digests.
        by_id = np.array(sorted(range(len(self.clips)), key=self.clips.__getitem__))
        digests = np.frombuffer(b"".join(self.texts), ">u8")[::2].astype(np.uint64)
        by_digest = np.argsort(digests, kind="stable")
        place = np.empty_like(by_digest)
        place[by_digest] = np.arange(len(by_digest))
        text, video = place[np.array(self.text_of)[by_id]], np.array(self.video_of)[by_id]
        clips = [self.clips[i] for i in by_id]
        found: dict[str, set[str]] = {}
        first, second = _firsts(text, video, len(by_digest))
        _note(found, clips, "duplicate", _other(text, video, first, second, video))
        near = self._near(text, video, first, second, by_digest)
        _note(found, clips, "near_duplicate", near)
        outliers = _outliers(np.array(self.words_of)[by_id], np.array(self.author_of)[by_id])
        for clip in np.flatnonzero(outliers):
            found.setdefault(clips[clip], set()).add(f"length_outlier:{'long' if outliers[clip] > 0 else 'short'}")
        return found

    def _sign(self) -> None:
        """Turn the pending texts into shingles, each once, in order, and their signatures."""
        words, counts = np.array(self.pending, np.uint64), np.array(self.pending_counts)
        ends = np.cumsum(counts)
        begins = np.ones(len(words), bool)
        begins[ends - 1] = begins[ends - 2] = False
        at = np.flatnonzero(begins)
        shingles = _mixed(words[at] * _PLACES[0] + words[at + 1] * _PLACES[1] + words[at + 2] * _PLACES[2])
        text = np.repeat(np.arange(len(counts)), counts - 2)
        order = np.lexsort((shingles, text))
        shingles, text = shingles[order], text[order]
        fresh = np.ones(len(shingles), bool)
        fresh[1:] = (shingles[1:] != shingles[:-1]) | (text[1:] != text[:-1])
        shingles, text = shingles[fresh], text[fresh]
        sizes = np.bincount(text, minlength=len(counts))
        starts = np.cumsum(sizes) - sizes
        signature = np.empty((len(counts), _HASHES), np.uint16)
        hashes = np.empty_like(shingles)
        for k in range(_HASHES):
            np.multiply(shingles, _MULTIPLY[k], out=hashes)
            hashes += _ADD[k]
            # The lowest 16 bits of the least hash tell it well enough (b-bit minwise hashing, Li and Koenig 2010).
            signature[:, k] = np.minimum.reduceat(hashes, starts).astype(np.uint16)
        self.shingles += shingles.tobytes()
        self.signatures += signature.tobytes()
        self.counts.extend(sizes.tolist())
        self.pending, self.pending_counts = array("Q"), array("q")

    def _near(self, text: _Int, video: _Int, first: _Int, second: _Int, by_digest: _Int) -> _Int:
        """Return, for each clip, the nearest clip of another video whose text is another; -1 for none."""
        counts = np.array(self.counts)
        starts, counts = (np.cumsum(counts) - counts)[by_digest], counts[by_digest]
        signatures = np.frombuffer(self.signatures, np.uint16).reshape(-1, _HASHES)[by_digest]
        # A text of several videos is a partner for every other one; a text of one is none for those of its video.
        kin = np.where(second < 0, video[first], -1 - np.arange(len(first)))
        one, other = _partners(signatures, kin)
        score = _jaccard(np.frombuffer(self.shingles, np.uint64), starts, counts, one, other)
        close = score >= NEAR
        one, other, score = one[close], other[close], score[close]
        one, other, score = np.r_[one, other], np.r_[other, one], np.r_[score, score]
        of, clip, score = np.r_[one, one], np.r_[first[other], second[other]], np.r_[score, score]
        of, clip, score = of[clip >= 0], clip[clip >= 0], score[clip >= 0]
        best = np.lexsort((clip, -score, of))
        of, clip = of[best], clip[best]
        nearest = _other(text, video, *_firsts(of, video[clip], len(first)), video[clip])
        return np.where(nearest < 0, -1, clip[nearest]) if len(clip) else nearest


def _firsts(group: _Int, video: _Int, groups: int) -> tuple[_Int, _Int]:
    """Return, for each group, the place of its first member, and of the first of another video; -1 for none."""
    first, second = np.full(groups, -1), np.full(groups, -1)
    there, at = np.unique(group, return_index=True)
    first[there] = at
    differs = np.flatnonzero(video != video[first[group]]) if len(group) else np.empty(0, np.int64)
    there, at = np.unique(group[differs], return_index=True)
    second[there] = differs[at]
    return first, second


def _other(text: _Int, video: _Int, first: _Int, second: _Int, video_of: _Int) -> _Int:
    """Return, for each clip, which of its text's two firsts is of another video than its own; -1 for neither."""
    mine, spare = first[text], second[text]
    if not len(video_of):
        return mine
    return np.where((mine >= 0) & (video_of[mine] == video), spare, mine)


def _note(found: dict[str, set[str]], clips: list[str], flag: str, other: _Int) -> None:
    for clip in np.flatnonzero(other >= 0):
        found.setdefault(clips[clip], set()).add(f"{flag}:{clips[other[clip]]}")


def _outliers(words: _Int, author: _Int) -> _Int:
    """Return -1 for captions that are unusually short, 1 for unusually long ones, 0 for the others.

    The MAD counts as at least one word: lengths that hardly differ have no outliers a word away.
    """
    outlying = np.zeros(len(words), np.int64)
    for which in np.unique(author):
        mine = np.flatnonzero(author == which)
        if len(mine) < FEWEST:
            continue
        logs = np.log(words[mine])
        middle = np.median(logs)
        spread = max(float(np.median(np.abs(logs - middle))), float(np.log1p(np.exp(-middle))))
        score = 0.6745 * (logs - middle) / spread
        outlying[mine] = np.where(np.abs(score) > OUTLYING, np.sign(score), 0)
    return outlying


def _mixed(keys: _U64) -> _U64:
    """Return well-mixed hashes of 64-bit keys, one for one (splitmix64, Steele et al. 2014)."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def _partners(signatures: NDArray[np.uint16], kin: _Int) -> tuple[_Int, _Int]:
    """Return pairs of texts, each once, that are likely to be near and not of one kin."""
    bands = signatures.view(np.uint64)
    best = np.zeros((len(kin), _PARTNERS), np.uint64)
    for band in range(_BANDS):
        order = np.lexsort([bands[:, (band + later) % _BANDS] for later in range(_DEPTH - 1, -1, -1)])
        key = bands[order, band]
        changes = key[1:] != key[:-1]
        buckets = np.flatnonzero(np.r_[True, changes, True])
        runs = np.flatnonzero(np.r_[True, changes | (kin[order][1:] != kin[order][:-1]), True])
        for start in range(0, len(order), _PAIRS):
            at = np.arange(start, min(start + _PAIRS, len(order)))
            _improve(best, signatures, kin, order, at, _neighbours(at, buckets, runs))
    one, rank = np.nonzero(best)
    other = (_LAST - best[one, rank]).astype(np.int64) & 0xFFFFFFFF
    pairs = np.unique(np.minimum(one, other) << 32 | np.maximum(one, other))
    return pairs >> 32, pairs & 0xFFFFFFFF


def _neighbours(at: _Int, buckets: _Int, runs: _Int) -> _Int:
    """Return the places of the neighbours of the places `at` in their buckets, [n, 2 * _REACH]; -1 where none is.

    They are those after and before the run of one kin that a place is in.
    """
    in_bucket, in_run = np.searchsorted(buckets, at, "right"), np.searchsorted(runs, at, "right")
    reach = np.arange(_REACH)
    after = runs[in_run][:, None] + reach
    before = runs[in_run - 1][:, None] - 1 - reach
    after[after >= buckets[in_bucket][:, None]] = -1
    before[before < buckets[in_bucket - 1][:, None]] = -1
    return np.hstack([after, before])


def _improve(best: _U64, signatures: NDArray[np.uint16], kin: _Int, order: _Int, at: _Int, neighbours: _Int) -> None:
    """Put the likeliest of the neighbours of the places `at` into `best`: entries of (hashes that agree, -1 - text)."""
    row, column = np.nonzero(neighbours >= 0)
    one, other = order[at[row]], order[neighbours[row, column]]
    differs = kin[one] != kin[other]
    row, column, one, other = row[differs], column[differs], one[differs], other[differs]
    entries = np.zeros(neighbours.shape, np.uint64)
    for part in range(0, len(row), _PAIRS):
        cut = slice(part, part + _PAIRS)
        agree = np.count_nonzero(signatures[one[cut]] == signatures[other[cut]], axis=1).astype(np.uint64)
        entry = agree << np.uint64(32) | (np.uint64(0xFFFFFFFF) - other[cut].astype(np.uint64))
        entries[row[cut], column[cut]] = np.where(agree >= _LIKELY, entry, np.uint64(0))
    better = np.flatnonzero(entries.any(axis=1))
    text = order[at[better]]
    merged = np.sort(np.hstack([best[text], entries[better]]), axis=1)
    merged[:, 1:][merged[:, 1:] == merged[:, :-1]] = 0
    best[text] = np.sort(merged, axis=1)[:, -_PARTNERS:]


def _jaccard(shingles: _U64, starts: _Int, counts: _Int, one: _Int, other: _Int) -> NDArray[np.float64]:
    """Return the Jaccard similarity of the shingle sets of each pair of texts."""
    score = np.zeros(len(one))
    by_size = np.argsort(counts[one] + counts[other], kind="stable")
    for part in range(0, len(one), _BLOCK):
        pairs = by_size[part : part + _BLOCK]
        a, b = one[pairs], other[pairs]
        members = np.full((len(pairs), int((counts[a] + counts[b]).max())), _LAST)
        for text, shift in ((a, np.zeros_like(a)), (b, counts[a])):
            row = np.repeat(np.arange(len(pairs)), counts[text])
            within = np.arange(len(row)) - np.repeat(np.cumsum(counts[text]) - counts[text], counts[text])
            members[row, shift[row] + within] = shingles[starts[text][row] + within]
        members.sort(axis=1)
        shared = np.count_nonzero((members[:, 1:] == members[:, :-1]) & (members[:, 1:] != _LAST), axis=1)
        score[pairs] = shared / (counts[a] + counts[b] - shared)
    return score
