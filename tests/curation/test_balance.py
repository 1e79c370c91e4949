"""A balance of a dataset: who is weighed, what is written, where concepts come from, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from curation.balance import BalanceConfig, Report, balance
from curation.balance.concepts import words_of
from dataset import Root, open_root, query, verify
from dataset.schema import Column, expert_schema
from media.errors import ConfigError, DatasetError
from tests.curation.test_select import clip

RUN = "20261101T000000-00000000"
EMBEDDING = expert_schema([Column("clip_embedding", pa.list_(pa.float32()), "a vector")])
TAGS = expert_schema(
    [Column("labels", pa.list_(pa.string()), "labels"), Column("probabilities", pa.list_(pa.float32()), "chances")]
)
CONCEPTS = (("dog", "pan left", 30.0), ("boat", "static", 5.0), ("city", "handheld", 90.0))
SIZES = (12, 3, 1)
OF = [concept for concept, size in enumerate(SIZES) for _ in range(size)]
BY_PICTURES = BalanceConfig(clusters=3)


def rows() -> list[dict[str, Any]]:
    return [
        clip(i, camera_motion=CONCEPTS[c][1], flow_mean_px_per_s=CONCEPTS[c][2], object_motion_px_per_s=CONCEPTS[c][2])
        for i, c in enumerate(OF)
    ]


def tag(clip_id: str, label: str) -> dict[str, Any]:
    return {"clip_id": clip_id, "version": "1", "labels": [label], "probabilities": [0.9], "run_id": RUN}


def vector(clip_id: str, concept: int, seed: int = 0) -> dict[str, Any]:
    values = np.eye(8)[concept] + 0.05 * np.random.default_rng(seed).normal(size=8)
    return {"clip_id": clip_id, "version": "1", "clip_embedding": values.tolist(), "run_id": RUN}


def fill(root: Root, order: list[int] | None = None) -> Root:
    """16 clips in three concepts, with tags and embeddings, in some order of rows and parts."""
    clips = [rows()[i] for i in (order or range(len(OF)))]
    root.write_run({"run_id": RUN, "command": "test", "started": "2026-11-01"})
    for key, part in (("first", clips[:5]), ("second", clips[5:])):
        root.write_part("clips", part, key=key)
        of = [(row["clip_id"], row["first_frame"]) for row in part]
        root.write_part("experts/clip", [vector(i, OF[n], n) for i, n in of], EMBEDDING, key=key)
        root.write_part("experts/tags", [tag(i, CONCEPTS[OF[n]][0]) for i, n in of], TAGS, key=key)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return fill(open_root(tmp_path / "D", create=True))


def written(root: Root, name: str = "default") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = root.read(f"balance/{name}").to_pylist()
    return found


def axis(found: Report, name: str) -> dict[str, tuple[int, float]]:
    groups = next(a for a in found.axes if a.axis == name).groups
    return {group.name: (group.clips, pytest.approx(group.weighted_share, abs=1e-4)) for group in groups}


def test_a_row_per_clip_with_its_groups_and_its_weight(root: Root) -> None:
    found = balance(root, BY_PICTURES, RUN)
    told = {row["clip_id"]: row for row in written(root)}
    assert sorted(told) == sorted(f"aa:{i}-{i + 1}" for i in range(len(OF)))
    assert told["aa:0-1"] | {"weight": 0} == {
        "clip_id": "aa:0-1", "concept": 0, "concept_name": "dog", "motion_tier": "clear", "camera": "pan",
        "weight": 0, "run_id": RUN,
    }  # fmt: skip
    assert [row["concept_name"] for row in told.values()].count("boat") == 3
    assert told["aa:15-16"]["motion_tier"] == "strong"
    assert np.mean([row["weight"] for row in told.values()]) == pytest.approx(1)
    assert (found.concepts, found.clips, found.selection) == ("clip.clip_embedding", 16, None)


def test_the_weights_make_the_groups_even_as_far_as_alpha_asks(root: Root) -> None:
    even = balance(root, BalanceConfig(clusters=3, alpha=1), RUN)
    for name in ("concept", "motion", "camera"):
        shares = [share for _, share in axis(even, name).values()]
        assert shares == [1 / 3] * 3
    as_it_is = balance(root, BalanceConfig(clusters=3, alpha=0), RUN, "raw")
    assert axis(as_it_is, "concept") == {"dog": (12, 12 / 16), "boat": (3, 3 / 16), "city": (1, 1 / 16)}
    assert {row["weight"] for row in written(root, "raw")} == {1.0}
    half = next(a for a in balance(root, BY_PICTURES, RUN).axes if a.axis == "concept")
    assert half.effective < half.effective_weighted < 3


def test_only_the_axes_that_are_asked_for_are_flattened(root: Root) -> None:
    fifth = {"clip_id": "aa:99-100", "first_frame": 99, "end_frame": 100}
    root.write_part("clips", [{**rows()[0], **fifth, "camera_motion": "static"}], key="third")
    found = balance(root, BalanceConfig(clusters=3, alpha=1, axes=("camera",)), RUN)
    assert axis(found, "camera")["static"][1] == 1 / 3
    assert axis(found, "motion")["clear"][1] != 1 / 3


def test_the_order_of_rows_changes_nothing(root: Root, tmp_path: Path) -> None:
    other = fill(open_root(tmp_path / "E", create=True), np.random.default_rng(1).permutation(len(OF)).tolist())
    assert balance(root, BY_PICTURES, RUN) == balance(other, BY_PICTURES, RUN)
    assert written(root) == written(other)


def test_again_replaces_and_another_name_stands_beside(root: Root) -> None:
    balance(root, BalanceConfig(clusters=3, alpha=0), RUN)
    balance(root, BalanceConfig(clusters=3, alpha=1), RUN)
    balance(root, BalanceConfig(clusters=2), RUN, "two")
    assert root.names("balance") == ["default", "two"]
    counted = query(root, "select balance_set, count(*) n, max(concept) most from balance group by 1 order by 1")
    assert counted.to_pylist() == [
        {"balance_set": "default", "n": 16, "most": 2},
        {"balance_set": "two", "n": 16, "most": 1},
    ]


def test_the_table_holds_the_contract(root: Root) -> None:
    root.write_part("videos", [{"video_id": "aa", "uri": "/aa.mp4", "media": "video", "status": "ok", "run_id": RUN}],
                    key="aa")  # fmt: skip
    balance(root, BY_PICTURES, RUN)
    assert verify(root) == []
    root.write_part("balance/other", [{**written(root)[0], "clip_id": "zz:0-1"}], key="balance")
    assert [(p.table, p.kind) for p in verify(root)] == [("balance/other", "orphan")]


class TestWhoIsWeighed:
    def test_what_the_selection_keeps(self, root: Root) -> None:
        verdicts = [
            {"clip_id": f"aa:{i}-{i + 1}", "kept": i % 2 == 0, "rejected_by": [] if i % 2 == 0 else ["x"],
             "run_id": RUN} for i in range(16)
        ]  # fmt: skip
        root.write_part("selections/default", verdicts, key="verdicts")
        found = balance(root, BY_PICTURES, RUN)
        assert (found.clips, found.selection, len(written(root))) == (8, "default", 8)
        assert balance(root, BalanceConfig(selection=None), RUN).clips == 16

    def test_a_selection_that_is_not_there_is_an_error_when_others_are(self, root: Root) -> None:
        root.write_part("selections/strict", [], key="verdicts")
        with pytest.raises(DatasetError, match="no selection is called 'default' \\(there are: strict\\)"):
            balance(root, BY_PICTURES, RUN)
        with pytest.raises(DatasetError, match="no clips that the selection strict keeps"):
            balance(root, BalanceConfig(selection="strict"), RUN)

    def test_no_clips_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match="there are no clips to balance"):
            balance(open_root(tmp_path / "D", create=True), BY_PICTURES, RUN)


class TestConcepts:
    def test_a_pseudo_video_shows_what_its_still_shows(self, root: Root) -> None:
        still = {**clip(0), "video_id": "ss", "clip_id": "ss:0-1", "kind": "still"}
        pseudo = {**clip(0, camera_motion="zoom in", flow_mean_px_per_s=20.0, object_motion_px_per_s=1.0),
                  "video_id": "ss", "clip_id": "ss:0-48@zoom_in", "kind": "pseudo", "end_frame": 48,
                  "frames": 48}  # fmt: skip
        root.write_part("clips", [still, pseudo], key="stills")
        root.write_part("experts/clip", [vector("ss:0-1", 1, 50)], EMBEDDING, key="stills")
        balance(root, BY_PICTURES, RUN)
        told = {row["clip_id"]: row for row in written(root)}
        assert told["ss:0-48@zoom_in"]["concept_name"] == told["ss:0-1"]["concept_name"] == "boat"
        assert (told["ss:0-48@zoom_in"]["camera"], told["ss:0-48@zoom_in"]["motion_tier"]) == ("zoom", "none")
        assert (told["ss:0-1"]["camera"], told["ss:0-1"]["motion_tier"]) == ("unmeasured", "unmeasured")

    def test_a_clip_of_which_nothing_is_known_has_none_and_is_weighed_by_the_rest(self, root: Root) -> None:
        root.write_part("clips", [clip(99, camera_motion="static", flow_mean_px_per_s=5)], key="third")
        found = balance(root, BY_PICTURES, RUN)
        told = next(row for row in written(root) if row["clip_id"] == "aa:99-100")
        assert (told["concept"], told["concept_name"], told["camera"]) == (None, None, "static")
        assert next(a for a in found.axes if a.axis == "concept").without == 1

    def test_the_number_of_them_is_the_root_of_the_clips_unless_given(self, root: Root) -> None:
        balance(root, BalanceConfig(), RUN)
        assert len({row["concept"] for row in written(root)}) == 4

    def test_any_vector_of_an_expert_will_do(self, root: Root) -> None:
        found = balance(root, BalanceConfig(concepts="clip.clip_embedding", clusters=2), RUN)
        assert found.concepts == "clip.clip_embedding"

    @pytest.mark.parametrize("concepts", ["nobody.vector", "clip.vector", "tags.labels"])
    def test_a_vector_that_is_not_there_is_an_error(self, root: Root, concepts: str) -> None:
        with pytest.raises(ConfigError, match=concepts.partition(".")[0]):
            balance(root, BalanceConfig(concepts=concepts), RUN)

    def test_without_tags_captions_and_pictures_there_is_nothing_to_go_by(self, tmp_path: Path) -> None:
        bare = open_root(tmp_path / "D", create=True)
        bare.write_part("clips", [clip(0), clip(1)], key="aa")
        with pytest.raises(DatasetError, match="nothing tells what the clips show"):
            balance(bare, BalanceConfig(), RUN)

    def test_words_leave_out_colours_and_the_camera_and_unsure_labels(self, root: Root) -> None:
        short = ["A mostly grey picture, as the camera pans left.", "Five people.", None, "A red Boat."]
        captions = [{"clip_id": f"aa:{i}-{i + 1}", "outcome": "ok", "short": text, "run_id": RUN}
                    for i, text in enumerate(short)]  # fmt: skip
        root.write_part("captions", captions, key="aa")
        unsure = [{**tag(f"aa:{i}-{i + 1}", "pole"), "probabilities": [0.05]} for i in (40, 41)]
        root.write_part("experts/tags", unsure, TAGS, key="unsure")
        own = pa.array([*(f"aa:{i}-{i + 1}" for i in range(4)), "aa:1-2", "aa:50-51"])
        described = pa.array([*(f"aa:{i}-{i + 1}" for i in range(3)), "aa:40-41", "aa:41-42", "aa:40-41"])
        assert words_of(root, own, described) == [
            ["dog"], ["people", "dog"], ["dog"], ["boat"], ["people"], ["pole"],
        ]  # fmt: skip

    def test_words_put_alike_things_together(self, root: Root) -> None:
        said = {"a dog runs in the park": "dog", "a puppy plays on the grass": "dog", "a terrier with a ball": "dog",
                "a ship on the sea": "boat", "a sailing boat in the harbour": "boat"}  # fmt: skip
        captions = [
            {"clip_id": f"aa:{i}-{i + 1}", "outcome": "ok", "short": text, "run_id": RUN} for i, text in enumerate(said)
        ]
        words = open_root(Path(root.path).parent / "W", create=True)
        words.write_part("clips", [clip(i) for i in range(len(said))], key="aa")
        words.write_part("captions", captions, key="aa")
        found = balance(words, BalanceConfig(clusters=2), RUN)
        concepts = {text: row["concept"] for text, row in zip(said, written(words), strict=True)}
        assert [concepts[text] for text in said] == [0, 0, 0, 1, 1]
        assert found.concepts.startswith("words, ")
