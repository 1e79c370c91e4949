"""Two hundred kills: processes that write, select, remove and compact are killed at random moments, for real.

Children are forked from a process that has imported everything and done nothing, so that a kill costs milliseconds.
After each the dataset is opened and looked through; in the end the work is done again, and all is as if nothing was.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dataset import Root, open_root, query, verify
from tests.dataset.build import new_root

ROOT = Path(__file__).parents[2]
KILLS = {"grow": 80, "select": 40, "take out": 80}
VIDEOS = 6
CLIPS = 40

NURSERY = """
import json, os, signal, sys, time
from tests.dataset.test_kills import JOBS
print("ready", flush=True)
for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            JOBS[order["job"]](order["uri"], order["round"])
            code = 0
        finally:
            os._exit(code)
    if order["after_s"] is not None:
        time.sleep(order["after_s"])
        os.kill(child, signal.SIGKILL)
    print(os.waitpid(child, 0)[1], flush=True)
"""


def _grow(uri: str, round_: int) -> None:
    """Ingest: clips before their source's row, experts after; a part of large rows, and a run that begins and ends."""
    from tests.dataset.build import TAGS, clip_row, tag_row, video_row

    root = open_root(uri)
    for number in range(VIDEOS):
        video = f"v{number}"
        pictures = [{"frame": 0, "time_s": 0.0, "jpeg": bytes([number]) * 20_000, "phash": number}]
        rows = [clip_row(i, i + 1, video, keyframes=pictures) for i in range(CLIPS)]
        root.write_part("clips", rows, key=video)
        root.write_part("videos", [video_row(video)], key=video)
        root.write_part("experts/tags", [tag_row(row["clip_id"]) for row in rows], TAGS, key=video)


def _select(uri: str, round_: int) -> None:
    from curation.select import Rules, select
    from dataset.uniqueness import note_unique
    from tests.dataset.build import RUN

    root = open_root(uri)
    select(root, Rules({"late": f"flow_mean_px_per_s >= {round_ % CLIPS}"}), "default", run_id=RUN)
    note_unique(root)


def _take_out(uri: str, round_: int) -> None:
    """Remove a source, take it off the disk, let it back in and take it in again."""
    from dataset import compact, remove, restore
    from dataset.removal import blocked
    from tests.dataset.build import RUN

    root = open_root(uri)
    if not blocked(root)("/footage/v0.mp4"):
        remove(root, "/footage/v0.mp4", run_id=RUN, ahead=True)
    compact(root)
    restore(root, "/footage/v0.mp4")
    _grow(uri, round_)


JOBS = {"grow": _grow, "select": _select, "take out": _take_out}


class Nursery:
    """Runs jobs in forked children, and kills them when asked to."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", NURSERY], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._answer() == "ready"

    def run(self, job: str, uri: str, round_: int = 0, after_s: float | None = None) -> int:
        """Run a job, killed after so many seconds if any; return how it ended, as `os.waitpid` tells."""
        assert self._process.stdin is not None
        order = {"job": job, "uri": uri, "round": round_, "after_s": after_s}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


def state(root: Root) -> dict[str, list[dict[str, Any]]]:
    """Everything that a reader sees, whatever the order of the parts; a removal's time is another each time."""
    tables = {table: root.read(table).to_pylist() for table in root.tables() if table != "removals"}
    return {table: sorted(rows, key=lambda row: json.dumps(row, default=str)) for table, rows in tables.items()}


def look_through(root: Root) -> None:
    """Every table is valid, and nothing is there but what a writer finished."""
    problems = verify(root, media=False)
    assert {problem.kind for problem in problems} <= {"leftover", "removed", "unknown_run", "orphan"}, problems
    clips = query(root, "SELECT video_id, count(*) AS n FROM clips GROUP BY 1").to_pylist()
    assert all(row["n"] == CLIPS for row in clips)
    tags = query(root, "SELECT split_part(clip_id, ':', 1) AS v, count(*) AS n FROM expert_tags GROUP BY 1").to_pylist()
    assert all(row["n"] == CLIPS for row in tags)
    wide = query(root, "SELECT count(*) AS n, count(DISTINCT clip_id) AS ids FROM wide").to_pylist()[0]
    assert wide["n"] == wide["ids"] == sum(row["n"] for row in clips)
    assert query(root, "SELECT count(*) AS n FROM videos").to_pylist()[0]["n"] <= len(clips)


@pytest.mark.parametrize("job", JOBS)
def test_killed_at_a_random_moment_the_dataset_is_valid_and_the_work_can_be_done_again(
    tmp_path: Path, nursery: Nursery, job: str
) -> None:
    kill(tmp_path, nursery, job, kills=6, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("job", JOBS)
def test_two_hundred_times(tmp_path: Path, nursery: Nursery, job: str) -> None:
    assert sum(KILLS.values()) == 200
    kill(tmp_path, nursery, job, kills=KILLS[job], seed=6)


def kill(tmp_path: Path, nursery: Nursery, job: str, *, kills: int, seed: int) -> None:
    """Kill the job at random moments, so often; then let it end, and compare with what was never broken."""
    unbroken, root = new_root(tmp_path / "unbroken"), new_root(tmp_path)
    for one in (unbroken, root):
        assert nursery.run("grow", one.uri) == 0 if job != "grow" or one is unbroken else True
    if job != "grow":
        assert nursery.run(job, unbroken.uri, 7) == 0
    rng = random.Random(f"{job} {seed}")
    # Long enough for the whole job, so that every part of it is met; a job that was done before is no kill.
    longest_s = {"grow": 0.25, "select": 0.4, "take out": 0.6}[job]
    killed = tries = 0
    while killed < kills:
        tries += 1
        assert tries < 5 * kills, "the job is done before it can be killed: it is too short"
        ended = nursery.run(job, root.uri, tries, after_s=rng.uniform(0, longest_s))
        killed += ended == 9
        if tries % 4 == 0:
            look_through(root)
    assert nursery.run(job, root.uri, 7) == 0
    look_through(root)
    assert state(root) == state(unbroken)


def test_two_writers_at_once_give_what_one_gives(tmp_path: Path) -> None:
    alone, both = new_root(tmp_path / "alone"), new_root(tmp_path)
    _grow(alone.uri, 0)
    nurseries = [Nursery(), Nursery()]
    orders = [json.dumps({"job": "grow", "uri": both.uri, "round": 0, "after_s": None}) for _ in nurseries]
    for made, order in zip(nurseries, orders, strict=True):
        assert made._process.stdin is not None
        made._process.stdin.write(order + "\n")
        made._process.stdin.flush()
    for made in nurseries:
        assert made._answer() == "0"
        made.close()
    look_through(both)
    assert both.leftovers() == []
    assert state(both) == state(alone)


def test_two_who_write_the_same_clips_under_other_keys_are_seen_as_one_and_told(tmp_path: Path) -> None:
    from tests.dataset.build import TAGS, tag_row

    root = new_root(tmp_path)
    _grow(root.uri, 0)
    root.write_part("experts/tags", [tag_row("v0:0-1"), tag_row("v0:1-2")], TAGS, key="another batch")
    assert query(root, "SELECT count(*) AS n FROM wide").to_pylist() == [{"n": VIDEOS * CLIPS}]
    assert {(p.kind, p.id) for p in verify(root, media=False) if p.kind == "duplicate_id"} == {
        ("duplicate_id", "v0:0-1"),
        ("duplicate_id", "v0:1-2"),
    }
