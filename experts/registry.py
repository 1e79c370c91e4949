"""The registry: experts by name, and the one way to run them over clips."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from dataset.schema import Column, expert_schema
from experts import weights
from experts._plugins import plugin
from experts.base import ClipView, Controller, Expert, ModelRef, Resources, Rgb
from media.errors import ConfigError

__all__ = [
    "CONTROLS",
    "EMBEDDED",
    "STANDARD",
    "clip_views",
    "columns",
    "error_row",
    "expert_class",
    "load",
    "load_control",
    "model_of",
    "names",
    "needs_gpu",
    "require_gpu",
    "resources",
    "run",
    "schema",
]

_CLASSES: Final[dict[str, str]] = {
    "tags": "experts.tags:Tags",
    "text": "experts.text:Text",
    "faces": "experts.faces:Faces",
    "people": "experts.people:People",
    "count": "experts.count:Count",
    "composition": "experts.composition:Composition",
    "shots": "experts.shots:Shots",
    "nsfw": "experts.nsfw:Nsfw",
    "alignment": "experts.alignment:Alignment",
    "colour": "experts.colour:Colour",
    "light": "experts.light:Light",
    "motion": "experts.motion:Motion",
    "quality": "experts.quality:Quality",
}

EMBEDDED: Final[tuple[str, ...]] = tuple(_CLASSES)
"""The experts of the embedded profile: offline, on CPU cores."""

_STANDARD: Final[dict[str, str]] = {
    "clip": "experts.standard.clip:Clip",
    "siglip": "experts.standard.clip:Siglip",
    "aesthetic": "experts.standard.aesthetic:Aesthetic",
    "captioner": "experts.standard.captioner:Captioner",
    "detector": "experts.standard.detector:Detector",
    "depth": "experts.standard.depth:Depth",
    "segmentation": "experts.standard.segmentation:Segmentation",
    "raft": "experts.standard.raft:Raft",
    "video_embedding": "experts.standard.video_embedding:VideoEmbedding",
    "video_quality": "experts.standard.video_quality:VideoQuality",
}

STANDARD: Final[tuple[str, ...]] = tuple(_STANDARD)
"""The experts that the standard profile adds: large models, on a GPU."""

_BUILT_IN: Final = {**_CLASSES, **_STANDARD}

_CONTROLS: Final[dict[str, str]] = {
    "canny": "experts.canny:Canny",
    "skeleton": "experts.skeleton:Skeleton",
    "flow": "experts.flow:Flow",
    "mask": "experts.mask:Mask",
}

CONTROLS: Final[tuple[str, ...]] = tuple(_CONTROLS)
"""The experts that only condition a generator: they draw maps of a clip's frames, and have no table."""

_PICTURES: Final = 64
"""Pictures that an expert is given at a time, so that what it makes of them stays small."""


def names(profile: str = "embedded", *, given: bool = False) -> tuple[str, ...]:
    """Return the experts of a profile: the built-in ones whose roles it has, then those that it brings to measure.

    `given` leaves out the experts of a role that is filled by hand and is not: their weights were not given.
    """
    loaded = weights.load_profile(profile)
    found = [*EMBEDDED, *(name for name in STANDARD if set(expert_class(name).roles) <= set(loaded.roles))]
    if given:
        absent = {role for role, source in loaded.roles.items() if source.by_hand and not weights.present(source)}
        found = [name for name in found if absent.isdisjoint(expert_class(name).roles)]
    brought = [name for name in loaded.experts if hasattr(_class(name, profile), "measure")]
    return tuple(dict.fromkeys((*found, *brought)))


def expert_class(name: str, profile: str = "embedded") -> type[Any]:
    """Return an expert's class, with its declaration; no model is loaded. ConfigError for an unknown name."""
    found = None if name in _CONTROLS else _class(name, profile)
    if found is None or not hasattr(found, "measure"):
        raise _unknown("expert", name, names(profile))
    return found


def _class(name: str, profile: str) -> type[Any] | None:
    """Return the class of that name, whatever its faces: of the profile's own, or else built in; None if of neither."""
    brought = weights.load_profile(profile).experts
    if name in brought:
        return plugin(name, brought[name], profile)
    module, _, attribute = {**_BUILT_IN, **_CONTROLS}.get(name, "").partition(":")
    found: type[Any] | None = getattr(importlib.import_module(module), attribute) if module else None
    return found


