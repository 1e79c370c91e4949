"""Where stages run: in this process, or as actor pools of Ray Data.

A stage is a plain class: constructed once in each worker, called with one item, it returns `Part`s - rows for
tables of the dataset - and knows nothing of Ray. The engine writes the parts where the stage ran, so that media
and keyframes never travel through the driver, and hands back only a small `Report` for each batch.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from dataset import open_root
from dataset.shards import write_shard
from media.errors import ConfigError, RushesError, UserError

__all__ = ["Engine", "LocalEngine", "Part", "RayEngine", "Report", "Stage", "StageSpec", "make_engine"]

Item = dict[str, Any]

_NODE_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Part:
    """Rows for one table; `key` names the Parquet part, so that a retry overwrites itself."""

    table: str
    rows: list[dict[str, Any]]
    schema: pa.Schema
    key: str


@dataclass(frozen=True, slots=True)
class Report:
    """What one batch came to: rows written by table, notes for the user, seconds spent."""

    items: int
    rows: dict[str, int]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


class Stage(Protocol):
    """A stage: one batch of items in, parts out."""

    def __call__(self, items: Sequence[Item]) -> tuple[Iterable[Part], list[str]]:
        """Return the rows to write, in the order to write them, and notes for the user.

        The notes are read when the parts are written, so that parts may be made as they are asked for.
        """
        ...


@dataclass(frozen=True, slots=True)
class StageSpec:
    """How to make a stage in a worker, and what one of its actors takes."""

    factory: Callable[..., Stage]
    root: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    cpus: float = 1.0
    gpus: float = 0.0


class Engine(Protocol):
    """Runs a stage over batches of items, yielding a report for each as it ends, in any order."""

    workers: int

    def run(self, spec: StageSpec, batches: Sequence[Sequence[Item]]) -> Iterator[Report]:
        """Run `spec` over `batches`."""
        ...

    def close(self) -> None:
        """Give back what the engine holds."""
        ...


class _Worker:
    """A stage in its worker, with the writing of its parts."""

    def __init__(self, spec: StageSpec) -> None:
        self._root = open_root(spec.root)
        self._stage = spec.factory(**spec.kwargs)

    def run(self, items: Sequence[Item]) -> Report:
        started = time.perf_counter()
        parts, notes = self._stage(items)
        rows: dict[str, int] = {}
        for part in parts:
            group, _, name = part.table.partition("/")
            if part.rows and group == "shards":
                write_shard(self._root, name, part.rows, key=part.key, schema=part.schema)
            elif part.rows:
                self._root.write_part(part.table, part.rows, part.schema, key=part.key)
            rows[part.table] = rows.get(part.table, 0) + len(part.rows)
        return Report(len(items), rows, tuple(notes), time.perf_counter() - started)


class LocalEngine:
    """One process, no Ray."""

    workers = 1

    def run(self, spec: StageSpec, batches: Sequence[Sequence[Item]]) -> Iterator[Report]:
        """Run the batches one after the other."""
        if not batches:
            return
        worker = _Worker(spec)
        for batch in batches:
            yield worker.run(batch)

    def close(self) -> None:
        """Nothing is held."""


class _RayWorker:
    """The callable that Ray Data's actors hold: a batch is one row of pickled items."""

    def __init__(self, spec: StageSpec) -> None:
        self._made: _Worker | RushesError
        try:
            self._made = _Worker(spec)
        except RushesError as error:
            self._made = error

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        return {"report": [pickle.dumps(self._outcome(pickle.loads(data))) for data in batch["items"]]}

    def _outcome(self, items: Sequence[Item]) -> Report | RushesError:
        """Return the report, or an error of ours as a value: raised here, Ray would bury it in a traceback."""
        if isinstance(self._made, RushesError):
            return self._made
        try:
            return self._made.run(items)
        except RushesError as error:
            return error


