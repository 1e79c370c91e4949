"""What a rerun computes again: rows whose error says nothing of the clip; an error that is the clip's own stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import experts
from pipelines.renewal import forget_stale
from tests.pipelines.test_experts_step import House


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def written_again(house: House, errors: list[str | None], **other: Any) -> list[dict[str, Any]]:
    """Write the rows of `stamp` anew, the first with these errors."""
    house.run("r1")
    rows: list[dict[str, Any]] = house.root.read("experts/stamp").to_pylist()
    for part in house.parts("stamp"):
        (house.folder / "dataset" / "experts" / "stamp" / part).unlink()
    for row, error in zip(rows, errors, strict=False):
        row |= {"error": error, "stamp_value": None, **other}
    house.root.write_part("experts/stamp", rows, experts.schema(experts.load("stamp", house.profile)), key="mixed")
    return rows


@pytest.mark.parametrize(
    "error",
    [
        "BackendError: http://127.0.0.1:1/v1: no answer (3 tries): refused",
        "OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
        "MemoryError: ",
        "OSError: [Errno 28] No space left on device",
        "TimeoutError: ",
        "ConnectionResetError: [Errno 104] Connection reset by peer",
    ],
)
def test_a_failure_that_passes_is_computed_again_by_the_next_run(error: str, house: House) -> None:
    rows = written_again(house, [error, "ValueError: the clip has no keyframes"])
    again, bad = rows[0]["clip_id"], rows[1]["clip_id"]
    wrote, told = house.run("r2")
    assert wrote == {"experts/stamp": 1}
    found = {row["clip_id"]: row for row in house.rows("stamp")}
    assert (found[again]["error"], found[again]["stamp_value"], found[again]["run_id"]) == (None, 7, "r2")
    assert (found[bad]["error"], found[bad]["run_id"]) == ("ValueError: the clip has no keyframes", "r1")
    (line,) = [line for line in told.splitlines() if "again" in line]
    assert f"expert stamp: 1 row that failed in passing ({error.partition(':')[0]}) to be computed again" in line
    assert house.run("r3")[0] == {}


@pytest.mark.parametrize("error", ["ValueError: OSError: quoted", "MediaError: truncated: OSError", "OSErrorish: no"])
def test_an_error_of_the_clip_stays(error: str, house: House) -> None:
    written_again(house, [error])
    assert house.run("r2")[0] == {}


def test_a_row_of_another_model_that_failed_in_passing_is_counted_once(house: House) -> None:
    rows = written_again(house, ["TimeoutError: "], model_hash="0" * 12)
    have, told = forget_stale(house.root, "stamp", house.profile)
    assert have == {row["clip_id"] for row in rows[1:]}
    assert told is not None
    assert "1 row of stamp-net (000000000000, version 1) to be computed again" in told
