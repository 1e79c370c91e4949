"""The demo as a newcomer runs it: wall time, CPU time and peak memory of the whole process tree."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.common import main, measure


def demo(quick: bool) -> Mapping[str, Any]:
    """Run `rushes demo` into an empty folder, then again on the same folder.

    Quick: `rushes demo --small`, once - one video, one photograph, seven experts, captions by the template.
    """
    with tempfile.TemporaryDirectory(prefix="rushes-demo-") as folder:
        command = [sys.executable, "-m", "pipelines", "demo", "--out", folder, "--json"]
        if quick:
            command += ["--small"]
        first = measure(command)
        if first.exit_code:
            raise SystemExit(first.output)
        figures: dict[str, Any] = {
            "demo_wall_s": round(first.wall_s, 1),
            "demo_cpu_s": round(first.cpu_s, 1),
            "demo_peak_mb": round(first.peak_mb),
        }
        if not quick:
            again = measure(command)
            figures |= {"demo_again_wall_s": round(again.wall_s, 1), "demo_again_exit_code": again.exit_code}
        seconds = json.loads((Path(folder) / "demo.json").read_text())["seconds"]
        figures |= {f"demo_step_{re.sub('[^a-z]+', '_', step.lower())}_s": round(s, 1) for step, s in seconds.items()}
        return figures


if __name__ == "__main__":
    main("demo", demo)
