"""Duplicates: exact, near and semantic; each cluster with a representative, and each row with its reason.

    find_duplicates(root, config, run_id=...) -> Found      writes duplicates/<name>
    cluster(clips, config, ...) -> (Edges, Stars, skipped)  the same without a dataset

The representative is a clip that the selection keeps, before one that it rejects; then the one with the most pixels,
borders left out; then the sharpest; then the longest; then the one with the smallest id. Clips are put into that order
first, so a clip's number is its rank, and nothing depends on the order of the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.duplicates.clusters import Edges, Evidence, Stars, same_content, stars
from curation.duplicates.config import DuplicatesConfig
from curation.duplicates.exact import overlapping, repeated_rows, same_key
from curation.duplicates.near import near_pairs
from curation.duplicates.rows import Clips, embeddings, media_hashes, picture_digests, read_clips, with_crops
from curation.duplicates.semantic import semantic_pairs
from curation.duplicates.words import NAMED, best_because, reason
from dataset import Root, schema_of

__all__ = ["DuplicatesConfig", "Found", "cluster", "find_duplicates"]

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to: clips looked at, clusters, and duplicates (not representatives) by kind.

    `skipped` are comparisons left out in crowded buckets; if it is 0, no pair within `nearest` was missed.
    """

    name: str
    clips: int
    clusters: int
    duplicates: Mapping[str, int]
    skipped: int


def find_duplicates(root: Root, config: DuplicatesConfig, run_id: str, name: str = "default") -> Found:
    """Write `duplicates/<name>`, a row for each clip that has a duplicate; an earlier table of that name is replaced.

    Raises ConfigError if the embedding that `config` names is not there, DatasetError if its selection is not, but
    others are.
    """
    schema = schema_of(f"duplicates/{name}")  # a name that cannot be is told before the work
    clips = read_clips(root, config.kinds, config.selection)
    if config.crops:
        clips = with_crops(root, clips, config.crops)
    ids = clips.table["clip_id"].combine_chunks()
    vectors = embeddings(root, config.embedding, ids) if config.embedding else None
    edges, found, skipped = cluster(clips, config, _identical(root, clips, ids), vectors)
    rows = _rows(clips, edges, found, config.embedding, run_id)
    root.write_part(f"duplicates/{name}", rows, schema, key="duplicates")
    members = found.edge >= 0
    kinds = [Evidence(e).kind for e in edges.evidence[found.edge[members]].tolist()]
    counts = {kind: kinds.count(kind) for kind in ("exact", "near", "semantic")}
    return Found(name, len(clips), len(np.unique(found.representative[members])), counts, skipped)


def cluster(
    clips: Clips,
    config: DuplicatesConfig,
    identical: Edges | None = None,
    vectors: tuple[I64, npt.NDArray[np.float32]] | None = None,
) -> tuple[Edges, Stars, int]:
    """Return edges, the clusters they make, and the comparisons left out.

    `identical` are pairs known to have the same content; `vectors` places of clips, ascending, with unit embeddings.
    A copy of a clip is no clip of its own here: it goes where the best of its copies goes.
    """
    identical = _of_one_kind(clips, identical or Edges.joined([]))
    best = same_content(len(clips), identical)
    places = np.flatnonzero(best == np.arange(len(clips)))
    distinct = clips.take(places)
    limits = config.distance, config.nearest, config.agreement
    near, skipped = near_pairs(distinct.hashes, distinct.valid, *limits, distinct.crops)
    spans = [distinct.numbers(column).astype(np.int64) for column in ("first_frame", "end_frame")]
    overlaps = overlapping(distinct.codes("video_id"), spans[0], spans[1], config.overlap)
    found = [_in_other_shots(distinct, near, config), overlaps]
    if vectors is not None:
        held = np.isin(vectors[0], places)
        alike = semantic_pairs(vectors[1][held], config.cosine)
        alike = alike.renumbered(np.searchsorted(places, vectors[0][held]))
        found.append(_in_other_shots(distinct, alike, config))
    apart = Edges.joined([_of_one_kind(distinct, part).renumbered(places) for part in found])
    return *_with_copies(len(clips), best, identical, apart), skipped


