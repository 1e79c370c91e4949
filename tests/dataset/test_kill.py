"""A writer that is killed at any moment, or that is one of two, leaves tables that can be read."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.compute as pc
import pytest

from dataset import open_root, verify
from dataset.parts import part_name
from tests.dataset.build import new_root

ROOT = Path(__file__).parents[2]
KEYS, ROWS = 4, 100

WRITER = f"""
import itertools, sys
from dataset import open_root
from tests.dataset.build import clip_row
root = open_root(sys.argv[1])
parts = [[clip_row(i, i + 1, f"v{{key}}") for i in range({ROWS})] for key in range({KEYS})]
print("ready", flush=True)
for key in itertools.cycle(range({KEYS})):
    root.write_part("clips", parts[key], key=f"v{{key}}")
"""


def start(uri: str) -> subprocess.Popen[str]:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, uri], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    return writer


def stop(writer: subprocess.Popen[str]) -> None:
    writer.kill()
    writer.wait()
    assert writer.stdout is not None
    writer.stdout.close()


def whole(uri: str) -> None:
    """Every part that a reader sees is one that a writer finished: its key's rows, all of them."""
    root = open_root(uri)
    names = {part_name(f"v{key}"): f"v{key}" for key in range(KEYS)}
    for name in root.parts("clips"):
        key = names[name]
        rows = root.read("clips", ["clip_id"], pc.field("video_id") == key)
        found = rows.column("clip_id").to_pylist()
        assert found == [f"{key}:{i}-{i + 1}" for i in range(ROWS)]
    damage = [problem for problem in verify(root) if problem.kind in {"damaged", "wrong_schema", "duplicate_id"}]
    assert damage == []


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_writer_leaves_whole_tables_and_its_work_can_be_done_again(tmp_path: Path, seed: int) -> None:
    root = new_root(tmp_path)
    rng = random.Random(seed)
    writer = start(root.uri)
    time.sleep(rng.uniform(0, 0.4))
    stop(writer)
    whole(root.uri)
    left = root.leftovers()
    again = start(root.uri)
    while len(root.parts("clips")) < KEYS:
        time.sleep(0.01)
    stop(again)
    whole(root.uri)
    assert root.count("clips") == KEYS * ROWS
    assert set(left) <= set(root.leftovers())


def test_two_writers_of_the_same_parts_do_not_disturb_each_other(tmp_path: Path) -> None:
    root = new_root(tmp_path)
    writers = [start(root.uri), start(root.uri)]
    while len(root.parts("clips")) < KEYS:
        time.sleep(0.01)
    for _ in range(5):
        whole(root.uri)
    for writer in writers:
        stop(writer)
    whole(root.uri)
    assert root.count("clips") == KEYS * ROWS
