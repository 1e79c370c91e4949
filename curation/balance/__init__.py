"""Balance: what the clips show, how they move and what the camera does; how evenly, and weights that even it out.

    balance(root, config, run_id) -> Report      writes balance/<name>

Three axes: concepts, which are clusters in a space of meaning; motion tiers; camera classes. A clip's weight is how
often it should be drawn, against 1 in the mean, so that the groups of every axis are as even as `alpha` asks.
"""

from __future__ import annotations

from math import isqrt
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.balance.concepts import concept_names, described_by, space_of, words_of
from curation.balance.config import AXES, Axis, BalanceConfig
from curation.balance.mixing import mixing_weights
from curation.balance.report import AxisReport, Group, Report, axis_report
from curation.balance.tiers import UNMEASURED, cameras, motion_tiers
from curation.balance.weights import balanced_weights
from curation.kmeans import spherical_kmeans
from dataset import Root, schema_of
from media.errors import DatasetError

__all__ = ["AxisReport", "BalanceConfig", "Group", "Report", "balance", "mixing_weights"]

I64 = npt.NDArray[np.int64]

_MOST_CLUSTERS: Final = 1000
_READ: Final = (
    "clip_id", "video_id", "kind", "flow_mean_px_per_s", "object_motion_px_per_s", "camera_motion",
)  # fmt: skip


def balance(root: Root, config: BalanceConfig, run_id: str, name: str = "default") -> Report:
    """Write `balance/<name>`, a row for each clip, and return the report; an earlier table of that name is replaced.

    Nothing depends on the order of the dataset's rows. Raises ConfigError for an embedding that is not there,
    MissingModelError for a sentence model that is needed and missing, DatasetError for a dataset with no clips.
    """
    clips, selection = _clips(root, config.selection)
    ids = described_by(root, clips)
    words = words_of(root, clips["clip_id"].combine_chunks(), ids)
    space = space_of(root, ids, words, config)
    count = config.clusters or max(1, min(_MOST_CLUSTERS, isqrt(len(space.places))))
    labels, centres = spherical_kmeans(space.vectors, count)
    concepts = np.full(len(clips), -1, np.int64)
    concepts[space.places] = labels
    names = concept_names(concepts, len(centres), words)
    shown = {"motion": motion_tiers(clips), "camera": cameras(clips)}
    axes: dict[Axis, tuple[I64, list[str]]] = {"concept": (concepts, names)}
    axes |= {axis: _coded(shown[axis]) for axis in AXES if axis in shown}
    weights = balanced_weights([axes[axis][0] for axis in config.axes], config.alpha, config.limit)
    if config.mix is not None:
        mix = {str(kind): share for kind, share in config.mix.items()}
        weights = mixing_weights(clips["kind"].to_pylist(), mix, weights.tolist())
    rows = {
        "clip_id": clips["clip_id"],
        "concept": pa.array(concepts, pa.int32(), mask=concepts < 0),
        "concept_name": pa.array([names[c] if c >= 0 else None for c in concepts.tolist()], pa.string()),
        "motion_tier": shown["motion"],
        "camera": shown["camera"],
        "weight": pa.array(weights, pa.float32()),
        "run_id": pa.repeat(pa.scalar(run_id), len(clips)),
    }
    root.write_part(f"balance/{name}", pa.table(rows), schema_of(f"balance/{name}"), key="balance")
    return Report(
        name=name,
        clips=len(clips),
        selection=selection,
        concepts=space.origin,
        alpha=config.alpha,
        axes=tuple(axis_report(axis, *axes[axis], weights) for axis in AXES),
        least_weight=float(weights.min()),
        most_weight=float(weights.max()),
    )


def _clips(root: Root, selection: str | None) -> tuple[pa.Table, str | None]:
    """Return the clips, by id, and the selection that keeps them, None where all are taken."""
    clips = root.read("clips", list(_READ))
    if selection is not None and not root.exists(f"selections/{selection}"):
        if there := root.names("selections"):
            raise DatasetError(f"{root.uri}: no selection is called {selection!r} (there are: {', '.join(there)})")
        selection = None
    if selection is not None:
        kept = root.read(f"selections/{selection}", ["clip_id"], filter=pc.field("kept"))["clip_id"]
        clips = clips.filter(pc.is_in(clips["clip_id"], kept.combine_chunks()))
    if not len(clips):
        of = "" if selection is None else f" that the selection {selection} keeps"
        raise DatasetError(f"{root.uri}: there are no clips{of} to balance")
    return clips.sort_by("clip_id").combine_chunks(), selection


def _coded(groups: pa.Array) -> tuple[I64, list[str]]:
    """Return each clip's group as a number, -1 where it was not measured, and the groups' names."""
    names = sorted(set(groups.to_pylist()) - {UNMEASURED})
    found = pc.fill_null(pc.index_in(groups, pa.array(names, pa.string())), -1)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.int64), names
