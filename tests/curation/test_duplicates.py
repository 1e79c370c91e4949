"""Duplicates in a dataset: what is found, who represents whom, and why; on made-up rows and on real footage."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import media
from curation import CurateConfig, ingest
from curation.duplicates import DuplicatesConfig, Found, cluster, find_duplicates
from curation.duplicates.rows import arrange
from curation.select import Rules, select, what_if
from dataset import Root, open_root, query, schema_of, verify
from dataset.schema import Column, expert_schema
from dataset.shards import shard_row, write_shard
from experts.weights import Footage
from media.errors import ConfigError, DatasetError
from tests.curation.test_duplicates_parts import A, B, C, D, E, flipped
from tests.dataset.build import RUN, clip_row, video_row

RULE = "clip_id not in (select clip_id from duplicates where duplicate_set = 'default' and not representative)"


def clip(name: str, hashes: Sequence[int], jpeg: bytes = b"", **changed: Any) -> dict[str, Any]:
    """A clip of a source of its own; its pictures are told by its name, or are those of `jpeg`."""
    frames = [
        {"frame": i, "time_s": i / 10, "jpeg": (jpeg or name.encode()) + bytes([i]), "phash": h}
        for i, h in enumerate(hashes)
    ]
    given = {"keyframes": frames, "shot": 0, "sharpness_laplacian": 50.0, **changed}
    return clip_row(0, given.pop("frames", 10), name, **given)


def dataset(folder: Path, rows: Sequence[dict[str, Any]]) -> Root:
    root = open_root(folder / "D", create=True)
    root.write_run({"run_id": RUN, "command": "test", "started": "2026-11-01"})
    root.write_part("videos", [video_row(name) for name in sorted({row["video_id"] for row in rows})], key="v")
    root.write_part("clips", rows, key="c")
    return root


def dedup(root: Root, **config: Any) -> Found:
    return find_duplicates(root, DuplicatesConfig(**config), RUN)


def rows_of(root: Root) -> dict[str, dict[str, Any]]:
    return {row["clip_id"].partition(":")[0]: row for row in root.read("duplicates/default").to_pylist()}


def whom(root: Root) -> dict[str, str]:
    return {name: row["representative_id"].partition(":")[0] for name, row in rows_of(root).items()}


def test_a_dataset_without_duplicates_gets_an_empty_table(tmp_path: Path) -> None:
    root = dataset(tmp_path, [clip("a", [A, B, C]), clip("b", [D, E])])
    assert dedup(root) == Found("default", 2, 0, {"exact": 0, "near": 0, "semantic": 0}, 0)
    assert root.exists("duplicates/default")
    assert root.read("duplicates/default").num_rows == 0


def test_a_dataset_without_clips_is_no_error(tmp_path: Path) -> None:
    assert dedup(open_root(tmp_path / "D", create=True)).clips == 0


def test_every_row_has_its_cluster_its_representative_and_the_reason(tmp_path: Path) -> None:
    rows = [
        clip("copy", [A, B, C], b"same"), clip("first", [A, B, C], b"same"), clip("other", [D, E]),
        clip("small", [flipped(A, [1, 2]), B, C], width_px=32),
    ]  # fmt: skip
    root = dataset(tmp_path, rows)
    found = dedup(root)
    assert (found.clusters, found.duplicates) == (1, {"exact": 1, "near": 1, "semantic": 0})
    told = rows_of(root)
    assert set(told) == {"copy", "first", "small"}
    assert len({row["cluster_id"] for row in told.values()}) == 1
    assert {row["representative_id"] for row in told.values()} == {"copy:0-10"}
    assert [told[name]["representative"] for name in ("copy", "first", "small")] == [True, False, False]
    assert told["copy"]["reason"] == "represents 3 clips: the smallest id, all else equal"
    assert told["first"]["kind"] == "exact"
    assert told["first"]["reason"] == "the same keyframes, byte for byte, and as many frames"
    assert told["small"]["kind"] == "near"
    assert told["small"]["reason"] == "3 of 3 keyframes look alike, 0.7 of 64 bits apart in the mean"
    assert told["small"]["distance"] == pytest.approx(2 / 3)
    assert told["copy"]["distance"] is None
    assert verify(root) == []


def test_a_clip_that_the_selection_keeps_represents_one_that_it_rejects(tmp_path: Path) -> None:
    large, small = clip("large", [A, B, C], width_px=640), clip("small", [A, B, C])
    root = dataset(tmp_path, [large, small, clip("tiny", [A, B, C], width_px=32)])
    select(root, Rules({"plain": "width_px < 640"}, "test"), run_id=RUN)
    dedup(root)
    assert whom(root) == dict.fromkeys(("large", "small", "tiny"), "small")
    assert rows_of(root)["small"]["reason"].endswith("most pixels, 3,072 against 1,536 px")
    root.write_part("clips", [large, small], key="c")
    dedup(root)
    assert rows_of(root)["small"]["reason"] == "represents 2 clips: the selection keeps it and not the next"
    dedup(root, selection=None)
    assert set(whom(root).values()) == {"large"}


def test_what_only_a_rule_about_duplicates_rejects_may_represent_when_the_better_one_is_gone(tmp_path: Path) -> None:
    root = dataset(tmp_path, [clip("large", [A, B, C], width_px=640), clip("small", [A, B, C])])
    dedup(root)
    select(root, Rules({"no_duplicate": RULE, "plain": "width_px < 640"}, "test"), run_id=RUN)
    assert not any(root.read("selections/default")["kept"].to_pylist())
    dedup(root)
    assert set(whom(root).values()) == {"small"}
    assert select(root, Rules({"no_duplicate": RULE, "plain": "width_px < 640"}, "test"), run_id=RUN).kept == 1


def test_a_selection_that_is_not_there_is_told_where_there_are_others(tmp_path: Path) -> None:
    root = dataset(tmp_path, [clip("a", [A])])
    dedup(root, selection="strict")  # nothing was selected yet
    select(root, Rules({"all": "true"}, "test"), run_id=RUN)
    with pytest.raises(DatasetError, match=r"no selection is called 'strict' \(there are: default\)"):
        dedup(root, selection="strict")


@pytest.mark.parametrize(
    ("better", "why"),
    [
        ({"width_px": 128, "sharpness_laplacian": 1.0}, "most pixels, 6,144 against 3,072 px"),
        ({"sharpness_laplacian": 60.0, "duration_s": 0.5}, "sharpest, 60 against 50 Laplacian variance"),
        ({"duration_s": 2.5}, "longest, 2.5 against 1 s"),
    ],
)
def test_the_representative_has_most_pixels_then_is_sharpest_then_longest(
    tmp_path: Path, better: dict[str, Any], why: str
) -> None:
    root = dataset(tmp_path, [clip("a", [A, B, C]), clip("z", [A, B, C], **better)])
    dedup(root)
    assert whom(root) == {"a": "z", "z": "z"}
    assert rows_of(root)["z"]["reason"] == f"represents 2 clips: {why}"


def test_black_borders_are_no_pixels_and_the_unmeasured_is_worst(tmp_path: Path) -> None:
    boxed = {"width_px": 128, "height_px": 96, "crop_width_px": 60, "crop_height_px": 40}
    root = dataset(tmp_path, [clip("a", [A, B, C], **boxed), clip("b", [A, B, C]),
                              clip("c", [A, B, C], width_px=None, height_px=None)])  # fmt: skip
    dedup(root)
    assert set(whom(root).values()) == {"b"}


def test_a_chain_of_likenesses_joins_nothing_that_is_not_alike(tmp_path: Path) -> None:
    def at(bits: int) -> list[int]:
        return [flipped(h, range(0, 2 * bits, 2)) for h in (A, B, C)]

    names = [clip(name, at(6 * i)) for i, name in enumerate("abcd")]
    root = dataset(tmp_path, names)
    dedup(root)
    assert whom(root) == {"a": "a", "b": "a", "c": "c", "d": "c"}


def test_pieces_of_one_shot_go_on_and_pieces_that_overlap_repeat(tmp_path: Path) -> None:
    def piece(first: int, end: int, **changed: Any) -> dict[str, Any]:
        return {**clip("a", [A, B, C], str(first).encode()), **clip_row(first, end, "a"), "shot": 0,
                "keyframes": clip("a", [A, B, C], str(first).encode())["keyframes"], **changed}  # fmt: skip

    root = dataset(tmp_path, [piece(0, 10), piece(10, 20), piece(14, 24), piece(90, 100, shot=7)])
    found = dedup(root)
    assert found.duplicates == {"exact": 1, "near": 1, "semantic": 0}
    told = {row["clip_id"]: row for row in root.read("duplicates/default").to_pylist()}
    assert told["a:14-24"]["representative_id"] == "a:10-20"
    assert told["a:14-24"]["reason"] == "the same source, 60% of the shorter span in common"
    assert told["a:90-100"]["representative_id"] == "a:0-10"
    assert dedup(root, within_shot=True).clusters == 1


def test_only_clips_of_one_kind_are_compared_and_pseudo_videos_never(tmp_path: Path) -> None:
    rows = [clip("a", [A]), clip("b", [A], kind="still"), clip("c", [A], kind="pseudo"), clip("d", [A], kind="pseudo")]
    assert dedup(dataset(tmp_path, rows)).clusters == 0


def test_the_same_media_in_the_shards_are_exact(tmp_path: Path) -> None:
    rows = [clip("a", [A, B]), clip("b", [C, D]), clip("c", [])]
    root = dataset(tmp_path, rows)
    shards = [shard_row(row, data, frames=10, fps=10, width_px=64, height_px=48, run_id=RUN)
              for row, data in zip(rows, (b"x", b"y", b"x"), strict=True)]  # fmt: skip
    write_shard(root, "train", shards, key="s")
    dedup(root)
    assert whom(root) == {"a": "a", "c": "a"}
    assert rows_of(root)["c"]["reason"] == "the same media, byte for byte, in the shards"


def test_a_copy_goes_where_the_best_of_its_copies_goes(tmp_path: Path) -> None:
    rows = [clip("big", [A, B, C], width_px=640), clip("s1", [A, B, flipped(C, [0, 1])], b"s"),
            clip("s2", [A, B, flipped(C, [0, 1])], b"s")]  # fmt: skip
    root = dataset(tmp_path, rows)
    dedup(root)
    assert whom(root) == {"big": "big", "s1": "big", "s2": "big"}
    assert {rows_of(root)[name]["kind"] for name in ("s1", "s2")} == {"near"}


def with_vectors(root: Root, vectors: dict[str, list[float]]) -> Root:
    schema = expert_schema([Column("vector", pa.list_(pa.float32()), "an embedding")])
    rows = [{"clip_id": f"{name}:0-10", "version": "1", "vector": v, "run_id": RUN} for name, v in vectors.items()]
    root.write_part("experts/eyes", rows, schema, key="e")
    return root


def test_embeddings_that_point_the_same_way_are_semantic_duplicates(tmp_path: Path) -> None:
    root = dataset(tmp_path, [clip(n, [h]) for n, h in zip("abcd", (A, B, C, D), strict=True)])
    with_vectors(root, {"d": [2, 0.1], "a": [1, 0], "b": [0, 1]})
    assert dedup(root).clusters == 0
    assert dedup(root, embedding="eyes.vector").duplicates["semantic"] == 1
    assert whom(root) == {"a": "a", "d": "a"}
    assert rows_of(root)["d"]["reason"] == "embedding eyes.vector: cosine 0.999"


@pytest.mark.parametrize(
    ("named", "says"), [("nose.vector", "there are: eyes"), ("eyes.version", "it has: vector"), ("eyes", "embedding")]
)
def test_an_embedding_that_is_not_there_is_a_users_mistake(tmp_path: Path, named: str, says: str) -> None:
    root = with_vectors(dataset(tmp_path, [clip("a", [A])]), {"a": [1, 0]})
    with pytest.raises((ConfigError, ValueError), match=says):
        dedup(root, embedding=named)


def test_a_search_again_replaces_the_table_and_names_are_apart(tmp_path: Path) -> None:
    root = dataset(tmp_path, [clip("a", [A, B, C]), clip("b", [A, B, C])])
    dedup(root)
    find_duplicates(root, DuplicatesConfig(), RUN, "again")
    dedup(root, kinds=("still",))
    counts = query(root, "select duplicate_set, count(*) as n from duplicates group by all").to_pylist()
    assert counts == [{"duplicate_set": "again", "n": 2}]


def test_a_rule_may_keep_only_representatives(tmp_path: Path) -> None:
    root = dataset(tmp_path, [clip("a", [A, B, C]), clip("b", [A, B, C]), clip("c", [D, E])])
    rules = Rules({"no_duplicate": RULE})
    assert what_if(root, rules).kept == 3  # nothing was looked for yet
    dedup(root)
    funnel = select(root, rules, run_id=RUN)
    assert (funnel.kept, funnel.rows[0].rejected, funnel.rows[0].rejected_null) == (2, 1, 0)
    kept = query(root, "select clip_id from wide where kept order by 1")["clip_id"].to_pylist()
    assert kept == ["a:0-10", "c:0-10"]


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.tuples(st.sampled_from([A, B, C]), st.sets(st.integers(0, 63), max_size=5), st.integers(1, 3)),
        min_size=1, max_size=14,
    ),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_the_clusters_do_not_depend_on_the_order_of_rows(drawn: list[Any], random: Any) -> None:
    rows = [
        clip(f"v{i}", [flipped(h, bits), flipped(D, list(bits)[:1])], width_px=64 * width)
        for i, (h, bits, width) in enumerate(drawn)
    ]

    def clusters(given: list[dict[str, Any]]) -> dict[str, str]:
        clips = arrange(pa.Table.from_pylist(given, schema=schema_of("clips")))
        _, found, _ = cluster(clips, DuplicatesConfig())
        ids = clips.table["clip_id"].to_pylist()
        return {ids[i]: ids[head] for i, head in enumerate(found.representative.tolist())}

    straight = clusters(rows)
    random.shuffle(rows)
    assert clusters(rows) == straight


def attacked(frames: np.ndarray, name: str) -> np.ndarray:
    if name == "half":
        return np.stack([cv2.resize(f, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for f in frames])
    return np.clip(frames * 1.2 + 8, 0, 255).astype(np.uint8) if name == "bright" else frames


def test_copies_of_real_footage_are_found_and_the_best_represents_them(tmp_path: Path, footage: Footage) -> None:
    frames = np.stack([frame.rgb() for frame in islice(media.decode(footage.of("bikes.mp4").path), 240)])
    root = open_root(tmp_path / "D", create=True)
    config = CurateConfig(detector="adaptive")
    for name, crf in (("first", 18), ("weak", 35), ("half", 23), ("bright", 23)):
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(media.encode(attacked(frames, name), fps=25, crf=crf).data)
        got = ingest(str(path), config, run_id=RUN, rights={"source": name})
        root.write_part("videos", [got.video], key=name)
        root.write_part("clips", got.clips, key=name)
    shots = query(root, "select count(*) as n from clips where uri like '%first.mp4'")["n"][0].as_py()
    assert shots >= 2
    found = dedup(root)
    assert found.duplicates["near"] == 3 * shots == found.clips - found.clusters
    sizes = query(root, "select width_px from duplicates join clips using (clip_id) where representative")
    assert set(sizes["width_px"].to_pylist()) == {frames.shape[2]}
