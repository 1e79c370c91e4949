"""What is known to be unique: noted after a run, void when a part changes, and `wide` is right with or without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset import Root, open_root, query
from dataset.uniqueness import NOTE, note_unique, unique_tables
from tests.dataset.build import RUN, TAGS, TEXT, caption_row, clip_row, new_root, small_dataset, tag_row


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return small_dataset(tmp_path)


def test_nothing_is_known_before_it_is_noted(root: Root) -> None:
    assert unique_tables(root) == frozenset()
    assert note_unique(root) == {"videos": True, "captions": True, "experts/tags": True, "experts/text": True}
    assert unique_tables(root) == {"videos", "captions", "experts/tags", "experts/text"}


def test_a_table_that_says_something_twice_is_not_unique(root: Root) -> None:
    root.write_part("experts/tags", [tag_row("aa:0-10", tags=["cat"])], TAGS, key="again")
    assert note_unique(root)["experts/tags"] is False
    assert "experts/tags" not in unique_tables(root)


def test_a_part_that_is_written_later_makes_the_note_void(root: Root) -> None:
    note_unique(root)
    root.write_part("captions", [caption_row("aa:0-10", short="another")], key="later")
    assert "captions" not in unique_tables(root)
    assert "experts/tags" in unique_tables(root)
    rows = query(root, "SELECT clip_id, short FROM wide WHERE clip_id = 'aa:0-10'").to_pylist()
    assert len(rows) == 1
    assert note_unique(root)["captions"] is False


def test_a_part_that_is_written_anew_makes_it_void_too(root: Root) -> None:
    note_unique(root)
    root.write_part("captions", [caption_row("aa:0-10")] * 2, key="aa")
    assert "captions" not in unique_tables(root)
    assert query(root, "SELECT count(*) AS n FROM wide").to_pylist() == [{"n": 6}]


def test_what_has_not_changed_is_not_looked_through_again(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataset import uniqueness

    note_unique(root)
    looked: list[str] = []
    real = uniqueness._is_unique
    monkeypatch.setattr(uniqueness, "_is_unique", lambda root, table: looked.append(table) or real(root, table))
    note_unique(root)
    assert looked == []
    root.write_part("captions", [caption_row("bb:0-10")], key="bb")
    note_unique(root)
    assert looked == ["captions"]


@pytest.mark.parametrize("content", [b"", b"no JSON", b"[1]", b'{"captions": {}}'])
def test_a_note_that_cannot_be_read_is_none(root: Root, content: bytes) -> None:
    root.write_bytes(NOTE, content)
    assert unique_tables(root) == frozenset()
    assert note_unique(root)["captions"] is True


def test_an_empty_dataset_has_nothing_to_note(tmp_path: Path) -> None:
    root = new_root(tmp_path)
    assert note_unique(root) == {}
    assert root.size(NOTE) is None


def plain(root: Root, columns: str) -> list[dict[str, Any]]:
    return query(root, f"SELECT {columns} FROM wide ORDER BY clip_id").to_pylist()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    clips=st.lists(st.integers(0, 30), unique=True, min_size=1, max_size=12),
    tagged=st.lists(st.integers(0, 30), unique=True, max_size=12),
    texted=st.lists(st.integers(0, 30), unique=True, max_size=12),
    twice=st.booleans(),
)
def test_wide_is_the_same_with_the_note_and_without(
    tmp_path_factory: pytest.TempPathFactory, clips: list[int], tagged: list[int], texted: list[int], twice: bool
) -> None:
    root = new_root(tmp_path_factory.mktemp("d"))
    root.write_part("clips", [clip_row(i, i + 1) for i in clips], key="a")
    root.write_part("experts/tags", [tag_row(f"aa:{i}-{i + 1}", kind=str(i)) for i in tagged], TAGS, key="a")
    if twice:
        root.write_part("experts/tags", [tag_row(f"aa:{i}-{i + 1}", kind=str(i)) for i in tagged], TAGS, key="b")
    text = [{"clip_id": f"aa:{i}-{i + 1}", "version": "1", "text_fraction": i / 100, "run_id": RUN} for i in texted]
    root.write_part("experts/text", text, TEXT, key="a")
    columns = "clip_id, tags_kind, text_fraction"
    before = plain(root, columns)
    note_unique(root)
    assert plain(open_root(root.uri), columns) == before
    assert [row["clip_id"] for row in before] == sorted(f"aa:{i}-{i + 1}" for i in clips)
