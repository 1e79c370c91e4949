"""Rights: a removed source is seen by no reader at once, stays out, can come back until its bytes are taken off."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset import Root, ShardReader, compact, open_root, query, remove, restore, schema_of, verify
from dataset.catalogue import RULES_KEY
from dataset.exporting import export
from dataset.removal import blocked, remember_copy
from dataset.schema import CAPTION_LINT, CAPTION_LINT_COLUMNS, arrow_schema
from dataset.shards import shard_row, write_shard
from dataset.tombstones import living, only_living
from media.errors import DatasetError, UserError
from tests.dataset.build import RUN, caption_row, clip_row, small_dataset, video_row

A = "/footage/aa.mp4"


def full_dataset(folder: Path) -> Root:
    """Two sources in every table that there is."""
    root = small_dataset(folder)
    clips = [f"{video}:{first}-{first + 10}" for video in ("aa", "bb") for first in (0, 10, 20)]
    rules = {RULES_KEY: b'[["moves", "flow_mean_px_per_s > 1", 0]]'}
    verdicts = [{"clip_id": clip, "kept": True, "rejected_by": [], "run_id": RUN} for clip in clips]
    for video in ("aa", "bb"):
        mine = [row for row in verdicts if row["clip_id"].startswith(video)]
        root.write_part("selections/default", mine, schema_of("selections/x").with_metadata(rules), key=video)
    pair = {"cluster_id": "c", "kind": "near", "representative_id": "aa:0-10", "reason": "alike", "run_id": RUN}
    copies = [
        {**pair, "clip_id": "aa:0-10", "representative": True},
        {**pair, "clip_id": "bb:0-10", "representative": False},
    ]
    root.write_part("duplicates/default", copies, key="all")
    weights = [{"clip_id": c, "motion_tier": "clear", "camera": "pan", "weight": 1.0, "run_id": RUN} for c in clips]
    root.write_part("balance/default", weights, key="all")
    root.write_part("captions", [caption_row("bb:0-10")], key="bb")
    row = shard_row(
        clip_row(0, 10, "bb"), b"three", frames=10, fps=10, width_px=64, height_px=48, run_id=RUN,
        caption=caption_row("bb:0-10"), video=video_row("bb", source_url="https://host/bb", rights_basis="permission"),
    )  # fmt: skip
    write_shard(root, "train", [row], key="bb")
    flags = [{"clip_id": clip, "flags": ["length_outlier"], "run_id": RUN} for clip in clips]
    lint = pa.Table.from_pylist(flags, schema=arrow_schema(CAPTION_LINT_COLUMNS))
    sink = pa.BufferOutputStream()
    import pyarrow.parquet as pq

    pq.write_table(lint, sink)
    root.write_bytes(CAPTION_LINT, sink.getvalue())
    return root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return full_dataset(tmp_path)


VIEWS = {
    "videos": "video_id", "clips": "clip_id", "captions": "clip_id", "expert_tags": "clip_id", "expert_text": "clip_id",
    "shards": "clip_id", "selections": "clip_id", "duplicates": "clip_id", "balance": "clip_id", "wide": "clip_id",
    "caption_lint": "clip_id",
}  # fmt: skip


def sources(root: Root, view: str) -> set[str]:
    ids = query(root, f"SELECT {VIEWS[view]} AS id FROM {view}").to_pylist()
    return {row["id"].partition(":")[0] for row in ids}


# What is seen


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_shows_nothing_of_a_removed_source_at_once(root: Root, view: str) -> None:
    assert "aa" in sources(root, view)
    before = sources(root, view)
    remove(root, A, run_id=RUN)
    assert sources(root, view) == before - {"aa"}


def test_every_way_of_reading_a_table_leaves_it_out(root: Root) -> None:
    remove(root, A, run_id=RUN)
    assert root.ids("clips") == {"bb:0-10", "bb:10-20", "bb:20-30"}
    assert root.count("clips") == 3
    assert root.read("clips", ["fps"]).num_rows == 3
    assert root.dataset("captions").count_rows() == 1


def test_a_reader_that_was_opened_before_sees_the_tombstone(root: Root) -> None:
    other = pickle.loads(pickle.dumps(open_root(root.uri)))
    assert other.count("clips") == 6
    remove(root, A, run_id=RUN)
    assert other.count("clips") == 3


def test_shards_are_read_and_streamed_without_it(root: Root) -> None:
    remove(root, A, run_id=RUN)
    reader = ShardReader(root, "train")
    assert reader.ids == ["bb:0-10"]
    assert "aa:0-10" not in reader
    with pytest.raises(DatasetError, match="has no clip aa:0-10"):
        reader.row("aa:0-10")
    assert [row["clip_id"] for row in reader.iter_rows()] == ["bb:0-10"]
    assert list(reader.iter_rows(["media"])) == [{"media": b"three"}]
    assert reader.table_of(["clip_id"])["clip_id"].to_pylist() == ["bb:0-10"]


def test_an_export_leaves_it_out(root: Root, tmp_path: Path) -> None:
    remove(root, A, run_id=RUN)
    assert export(root, "train", tmp_path / "out", "video_folder", caption="short").rows == 1
    assert "aa" not in {row["video_id"] for row in root.read("videos").to_pylist()}


def test_removals_say_what_went_when_and_why(root: Root) -> None:
    remove(root, A, run_id=RUN, reason="the owner asked")
    (row,) = query(root, "SELECT * FROM removals").to_pylist()
    assert (row["source"], row["video_id"], row["uri"], row["reason"]) == (A, "aa", A, "the owner asked")
    assert row["removed_at"].tzinfo is not None


# What is meant


@pytest.mark.parametrize("said", [A, "/footage/", "aa", "https://host/page"])
def test_a_source_is_named_by_address_folder_id_or_where_it_was_published(tmp_path: Path, said: str) -> None:
    root = small_dataset(tmp_path)
    root.write_part("videos", [video_row("aa", source_url="https://host/page")], key="aa")
    told = remove(root, said, run_id=RUN)
    assert told.videos == (("aa", "bb") if said == "/footage/" else ("aa",))


def test_a_path_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = small_dataset(tmp_path)
    (tmp_path / "films").mkdir()
    root.write_part("videos", [video_row("cc", uri=str(tmp_path / "films/c.mp4"))], key="cc")
    monkeypatch.chdir(tmp_path)
    assert remove(root, "films/c.mp4", run_id=RUN, dry=True).videos == ("cc",)
    assert remove(root, "films", run_id=RUN, dry=True).videos == ("cc",)
    assert remove(root, "films/", run_id=RUN).source == f"{tmp_path}/films/"


def test_a_copy_of_the_same_bytes_goes_too(root: Root) -> None:
    root.write_part("videos", [video_row("aa", uri="/elsewhere/copy.mp4")], key="copy")
    remove(root, A, run_id=RUN)
    assert {row["uri"] for row in root.read("removals").to_pylist()} == {A, "/elsewhere/copy.mp4"}
    assert blocked(root)("/elsewhere/copy.mp4")


def test_what_is_not_here_is_a_mistake_unless_it_is_meant_ahead(root: Root) -> None:
    with pytest.raises(UserError, match=r"nothing here is from /footage/ab\.mp4; did you mean /footage/[ab]+\.mp4"):
        remove(root, "/footage/ab.mp4", run_id=RUN)
    assert root.read("removals").num_rows == 0
    told = remove(root, "https://host/private/", run_id=RUN, ahead=True)
    assert (told.videos, told.rows) == ((), {})
    assert blocked(root)("https://host/private/deep/film.mp4")
    assert root.count("clips") == 6


def test_addresses_of_removed_sources_are_blocked_and_no_others(root: Root) -> None:
    remove(root, A, run_id=RUN)
    is_blocked = blocked(root)
    assert is_blocked(A)
    assert is_blocked("/other.mp4", A)
    assert not is_blocked("/footage/bb.mp4", None)
    assert not is_blocked("/footage/aa.mp4.bak")


def test_a_copy_that_was_met_is_remembered(root: Root) -> None:
    remove(root, A, run_id=RUN)
    remember_copy(root, "/new/place.mp4", "aa", run_id=RUN)
    assert blocked(root)("/new/place.mp4")


# What is told


def test_it_tells_rows_by_table_what_leans_on_it_and_where_copies_are(root: Root) -> None:
    root.write_run({"run_id": "r1", "command": "export", "outcome": "done", "config": {"out": "/tmp/out"}})
    root.write_run({"run_id": "r2", "command": "export", "outcome": "failed", "config": {"out": "/tmp/no"}})
    root.write_run({"run_id": "r3", "command": "train", "outcome": "done", "config": {"out": "/runs/a"}})
    told = remove(root, A, run_id=RUN)
    assert told.rows == {
        "videos": 1, "clips": 3, "captions": 3, "experts/tags": 3, "experts/text": 1, "selections/default": 3,
        "duplicates/default": 1, "balance/default": 3, "shards/train": 2,
    }  # fmt: skip
    assert told.leaderless == {"duplicates/default": 1}
    assert told.copies == ("export /tmp/out", "export /tmp/no", "train /runs/a")
    root.write_bytes("README.md", b"a card")
    assert remove(root, "/footage/bb.mp4", run_id=RUN, dry=True).copies[-1] == "card README.md"


def test_a_dry_run_tells_the_same_and_writes_nothing(root: Root) -> None:
    told = remove(root, A, run_id="-", dry=True)
    assert root.count("clips") == 6
    assert not root.exists("removals")
    assert remove(root, A, run_id=RUN) == told


def test_what_is_removed_already_is_said_to_be(root: Root) -> None:
    remove(root, "/footage/", run_id=RUN)
    for said in (A, "aa"):
        with pytest.raises(UserError, match="is removed already"):
            remove(root, said, run_id=RUN)


# Coming back


def test_a_copy_that_was_met_meanwhile_comes_back_with_it(root: Root) -> None:
    remove(root, A, run_id=RUN)
    remember_copy(root, "/new/place.mp4", "aa", run_id=RUN)
    assert restore(root, A) == 1
    assert root.removed() == frozenset()
    assert not blocked(root)("/new/place.mp4")


def test_a_folder_comes_back_with_and_without_its_slash(root: Root) -> None:
    remove(root, "/private/", run_id=RUN, ahead=True)
    assert restore(root, "/private") == 0
    assert not blocked(root)("/private/a.mp4")


def test_wide_is_right_after_a_source_came_back(root: Root) -> None:
    from dataset.uniqueness import note_unique
    from tests.dataset.build import TAGS, tag_row

    root.write_part("experts/tags", [tag_row("aa:0-10")], TAGS, key="again")
    remove(root, A, run_id=RUN)
    assert note_unique(root)["experts/tags"] is True
    restore(root, A)
    assert query(root, "SELECT count(*) AS n FROM wide WHERE len(tags) > 0").to_pylist() == [{"n": 6}]


def test_a_tombstone_can_be_taken_back(root: Root) -> None:
    before = {table: root.read(table) for table in root.tables()}
    remove(root, A, run_id=RUN)
    assert restore(root, A) == 1
    assert {table: root.read(table) for table in root.tables()} == before
    with pytest.raises(UserError, match="nothing was removed as"):
        restore(root, A)


def test_two_removals_of_one_source_are_taken_back_together(root: Root) -> None:
    remove(root, A, run_id=RUN)
    remove(root, A, run_id="later", ahead=True)
    restore(root, A)
    assert root.count("clips") == 6


def test_the_nearest_tombstone_is_named(root: Root) -> None:
    remove(root, A, run_id=RUN)
    with pytest.raises(UserError, match=r"did you mean /footage/aa\.mp4"):
        restore(root, "/footage/aaa.mp4")


# Compaction


def parts(root: Root) -> dict[str, tuple[bytes, int]]:
    names = [f"{table}/{name}" for table in root.tables() for name in root.parts(table)]
    return {name: (root.read_bytes(name) or b"", Path(root.path, name).stat().st_mtime_ns) for name in names}


def everything_stored(root: Root) -> bytes:
    return b"".join(path.read_bytes() for path in Path(root.path).rglob("*.parquet") if "removals" not in path.parts)


def test_compaction_takes_the_bytes_off_and_leaves_the_rest_as_it_was(root: Root) -> None:
    before, seen = parts(root), {table: root.read(table) for table in root.tables()}
    remove(root, A, run_id=RUN)
    visible = {table: root.read(table) for table in seen}
    assert b"one" in everything_stored(root)
    done = compact(root)
    assert done.rows == {**remove_rows(), "caption_lint": 3}
    assert (done.rewritten, done.deleted) == (4, 6)
    assert done.bytes > 0
    assert {table: root.read(table) for table in seen} == visible
    assert b"one" not in everything_stored(root)
    untouched = {name for name, (content, _) in before.items() if b"bb" in content and b"aa" not in content}
    assert len(untouched) >= 5
    assert {name: value for name, value in parts(root).items() if name in untouched} == {
        name: value for name, value in before.items() if name in untouched
    }


def remove_rows() -> dict[str, int]:
    return {
        "videos": 1, "clips": 3, "captions": 3, "experts/tags": 3, "experts/text": 1, "selections/default": 3,
        "duplicates/default": 1, "balance/default": 3, "shards/train": 2,
    }  # fmt: skip


def test_rules_outlive_the_clips_that_they_judged(root: Root) -> None:
    remove(root, "/footage/", run_id=RUN)
    compact(root)
    assert query(root, "SELECT DISTINCT rule FROM selection_rules").to_pylist() == [{"rule": "moves"}]


def test_compacting_twice_does_nothing_more(root: Root) -> None:
    remove(root, A, run_id=RUN)
    compact(root)
    before = parts(root)
    assert compact(root) == type(compact(root))({}, 0, 0, 0)
    assert parts(root) == before


def test_what_was_compacted_stays_out(root: Root) -> None:
    remove(root, A, run_id=RUN)
    compact(root)
    assert blocked(root)(A)
    assert query(root, "SELECT count(*) AS n FROM removals").to_pylist() == [{"n": 1}]


def test_verification_names_what_is_still_stored_and_then_is_content(root: Root) -> None:
    assert {problem.kind for problem in verify(root, media=False)} == set()
    remove(root, A, run_id=RUN)
    problems = verify(root, media=False)
    assert {problem.kind for problem in problems} == {"removed"}
    assert "`rushes compact`" in problems[0].detail
    compact(root)
    assert verify(root, media=False) == []


def test_a_part_that_changes_meanwhile_is_left_alone(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataset import compaction

    remove(root, A, run_id=RUN)
    real = compaction.serialise

    def slow(table: pa.Table, **how: Any) -> pa.Buffer:
        root.write_part("videos", [video_row("aa"), video_row("cc")], key="aa")
        return real(table, **how)

    monkeypatch.setattr(compaction, "serialise", slow)
    with pytest.raises(DatasetError, match="was written by another"):
        compact(root)
    assert "cc" in root.ids("videos", "video_id")


def test_a_reader_that_is_open_never_gives_another_clip_s_row(root: Root) -> None:
    rows = [shard_row(clip_row(0, 10, v), v.encode(), frames=10, fps=10, width_px=64, height_px=48, run_id=RUN)
            for v in ("aa", "bb")]  # fmt: skip
    write_shard(root, "two", rows, key="both")
    reader = ShardReader(root, "two")
    assert reader.ids == ["aa:0-10", "bb:0-10"]
    remove(root, A, run_id=RUN)
    compact(root)
    for clip in reader.ids:
        with pytest.raises(DatasetError, match="open it again"):
            reader.row(clip, ["media"])
    assert ShardReader(root, "two").row("bb:0-10", ["media"]) == {"media": b"bb"}


def test_progress_counts_parts(root: Root) -> None:
    remove(root, A, run_id=RUN)
    seen: list[tuple[int, int]] = []
    compact(root, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] == len(seen)


# The filter


def ids() -> st.SearchStrategy[str]:
    return st.text("abcdef0123456789", min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(ids(), st.integers(0, 9)), max_size=20), st.sets(ids(), max_size=5))
def test_the_filter_is_the_plain_one(clips: list[tuple[str, int]], removed: set[str]) -> None:
    rows = pa.table({"clip_id": pa.array([f"{v}:{n}-{n + 1}" for v, n in clips], pa.string())})
    kept = only_living("clips", rows, removed)
    assert kept["clip_id"].to_pylist() == [f"{v}:{n}-{n + 1}" for v, n in clips if v not in removed]


def test_an_id_of_no_source_is_left_in() -> None:
    rows = pa.table({"sample_id": ["generated-0", "aa:0-10", "bb"]})
    assert only_living("grades/x", rows, {"aa"})["sample_id"].to_pylist() == ["generated-0", "bb"]


def test_there_is_no_filter_where_nothing_was_removed() -> None:
    assert living("clips", schema_of("clips"), ()) is None
    assert living("removals", schema_of("removals"), {"aa"}) is None


def test_a_tombstone_costs_nothing_to_those_who_have_none(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Root, "read", lambda *a, **k: pytest.fail("read"))
    assert root.removed() == frozenset()