def _unknown(what: str, name: str, known: Sequence[str]) -> ConfigError:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f", did you mean {close[0]!r}?" if close else ""
    return ConfigError(f"no {what} {name!r}{hint} (known: {', '.join(known)})")


def model_of(name: str, profile: str = "embedded") -> ModelRef | None:
    """Return how rows of an expert name its model, without loading it; None where it has none.

    An expert may say itself, by a class method `model_ref(profile, override)`; else it is the model of its role, and
    where it has several roles, their names joined and a hash of their hashes. Raises MissingModelError.
    """
    expert = expert_class(name, profile)
    if hasattr(expert, "model_ref"):
        said: ModelRef | None = expert.model_ref(profile, None)
        return said
    refs = [weights.resolve(role, profile).ref for role in expert.roles]
    if len(refs) < 2:
        return refs[0] if refs else None
    return weights.joint(*refs)


def needs_gpu(profile: str, names: Sequence[str]) -> list[str]:
    """Return those experts that run on a GPU here: not those forced onto a CPU, nor those whose model is served."""
    from experts.standard._place import forced_device

    if forced_device() == "cpu":
        return []
    roles = weights.load_profile(profile).roles
    found = [(name, expert_class(name, profile)) for name in names]
    served = {role for role, source in roles.items() if source.server is not None}
    return [name for name, expert in found if expert.resources.gpus > 0 and served.isdisjoint(expert.roles)]


def require_gpu(profile: str, names: Sequence[str]) -> None:
    """Raise UserError where some of the experts want a GPU and this machine has none; say which, and what to do."""
    from experts.standard._place import no_gpu

    wanting = needs_gpu(profile, names)
    if wanting:
        import torch

        if not torch.cuda.is_available():
            raise no_gpu(wanting)


def resources(names: Sequence[str], profile: str = "embedded") -> Resources:
    """Return what one actor takes that holds these experts: the cores of the greediest, for they take turns.

    Memory and shares of a GPU add up, the latter to one GPU at most; only experts that run on it here have a share.
    """
    declared: list[tuple[str, Resources]] = [(name, expert_class(name, profile).resources) for name in names]
    on_gpu = set(needs_gpu(profile, names))
    return Resources(
        cpus=max((takes.cpus for _, takes in declared), default=1.0),
        gpus=min(1.0, sum(takes.gpus for name, takes in declared if name in on_gpu)),
        memory_mb=sum(takes.memory_mb for _, takes in declared),
    )


def load(
    name: str,
    profile: str = "embedded",
    *,
    override: Mapping[str, str | Path] | None = None,
    threads: int | None = None,
) -> Expert:
    """Return an expert with its model in memory.

    `override` maps roles to local files (see `weights.resolve`); `threads` is how many cores it may use (default
    `$RUSHES_EXPERT_THREADS`, or 1). Raises MissingModelError when a model is not on this machine.
    """
    expert: Expert = expert_class(name, profile)(profile, override, threads)
    return expert


def load_control(
    name: str,
    profile: str = "embedded",
    *,
    override: Mapping[str, str | Path] | None = None,
    threads: int | None = None,
) -> Controller:
    """Return an expert of CONTROLS, or one of the profile that has the face `control`, as `load` does.

    ConfigError for an unknown name.
    """
    all_of_it = dict.fromkeys((*_CONTROLS, *names(profile), *weights.load_profile(profile).experts))
    found = _class(name, profile) if name in all_of_it else None
    if found is None or not hasattr(found, "control"):
        raise _unknown("control", name, [one for one in all_of_it if hasattr(_class(one, profile), "control")])
    controller: Controller = found(profile, override, threads)
    return controller


def schema(expert: Expert | str) -> pa.Schema:
    """Return the Arrow schema of an expert's table."""
    return expert_schema(expert_class(expert).columns if isinstance(expert, str) else expert.columns)


def columns(name: str) -> tuple[Column, ...]:
    """Return the value columns that an expert declares, with their documents."""
    declared: tuple[Column, ...] = expert_class(name).columns
    return declared


