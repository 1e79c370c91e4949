"""The steps of a run: each does what is missing from the dataset, no more, and says what it did.

A step finds its work by an anti-join against what is there, cuts it into batches, hands them to the engine and
counts what comes back. So a step that is run again, or after a kill, only finishes.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from curation.config import PseudoConfig
from curation.select import Funnel, Rules, load_rules
from dataset import Root, new_run, query
from dataset.root import SCRATCH
from dataset.uniqueness import note_unique
from media.errors import ConfigError, DatasetError
from pipelines import ingesting, stages
from pipelines.config import RunConfig, ShardConfig
from pipelines.engine import Engine, Item, StageSpec, make_engine
from pipelines.layout import laid_out
from pipelines.progress import Reporter
from pipelines.rights import Rights, sources_with_rights
from pipelines.spans import spread

__all__ = [
    "Work",
    "augment",
    "drive",
    "expert_names",
    "ingest",
    "judge_new",
    "preflight",
    "rules_behind",
    "rules_of",
    "run_experts",
    "select",
    "shard",
    "working",
]

NOTES_SHOWN = 8
REPLACING = frozenset({"balance", "dedup", "select"})
"""Commands that write their table anew, so that no setting of an earlier run is left in it."""


@dataclass
class Work:
    """What every step of one command works with, and what they came to."""

    root: Root
    engine: Engine
    report: Reporter
    run_id: str
    rows: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        """The dataset's address for a worker, which may run in another folder."""
        return self.root.path if self.root.local else self.root.uri

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
    _refuse_a_folder_that_ray_removes(root)
    for setting in _changed(root, command, config):
        report.say(f"warning: {setting}; what is there already is kept as it is")
    # The record is written at once: the rows of a run that is killed must still lead to its config.
    record = new_run(command, config, root=root)
    work, outcome = None, "failed"
    try:
        with closing(make_engine(engine, workers)) as made:
            work = Work(root, made, report, record.run_id)
            yield work
        note_unique(root)
        outcome = "done"
    finally:
        counts = {"rows": dict(work.rows), "seconds": report.seconds, "notes": work.notes} if work else {}
        record.finish(counts, outcome=outcome)


def _refuse_a_folder_that_ray_removes(root: Root) -> None:
    """Raise ConfigError for a dataset inside the copy of the working directory that a submitted job runs in."""
    if root.local and "working_dir_files" in Path.cwd().parts and Path(root.path).is_relative_to(Path.cwd()):
        raise ConfigError(
            f"dataset: {root.uri} is relative, and a submitted job runs in a copy of the folder that Ray removes; "
            "give an absolute path on storage that every node sees, or s3://"
        )


def _changed(root: Root, command: str, config: Mapping[str, Any]) -> list[str]:
    """Return, in words, the settings that shaped what an earlier run of the command left, and are others now."""
    if command in REPLACING:
        return []
    earlier = [run for run in root.runs() if run["command"] == command and run["outcome"] == "done"]
    if not earlier:
        return []
    before, now = _flat(earlier[-1]["config"]), _flat(json.loads(json.dumps(dict(config), default=str)))
    free = ("dataset", "sources", "engine", "experts", "rules")
    names = [n for n in before.keys() & now.keys() if before[n] != now[n] and n.partition(".")[0] not in free]
    return [f"{n} was {before[n]!r} in run {earlier[-1]['run_id']} and is {now[n]!r} now" for n in sorted(names)]


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return flat


def expert_names(profile: str, asked: Sequence[str] | None = None) -> list[str]:
    """Return the experts to run: those asked for, or all of the profile.

    Raises:
        ConfigError: a name that is no expert.
    """
    import difflib

    import experts

    known = list(experts.names(profile))
    for name in asked or ():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}"
            raise ConfigError(f"experts: there is no `{name}` in profile {profile}; {hint}")
    return list(asked) if asked is not None else list(experts.names(profile, given=True))


