"""What the clips show: their place in a space of meaning, and names for the clusters they make there.

A pseudo-video shows what its still shows, and goes by what is known of that. A cluster is named by the words that set
it apart: of a term's frequency in the cluster, and its rarity elsewhere (class-based TF-IDF, Grootendorst 2022).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.balance.config import BalanceConfig
from curation.duplicates.rows import embeddings
from dataset import Root
from media.errors import DatasetError

__all__ = ["PICTURES", "Space", "concept_names", "described_by", "space_of", "words_of"]

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

PICTURES: Final = ("siglip.siglip_embedding", "clip.clip_embedding", "video_embedding.video_embedding")
"""Embeddings of pictures that `auto` looks for, the first first."""

_LABELS: Final = 3
_PROBABLE: Final = 0.1
_NAME_TERMS: Final = 2
_WORD: Final = re.compile(r"[a-z][a-z'-]{2,}")
_EMPTY_WORDS: Final = frozenset(
    _WORD.findall(
        "the and with that this from into out over under onto for are was were has have its his her their there which "
        "as while who some one two three four five six seven eight nine ten several many much very mostly near next "
        "behind front against between through across around along left right top bottom side background foreground "
        "scene shot video clip frame picture camera image view close-up wide medium long shows showing seen appears "
        "almost slightly clearly gently strongly stays still moves moving motion slowly quickly pans tilts zooms rolls "
        "handheld nothing light dark warm cool bright colour colours color colors black white grey gray red orange "
        "yellow green teal cyan blue purple pink brown beige"
    )
)
"""Words of captions that tell of pictures, cameras, colours and numbers, and no subject from another."""


@dataclass(frozen=True, slots=True)
class Space:
    """Unit `vectors` [n, D] of the clips at `places`, ascending, and where they come from."""

    origin: str
    places: I64
    vectors: F32


def described_by(root: Root, clips: pa.Table) -> pa.Array:
    """Return, for rows of `clips`, the id of the clip whose experts speak for it: of a pseudo-video, its still's."""
    stills = root.read("clips", ["clip_id", "video_id"], filter=pc.field("kind") == "still")
    known = pc.index_in(clips["video_id"], stills["video_id"].combine_chunks())
    still = stills["clip_id"].combine_chunks().take(known.combine_chunks())
    pseudo, own = pc.equal(clips["kind"], "pseudo"), clips["clip_id"]
    ids: pa.Array = pc.if_else(pseudo, pc.coalesce(still, own), own)
    return ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids


def space_of(root: Root, ids: pa.Array, words: Sequence[Sequence[str]], config: BalanceConfig) -> Space:
    """Return where the clips described by `ids` lie, as `config.concepts` asks; `words` are what `words_of` gave.

    Raises ConfigError for an embedding that is not there, MissingModelError if words are asked for and the sentence
    model is missing, DatasetError if nothing is known of what any clip shows.
    """
    named = config.concepts
    if named == "auto":
        held = [name for name in PICTURES if root.exists(f"experts/{name.partition('.')[0]}")]
        named = held[0] if held else "words"
    if named != "words":
        distinct = pc.unique(ids)
        at, vectors = embeddings(root, named, distinct)
        row = np.full(len(distinct), -1, np.int64)
        row[at] = np.arange(len(at))
        row = row[pc.index_in(ids, distinct).to_numpy(zero_copy_only=False)]
        places = np.flatnonzero(row >= 0)
        space = Space(named, places, vectors[row[places]])
    else:
        space = _sentences(words, config.profile)
    if not len(space.places):
        lacking = "tags and no captions" if named == "words" else named
        raise DatasetError(
            f"{root.uri}: nothing tells what the clips show: no {lacking}; `rushes curate` runs the experts"
        )
    return space


def words_of(root: Root, own: pa.Array, ids: pa.Array) -> list[list[str]]:
    """Return what is said of each of the clips `own`: words of its short caption, then labels of `ids`.

    Captions say much of colours and the camera, which is left out; an unsure label counts where nothing else is said.
    """
    captions = _column(root, "captions", "short", own)
    labels, chances = (_column(root, "experts/tags", name, ids) for name in ("labels", "probabilities"))
    found = []
    for caption, names, of in zip(captions, labels, chances, strict=True):
        said = list(dict.fromkeys(word for word in _WORD.findall((caption or "").lower()) if word not in _EMPTY_WORDS))
        sure = [name for name, chance in zip((names or ())[:_LABELS], of or (), strict=False) if chance >= _PROBABLE]
        found.append(said + (sure or list(names or ())[: 0 if said else 1]))
    return found


def concept_names(clusters: I64, count: int, words: Sequence[Sequence[str]]) -> list[str]:
    """Return a name for each of `count` clusters, told apart by a number where two would have the same.

    `clusters` int64 [N] gives each clip's cluster, -1 for none, and `words` what is said of it.
    """
    terms = [Counter[str]() for _ in range(count)]
    for cluster, phrases in zip(clusters.tolist(), words, strict=True):
        if cluster >= 0:
            terms[cluster].update({phrase.lower() for phrase in phrases})
    everywhere = sum(terms, Counter[str]())
    mean = everywhere.total() / max(1, count)
    names: list[str] = []
    for number, own in enumerate(terms):
        weight = {term: n * log(1 + mean / everywhere[term]) for term, n in own.items()}
        best = sorted(weight, key=lambda term: (-weight[term], term))[:_NAME_TERMS]
        name = " / ".join(best) or f"concept {number}"
        names.append(f"{name} ({number})" if name in names else name)
    return names


def _column(root: Root, table: str, column: str, ids: pa.Array) -> list[Any]:
    """Return a column of a table for each id, None where it has none."""
    if not root.exists(table) or column not in root.schema(table).names:
        return [None] * len(ids)
    rows = root.read(table, ["clip_id", column])
    at = pc.index_in(ids, rows["clip_id"].combine_chunks())
    values: list[Any] = rows[column].take(at).to_pylist()
    return values


def _sentences(words: Sequence[Sequence[str]], profile: str) -> Space:
    """Return what is said of each clip as a unit vector; the same words are embedded once."""
    texts = [", ".join(phrases) for phrases in words]
    places = np.flatnonzero([bool(text) for text in texts])
    distinct = sorted({texts[place] for place in places})
    if not distinct:
        return Space("words", places, np.zeros((0, 1), np.float32))
    from experts.sentence import Sentence

    sentence = Sentence(profile)
    vectors = sentence.embed(distinct)
    row = {text: i for i, text in enumerate(distinct)}
    return Space(f"words, {sentence.model.name}", places, vectors[[row[texts[place]] for place in places]])
