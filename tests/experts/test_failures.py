"""What an expert does wrong, and what is wrong with a clip, are that clip's row and nobody else's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

import experts
from dataset import open_root, schema_of
from dataset.schema import Column
from experts.base import ClipView, ModelRef, Needs, Resources, Statement
from pipelines.stages import Experts
from tests.experts.conftest import view_of
from tests.pipelines.report_data import clips

Answer = Callable[[Sequence[ClipView]], Any]


class Odd:
    """An expert that answers as it is told."""

    name: ClassVar[str] = "odd"
    version: ClassVar[str] = "1"
    needs: ClassVar[Needs] = "keyframes"
    roles: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[tuple[Column, ...]] = (
        Column("one", pa.float32(), "a number"),
        Column("many", pa.list_(pa.float32()), "numbers"),
        Column("boxes", pa.list_(pa.struct([("left", pa.float32())])), "numbers in structs"),
    )
    resources: ClassVar[Resources] = Resources()
    model: ModelRef | None = None

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def measure(self, views: Sequence[ClipView]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._answer(views)
        return found

    def state(self, view: ClipView, values: Mapping[str, Any]) -> list[Statement]:
        return []


def ran(answer: Answer) -> list[dict[str, Any]]:
    picture = np.zeros((8, 8, 3), np.uint8)
    return experts.run(Odd(answer), [view_of([picture], clip_id=name) for name in ("a", "b")], run_id="r")


GOOD = {"one": 1.0, "many": [1.0], "boxes": []}


def test_nothing_where_a_list_was_promised_is_an_error_of_the_rows() -> None:
    rows = ran(lambda views: None)
    assert [row["clip_id"] for row in rows] == ["a", "b"]
    assert all(row["error"].startswith("TypeError: ") for row in rows)


def test_a_generator_is_as_good_as_a_list_and_may_fail_halfway() -> None:
    assert [row["one"] for row in ran(lambda views: (GOOD for _ in views))] == [1.0, 1.0]

    def halfway(views: Sequence[ClipView]) -> Any:
        for view in views:
            if view.clip_id == "b":
                raise ZeroDivisionError("no light")
            yield GOOD

    assert [row["error"] for row in ran(halfway)] == [None, "ZeroDivisionError: no light"]


def test_one_answer_for_many_clips_is_asked_again_clip_by_clip() -> None:
    assert [row["one"] for row in ran(lambda views: [GOOD])] == [1.0, 1.0]


@pytest.mark.parametrize("nan", [math.nan, math.inf, np.float32("nan"), np.float64("-inf")])
def test_what_is_no_number_is_null_wherever_it_stands(nan: Any) -> None:
    values = {"one": nan, "many": [1.0, nan], "boxes": [{"left": nan}, {"left": 0.5}]}
    (row, _) = ran(lambda views: [values for _ in views])
    assert (row["one"], row["many"], row["boxes"]) == (None, [1.0, None], [{"left": None}, {"left": 0.5}])
    array = {**GOOD, "many": np.array([nan, 2.0], np.float32)}
    assert ran(lambda views: [array for _ in views])[0]["many"] == [None, 2.0]


def test_a_damaged_keyframe_costs_its_clip_alone(tmp_path: Path) -> None:
    root = open_root(str(tmp_path), create=True)
    rows = [row for row in clips("r0") if row["kind"] != "pseudo"]
    bad = rows[1]["clip_id"]
    rows[1]["keyframes"] = [{**frame, "jpeg": b"no picture"} for frame in rows[1]["keyframes"]]
    assert rows[1]["keyframes"]
    root.write_part("clips", rows, schema_of("clips"), key="all")
    stage = Experts(root=str(tmp_path), profile="embedded", run_id="r1")
    (part, *_), notes = stage([{"clip_id": row["clip_id"], "experts": ["colour", "motion"]} for row in rows])
    assert {row["clip_id"]: row["error"] is None for row in part.rows} == {
        row["clip_id"]: row["clip_id"] != bad for row in rows
    }
    assert [row["error"] for row in part.rows if row["clip_id"] == bad] == [
        "MediaError: undecodable: 10 bytes are no JPEG picture"
    ]
    assert sum(bad in note for note in notes) == 2
