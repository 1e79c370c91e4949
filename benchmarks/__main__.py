"""`python -m benchmarks [--quick] [--out FOLDER]`: run every benchmark, one after the other."""

from __future__ import annotations

import argparse
import pkgutil
import subprocess
import sys
from pathlib import Path

import benchmarks

NOT_BENCHMARKS = {
    "__main__", "caption_gallery", "caption_worlds", "common", "films", "matching", "passes", "peers", "pseudo_motion",
    "splices", "vllm_check", "world_sheets",
}  # fmt: skip


def names() -> list[str]:
    """Return the benchmarks' names."""
    return sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name not in NOT_BENCHMARKS)


def main() -> None:
    """Run them all; exit with the number that failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the smaller form of each")
    parser.add_argument("--out", type=Path, default=Path("bench-results"), help="folder for the JSON files")
    options = parser.parse_args()
    failed = 0
    for name in names():
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(options.out / f"{name}.json")]
        failed += bool(subprocess.run([*command, "--quick"] if options.quick else command, check=False).returncode)
    sys.exit(failed)


if __name__ == "__main__":
    main()
