"""The lint of all captions, as the dataset keeps it: one row a caption, made anew, and seen by SQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dataset import Root, query, verify
from dataset.catalogue import connect, view_columns
from dataset.schema import CAPTION_LINT, CAPTION_LINT_COLUMNS
from media.errors import CorruptionError
from pipelines.linting import lint_captions
from tests.dataset.build import RUN, clip_row, new_root, video_row

ROAD = "a man in a red coat walks slowly down a long road in the rain with his old dog"


def written(folder: Path, dense: dict[str, str | None]) -> Root:
    root = new_root(folder)
    root.write_run({"run_id": RUN, "command": "test", "started": "2026-11-01"})
    for video in dict.fromkeys(clip.split(":")[0] for clip in dense):
        root.write_part("videos", [video_row(video)], key=video)
        root.write_part("clips", [clip_row(video_id=video)], key=video)
    put(root, dense)
    return root


def put(root: Root, dense: dict[str, str | None]) -> None:
    rows: list[dict[str, Any]] = [
        {"clip_id": clip, "outcome": "ok" if text else "error", "dense": text, "backend": "openai", "run_id": RUN}
        for clip, text in dense.items()
    ]
    for row in rows:
        root.write_part("captions", [row], key=row["clip_id"])


def shown(root: Root) -> dict[str, list[str]]:
    rows = query(root, "SELECT clip_id, flags FROM caption_lint").to_pylist()
    return {row["clip_id"]: row["flags"] for row in rows}


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return written(
        tmp_path,
        {"a:0-10": ROAD, "b:0-10": ROAD, "c:0-10": f"{ROAD} again", "d:0-10": "A dog sleeps.", "e:0-10": None},
    )


def test_every_caption_with_a_text_has_a_row(root: Root) -> None:
    assert lint_captions(root, RUN) == 3
    assert shown(root) == {
        "a:0-10": ["duplicate:b:0-10", "near_duplicate:c:0-10"],
        "b:0-10": ["duplicate:a:0-10", "near_duplicate:c:0-10"],
        "c:0-10": ["near_duplicate:a:0-10"],
        "d:0-10": [],
    }
    assert query(root, "SELECT DISTINCT run_id FROM caption_lint").to_pylist() == [{"run_id": RUN}]


def test_it_is_made_anew_as_a_whole(root: Root) -> None:
    lint_captions(root, RUN)
    put(root, {"a:0-10": "Something else altogether now.", "b:0-10": None})
    assert lint_captions(root, "later") == 0
    assert shown(root) == {"a:0-10": [], "c:0-10": [], "d:0-10": []}
    assert query(root, "SELECT DISTINCT run_id FROM caption_lint").to_pylist() == [{"run_id": "later"}]


def test_the_same_captions_give_the_same_bytes(root: Root) -> None:
    files = []
    for _ in range(2):
        lint_captions(root, RUN)
        files.append(root.read_bytes(CAPTION_LINT))
    assert files[0] == files[1]


def test_a_dataset_without_captions_has_an_empty_view(tmp_path: Path) -> None:
    root = new_root(tmp_path)
    assert view_columns(connect(root))["caption_lint"] == sorted(c.name for c in CAPTION_LINT_COLUMNS)
    assert shown(root) == {}
    assert lint_captions(root, RUN) == 0
    assert shown(root) == {}


def test_sql_joins_it_to_what_else_is_known_of_a_clip(root: Root) -> None:
    lint_captions(root, RUN)
    sql = """
    SELECT clip_id, duration_s, split_part(flag, ':', 1) AS kind
    FROM wide JOIN (SELECT clip_id, unnest(flags) AS flag FROM caption_lint) USING (clip_id)
    WHERE flag LIKE 'near_duplicate:%' ORDER BY clip_id
    """
    found = query(root, sql).to_pylist()
    assert [(row["clip_id"], row["duration_s"], row["kind"]) for row in found] == [
        (f"{video}:0-10", 1.0, "near_duplicate") for video in "abc"
    ]


def test_it_leaves_a_sound_dataset_sound_and_a_damaged_one_is_found(root: Root) -> None:
    lint_captions(root, RUN)
    assert verify(root) == []
    Path(root.path, CAPTION_LINT).write_bytes(b"PAR1PAR1")
    assert [(p.table, p.id, p.kind) for p in verify(root)] == [("caption_lint", CAPTION_LINT, "damaged")]
    with pytest.raises(CorruptionError):
        shown(root)
