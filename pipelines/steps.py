"""The steps of a run: each does what is missing from the dataset, no more, and says what it did.

A step finds its work by an anti-join against what is there, cuts it into batches, hands them to the engine and
counts what comes back. So a step that is run again, or after a kill, only finishes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from captioning.backends import BackendConfig
from curation.config import PseudoConfig
from curation.select import Funnel, Rules, load_rules
from dataset import Root, new_run, query
from media.errors import ConfigError
from pipelines import stages
from pipelines.config import RunConfig, ShardConfig
from pipelines.engine import Engine, Item, StageSpec, make_engine
from pipelines.progress import Reporter
from pipelines.sources import expand

__all__ = [
    "Work",
    "augment",
    "caption",
    "expert_names",
    "ingest",
    "preflight",
    "rules_behind",
    "rules_of",
    "run_experts",
    "select",
    "shard",
    "working",
]

NOTES_SHOWN = 8


@dataclass
class Work:
    """What every step of one command works with, and what they came to."""

    root: Root
    engine: Engine
    report: Reporter
    run_id: str
    rows: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures of the command."""
        return {
            "run_id": self.run_id,
            "dataset": self.root.uri,
            "rows": dict(self.rows),
            "seconds": self.report.seconds,
            "notes": self.notes,
        }


@contextmanager
def working(
    root: Root,
    command: str,
    config: Mapping[str, Any],
    report: Reporter,
    engine: str = "ray",
    workers: int | None = None,
) -> Iterator[Work]:
    """Open an engine and a run record; the record is closed with counts and times, however the command ends."""
    # The record is written at once: the rows of a run that is killed must still lead to its config.
    record = new_run(command, config, root=root)
    made = make_engine(engine, workers)
    work = Work(root, made, report, record.run_id)
    outcome = "failed"
    try:
        yield work
        outcome = "done"
    finally:
        made.close()
        record.finish({"rows": dict(work.rows), "seconds": report.seconds, "notes": work.notes}, outcome=outcome)


def expert_names(profile: str, asked: Sequence[str] | None = None) -> list[str]:
    """Return the experts to run: those asked for, or all of the profile.

    Raises:
        ConfigError: a name that is no expert.
    """
    import difflib

    import experts

    known = list(experts.EMBEDDED)
    for name in asked or ():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}"
            raise ConfigError(f"experts: there is no `{name}` in profile {profile}; {hint}")
    return list(asked) if asked is not None else known


def preflight(profile: str, names: Sequence[str], backend: str | None = None, detector: str | None = None) -> None:
    """Find every model a command will need before any work starts.

    Raises:
        MissingModelError: names the model, the profile and the two ways to get it.
    """
    import experts
    from experts import weights

    roles = [role for name in names for role in experts.expert_class(name).roles]
    if backend == "embedded":
        roles.append("language")
    if backend in ("openai", "transformers"):
        roles.append("sentence")
    if detector in ("cascade", "transnet"):
        roles.append("shots")
    for role in dict.fromkeys(roles):
        weights.resolve(role, profile)


