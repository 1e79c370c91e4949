"""A whole run, from raw files to shards."""

from __future__ import annotations

from collections.abc import Callable

from dataset import open_root
from pipelines import captions, modelling, steps
from pipelines.config import RunConfig
from pipelines.progress import Reporter
from pipelines.sources import expand

__all__ = ["check", "curate", "run"]


def run(config: RunConfig, report: Reporter) -> steps.Work:
    """Run `config` from raw files to shards; what is there already is not done again."""
    check(config)
    root = open_root(config.dataset, create=True)
    with steps.working(
        root, "run", config.model_dump(mode="json"), report, config.engine.kind, config.engine.workers
    ) as work:
        curate(work, config)
    return work


def check(config: RunConfig) -> None:
    """Find what `config` names - sources, experts, models, the detector - before anything is written."""
    for source in config.sources:
        expand(source.uris)
    if config.shards.by_bucket:
        modelling.bucket_recipe(config.shards.by_bucket)
    names = steps.expert_names(config.profile, config.experts)
    steps.preflight(config.profile, names, config.captions.backend, config.curate.detector)


def curate(work: steps.Work, config: RunConfig, after: Callable[[str, object], None] | None = None) -> None:
    """Take `config`'s sources to shards; `after(step, result)` is called after each, for those who want to tell."""
    tell = after or (lambda step, result: None)
    names = steps.expert_names(config.profile, config.experts)
    steps.ingest(work, config)
    tell("ingest", None)
    steps.run_experts(work, config.profile, names)
    tell("select", steps.select(work, config.rules, config.selection))
    captions.caption(work, config.captions, config.profile, names, config.selection)
    tell("caption", None)
    steps.augment(work, config.pseudo, config.selection)
    inner = {"numbered": False}
    steps.select(work, config.rules, config.selection, title="      and selected", **inner)
    captions.caption(
        work, config.captions, config.profile, names, config.selection, title="      and captioned", **inner
    )
    steps.shard(work, config.shards, config.selection, wall_limit_s=config.engine.wall_limit_s)
    tell("shard", None)
