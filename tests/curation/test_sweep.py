"""Moved thresholds: what they would keep is what judging every clip by hand, and by the moved rule, gives."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.select import Rules, default_rules, what_if
from curation.sweep import SHARES, Threshold, sweep, threshold_rows
from dataset import Root, open_root
from media.errors import RuleError
from tests.curation.test_select import RULES, clip

FLOATS = st.one_of(
    st.none(),
    st.integers(-4, 14),
    st.floats(-3, 13, width=32),
    st.sampled_from(
        [float("nan"), float("inf"), float("-inf"), 1e-6, float(np.nextafter(np.float32(3), np.float32(4)))]
    ),
)
CLIPS = st.lists(
    st.tuples(FLOATS, FLOATS, st.integers(0, 9), st.sampled_from(["clip", "pseudo", "still"])), max_size=30
)
SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b
}  # fmt: skip


def made(folder: Path, rows: list[dict[str, Any]]) -> Root:
    root = open_root(folder / "D", create=True)
    root.write_part("clips", rows, key="aa")
    return root


def of(thresholds: tuple[Threshold, ...]) -> list[tuple[str, str, str, float]]:
    return [(one.rule, one.column, one.sign, one.value) for one in thresholds]


class TestWhatIsAThreshold:
    @pytest.mark.parametrize(
        ("predicate", "found"),
        [
            ("luma_mean >= 5", [("luma_mean", ">=", 5)]),
            ("5.5 > luma_mean", [("luma_mean", "<", 5.5)]),
            ("-1e-2 <= luma_mean", [("luma_mean", ">=", -0.01)]),
            ("luma_mean between 2 and 9", [("luma_mean", ">=", 2), ("luma_mean", "<=", 9)]),
            ("luma_mean between warmth and 9", [("luma_mean", "<=", 9)]),
            ("kind = 'still' or wide.luma_mean > 1", [("wide.luma_mean", ">", 1)]),
            ("luma_mean is null or luma_mean > 1  -- why", [("luma_mean", ">", 1)]),
            (
                "(kind <> 'clip' or frames < 9) and (luma_mean > 1 or luma_mean < -1)",
                [("frames", "<", 9), ("luma_mean", ">", 1), ("luma_mean", "<", -1)],
            ),
            ("not (luma_mean < 5)", []),
            ("luma_mean not between 2 and 9", []),
            ("luma_mean = 5", []),
            ("luma_mean > warmth", []),
            ("luma_mean > height_px / 3", []),
            ("luma_mean + 1 > 3", []),
            ("luma_mean > (select 3)", []),
            ("kind < 'clip'", []),
            ("case when luma_mean > 3 then true else false end", []),
            ("list_contains([1, 2], frames)", []),
        ],
    )
    def test_is_a_column_against_a_number_under_and_and_or(
        self, tmp_path: Path, predicate: str, found: list[tuple[str, str, float]]
    ) -> None:
        root = made(tmp_path, [clip(0, luma_mean=3, warmth=1, width_px=8, height_px=8)])
        _, thresholds = sweep(root, Rules({"a": predicate}))
        assert of(thresholds) == [("a", *one) for one in found]

    def test_the_default_rules_have_fourteen(self, tmp_path: Path) -> None:
        _, thresholds = sweep(made(tmp_path, [clip(0)]), default_rules())
        assert len(thresholds) == 14
        assert {one.rule for one in thresholds} == set(default_rules().predicates) - {"borders"}


def test_a_move_lets_in_the_nearest_part_of_what_it_alone_rejects(tmp_path: Path) -> None:
    values = [0.5 * i for i in range(40)]
    root = made(tmp_path, [clip(i, luma_mean=value, frames=2 if i % 2 else 1) for i, value in enumerate(values)])
    funnel, (luma, frames) = sweep(root, Rules({"light": "luma_mean >= 10", "long": "frames > 1"}))
    assert (funnel.kept, luma.rejected_alone, frames.rejected_alone) == (10, 10, 10)
    assert [(move.share, move.value, move.gained, move.kept) for move in luma.moves] == [
        (0.05, 9.5, 1, 11), (0.1, 9.5, 1, 11), (0.25, 7.5, 3, 13),
    ]  # fmt: skip
    assert luma.moves[2].predicate == "luma_mean >= 7.5"
    assert [(move.value, move.gained, move.predicate) for move in frames.moves] == [(0, 10, "frames > 0")] * 3


def test_both_ends_of_a_span_move_on_their_own(tmp_path: Path) -> None:
    root = made(tmp_path, [clip(i, luma_mean=value) for i, value in enumerate([1.23456, 5.0, 12.34567, 300.0])])
    _, (low, high) = sweep(root, Rules({"light": "luma_mean between 2 and 10"}), [0.5, 1.0])
    assert [move.predicate for move in low.moves] == ["luma_mean BETWEEN 1.234 AND 10"] * 2
    assert [(m.predicate, m.gained) for m in high.moves] == [
        ("luma_mean BETWEEN 2 AND 12.35", 1),
        ("luma_mean BETWEEN 2 AND 300", 2),
    ]


def test_nothing_moves_where_nothing_would_come_in(tmp_path: Path) -> None:
    root = made(tmp_path, [clip(0, luma_mean=None), clip(1, luma_mean=math.nan), clip(2, luma_mean=math.inf)])
    funnel, (light,) = sweep(root, Rules({"light": "luma_mean < 10"}))
    assert (funnel.rows[0].rejected_alone, light.rejected_alone, light.moves) == (3, 0, ())
    assert threshold_rows((light,)) == [{"rule": "light", "threshold": "luma_mean < 10", "by it alone": 0}]


def test_no_clips_have_thresholds_too(tmp_path: Path) -> None:
    funnel, thresholds = sweep(open_root(tmp_path / "D", create=True), RULES)
    assert (funnel.total, [one.rejected_alone for one in thresholds]) == (0, [0, 0, 0])


def test_nothing_is_written(tmp_path: Path) -> None:
    root = made(tmp_path, [clip(0)])
    before = sorted(Path(root.path).rglob("*"))
    sweep(root, RULES)
    assert sorted(Path(root.path).rglob("*")) == before


def test_rows_for_a_table_have_the_same_columns(tmp_path: Path) -> None:
    root = made(tmp_path, [clip(i, luma_mean=i, warmth=1) for i in range(2000)])
    _, thresholds = sweep(root, Rules({"light": "luma_mean >= 1500.5", "warm": "warmth > 0"}))
    assert threshold_rows(thresholds) == [
        {"rule": "light", "threshold": "luma_mean >= 1500.5", "by it alone": 1501,
         "let in 5%": "1425: +76 = 575", "let in 10%": "1350: +151 = 650", "let in 25%": "1125: +376 = 875"},
        {"rule": "warm", "threshold": "warmth > 0", "by it alone": 0,
         "let in 5%": "", "let in 10%": "", "let in 25%": ""},
    ]  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(rows=CLIPS, signs=st.tuples(*[st.sampled_from(sorted(SIGNS))] * 2), bounds=st.tuples(*[st.integers(0, 9)] * 4))
def test_a_move_keeps_what_counting_by_hand_gives(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[Any, Any, int, str]],
    signs: tuple[str, str],
    bounds: tuple[int, int, int, int],
) -> None:
    columns = ("luma_mean", "warmth", "width_px", "kind")
    root = made(
        tmp_path_factory.mktemp("hand"), [clip(i, **dict(zip(columns, row, strict=True))) for i, row in enumerate(rows)]
    )
    rules = Rules(
        {
            "light": f"kind = 'still' or luma_mean {signs[0]} {bounds[0]}",
            "warm": f"warmth between {bounds[1]} and {bounds[1] + 3} and {bounds[2]} {signs[1]} width_px",
        }
    )

    def keeps(row: tuple[Any, Any, int, str], light: float, low: float, high: float, width: float) -> bool:
        luma, warmth, width_px, kind = row
        lit = kind == "still" or (luma is not None and compares(signs[0], luma, light))
        warm = warmth is not None and compares(">=", warmth, low) and compares("<=", warmth, high)
        return lit and warm and SIGNS[signs[1]](width, width_px)

    now = [bounds[0], bounds[1], bounds[1] + 3, bounds[2]]
    kept = [keeps(row, *now) for row in rows]
    funnel, thresholds = sweep(root, rules)
    assert (funnel, len(thresholds)) == (what_if(root, rules), 4)
    for index, one in enumerate(thresholds):
        outermost = [
            math.copysign(1e9, -1 if one.sign in {">", ">="} else 1) if i == index else v for i, v in enumerate(now)
        ]
        alone = [
            i for i, row in enumerate(rows)
            if not kept[i] and keeps(row, *outermost) and math.isfinite(row[(0, 1, 1, 2)[index]])
        ]  # fmt: skip
        assert one.rejected_alone == len(alone)
        assert [move.share for move in one.moves] == (list(SHARES) if alone else [])
        for move in one.moves:
            moved = [keeps(row, *[move.value if i == index else v for i, v in enumerate(now)]) for row in rows]
            assert (move.kept, move.gained) == (sum(moved), sum(moved) - sum(kept))
            assert move.gained >= move.share * len(alone)
            assert what_if(root, rules.changed({one.rule: move.predicate})).kept == move.kept


def compares(sign: str, value: float, bound: float) -> bool:
    """Compare as DuckDB does a FLOAT with a number: both at 32 bits, and not-a-number above everything."""
    value = math.inf if math.isnan(value) else float(np.float32(value))
    return SIGNS[sign](value, float(np.float32(bound)))


class TestMistakes:
    @pytest.mark.parametrize(
        "predicate", ["flow_mean > 2", "frames", "avg(frames) > 2", "unnest([true, true])", "1, 2"]
    )
    def test_name_the_rule(self, tmp_path: Path, predicate: str) -> None:
        root = made(tmp_path, [clip(0), clip(1)])
        with pytest.raises(RuleError, match="rule bad") as caught:
            sweep(root, Rules({"fine": "frames > 0", "bad": predicate}))
        assert "\n" not in str(caught.value)

    def test_a_rule_that_speaks_of_all_clips_may_stand_beside(self, tmp_path: Path) -> None:
        root = made(tmp_path, [clip(i, luma_mean=i) for i in range(9)])
        window = "row_number() over (partition by kind order by clip_id) between 1 and 6"
        funnel, (light,) = sweep(root, Rules({"first": window, "light": "luma_mean > 3"}))
        assert (funnel.kept, light.rejected_alone) == (2, 4)