def _with_copies(clips: int, best: I64, identical: Edges, apart: Edges) -> tuple[Edges, Stars]:
    """Cluster what is not the same by `apart`, and put every copy where the best of its copies is."""
    found = stars(clips, apart)
    copies = np.flatnonzero(best != np.arange(clips))
    through = found.edge[best[copies]]
    moved = apart.at(through[through >= 0])
    moved = replace(moved, second=copies[through >= 0])
    strongest = np.full(clips, Evidence.MEDIA, np.int8)
    for ends in (identical.first, identical.second):
        np.minimum.at(strongest, ends, identical.evidence)
    stay = copies[through < 0]
    staying = replace(Edges.of_kind(best[stay], stay, Evidence.MEDIA), evidence=strongest[stay])
    edges = Edges.chained([apart, moved, staying])
    added = np.concatenate([moved.second, staying.second])
    found.representative[added] = np.concatenate([moved.first, staying.first])
    found.edge[added] = len(apart.first) + np.arange(len(added))
    return edges, found


def _identical(root: Root, clips: Clips, ids: pa.Array) -> Edges:
    """Return the pairs with the same keyframes, byte for byte, or with the same media in the shards."""
    places = repeated_rows(clips.hashes, clips.valid)
    digests = picture_digests(root, ids.take(pa.array(places)))
    keyed = ((place, digests.get(ids[place].as_py())) for place in places.tolist())
    pictures = same_key(((place, digest) for place, digest in keyed if digest), Evidence.KEYFRAMES)
    hashed = media_hashes(root)
    known = pc.index_in(hashed["clip_id"], ids)
    media = zip(known.to_pylist(), hashed["media_hash"].to_pylist(), strict=True)
    return Edges.joined([pictures, same_key(((p, h) for p, h in media if p is not None), Evidence.MEDIA)])


def _of_one_kind(clips: Clips, edges: Edges) -> Edges:
    kinds = clips.codes("kind")
    return edges.at(kinds[edges.first] == kinds[edges.second])


def _in_other_shots(clips: Clips, edges: Edges, config: DuplicatesConfig) -> Edges:
    """Return the edges without those between pieces of one shot."""
    if config.within_shot:
        return edges
    source, shot = clips.codes("video_id"), clips.numbers("shot")
    one_shot = (source[edges.first] == source[edges.second]) & (shot[edges.first] == shot[edges.second])
    return edges.at(~one_shot)


def _rows(clips: Clips, edges: Edges, found: Stars, embedding: str | None, run_id: str) -> pa.Table:
    """Return the rows of the table: cluster by cluster, the representative first."""
    clusters: dict[int, list[int]] = {}
    for member in np.flatnonzero(found.edge >= 0).tolist():
        clusters.setdefault(int(found.representative[member]), []).append(member)
    places = np.array([place for head, of in clusters.items() for place in (head, *of)], np.int64)
    known = dict(zip(places.tolist(), clips.table.select(list(NAMED)).take(pa.array(places)).to_pylist(), strict=True))
    rows: list[dict[str, Any]] = []
    for head, of in sorted(clusters.items()):
        best = known[head]
        names = sorted(known[place]["clip_id"] for place in (head, *of))
        cluster_id = blake2b("\n".join(names).encode(), digest_size=8).hexdigest()
        shared = {"cluster_id": cluster_id, "representative_id": best["clip_id"], "run_id": run_id}
        because = best_because(best, known[of[0]], len(names))
        kind = Evidence(int(edges.evidence[found.edge[of]].min())).kind
        rows.append({**shared, "clip_id": best["clip_id"], "kind": kind, "representative": True, "reason": because})
        for place in of:
            edge = int(found.edge[place])
            row = {**shared, "clip_id": known[place]["clip_id"], "kind": Evidence(int(edges.evidence[edge])).kind}
            why = {"distance": float(edges.distance[edge]), "reason": reason(edges, edge, embedding)}
            rows.append({**row, **why, "representative": False})
    return pa.Table.from_pylist(rows, schema=schema_of("duplicates/x"))
