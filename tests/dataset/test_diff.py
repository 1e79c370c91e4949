"""Two datasets compared: by ids, never by order or parts; and what is no difference is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.select import Rules, select
from dataset import Root, remove
from dataset.diff import Difference, Side, compare, side
from dataset.schema import Column, expert_schema
from media.errors import DatasetError, UserError
from tests.dataset.build import RUN, TAGS, caption_row, clip_row, new_root, small_dataset, tag_row, video_row
from tests.dataset.test_removal import A

LATER = "20261102T000000-00000000"


@pytest.fixture
def two(tmp_path: Path) -> tuple[Root, Root]:
    return small_dataset(tmp_path / "a"), small_dataset(tmp_path / "b")


def diff(a: Root, b: Root) -> Difference:
    return compare(Side(a), Side(b))


def test_a_dataset_is_the_same_as_itself_and_as_its_copy(two: tuple[Root, Root]) -> None:
    a, b = two
    assert diff(a, a).same
    found = diff(a, b)
    assert found.same
    assert {one.table: one.both for one in found.tables} == {
        "videos": 2, "clips": 6, "captions": 3, "experts/tags": 6, "experts/text": 1, "shards/train": 2,
        "grades/first": 1,
    }  # fmt: skip


def test_parts_order_and_run_are_no_difference(two: tuple[Root, Root]) -> None:
    a, b = two
    for name in b.parts("clips"):
        Path(b.path, "clips", name).unlink()
    for first in (20, 0, 10):
        rows = [clip_row(first, first + 10, video, run_id=LATER) for video in ("bb", "aa")]
        b.write_part("clips", rows, key=str(first))
    assert diff(a, b).same


def test_ids_that_are_on_one_side_only_are_counted_and_shown(two: tuple[Root, Root]) -> None:
    a, b = two
    a.write_part("clips", [clip_row(0, 5, "cc")], key="cc")
    b.write_part("clips", [clip_row(i, i + 1, "dd") for i in range(5)], key="dd")
    clips = next(one for one in diff(a, b).tables if one.table == "clips")
    assert (clips.only_a, clips.only_b, clips.both, clips.changed) == (1, 5, 6, 0)
    assert clips.examples == {"only_a": ["cc:0-5"], "only_b": ["dd:0-1", "dd:1-2", "dd:2-3"]}


def test_values_that_changed_are_counted_by_column(two: tuple[Root, Root]) -> None:
    a, b = two
    rows = [caption_row("aa:0-10", short="a cat", structured={"count": "two"}), caption_row("aa:10-20", short="a cat"),
            caption_row("aa:20-30", wall_s=3.0)]  # fmt: skip
    b.write_part("captions", rows, key="aa")
    captions = next(one for one in diff(a, b).tables if one.table == "captions")
    assert (captions.both, captions.changed) == (3, 2)
    assert captions.changed_columns == {"short": 2, "structured": 1}
    assert captions.examples == {"changed": ["aa:0-10", "aa:10-20"]}


def test_null_differs_from_a_value_and_not_from_null(two: tuple[Root, Root]) -> None:
    a, b = two
    b.write_part(
        "captions", [caption_row(f"aa:{i}-{i + 10}", medium="words" if i else None) for i in (0, 10, 20)], key="aa"
    )
    captions = next(one for one in diff(a, b).tables if one.table == "captions")
    assert captions.changed_columns == {"medium": 2}


def test_bytes_are_compared_by_their_hash(tmp_path: Path) -> None:
    a, b = small_dataset(tmp_path / "a"), small_dataset(tmp_path / "b", media=(b"one", b"other"))
    shards = next(one for one in diff(a, b).tables if one.table == "shards/train")
    assert shards.changed_columns == {"media_hash": 1}


def test_columns_and_types_that_differ_are_named(two: tuple[Root, Root]) -> None:
    a, b = two
    more = expert_schema([*(Column(f.name, f.type, "x") for f in TAGS if f.name in ("tags", "kind")),
                          Column("sure", TAGS.field("version").type, "new")])  # fmt: skip
    for video in ("aa", "bb"):
        b.write_part("experts/tags", [tag_row(f"{video}:{i}-{i + 10}") for i in (0, 10, 20)], more, key=video)
    tags = next(one for one in diff(a, b).tables if one.table == "experts/tags")
    assert (tags.columns_a, tags.columns_b, tags.changed) == ([], ["sure string"], 0)
    assert not tags.same


def test_a_table_that_one_side_lacks_is_all_on_the_other(two: tuple[Root, Root]) -> None:
    a, b = two
    b.write_part("experts/new", [tag_row("aa:0-10")], TAGS, key="x")
    new = next(one for one in diff(a, b).tables if one.table == "experts/new")
    assert (new.only_a, new.only_b, new.columns_a, new.columns_b) == (0, 1, [], [])


def test_an_id_that_is_there_twice_counts_once(two: tuple[Root, Root]) -> None:
    a, b = two
    b.write_part("captions", [caption_row("aa:0-10")], key="again")
    assert diff(a, b).same


def test_an_id_that_is_there_twice_with_other_words_is_the_same_as_itself_whatever_the_parts(tmp_path: Path) -> None:
    for round_ in range(6):
        one, other = new_root(tmp_path / f"a{round_}"), new_root(tmp_path / f"b{round_}")
        rows = [caption_row("aa:0-10", short="a dog"), caption_row("aa:0-10", short="a cat")]
        one.write_part("captions", rows, key=str(round_))
        for i, row in enumerate(reversed(rows)):
            other.write_part("captions", [row], key=f"{round_} {i}")
        assert diff(one, one).same
        assert diff(one, other).same


def test_another_address_of_the_same_bytes_is_a_difference(two: tuple[Root, Root]) -> None:
    a, b = two
    b.write_part("videos", [video_row("aa", uri="/elsewhere/copy.mp4", license="CC-BY-NC-4.0")], key="copy")
    videos = next(one for one in diff(a, b).tables if one.table == "videos")
    assert (videos.only_b, videos.both, videos.examples) == (1, 2, {"only_b": ["aa /elsewhere/copy.mp4"]})


def test_a_column_may_be_called_anything_and_a_map_is_in_no_order(tmp_path: Path) -> None:
    import pyarrow as pa

    schema = expert_schema(
        [Column("id", pa.string(), "a word"), Column("only_a", pa.map_(pa.string(), pa.int64()), "x")]
    )
    roots = []
    for name, pairs in (("a", [("x", 1), ("y", 2)]), ("b", [("y", 2), ("x", 1)])):
        root = new_root(tmp_path / name)
        row = {"clip_id": "aa:0-10", "version": "1", "id": "w", "only_a": pairs, "run_id": RUN}
        root.write_part("experts/odd", [row], schema, key="a")
        roots.append(root)
    assert diff(*roots).same


def test_removed_sources_are_gone_here_too(two: tuple[Root, Root]) -> None:
    a, b = two
    remove(b, A, run_id=RUN)
    found = {one.table: one for one in diff(a, b).tables}
    assert (found["clips"].only_a, found["clips"].only_b) == (3, 0)
    assert "removals" not in found


def test_funnels_stand_side_by_side(two: tuple[Root, Root]) -> None:
    a, b = two
    select(a, Rules({"moves": "flow_mean_px_per_s > 5", "old": "true"}), "default", run_id=RUN)
    select(b, Rules({"moves": "flow_mean_px_per_s > 15", "new": "true"}), "default", run_id=RUN)
    found = diff(a, b)
    rules = {rule.rule: (rule.rejected_a, rule.rejected_b) for rule in found.funnel}
    assert rules == {"moves": (2, 4), "old": (0, None), "new": (None, 0)}
    assert not found.same
    verdicts = next(one for one in found.tables if one.table == "selections/default")
    assert verdicts.changed_columns == {"kept": 2, "rejected_by": 2}


# Runs


def test_two_runs_are_compared_by_what_they_wrote_and_how(tmp_path: Path) -> None:
    root = small_dataset(tmp_path)
    config = {"rules": {"a": "true"}, "name": "x"}
    root.write_run({"run_id": RUN, "command": "caption", "config": config, "counts": {"seconds": {"all": 1}}})
    later = {**config, "rules": {"a": "false"}}
    root.write_run({"run_id": LATER, "command": "caption", "config": later, "counts": {"seconds": {"all": 2}}})
    root.write_part("captions", [caption_row("bb:0-10", run_id=LATER)], key="bb")
    found = compare(side(f"{root.uri}@{RUN}"), side(f"{root.uri}@{LATER}"))
    captions = next(one for one in found.tables if one.table == "captions")
    assert (captions.only_a, captions.only_b) == (3, 1)
    assert found.settings == {"config.rules.a": ("true", "false")}
    assert (found.a, found.b) == (f"{root.uri}@{RUN}", f"{root.uri}@{LATER}")


def test_a_side_that_is_not_there_is_told(tmp_path: Path) -> None:
    root = small_dataset(tmp_path)
    with pytest.raises(UserError, match=f"has no run 20260101T000000-00000000; the newest are {RUN}"):
        side(f"{root.uri}@20260101T000000-00000000")
    with pytest.raises(DatasetError):
        side(str(tmp_path / "none"))


# Algebra

ROWS = st.dictionaries(st.integers(0, 12), st.sampled_from(["a dog", "a cat", None]), max_size=8)


@settings(max_examples=25, deadline=None)
@given(ROWS, ROWS)
def test_it_is_what_dictionaries_say_and_turns_with_its_sides(
    tmp_path_factory: pytest.TempPathFactory, one: dict[int, str | None], other: dict[int, str | None]
) -> None:
    roots = []
    for rows in (one, other):
        root = new_root(tmp_path_factory.mktemp("d"))
        root.write_part("captions", [caption_row(f"aa:{i}-99", short=short) for i, short in rows.items()], key="a")
        roots.append(root)
    (found,), (turned,) = diff(*roots).tables, diff(*reversed(roots)).tables
    both = one.keys() & other.keys()
    assert (found.only_a, found.only_b, found.both) == (len(one.keys() - both), len(other.keys() - both), len(both))
    assert found.changed == sum(one[i] != other[i] for i in both)
    assert (turned.only_a, turned.only_b, turned.both, turned.changed) == (
        found.only_b, found.only_a, found.both, found.changed,
    )  # fmt: skip
    assert diff(*roots).same == (one == other)