def clip_views(clip_rows: Iterable[Mapping[str, Any]]) -> list[ClipView]:
    """Return what experts see of each row of the clips table: its keyframes decoded, and its measured columns."""
    from media import decode_jpeg

    views = []
    for row in clip_rows:
        keyframes = row.get("keyframes") or []
        frames: list[Rgb] = [decode_jpeg(keyframe["jpeg"]) for keyframe in keyframes]
        views.append(
            ClipView(
                clip_id=row["clip_id"],
                frames=frames,
                indices=[keyframe["frame"] for keyframe in keyframes],
                times_s=[keyframe["time_s"] for keyframe in keyframes],
                first_frame=row["first_frame"],
                end_frame=row["end_frame"],
                row={name: value for name, value in row.items() if name != "keyframes"},
            )
        )
    return views


def run(
    expert: Expert,
    views: Sequence[ClipView],
    *,
    run_id: str,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Return the rows of the table experts/<name>, one per view, in their order.

    The expert is asked for a batch at a time, of at most 64 pictures. One that fails is asked for clip by clip: the
    clip that it fails on has null values and the `error`; no exception of an expert leaves here.
    """
    rows: list[dict[str, Any]] = []
    for batch in _batches(views):
        for row in _rows(expert, batch, run_id):
            rows.append(row)
            if progress is not None:
                progress(len(rows), len(views))
    return rows


def _batches(views: Sequence[ClipView]) -> Iterator[list[ClipView]]:
    """Cut views into batches of at most `_PICTURES` pictures; a clip that has more is a batch of its own."""
    batch: list[ClipView] = []
    pictures = 0
    for view in views:
        takes = max(1, len(view.frames))
        if batch and pictures + takes > _PICTURES:
            yield batch
            batch, pictures = [], 0
        batch.append(view)
        pictures += takes
    if batch:
        yield batch


def _rows(expert: Expert, views: Sequence[ClipView], run_id: str) -> Iterator[dict[str, Any]]:
    visible = [view for view in views if expert.needs != "keyframes" or view.frames]
    measured: dict[int, Mapping[str, Any]] = {}
    if len(visible) > 1:
        # A failure is of one of them, and so may too few answers be: which, is told when each is asked for alone.
        with contextlib.suppress(Exception):
            measured = {id(view): values for view, values in zip(visible, list(expert.measure(visible)), strict=True)}
    for view in views:
        yield _row(expert, view, run_id, measured.get(id(view)))


def _row(expert: Expert, view: ClipView, run_id: str, values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the row of a clip; it is measured here unless `values` has been."""
    try:
        if expert.needs == "keyframes" and not view.frames:
            raise ValueError("the clip has no keyframes")
        if values is None:
            (values,) = expert.measure([view])
        statements = [_as_struct(statement) for statement in expert.state(view, values)]
        finite = {column.name: _finite(values[column.name]) for column in expert.columns}
    except Exception as error:  # the clip is data: what went wrong with it is a value in its row
        return error_row(expert, view.clip_id, error, run_id=run_id)
    return error_row(expert, view.clip_id, None, run_id=run_id) | finite | {"statements": statements}


def error_row(expert: Expert, clip_id: str, error: Exception | None, *, run_id: str) -> dict[str, Any]:
    """Return the row of a clip that could not be looked at: null values, no statements, and the error."""
    return {
        "clip_id": clip_id,
        "version": expert.version,
        "model": expert.model.name if expert.model else None,
        "model_hash": expert.model.hash if expert.model else None,
        "statements": [],
        "error": None if error is None else f"{type(error).__name__}: {error}",
        "run_id": run_id,
        **{column.name: None for column in expert.columns},
    }


def _as_struct(statement: Any) -> dict[str, Any]:
    return {name: getattr(statement, name) for name in statement.__dataclass_fields__}


def _finite(value: Any) -> Any:
    """Return a value with null for every number in it that is none: in lists, in structs, and of numpy's own types."""
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, np.ndarray):
        return _finite(value.tolist())
    if isinstance(value, list | tuple):
        items = [_finite(one) for one in value]
        return tuple(items) if isinstance(value, tuple) else items
    return None if isinstance(value, float | np.floating) and not math.isfinite(value) else value
