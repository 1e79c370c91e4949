"""Shards laid out by bucket: every part is of one shape, what the plan assigns is what stands in the row."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from dataset import BucketRecipe, Root, ShardReader, make_plan, open_root, verify
from dataset.buckets import Bucket
from pipelines.layout import buckets_of, laid_out
from tests import videos
from tests.dataset.build import clip_row, new_root
from tests.pipelines.conftest import Run

RECIPE = BucketRecipe(
    buckets=(Bucket(frames=16, height_px=64, width_px=64), Bucket(frames=8, height_px=32, width_px=64)),
    tokens_per_batch=4096,
    assign="random",
    remainder="reject",
)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    root = new_root(tmp_path)
    sizes = [(0, 20, 64, 64), (20, 40, 128, 64), (40, 50, 128, 64), (50, 90, 640, 640), (90, 93, 64, 64)]
    rows = [clip_row(first, end, width_px=width, height_px=height) for first, end, width, height in sizes]
    root.write_part("clips", rows, key="aa")
    return root


def test_each_clip_goes_to_the_bucket_that_keeps_most_of_it(root: Root) -> None:
    ids = sorted(root.ids("clips"))
    assert buckets_of(root, ids, RECIPE) == {
        "aa:0-20": "16x64x64@native",
        "aa:20-40": "8x32x64@native",
        "aa:40-50": "8x32x64@native",
        "aa:50-90": "16x64x64@native",
    }


def test_it_is_the_size_that_is_cut_which_counts(root: Root) -> None:
    found = buckets_of(root, ["aa:50-90"], RECIPE, max_height_px=48)
    assert found == {"aa:50-90": "8x32x64@native"} or found == {}
    assert buckets_of(root, ["aa:50-90"], RECIPE, max_height_px=64) == {"aa:50-90": "16x64x64@native"}


def test_the_order_does_not_depend_on_the_order(root: Root) -> None:
    ids = sorted(root.ids("clips"))
    assert buckets_of(root, ids[::-1], RECIPE) == buckets_of(root, ids, RECIPE)


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    for number, size in enumerate(((64, 64), (64, 64), (64, 128), (64, 128))):
        frames = videos.scene_frames(24, seed=number, height=size[0], width=size[1])
        videos.write_video(folder / f"{number}.mp4", frames, fps=12)
    return folder


def test_without_a_recipe_clips_stand_by_id(root: Root) -> None:
    from pipelines.config import ShardConfig

    assert laid_out(root, ["b", "c"], ShardConfig()) == [
        {"clip_id": "b", "bucket": None},
        {"clip_id": "c", "bucket": None},
    ]


def test_every_part_is_of_one_bucket_and_its_rows_say_which(
    rushes: Run, tmp_path: Path, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pipelines.modelling

    recipe = RECIPE.model_copy(update={"buckets": (Bucket(frames=8, height_px=64, width_px=64),
                                                   Bucket(frames=8, height_px=64, width_px=128))})  # fmt: skip
    monkeypatch.setattr(pipelines.modelling, "bucket_recipe", lambda name: recipe)
    config = {"dataset": str(tmp_path / "d"), "sources": [{"uris": [str(films)]}], "experts": [],
              "curate": {"detector": "adaptive"}, "captions": {"backend": "template"}, "engine": {"kind": "local"},
              "rules": {"all": "true"}, "shards": {"by_bucket": "mine"}}  # fmt: skip
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    code, _, err = rushes("run", tmp_path / "config.yaml")
    assert code == 0, err
    root = open_root(tmp_path / "d")
    held: dict[str, set[str | None]] = defaultdict(set)
    for name in root.parts("shards/train"):
        import pyarrow.parquet as pq

        held[name] = set(pq.read_table(root.location(f"shards/train/{name}"), columns=["bucket"])["bucket"].to_pylist())
    assert sorted({bucket for (bucket,) in held.values() if bucket}) == ["8x64x128@native", "8x64x64@native"]
    reader = ShardReader(root, "train")
    plan = make_plan(reader.table_of(), recipe.model_copy(update={"assign": "best", "remainder": "smaller"}))
    assert {i: b.bucket.label for b in plan.batches for i in b.ids} == {
        r["clip_id"]: r["bucket"] for r in reader.iter_rows()
    }
    assert verify(root) == []


def test_a_recipe_that_is_not_there_is_told_before_anything_is_read(rushes: Run, tmp_path: Path, films: Path) -> None:
    config = {"dataset": str(tmp_path / "d"), "sources": [{"uris": [str(films)]}], "shards": {"by_bucket": "tinny"}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    code, _, err = rushes("run", tmp_path / "config.yaml")
    assert (code, "tinny" in err) == (2, True)
    assert not (tmp_path / "d").exists()
