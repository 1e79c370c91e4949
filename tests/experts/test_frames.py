"""An expert of `frames` reads those it wants; the benchmark credits it with these, and a control with what it draws."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmarks.experts import time_control, time_expert

STRIDE = """
import pyarrow as pa
from dataset.schema import Column
from experts.base import Resources
from experts.frames import evenly

class Stride:
    name, version, needs, roles, resources, model = "stride", "1", "frames", (), Resources(), None
    columns = (Column("tallest_px", pa.int32(), "height of the highest frame"), Column("seen", pa.int32(), "frames"))
    def __init__(self, profile, override, threads): pass
    def measure(self, views):
        found = [evenly(view, 5, 90) for view in views]
        assert all(len(frames) == 5 and {frame.shape[0] for frame in frames} == {90} for frames in found)
        return [{"tallest_px": max(f.shape[0] for f in frames), "seen": len(frames)} for frames in found]
    def state(self, view, values): return []
"""


def test_a_brought_expert_of_frames_reads_those_it_wants_and_is_credited_with_them(tmp_path: Path) -> None:
    (tmp_path / "stride.py").write_text(STRIDE)
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump({"name": "own", "experts": {"stride": "stride.py"}}))
    assert time_expert("stride", str(own), 2).pictures == 10
    assert time_expert("shots", "embedded", 1).pictures == 48


@pytest.mark.parametrize("name", ["canny", "flow"])
def test_a_control_is_timed_by_the_frames_that_it_draws(name: str) -> None:
    timing = time_control(name, "embedded", 2)
    assert (timing.pictures, timing.device) == (6, "cpu")
    assert timing.seconds > 0
