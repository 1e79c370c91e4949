"""What every benchmark shares: its arguments, the machine's facts, and how a process tree is measured."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Measured", "main", "measure"]

Figures = dict[str, Any]
VERSIONED = ("rushes", "torch", "ray", "transformers", "pyarrow", "duckdb", "av", "numpy")


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.processor())  # fmt: skip
    versions: dict[str, str | None] = {}
    for name in VERSIONED:
        try:
            versions[f"version_{name}"] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[f"version_{name}"] = None
    return {
        "machine_cpu": model,
        "machine_cores": len(os.sched_getaffinity(0)),
        "machine_memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "machine_python": platform.python_version(),
        **versions,
    }


def main(name: str, measure_all: Callable[[bool], Mapping[str, Any]], argv: Sequence[str] | None = None) -> Figures:
    """Run the benchmark `name` from the command line: print its figures, write them where `--json` says."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=measure_all.__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--quick", action="store_true", help="a smaller job, under 50 seconds on 2 cores")
    options = parser.parse_args(argv)
    started = time.perf_counter()
    figures: Figures = {"benchmark": name, "quick": options.quick, **measure_all(options.quick)}
    figures |= {"benchmark_wall_s": round(time.perf_counter() - started, 2), **machine()}
    width = max(map(len, figures))
    for key, value in figures.items():
        print(f"{key:<{width}}  {value}")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return figures


@dataclass(frozen=True, slots=True)
class Measured:
    """What a command took, with every process it started."""

    exit_code: int
    wall_s: float
    cpu_s: float
    peak_mb: float
    output: str


def measure(command: Sequence[str], *, every_s: float = 1.0, env: Mapping[str, str] | None = None) -> Measured:
    """Run `command`; memory is the largest sum over its process tree of proportional set sizes.

    The proportional set size counts a page shared by n processes as 1/n, so that Ray's shared object store and
    the libraries that forked workers share are counted once.
    """
    started = time.perf_counter()
    before = os.times()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               env={**os.environ, **(env or {})})  # fmt: skip
    peak = [0]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(every_s):
            peak[0] = max(peak[0], sum(map(_pss_kb, _tree(process.pid))))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    output, _ = process.communicate()
    stop.set()
    watcher.join()
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Measured(process.returncode, time.perf_counter() - started, cpu, peak[0] / 1024, output)


def _tree(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += parents.get(pid, [])
    return found


def _pss_kb(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0