class RayEngine:
    """Ray Data: every stage an actor pool, never more actors than the cluster has real cores, on each of its nodes.

    Uses the Ray that this process has, else connects to the cluster of RAY_ADDRESS (as a submitted job does), else
    starts one of its own.
    """

    def __init__(self, workers: int | None = None) -> None:
        import logging

        # A Ray of our own listens on loopback only and ends with us; a token file would outlive it and make a later
        # `ray start` of the user's ask for one.
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray
        import ray.data

        self._owned = not ray.is_initialized() and not os.environ.get("RAY_ADDRESS")
        if not ray.is_initialized():
            options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
            if self._owned:
                # "local", or a Ray that happens to run on this machine would be joined, with its cores and its users.
                options |= {"address": "local", "num_cpus": len(os.sched_getaffinity(0)), "include_dashboard": False}
                options |= {"object_store_memory": 256 * 2**20}
            # One actor, one core: a model that starts a thread a core in every actor would fight itself.
            ray.init(runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}}, **options)
        for name in ("ray.data", "ray.serve", "ray"):
            logging.getLogger(name).setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        declared = int(ray.cluster_resources().get("CPU", 1))
        cores, self._share = (declared, 1) if self._owned else _room_for_workers(_cores_of_nodes())
        if workers is not None and workers > cores:
            self.close()
            told = f" (Ray was told of {declared})" if declared > cores else ""
            raise UserError(
                f"engine.workers: {workers} asked for, but this cluster has {cores} cores{told}; "
                f"decoding with more workers than cores only waits. Ask for at most {cores}"
            )
        self.workers = workers or cores

    def run(self, spec: StageSpec, batches: Sequence[Sequence[Item]]) -> Iterator[Report]:
        """Map the stage over the batches; reports come as they end."""
        if not batches:
            return
        import ray.data

        rows = [{"items": pickle.dumps(list(batch))} for batch in batches]
        size = max(1, min(self.workers, len(rows), int(self.workers / max(spec.cpus, 1))))
        items = ray.data.from_items(rows, override_num_blocks=min(len(rows), 1000))
        with warnings.catch_warnings():
            # Ray 2.60 has no other way to say how often an actor may be restarted, and calls this one deprecated.
            warnings.filterwarnings("ignore", message=".*ray_remote_args_fn")
            data = items.map_batches(
                _RayWorker,
                fn_constructor_args=(spec,),
                batch_size=1,
                compute=ray.data.ActorPoolStrategy(size=size),
                num_cpus=spec.cpus if self._share == 1 else math.ceil(spec.cpus * self._share),
                num_gpus=spec.gpus or None,
                ray_remote_args_fn=_no_restarts if self._owned else None,
            )
        for row in data.iter_rows():
            outcome: Report | RushesError = pickle.loads(row["report"])
            if isinstance(outcome, RushesError):
                raise outcome
            yield outcome

    def close(self) -> None:
        """Stop the Ray that this engine started; leave another's running."""
        import ray

        if self._owned and ray.is_initialized():
            ray.shutdown()


def _cores_of_nodes() -> list[tuple[int, int]]:
    """Return, for each living node that has any, the cores that Ray was told of and the cores there are."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    told = {n["NodeID"]: int(n["Resources"].get("CPU", 0)) for n in ray.nodes() if n["Alive"]}
    look = ray.remote(_real_cores)
    asked = {
        look.options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(): node
        for node, cpus in told.items()
        if cpus
    }
    answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=_NODE_LIMIT_S) if asked else ([], [])
    real: dict[str, int] = {}
    for answer in answered:
        with contextlib.suppress(ray.exceptions.RayError):  # the node went away: its word is as good as another's
            real[asked[answer]] = ray.get(answer)
    return [(cpus, real.get(node, cpus)) for node, cpus in told.items() if cpus]


def _real_cores() -> int:
    return len(os.sched_getaffinity(0))


def _room_for_workers(nodes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return how many workers of one core the nodes (cores told of, cores there are) hold, and Ray's CPUs for each.

    Ray counts only what it was told. Where that is more than there is, every worker takes so many of Ray's CPUs that
    no node is given more workers than it has cores.
    """
    share = max((math.ceil(told / real) for told, real in nodes), default=1)
    return max(1, sum(told // share for told, _ in nodes)), share


def _no_restarts() -> dict[str, Any]:
    """Return the actor options of a Ray of our own.

    On a cluster a lost actor is started again. Here a worker that dies (of memory, say) would die again, for ever:
    better to stop, and to go on from there when the command is run again.
    """
    return {"max_restarts": 0}


def make_engine(kind: str, workers: int | None) -> Engine:
    """Return the engine named `ray` or `local`."""
    if kind not in ("ray", "local"):
        raise ConfigError(f"engine: there is no `{kind}`; it is ray or local")
    if kind == "local" and workers not in (None, 1):
        raise ConfigError(
            f"engine.workers: {workers} asked for, but the local engine is one process; use ray, or leave it"
        )
    return RayEngine(workers) if kind == "ray" else LocalEngine()
