"""The card and the Croissant file: what they tell, what they refuse, and that Croissant's own reader agrees."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from dataset import Root, compact, open_root, remove, write_card
from dataset.cards import About
from dataset.croissant import FILE, croissant, spdx_url
from dataset.facts import Facts, facts_of
from dataset.schema import Column, expert_schema
from media.errors import DatasetError, UserError
from tests.dataset.build import RUN, caption_row, small_dataset, video_row
from tests.dataset.test_removal import A, full_dataset


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """Two sources with everything, a model behind one expert and behind the captions."""
    root = full_dataset(tmp_path)
    root.write_part("videos", [video_row("bb", license="CC-BY-NC-4.0", source="them", opt_out=False,
                                         retrieved_at=datetime(2026, 3, 1, tzinfo=UTC))], key="bb")  # fmt: skip
    root.write_part("videos", [video_row("cc", status="quarantined", reason="truncated", license=None)], key="cc")
    seen = expert_schema([Column("vector", pa.list_(pa.float32(), 3), "an embedding"),
                          Column("scores", pa.map_(pa.string(), pa.float64()), "by name")])  # fmt: skip
    row = {"clip_id": "aa:0-10", "version": "3", "model": "net-1", "model_hash": "abc", "vector": [1.0, 2.0, 3.0],
           "scores": {"a": 1.0}, "run_id": RUN}  # fmt: skip
    root.write_part("experts/look", [row], seen, key="a")
    said = {"backend": "embedded", "model": "smol", "model_hash": "def", "flags": ["length"], "structured": {"a": "b"},
            "graph": [{"subject": "dog", "predicate": "runs", "object": None, "attributes": ["red"]}]}  # fmt: skip
    root.write_part("captions", [caption_row("bb:0-10", outcome="template", **said)], key="bb")
    root.write_run({"run_id": "r9", "started": "2026-11-02", "finished": "2026-11-02T10:00:00+00:00"})
    return root


def licences(model: str) -> str | None:
    return {"net-1": "Apache-2.0", "smol": "research only"}.get(model)


# The card


def test_a_card_tells_counts_sources_models_and_columns(tmp_path: Path) -> None:
    root = small_dataset(tmp_path)
    text = write_card(root, About("Two sources"))
    assert Path(root.path, "README.md").read_text() == text
    front = yaml.safe_load(text.split("---")[1])
    assert front == {
        "pretty_name": "Two sources",
        "task_categories": ["text-to-video"],
        "license": "cc0-1.0",
        "configs": [{"config_name": "train", "data_files": "shards/train/*.parquet"}],
    }
    assert "| clip | 6 | 0.1 | 0 |" in text
    assert "| a package | CC0-1.0 | - | video | ok | 2 |" in text
    assert "| CC0-1.0 | 2 | 6 | 0.1 |" in text
    assert "| tags | 1 |  |  | - | 6 |" in text
    assert "| train | clip | 2 | 20 |" in text
    assert "| experts/text | text_fraction | float | share of the picture that is text |" in text
    assert "Not for every use" not in text


def test_a_card_shows_the_funnel_the_duplicates_and_what_was_quarantined(root: Root) -> None:
    text = write_card(root)
    assert "| moves | flow_mean_px_per_s > 1 | 0 | 0 | 0 |" in text
    assert "| default | near | 1 | 2 | 1 |" in text
    assert "| truncated | 1 |" in text
    assert "| template | 1 |" in text


def test_the_licences_of_models_are_told_and_those_that_limit_are_named(root: Root) -> None:
    text = write_card(root, licences=licences)
    assert "| look | 3 | net-1 | abc | Apache-2.0 | 1 |" in text
    assert "| captions | embedded | smol | def | research only | 1 |" in text
    assert "**Not for every use: CC-BY-NC-4.0.**" in text
    assert "**Models whose licence limits what is made with them: smol (research only).**" in text
    front = yaml.safe_load(text.split("---")[1])
    assert (front["license"], front["license_name"]) == ("other", "CC-BY-NC-4.0 AND CC0-1.0")


def test_what_nobody_stated_is_not_guessed(root: Root) -> None:
    root.write_part("videos", [video_row("aa", license=None)], key="aa")
    text = write_card(root)
    assert "The licence of some sources is not stated" in text
    assert "The licence of these models is not stated: net-1, smol." in text
    assert yaml.safe_load(text.split("---")[1])["license"] == "other"


def test_the_licence_of_every_address_of_the_same_bytes_counts(root: Root) -> None:
    root.write_part("videos", [video_row("aa", uri="/elsewhere.mp4", license="CC-BY-ND-4.0")], key="copy")
    assert "Not for every use: CC-BY-NC-4.0, CC-BY-ND-4.0" in write_card(root)


def test_a_licence_that_is_no_spdx_identifier_is_named_and_linked_nowhere(root: Root) -> None:
    for video in ("aa", "bb", "cc"):
        root.write_part("videos", [video_row(video, license="Pexels")], key=video)
    text = write_card(root)
    front = yaml.safe_load(text.split("---")[1])
    assert (front["license"], front["license_name"]) == ("other", "Pexels")
    assert "No SPDX identifier, so to be read before anything is passed on: Pexels." in text
    assert described(root)["license"] == ["Pexels"]


def test_a_card_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no tables yet"):
        write_card(open_root(tmp_path / "D", create=True))


def test_nothing_is_published_while_removed_rows_are_stored(root: Root) -> None:
    remove(root, A, run_id=RUN)
    with pytest.raises(UserError, match="run `rushes compact` before it is published"):
        write_card(root)
    assert root.size("README.md") is None
    compact(root)
    text = write_card(root)
    assert "| clip | 3 |" in text
    assert A not in text


# Croissant


def described(root: Root, **about: Any) -> dict[str, Any]:
    return croissant(root, facts_of(root, licences), About(**about))


def fields(record_set: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for field in record_set["field"]:
        yield field
        yield from field.get("subField", ())


def test_every_table_is_a_file_set_and_a_record_set(root: Root) -> None:
    made = described(root)
    assert made["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    tables = [table for table in root.tables() if table != "removals"]
    assert [s["includes"] for s in made["distribution"]] == [f"{table}/part-*.parquet" for table in tables]
    assert [s["@id"] for s in made["recordSet"]] == [table.replace("/", "-") for table in tables]
    for pattern in (s["includes"] for s in made["distribution"]):
        assert list(Path(root.path).glob(pattern))


def test_every_column_is_described_by_its_own_words_or_named_as_left_out(root: Root) -> None:
    for table, record_set in zip(root.tables(), described(root)["recordSet"], strict=True):
        made = {field["name"]: field for field in record_set["field"]}
        for field in root.schema(table):
            if field.name in made:
                assert made[field.name]["description"] == (field.metadata or {})[b"doc"].decode()
            else:
                assert re.search(rf"\b{field.name}\b", record_set["description"])
    clips = next(s for s in described(root)["recordSet"] if s["@id"] == "clips")
    assert "keyframes.jpeg" in clips["description"]
    looks = next(s for s in described(root)["recordSet"] if s["@id"] == "experts-look")
    assert "scores" in looks["description"]
    assert "vector" not in looks["description"]


def test_ids_are_unique_keys_are_columns_and_what_they_refer_to_is_said(root: Root) -> None:
    made = described(root)
    ids = [field["@id"] for record_set in made["recordSet"] for field in fields(record_set)]
    assert len(ids) == len(set(ids))
    files = {s["@id"] for s in made["distribution"]}
    for record_set in made["recordSet"]:
        assert record_set["key"]["@id"] in ids
        for field in fields(record_set):
            assert field["source"]["fileSet"]["@id"] in files
    said = {record_set["@id"]: record_set["description"] for record_set in made["recordSet"]}
    assert "clip_id is one of clips" in said["captions"]
    assert "video_id is one of videos" in said["clips"]
    assert "is one of" not in said["videos"]
    assert "clip_id is one of clips; representative_id is one of clips" in said["duplicates-default"]


def test_types_are_those_of_the_columns(root: Root) -> None:
    by_id = {f["@id"]: f for record_set in described(root)["recordSet"] for f in fields(record_set)}
    types = {name: by_id[name]["dataType"] for name in
             ("clips/clip_id", "clips/frames", "clips/fps", "clips/phash", "videos/retrieved_at", "videos/opt_out",
              "shards-train/media")}  # fmt: skip
    assert list(types.values()) == [
        "sc:Text", "cr:Int32", "cr:Float64", "cr:UInt64", "sc:DateTime", "sc:Boolean", "sc:VideoObject",
    ]  # fmt: skip
    assert by_id["experts-look/vector"] | {"isArray": True, "arrayShape": "3"} == by_id["experts-look/vector"]
    assert by_id["captions/flags"]["arrayShape"] == "-1"


def test_responsible_use_is_told_as_far_as_it_is_known(root: Root) -> None:
    made = described(root)
    assert made["rai:dataPreprocessingProtocol"] == ["moves: flow_mean_px_per_s > 1"]
    assert "look 3: net-1 (abc), licence Apache-2.0" in made["rai:machineAnnotationTools"]
    assert "1 sources were quarantined as truncated" in made["rai:dataLimitations"]
    assert made["license"] == ["https://spdx.org/licenses/CC-BY-NC-4.0.html", "https://spdx.org/licenses/CC0-1.0.html"]
    assert made["datePublished"] == "2026-11-02"


def test_what_its_maker_says_stands_in_it(root: Root) -> None:
    made = described(root, title="Walks", description="People walk.", version="2.0.1", creator="us", cite_as="@misc{w}")
    assert (made["name"], made["description"], made["version"]) == ("Walks", "People walk.", "2.0.1")
    assert made["creator"] == {"@type": "sc:Organization", "name": "us"}
    assert made["citeAs"] == "@misc{w}"


def test_on_the_hub_the_files_are_in_the_repository(root: Root) -> None:
    made = described(root, url="https://huggingface.co/datasets/me/walks/tree/main")
    assert made["distribution"][0]["contentUrl"] == "https://huggingface.co/datasets/me/walks"
    assert all(s["containedIn"] == {"@id": "repository"} for s in made["distribution"][1:])


@pytest.mark.parametrize(("about", "why"), [({"version": "1"}, "MAJOR.MINOR.PATCH"), ({"url": "me/walks"}, "https://")])
def test_what_croissant_would_refuse_is_refused_before_anything_is_written(
    root: Root, about: dict[str, str], why: str
) -> None:
    with pytest.raises(UserError, match=re.escape(why)):
        write_card(root, About(**about))
    assert root.size("README.md") is None
    assert root.size(FILE) is None


@pytest.mark.parametrize(
    ("license", "shown"),
    [
        ("CC0-1.0", "https://spdx.org/licenses/CC0-1.0.html"),
        ("MIT OR Apache-2.0", "MIT OR Apache-2.0"),
        ("LicenseRef-ours", "LicenseRef-ours"),
        ("not stated", "not stated"),
    ],
)
def test_only_an_spdx_identifier_has_an_address(license: str, shown: str) -> None:
    assert spdx_url(license) == shown


# Croissant's own reader

OWN_READER = pytest.mark.filterwarnings("ignore")  # of what it asks of rdflib and pandas


@pytest.fixture
def reader(root: Root) -> Any:
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    write_card(root, About(cite_as="@misc{w}", creator="us", url="https://host/walks"), licences)
    return mlcroissant.Dataset(Path(root.path, FILE))


@OWN_READER
def test_mlcroissant_finds_neither_errors_nor_warnings(reader: Any) -> None:
    issues = reader.metadata.ctx.issues
    assert issues.report() == ""
    assert reader.metadata.ctx.is_v1_1()


@OWN_READER
def test_mlcroissant_reads_the_rows_of_every_table(root: Root, reader: Any) -> None:
    for table in root.tables():
        name = table.replace("/", "-")
        rows = list(reader.records(name))
        key = "video_id" if table == "videos" else "clip_id" if not table.startswith("grades") else "sample_id"
        assert sorted(row[f"{name}/{key}"].decode() for row in rows) == sorted(root.read(table)[key].to_pylist())
    clips = {row["clips/clip_id"].decode(): row for row in reader.records("clips")}
    assert clips["aa:10-20"]["clips/first_frame"] == 10
    (keyframe,) = clips["aa:10-20"]["clips/keyframes"]
    assert keyframe["clips/keyframes/frame"] == 10
    (video,) = [row for row in reader.records("videos") if row["videos/video_id"] == b"bb"]
    assert video["videos/retrieved_at"] == datetime(2026, 3, 1, tzinfo=UTC)
    (look,) = reader.records("experts-look")
    assert list(look["experts-look/vector"]) == [1.0, 2.0, 3.0]


@OWN_READER
def test_mlcroissant_sees_nothing_of_a_removed_source(root: Root) -> None:
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    remove(root, A, run_id=RUN)
    compact(root)
    write_card(root)
    assert A not in json.dumps(json.loads((root.read_bytes(FILE) or b"{}").decode()))
    reader = mlcroissant.Dataset(Path(root.path, FILE))
    assert {row["clips/clip_id"].partition(b":")[0] for row in reader.records("clips")} == {b"bb"}


def test_facts_are_of_what_is_there(root: Root) -> None:
    facts = facts_of(root)
    assert isinstance(facts, Facts)
    assert facts.in_one_sentence() == "Clips of 2 sources, measured, captioned and selected: 6 of kind clip."
    assert facts.kinds == ["clip"]
