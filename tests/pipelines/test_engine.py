"""The engine: a stage gives the same tables in one process and on Ray, and asks for no more than there is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dataset import open_root
from dataset.schema import Column, expert_schema
from media.errors import BackendError, ConfigError, CorruptionError, UserError
from pipelines.engine import Engine, Item, LocalEngine, Part, RayEngine, StageSpec, _room_for_workers, make_engine

SCHEMA = expert_schema([Column("square", pa.int64(), "the square of the clip's number")])


class Square:
    """A stage for the tests: the square of a number; 13 is a clip that goes wrong."""

    def __init__(self, *, run_id: str) -> None:
        self.run_id = run_id

    def __call__(self, items: Sequence[Item]) -> tuple[list[Part], list[str]]:
        good = [i["n"] for i in items if i["n"] != 13]
        rows = [{"clip_id": f"{n:03}", "version": "1", "square": n * n, "run_id": self.run_id} for n in good]
        notes = ["13 is unlucky"] if len(good) < len(items) else []
        return [Part("experts/square", rows, SCHEMA, " ".join(map(str, good)))], notes


def run(engine: Engine, root: Path, batches: Sequence[Sequence[Item]]) -> tuple[list[dict[str, Any]], list[str]]:
    place = open_root(str(root), create=True)
    spec = StageSpec(Square, place.uri, {"run_id": "r"})
    reports = list(engine.run(spec, batches))
    rows = place.read("experts/square").sort_by("clip_id").to_pylist() if batches else []
    assert sum(r.rows["experts/square"] for r in reports) == len(rows)
    return rows, [note for r in reports for note in r.notes]


class Refuse:
    """A stage for the tests that cannot be made, or cannot work."""

    def __init__(self, *, when: str) -> None:
        if when == "made":
            raise BackendError("nobody answers")

    def __call__(self, items: Sequence[Item]) -> tuple[list[Part], list[str]]:
        raise CorruptionError("this part is damaged")


class Where:
    """A stage for the tests that says in which process it ran."""

    def __call__(self, items: Sequence[Item]) -> tuple[list[Part], list[str]]:
        time.sleep(0.1)
        return [], [str(os.getpid())]


BATCHES = [[{"n": n} for n in range(a, a + 5)] for a in range(0, 20, 5)]


@pytest.fixture(scope="module")
def ray_engine() -> Iterator[RayEngine]:
    engine = RayEngine(2)
    yield engine
    engine.close()


@pytest.mark.xdist_group("cluster")
def test_ray_and_one_process_write_the_same_rows(tmp_path: Path, ray_engine: RayEngine) -> None:
    local, local_notes = run(LocalEngine(), tmp_path / "local", BATCHES)
    remote, remote_notes = run(ray_engine, tmp_path / "ray", BATCHES)
    assert local == remote
    assert len(local) == 19
    assert local_notes == remote_notes == ["13 is unlucky"]


@pytest.mark.xdist_group("cluster")
def test_nothing_to_do_starts_nothing(tmp_path: Path, ray_engine: RayEngine) -> None:
    assert run(ray_engine, tmp_path, []) == ([], [])


@pytest.mark.xdist_group("cluster")
def test_more_workers_than_cores_is_refused_with_a_sentence(ray_engine: RayEngine) -> None:
    with pytest.raises(UserError, match="9999 asked for, but this cluster has"):
        RayEngine(9999)


@pytest.mark.parametrize(
    ("nodes", "workers", "share"),
    [
        ([(2, 2)], 2, 1),
        ([(4, 16)], 4, 1),  # fewer than there are: the user's choice
        ([(64, 2)], 2, 32),
        ([(64, 3)], 2, 22),
        ([(8, 8), (8, 8)], 16, 1),
        ([(64, 2), (64, 64)], 4, 32),  # a share for all: no stage can tell its actors apart by node
        ([], 1, 1),
    ],
)
def test_only_real_cores_count(nodes: list[tuple[int, int]], workers: int, share: int) -> None:
    assert _room_for_workers(nodes) == (workers, share)
    assert all(told // share <= max(told, real) and told // share <= real for told, real in nodes if told > real)


@pytest.mark.xdist_group("cluster")
def test_a_ray_that_was_told_of_more_cores_than_there_are_is_not_believed(tmp_path: Path) -> None:
    code = """
import os, sys, ray
ray.init(address="local", num_cpus=64, include_dashboard=False, object_store_memory=2**27, log_to_driver=False)
from dataset import open_root
from media.errors import UserError
from pipelines.engine import RayEngine, StageSpec
from tests.pipelines.test_engine import Where
cores = len(os.sched_getaffinity(0))
try:
    RayEngine(cores + 1)
except UserError as error:
    print(error)
engine = RayEngine()
assert engine.workers == 64 // -(-64 // cores), engine.workers
spec = StageSpec(Where, open_root(sys.argv[1], create=True).uri, {})
notes = {note for report in engine.run(spec, [[{"n": n}] for n in range(24)]) for note in report.notes}
assert 1 <= len(notes) <= cores, notes
ray.shutdown()
"""
    command = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path)]
    ended = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    cores = len(os.sched_getaffinity(0))
    assert f"{cores + 1} asked for, but this cluster has" in ended.stdout
    assert "(Ray was told of 64)" in ended.stdout


@pytest.mark.xdist_group("cluster")
@pytest.mark.parametrize(("when", "error"), [("made", BackendError), ("called", CorruptionError)])
@pytest.mark.parametrize("where", ["ray", "local"])
def test_an_error_of_ours_comes_out_as_itself(
    tmp_path: Path, ray_engine: RayEngine, where: str, when: str, error: type[Exception]
) -> None:
    place = open_root(str(tmp_path), create=True)
    engine: Engine = ray_engine if where == "ray" else LocalEngine()
    with pytest.raises(error, match=r"^(nobody answers|this part is damaged)$"):
        list(engine.run(StageSpec(Refuse, place.uri, {"when": when}), BATCHES))


@pytest.mark.xdist_group("cluster")
def test_a_ray_that_the_caller_started_is_used_and_left_running(ray_engine: RayEngine) -> None:
    import ray

    second = RayEngine(1)
    second.close()
    assert ray.is_initialized()


def test_there_are_two_engines(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no `dask`"):
        make_engine("dask", None)
    with pytest.raises(ConfigError, match="one process"):
        make_engine("local", 8)


def test_a_retry_overwrites_itself(tmp_path: Path) -> None:
    first, _ = run(LocalEngine(), tmp_path, BATCHES)
    place = open_root(str(tmp_path))
    list(LocalEngine().run(StageSpec(Square, place.uri, {"run_id": "again"}), BATCHES[:1]))
    rows = place.read("experts/square").sort_by("clip_id").to_pylist()
    assert [r["clip_id"] for r in rows] == [r["clip_id"] for r in first]