def _batches(items: Sequence[Item], workers: int, largest: int) -> list[list[Item]]:
    """Cut `items` into batches: enough for every worker to have several, none larger than `largest`."""
    size = max(1, min(largest, -(-len(items) // (workers * 4))))
    return [list(items[i : i + size]) for i in range(0, len(items), size)]


def _drive(
    work: Work,
    name: str,
    factory: Any,
    kwargs: dict[str, Any],
    items: Sequence[Item],
    largest: int,
    unit: str,
    **show: Any,
) -> None:
    """Run one stage over `items`, moving the progress and counting into `work`."""
    spec = StageSpec(name, factory, work.root.uri, {**kwargs, "run_id": work.run_id})
    notes: list[str] = []
    with work.report.step(unit=unit, **show) as move:
        finished = 0
        move(finished, len(items))
        for one in work.engine.run(spec, _batches(items, work.engine.workers, largest)):
            finished += one.items
            work.rows.update(one.rows)
            notes += one.notes
            move(finished, len(items))
    for note in notes[:NOTES_SHOWN]:
        work.report.say(f"      warning: {note}")
    if len(notes) > NOTES_SHOWN:
        work.report.say(f"      warning: and {len(notes) - NOTES_SHOWN} more like these")
    work.notes += notes


def ingest(work: Work, config: RunConfig, *, title: str = "ingest, split and measure", numbered: bool = True) -> None:
    """Ingest every source that the `videos` table lacks."""
    have = work.root.ids("videos", "uri")
    items = [
        {"uri": uri, "source": source.source, "license": source.license}
        for source in config.sources
        for uri in expand(source.uris)
        if uri not in have
    ]
    _drive(
        work,
        "ingest",
        stages.Ingest,
        {"curate": config.curate, "wall_limit_s": config.engine.wall_limit_s},
        items,
        1,
        "files",
        title=title,
        numbered=numbered,
    )


def run_experts(
    work: Work, profile: str, names: Sequence[str], *, title: str = "the experts look", numbered: bool = True
) -> None:
    """Run each expert over the clips its table lacks; a pseudo-video shows what its still showed, and is left out."""
    clips = work.root.read("clips", columns=["clip_id"], filter=pc.field("kind") != "pseudo")["clip_id"].to_pylist()
    lacking: dict[str, list[str]] = {clip_id: [] for clip_id in sorted(clips)}
    for name in names:
        have = work.root.ids(f"experts/{name}")
        for clip_id in lacking:
            if clip_id not in have:
                lacking[clip_id].append(name)
    items = [{"clip_id": clip_id, "experts": todo} for clip_id, todo in lacking.items() if todo]
    kwargs = {"root": work.root.uri, "profile": profile}
    _drive(work, "experts", stages.Experts, kwargs, items, 32, "clips", title=title, numbered=numbered)


def rules_of(given: str | Mapping[str, str]) -> Rules:
    """Return the rules that a config gives: the name of a set that comes with Rushes, a YAML file, or predicates."""
    if not isinstance(given, str):
        return Rules(dict(given), "the config's rules")
    packaged = resources.files("curation").joinpath(f"rules/{given}.yaml")
    return load_rules(Path(str(packaged)) if packaged.is_file() else given)


def rules_behind(root: Root, selection: str) -> Mapping[str, str] | str:
    """Return the rules that the selection was made by, or the default ones where there is no selection yet."""
    if not root.exists(f"selections/{selection}"):
        return "default"
    rows = query(root, "select selection, rule, predicate from selection_rules").to_pylist()
    return {row["rule"]: row["predicate"] for row in rows if row["selection"] == selection}


def select(
    work: Work,
    rules: str | Mapping[str, str],
    name: str,
    *,
    title: str = "select by SQL rules",
    numbered: bool = True,
) -> Funnel:
    """Judge every clip by the rules, from the measured columns alone, and write the named selection."""
    from curation.select import select as judge

    with work.report.step(title, "clips", numbered=numbered) as move:
        funnel = judge(work.root, rules_of(rules), name, run_id=work.run_id)
        move(funnel.total, funnel.total)
    work.rows[f"selections/{name}"] = funnel.total
    return funnel


def kept(root: Root, name: str) -> set[str]:
    """Return the clip ids that the selection `name` keeps."""
    if not root.exists(f"selections/{name}"):
        return set()
    found = root.read(f"selections/{name}", columns=["clip_id"], filter=pc.field("kept"))
    return set(found["clip_id"].to_pylist())


def caption(
    work: Work,
    config: BackendConfig,
    profile: str,
    names: Sequence[str],
    selection: str,
    *,
    title: str = "caption: experts, language model, checker",
    numbered: bool = True,
) -> None:
    """Caption the kept clips that have no caption yet."""
    items = [{"clip_id": clip_id} for clip_id in sorted(kept(work.root, selection) - work.root.ids("captions"))]
    captions = config.model_copy(update={"profile": profile})
    kwargs = {"root": work.root.uri, "captions": captions, "experts": list(names)}
    largest = 64 if config.backend in ("openai", "template") else 4
    _drive(work, "captions", stages.Caption, kwargs, items, largest, "clips", title=title, numbered=numbered)


def augment(
    work: Work, config: PseudoConfig, selection: str, *, title: str = "pseudo-videos from stills", numbered: bool = True
) -> None:
    """Make pseudo-videos of the kept stills that have none yet."""
    keep = kept(work.root, selection)
    clips = work.root.read("clips", columns=["clip_id", "video_id", "kind", "uri"]).to_pylist()
    have = {c["video_id"] for c in clips if c["kind"] == "pseudo"}
    stills = [c for c in clips if c["kind"] == "still" and c["clip_id"] in keep and c["video_id"] not in have]
    items = [{"uri": c["uri"], "video_id": c["video_id"]} for c in sorted(stills, key=lambda c: c["video_id"])]
    _drive(work, "augment", stages.Augment, {"pseudo": config}, items, 8, "stills", title=title, numbered=numbered)


def shard(
    work: Work, config: ShardConfig, selection: str, *, title: str = "cut and shard", numbered: bool = True
) -> None:
    """Write a training row for every kept and captioned clip that the shard set lacks."""
    root = work.root
    usable = pc.field("outcome").isin(["ok", "repaired", "template"])
    captioned = set(root.read("captions", columns=["clip_id"], filter=usable)["clip_id"].to_pylist())
    of_kind = pc.field("kind").isin(config.kinds)
    wanted = set(root.read("clips", columns=["clip_id"], filter=of_kind)["clip_id"].to_pylist())
    todo = sorted((kept(root, selection) & captioned & wanted) - root.ids(f"shards/{config.name}"))
    kwargs = {"root": root.uri, "shards": config}
    items = [{"clip_id": clip_id} for clip_id in todo]
    _drive(work, "shard", stages.Shard, kwargs, items, config.rows_per_part, "clips", title=title, numbered=numbered)
