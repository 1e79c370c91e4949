"""The stages: plain classes that work in one process, with no Ray.

Each is constructed once in a worker, takes a batch of items and returns the parts to write. What a stage reads
of the dataset it reads by clip id, so that an item is a few strings and nothing heavy passes the driver.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

import media
from curation.config import PseudoConfig
from curation.cutting import encode_clips
from curation.lazy import image_type, lazy_clips, with_affine
from curation.worlds.address import SCHEME, encode_world
from dataset import open_root, schema_of
from dataset.shards import shard_row
from media.errors import MediaError, RushesError
from pipelines.config import ShardConfig
from pipelines.engine import Item, Part
from pipelines.ingesting import INGEST_MEMORY_MB

__all__ = ["Augment", "Experts", "Reader", "Shard", "still_id"]


HEAVY = ("keyframes", "affine")
"""Columns of `clips` that a stage reads only when it looks at pictures."""


def still_id(video_id: str) -> str:
    """Return the clip id of a still: a clip of one frame."""
    return f"{video_id}:0-1"


class Reader:
    """Reads rows of the dataset by clip id."""

    def __init__(self, root: str) -> None:
        self.root = open_root(root)

    def rows(self, table: str, ids: Sequence[str], columns: list[str] | None = None) -> dict[str, dict[str, Any]]:
        """Return `{clip_id: row}` for those of `ids` that `table` has."""
        if not ids or not self.root.exists(table):
            return {}
        found = self.root.read(table, columns=columns, filter=pc.field("clip_id").isin(list(ids)))
        return {row["clip_id"]: row for row in found.to_pylist()}


class Experts:
    """A clip's keyframes -> one row in each expert's table. Items: clip_id, experts (the names it lacks)."""

    def __init__(self, *, root: str, profile: str, run_id: str) -> None:
        self._reader = Reader(root)
        self._profile = profile
        self._run_id = run_id
        self._loaded: dict[str, Any] = {}

    def __call__(self, items: Sequence[Item]) -> tuple[list[Part], list[str]]:
        """Run every expert that an item lacks over its clip."""
        import experts

        clips = self._reader.rows("clips", [item["clip_id"] for item in items])
        wanted: dict[str, list[str]] = defaultdict(list)
        for item in items:
            for name in item["experts"]:
                wanted[name].append(item["clip_id"])
        views: dict[str, Any] = {}
        unreadable: dict[str, Exception] = {}
        for clip_id, row in clips.items():
            try:
                (views[clip_id],) = experts.clip_views([row])
            except Exception as error:  # a damaged keyframe is its clip's fault alone
                unreadable[clip_id] = error
        parts, notes = [], []
        for name, ids in wanted.items():
            expert = self._loaded.setdefault(name, None) or experts.load(name, profile=self._profile)
            self._loaded[name] = expert
            rows = experts.run(expert, [views[i] for i in ids if i in views], run_id=self._run_id)
            rows += [experts.error_row(expert, i, unreadable[i], run_id=self._run_id) for i in ids if i in unreadable]
            notes += [f"expert {name} failed on {row['clip_id']}: {row['error']}" for row in rows if row["error"]]
            parts.append(Part(f"experts/{name}", rows, experts.schema(expert), f"{name} {' '.join(ids)}"))
        return parts, notes


class Augment:
    """A still -> pseudo-videos, measured like any clip. Items: uri, video_id, motions (those it lacks)."""

    def __init__(self, *, root: str, pseudo: PseudoConfig, run_id: str) -> None:
        self._reader = Reader(root)
        self._config = pseudo
        self._run_id = run_id

    def __call__(self, items: Sequence[Item]) -> tuple[list[Part], list[str]]:
        """Make the rows of every motion asked for; no bytes are spent until they are sharded."""
        from curation import pseudo
        from curation.saliency import keep_box

        parts, notes = [], []
        shown = self._people([still_id(item["video_id"]) for item in items])
        for item in items:
            try:
                with media.local_copy(item["uri"]) as path:
                    image = media.load_still(path)
                keep = keep_box(image, *shown(still_id(item["video_id"]))) if self._config.keep_salient else None
                config = self._config.model_copy(update={"motions": tuple(item["motions"])})
                rows = pseudo.pseudo_clips(item["uri"], item["video_id"], image, config, run_id=self._run_id, keep=keep)
            except MediaError as error:
                notes.append(f"no pseudo-videos of {item['uri']}: {error}")
                continue
            parts.append(Part("clips", rows, schema_of("clips"), " ".join(row["clip_id"] for row in rows)))
        return parts, notes

    def _people(self, stills: Sequence[str]) -> Callable[[str], tuple[list[Item], list[Item]]]:
        """Return what gives, for a still, the faces and the people that experts have found in it."""
        found = {name: self._reader.rows(f"experts/{name}", stills, ["clip_id", name]) for name in ("faces", "people")}

        def shown(still: str) -> tuple[list[Item], list[Item]]:
            faces, people = (rows.get(still, {}).get(name) or [] for name, rows in found.items())
            return faces, people

        return shown


class Shard:
    """A kept clip with its caption -> a training row, cut as its config says. Items: clip_id, bucket (may be missing).

    A clip that cannot be cut, or does not hold against its source, is a row of `uncut/<name>` instead. The clips of a
    source are cut in a guarded child: what was left out when it was measured is decoded here for the first time.
    """

    def __init__(self, *, root: str, shards: ShardConfig, wall_limit_s: float, run_id: str) -> None:
        self._reader = Reader(root)
        self._config = shards
        self._wall_limit_s = wall_limit_s
        self._run_id = run_id
        self._guard = media.Guard(memory_mb=INGEST_MEMORY_MB)
        self._some_uncut = self._reader.root.exists(f"uncut/{shards.name}")

    def __call__(self, items: Sequence[Item]) -> tuple[list[Part], list[str]]:
        """Cut each clip from its source, verified."""
        ids = [item["clip_id"] for item in items]
        buckets = {item["clip_id"]: item.get("bucket") for item in items}
        clips = self._reader.rows("clips", ids)
        ids = [clip_id for clip_id in ids if clip_id in clips]  # without those that were removed since
        about = self._about(clips)
        by_source: dict[str, list[str]] = defaultdict(list)
        for clip_id in ids:
            by_source[clips[clip_id]["uri"]].append(clip_id)
        outcomes: dict[str, media.Encoded | MediaError] = {}
        for uri, members in by_source.items():
            outcomes |= zip(members, self._cut(uri, [clips[i] for i in members]), strict=True)
        name = self._config.name
        rows, parts, notes = [], [], []
        for clip_id in ids:
            outcome = outcomes[clip_id]
            if isinstance(outcome, MediaError):
                notes.append(f"quarantined {clip_id}: {outcome}")
                row = {"clip_id": clip_id, "reason": outcome.reason, "detail": outcome.detail, "run_id": self._run_id}
                parts.append(Part(f"uncut/{name}", [row], schema_of("uncut/x"), clip_id))
            else:
                if self._some_uncut:
                    self._reader.root.remove_part(f"uncut/{name}", clip_id)
                rows.append(self._row(clips[clip_id], outcome, {**about[clip_id], "bucket": buckets.get(clip_id)}))
        schema = with_affine(schema_of("shards/x")) if any("affine" in row for row in rows) else schema_of("shards/x")
        return [Part(f"shards/{name}", rows, schema, " ".join(ids)), *parts], notes

    def _about(self, clips: Mapping[str, Item]) -> dict[str, Item]:
        """Return, for each clip, its caption, tags (a pseudo-video has its still's) and its source's row."""
        stills = {i: still_id(c["video_id"]) for i, c in clips.items()}
        captions = self._reader.rows(
            "captions", list(clips), ["clip_id", "short", "medium", "dense", "dense_zh", "outcome"]
        )
        tags = self._reader.rows("experts/tags", [*clips, *stills.values()], ["clip_id", "labels"])
        sources = self._reader.root.read(
            "videos",
            columns=["video_id", "uri", "source", "license", "source_url", "rights_basis"],
            filter=pc.field("video_id").isin([c["video_id"] for c in clips.values()]),
        ).to_pylist()
        video = {(row["video_id"], row["uri"]): row for row in sources}
        return {
            i: {
                "caption": captions.get(i),
                "tags": (tags.get(i) or tags.get(stills[i]) or {}).get("labels"),
                "video": video.get((clip["video_id"], clip["uri"])),
            }
            for i, clip in clips.items()
        }

    def _cut(self, uri: str, clips: Sequence[Item]) -> list[media.Encoded | MediaError]:
        """Cut clips of one source as the config says."""
        limit_s = self._wall_limit_s * len(clips)
        try:
            return self._guard.run(cut_source, uri, clips, self._config, limit_s=limit_s)
        except MediaError as error:
            failed = error
        except (RushesError, ImportError):
            raise  # not the file's fault: the next one would meet it too
        except Exception as error:
            failed = MediaError("crashed", f"{type(error).__name__}: {error}")
        return [failed] * len(clips)

    def _row(self, clip: Item, encoded: media.Encoded, about: Item) -> Item:
        lazy = clip["kind"] == "pseudo" and encoded.mode != "exact"
        row = shard_row(
            clip,
            None if encoded.mode == "reference" else encoded.data,
            media_type=image_type(encoded.data) if lazy else "video/mp4",
            cut=encoded.mode,
            in_frame=encoded.in_frame,
            psnr_db=encoded.psnr_db,
            frames=encoded.frames,
            fps=encoded.fps,
            width_px=encoded.width_px,
            height_px=encoded.height_px,
            run_id=self._run_id,
            **about,
        )
        return {**row, "affine": clip["affine"]} if lazy else row


def cut_source(uri: str, clips: Sequence[Item], how: ShardConfig) -> list[media.Encoded | MediaError]:
    """Cut clips of the source at `uri`; return an outcome for each, in their order."""
    encoding: dict[str, Any] = {"max_height": how.max_height_px, "crf": how.crf, "preset": how.preset, "gop": how.gop}
    if uri.startswith(SCHEME):
        return [encode_world(clip, **encoding) for clip in clips]
    found: dict[int, media.Encoded | MediaError] = {}
    lazy = [n for n, clip in enumerate(clips) if clip["kind"] == "pseudo" and how.cut != "exact"]
    others = [n for n in range(len(clips)) if n not in lazy]
    with media.local_copy(uri) as path:
        if lazy:
            found |= zip(lazy, lazy_clips([clips[n] for n in lazy], path, how.cut), strict=True)
        cut = encode_clips([clips[n] for n in others], path, mode=how.cut, **encoding)
        found |= ((others[place], outcome) for place, outcome in cut)
    return [found[place] for place in range(len(clips))]
