"""A changed rule, tried: what is gained and lost is what judging every clip twice by hand gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.select import Rules, select, what_if
from curation.thresholds import Change, compare, parse_changes
from dataset import Root, open_root
from media.errors import RuleError
from tests.curation.test_select import CLIPS, RULES, RUN, clip, verdicts

VALUES = st.lists(
    st.tuples(st.none() | st.integers(0, 9), st.none() | st.integers(0, 9)), min_size=1, max_size=12
)  # fmt: skip
BOUNDS = st.tuples(st.integers(0, 9), st.integers(0, 9))


@pytest.fixture
def root(tmp_path: Path) -> Root:
    root = open_root(tmp_path / "D", create=True)
    root.write_part("clips", CLIPS[:4], key="clips")
    root.write_part("clips", CLIPS[4:], key="others")
    return root


def test_a_milder_threshold_gains_and_a_stricter_one_loses(root: Root) -> None:
    milder = compare(root, RULES, {"motion": "flow_mean_px_per_s < 100"})
    assert (milder.total, milder.kept_before, milder.kept_after, milder.gained, milder.lost) == (6, 2, 3, 1, 0)
    stricter = compare(root, RULES, {"kinds": "kind = 'pseudo'"})
    assert (stricter.kept_before, stricter.kept_after, stricter.gained, stricter.lost) == (2, 1, 0, 1)


def test_as_many_may_be_gained_as_are_lost(root: Root) -> None:
    swapped = compare(root, RULES, {"kinds": "kind in ('pseudo', 'synthetic')"})
    assert (swapped.kept_before, swapped.kept_after, swapped.gained, swapped.lost) == (2, 2, 1, 1)


def test_the_funnel_is_that_of_the_changed_rules_in_their_order(root: Root) -> None:
    changes = {"sharp": "sharpness_laplacian >= 5", "long": "frames > 0", "kinds": None}
    changed = compare(root, RULES, changes)
    assert changed.funnel == what_if(root, RULES.changed(changes))
    assert [row.rule for row in changed.funnel.rows] == ["motion", "sharp", "long"]
    assert changed.changes[1:] == (
        Change("long", None, "frames > 0"),
        Change("kinds", "kind in ('clip', 'pseudo')", None),
    )
    assert str(changed).splitlines() == [
        "sharp: sharpness_laplacian >= 50 -> sharpness_laplacian >= 5",
        "long: (no such rule) -> frames > 0",
        "kinds: kind in ('clip', 'pseudo') -> (left out)",
        "kept 2 -> 3 of 6 clips: 1 gained, 0 lost",
    ]


def test_a_change_that_changes_nothing_says_so(root: Root) -> None:
    same = compare(root, RULES, dict(RULES.predicates))
    assert (same.kept_before, same.kept_after, same.gained, same.lost) == (2, 2, 0, 0)


def test_nothing_is_written(root: Root) -> None:
    before = sorted(Path(root.path).rglob("*"))
    compare(root, RULES, {"motion": "true"})
    assert sorted(Path(root.path).rglob("*")) == before


@settings(max_examples=25, deadline=None)
@given(values=VALUES, old=BOUNDS, new=BOUNDS, sharp=st.integers(0, 9), left_out=st.booleans())
def test_what_is_gained_and_lost_is_what_counting_by_hand_gives(
    tmp_path_factory: pytest.TempPathFactory,
    values: list[tuple[int | None, int | None]],
    old: tuple[int, int],
    new: tuple[int, int],
    sharp: int,
    left_out: bool,
) -> None:
    root = open_root(tmp_path_factory.mktemp("hand") / "D", create=True)
    rows = [clip(i, flow_mean_px_per_s=flow, sharpness_laplacian=edge) for i, (flow, edge) in enumerate(values)]
    root.write_part("clips", rows, key="aa")
    between = "flow_mean_px_per_s between {} and {}"
    rules = Rules({"motion": between.format(*old), "sharp": f"sharpness_laplacian > {sharp}"})
    changes: dict[str, str | None] = {"motion": between.format(*new)}
    if left_out:
        changes["sharp"] = None

    def within(value: int | None, bounds: tuple[int, int]) -> bool:
        return value is not None and bounds[0] <= value <= bounds[1]

    edges = [edge is not None and edge > sharp for _, edge in values]
    before = [within(flow, old) and edge for (flow, _), edge in zip(values, edges, strict=True)]
    after = [within(flow, new) and (edge or left_out) for (flow, _), edge in zip(values, edges, strict=True)]
    found = compare(root, rules, changes)
    assert (found.total, found.kept_before, found.kept_after) == (len(values), sum(before), sum(after))
    assert found.gained == sum(a and not b for a, b in zip(after, before, strict=True))
    assert found.lost == sum(b and not a for a, b in zip(after, before, strict=True))
    assert found.kept_after - found.kept_before == found.gained - found.lost
    select(root, rules.changed(changes), run_id=RUN)
    assert sum(not rejected for rejected in verdicts(root).values()) == found.kept_after


class TestMistakes:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (
                {"motion": "flow_mean > 2"},
                "rule motion: there is no column flow_mean; did you mean flow_mean_px_per_s?",
            ),
            ({"motion": "frames"}, "rule motion: a rule is true or false"),
            ({"motion": "true) FROM wide; DROP VIEW wide; SELECT (true"}, "rule motion: "),
            ({"new": "EXISTS (SELECT * FROM read_text('/etc/passwd'))"}, "rule new: a query may not touch files"),
            ({"two words": "true"}, "'two words' cannot name a rule"),
            ({"moton": None}, "there is no rule moton; did you mean motion?"),
            ({"motion": None, "sharp": None, "kinds": None}, "there are no rules"),
        ],
    )
    def test_name_the_rule(self, root: Root, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(RuleError) as caught:
            compare(root, RULES, changes)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_change_is_written_with_an_equals_sign(self) -> None:
        assert parse_changes(["motion = frames >= 2", "sharp="]) == {"motion": "frames >= 2", "sharp": None}
        with pytest.raises(RuleError, match="rule=predicate"):
            parse_changes(["motion"])
        with pytest.raises(RuleError, match="changed twice"):
            parse_changes(["motion=true", "motion=false"])