def preflight(profile: str, names: Sequence[str], backend: str | None = None, detector: str | None = None) -> None:
    """Find every model a command will need, and the detector, before any work starts.

    Raises:
        MissingModelError: names the model, the profile and the two ways to get it.
        UserError: a detector that is not there; experts that want a GPU and have none (on a cluster they say so there).
    """
    import experts
    from experts import weights

    experts.require_gpu(profile, [] if os.environ.get("RAY_ADDRESS") else names)
    roles = [role for name in names for role in experts.expert_class(name, profile).roles]
    if backend == "embedded":
        roles.append("language")
    if backend in ("openai", "vllm", "transformers"):
        roles.append("sentence")
    if detector in ("cascade", "transnet"):
        roles.append("shots")
    for role in dict.fromkeys(roles):
        weights.resolve(role, profile)
    if detector is not None:
        from curation import detectors

        detectors.make(detector)


def _batches(items: Sequence[Item], workers: int, largest: int) -> list[list[Item]]:
    """Cut `items` into batches: enough for every worker to have several, none larger than `largest`."""
    size = max(1, min(largest, -(-len(items) // (workers * 4))))
    return [list(items[i : i + size]) for i in range(0, len(items), size)]


def drive(
    work: Work,
    factory: Any,
    kwargs: dict[str, Any],
    items: Sequence[Item],
    largest: int,
    unit: str,
    cpus: float = 1.0,
    gpus: float = 0.0,
    apart: str | None = None,
    **show: Any,
) -> None:
    """Run one stage over `items`, moving the progress and counting into `work`.

    With `apart`, items that follow each other go into one batch only while they agree on that.
    """
    spec = StageSpec(factory, work.place, {**kwargs, "run_id": work.run_id}, cpus, gpus)
    notes: list[str] = []
    with work.report.step(unit=unit, **show) as move:
        finished = 0
        move(finished, len(items))
        groups = [list(group) for _, group in groupby(items, key=lambda item: apart and item[apart])]
        batches = [batch for group in groups for batch in _batches(group, work.engine.workers, largest)]
        for one in work.engine.run(spec, batches):
            finished += one.items
            work.rows.update(one.rows)
            notes += one.notes
            move(finished, len(items))
    for note in notes[:NOTES_SHOWN]:
        work.report.say(f"      warning: {note}")
    if len(notes) > NOTES_SHOWN:
        work.report.say(f"      warning: and {len(notes) - NOTES_SHOWN} more like these")
    work.notes += notes


def ingest(
    work: Work,
    config: RunConfig,
    *,
    rights: Mapping[str, Rights] | None = None,
    title: str = "ingest, split and measure",
    numbered: bool = True,
) -> None:
    """Ingest every source that the `videos` table lacks, and again those whose fault may have passed.

    What `rights` say of an address stands before what the config does. Sources that were removed stay out.
    """
    done = pc.field("status") == "ok"
    lasting = ~pc.field("reason").isin(["unreadable", "timeout", "crashed", "truncated", "empty_file"])
    have = set(work.root.read("videos", columns=["uri"], filter=done | lasting)["uri"].to_pylist())
    sources, notes = sources_with_rights(work.root, config.sources, rights or {})
    for note in notes:
        work.report.say(f"      {note}")
    items = [item for item in sources if item["uri"] not in have]
    kwargs = {"root": work.place, "curate": config.curate, "wall_limit_s": config.engine.wall_limit_s}
    scratch, workers = f"{SCRATCH}/{work.run_id}", work.engine.workers
    try:
        if items and len(items) < workers:
            with work.report.step("look for long videos", "files", numbered=False) as move:
                shares = spread(items, scratch, config.engine.span_s, config.engine.wall_limit_s, workers, move)
                move(len(items), len(items))
            if shares:
                title_of_spans = "long videos, in spans"
                drive(work, ingesting.Scan, kwargs, shares, 1, "shares", title=title_of_spans, numbered=False)
        drive(work, ingesting.Ingest, kwargs, items, 1, "files", title=title, numbered=numbered)
    finally:
        work.root.remove(scratch)


def run_experts(
    work: Work, profile: str, names: Sequence[str], *, title: str = "the experts look", numbered: bool = True
) -> None:
    """Run each expert over the clips its table lacks; a pseudo-video shows what its still showed, and is left out.

    Rows of another model, or of another version of the expert, are let go first, and so are lacking.
    """
    import experts
    from pipelines.renewal import forget_stale

    clips = work.root.read("clips", columns=["clip_id"], filter=pc.field("kind") != "pseudo")["clip_id"].to_pylist()
    lacking: dict[str, list[str]] = {clip_id: [] for clip_id in sorted(clips)}
    for name in names:
        have, renewed = forget_stale(work.root, name, profile)
        if renewed:
            work.report.say(f"      {renewed}")
        for clip_id in lacking:
            if clip_id not in have:
                lacking[clip_id].append(name)
    items = [{"clip_id": clip_id, "experts": todo} for clip_id, todo in lacking.items() if todo]
    takes = experts.resources(names, profile)
    kwargs = {"root": work.place, "profile": profile}
    drive(work, stages.Experts, kwargs, items, 32, "clips", takes.cpus, takes.gpus, title=title, numbered=numbered)


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
    """Return the clip ids that the selection `name` keeps.

    Raises:
        DatasetError: no such selection.
    """
    if not root.exists(f"selections/{name}"):
        there = ", ".join(root.names("selections")) or "none yet"
        raise DatasetError(
            f"{root.uri}: no selection is called {name!r} (there are: {there}); `rushes select` makes one"
        )
    found = root.read(f"selections/{name}", columns=["clip_id"], filter=pc.field("kept"))
    return set(found["clip_id"].to_pylist())


def judge_new(work: Work, name: str) -> None:
    """Judge again, by the same rules, when clips came since the selection `name`; make it when there is none at all."""
    root = work.root
    if root.exists(f"selections/{name}"):
        if root.ids("clips") <= root.ids(f"selections/{name}"):
            return
    elif root.names("selections"):
        kept(root, name)  # a name that is not there among others is a slip: say so
    select(work, rules_behind(root, name), name)


def augment(
    work: Work, config: PseudoConfig, selection: str, *, title: str = "pseudo-videos from stills", numbered: bool = True
) -> None:
    """Make the pseudo-videos that are asked for of every kept still, as far as they are not there.

    Raises ConfigError for a motion that needs a depth map: no table has one.
    """
    from curation.pseudo import DEPTH_MOTIONS, clip_id_of

    if flat := [motion for motion in config.motions if motion.partition("+")[0] in DEPTH_MOTIONS]:
        raise ConfigError(f"pseudo.motions: {flat[0]} needs a depth map: make it by curation.pseudo.pseudo_clips")
    keep = kept(work.root, selection)
    have = work.root.ids("clips")
    of_stills = work.root.read(
        "clips", columns=["clip_id", "video_id", "uri"], filter=pc.field("kind") == "still"
    ).to_pylist()
    items = []
    for still in sorted(of_stills, key=lambda row: row["clip_id"]):
        named = {clip_id_of(still["video_id"], config.frames, motion): motion for motion in config.motions}
        lacking = [motion for clip_id, motion in named.items() if clip_id not in have]
        if lacking and still["clip_id"] in keep:
            items.append({"uri": still["uri"], "video_id": still["video_id"], "motions": lacking})
    kwargs = {"root": work.place, "pseudo": config}
    drive(work, stages.Augment, kwargs, items, 8, "stills", title=title, numbered=numbered)


def shard(
    work: Work,
    config: ShardConfig,
    selection: str,
    *,
    wall_limit_s: float = 600.0,
    title: str = "cut and shard",
    numbered: bool = True,
) -> None:
    """Write a training row for every kept and captioned clip that the shard set lacks."""
    root = work.root
    usable = pc.field("outcome").isin(["ok", "repaired", "template"])
    captioned = set(root.read("captions", columns=["clip_id"], filter=usable)["clip_id"].to_pylist())
    of_kind = pc.field("kind").isin(config.kinds)
    wanted = kept(root, selection) & set(root.read("clips", columns=["clip_id"], filter=of_kind)["clip_id"].to_pylist())
    if wanted and not wanted & captioned:
        raise DatasetError(
            f"{root.uri}: none of the {len(wanted)} selected clips has a caption; `rushes caption` first"
        )
    have = root.ids(f"shards/{config.name}")
    items = laid_out(root, sorted((wanted & captioned) - have), config)
    kwargs = {"root": work.place, "shards": config, "wall_limit_s": wall_limit_s}
    rows = config.rows_per_part
    drive(work, stages.Shard, kwargs, items, rows, "clips", apart="bucket", title=title, numbered=numbered)
    if stale := have - wanted:
        work.report.say(
            f"      warning: {len(stale)} rows of shards/{config.name} are no longer selected and are still there; "
            "another --name gives a set without them"
        )
