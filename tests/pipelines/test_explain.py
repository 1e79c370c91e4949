"""`rushes explain`: one clip, everything that was said of it, by whom, and its keyframes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import media
from dataset import Root, open_root, schema_of
from dataset.schema import MEASURES, Column, expert_schema
from media.errors import DatasetError, UserError
from pipelines.cli.explain import _value, render
from pipelines.explain import Explanation, explain, find_clip, folder_name, write_keyframes
from tests.pipelines.conftest import Run
from tests.pipelines.report_data import PHOTO, VIDEO, clips

CLIP = f"{VIDEO}:0-16"


def said(expert: str, dimension: str, sentence: tuple[str, str, str], first: int = 0, end: int = 16) -> dict[str, Any]:
    names = ("expert", "dimension", "subject", "predicate", "value", "confidence", "first_frame", "end_frame")
    return dict(zip(names, (expert, dimension, *sentence, 0.87, first, end), strict=True))


PLACE = [(side, pa.float32()) for side in ("left", "top", "width", "height")]
BOX = pa.struct([("frame", pa.int32()), *PLACE, ("landmarks", pa.list_(pa.float32()))])
LINE = pa.struct([("text", pa.string()), ("kind", pa.string()), ("frames", pa.list_(pa.int32())), *PLACE])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    made = open_root(str(tmp_path_factory.mktemp("explain") / "dataset"), create=True)
    made.write_part("clips", clips("r"), schema_of("clips"), key="all")
    place = {"left": 0.25, "top": 0.25, "width": 0.5, "height": 0.5}
    row = {"clip_id": CLIP, "version": "1", "statements": [], "error": None, "run_id": "r"}
    tags = row | {
        "model": "efficientnet-lite0", "model_hash": "579344248a93", "labels": ["street", "bicycle"],
        "statements": [said("tags", "subject", ("vehicle", "looks like", "bicycle"))],
    }  # fmt: skip
    still = tags | {"clip_id": f"{PHOTO}:0-1", "statements": [said("tags", "subject", ("animal", "is a", "cat"), 0, 1)]}
    labels = [Column("labels", pa.list_(pa.string()), "the labels")]
    made.write_part("experts/tags", [tags, still], expert_schema(labels), key="all")
    faces = row | {"model": "blazeface", "model_hash": "abcdefabcdef",
                   "faces": [{"frame": 0, **place, "landmarks": [0.5, 0.5]}]}  # fmt: skip
    made.write_part("experts/faces", [faces], expert_schema([Column("faces", pa.list_(BOX), "faces")]), key="all")
    lines = [
        {"text": "[red]EXIT[/red]\x1b[31m", "kind": "overlay", "frames": [0, 1], **place},
        {"text": "moves with the scene", "kind": "scene", "frames": [1, 2], **place},
    ]
    text = row | {"lines": lines, "statements": [said("text", "text", ("sign", "reads", lines[0]["text"]), 2, 9)]}
    made.write_part("experts/text", [text], expert_schema([Column("lines", pa.list_(LINE), "lines")]), key="all")
    failed = row | {"error": "ValueError: too dark", "nsfw_max": None}
    made.write_part("experts/nsfw", [failed], expert_schema([Column("nsfw_max", pa.float32(), "the score")]), key="all")
    return made


def printed(found: Explanation, pictures: list[Path], width: int = 160) -> str:
    from rich.console import Console

    stream = io.StringIO()
    render(found, pictures, Console(file=stream, width=width, highlight=False, markup=False, emoji=False))
    return stream.getvalue()


# -- which clip ------------------------------------------------------------------------------------------------------


def test_the_beginning_of_an_id_is_enough_where_it_is_unique(root: Root) -> None:
    assert find_clip(root, CLIP) == CLIP
    assert find_clip(root, f"{VIDEO}:16") == f"{VIDEO}:16-32"
    assert find_clip(root, f"{PHOTO}:0-1") == f"{PHOTO}:0-1"  # which is also how its pseudo-videos' ids begin


def test_a_beginning_of_several_names_them(root: Root) -> None:
    with pytest.raises(UserError, match="begins several") as caught:
        find_clip(root, VIDEO[:5])
    assert str(caught.value).count(VIDEO) == 3
    with pytest.raises(UserError, match="and more; give more of it"):
        find_clip(root, PHOTO[:2])


@pytest.mark.parametrize("wrong", [f"{VIDEO}:0-17", f"x{VIDEO[1:]}:0-16", CLIP.upper()])
def test_a_wrong_id_is_one_line_with_the_nearest(root: Root, rushes: Run, wrong: str, tmp_path: Path) -> None:
    code, out, err = rushes("explain", root.path, wrong, "--out", tmp_path)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert "the nearest are" in line
    assert CLIP in line
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_without_clips_says_so(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no clips yet"):
        find_clip(open_root(str(tmp_path), create=True), "a")


# -- what is gathered ------------------------------------------------------------------------------------------------


def test_everything_that_each_expert_said_is_there(root: Root) -> None:
    found = explain(root, CLIP)
    assert [one.expert for one in found.said] == ["faces", "nsfw", "tags", "text"]
    by_name = {one.expert: one for one in found.said}
    assert (by_name["tags"].model, by_name["tags"].model_hash) == ("efficientnet-lite0", "579344248a93")
    assert by_name["tags"].values == {"labels": ["street", "bicycle"]}
    assert by_name["nsfw"].error == "ValueError: too dark"
    assert len(by_name["text"].statements) == 1


def test_every_measured_column_is_in_one_group(root: Root) -> None:
    groups = explain(root, CLIP).measured
    named = [name for members in groups.values() for name in members]
    assert sorted(named) == sorted(column.name for column in MEASURES)
    assert groups["camera"]["camera_motion"] == "pan right"
    assert "more" not in groups


def test_of_a_pseudo_video_the_still_is_told(root: Root) -> None:
    found = explain(root, f"{PHOTO}:0-16@zoom_in")
    assert found.said_of == f"{PHOTO}:0-1"
    assert [s["value"] for one in found.said for s in one.statements] == ["cat"]
    assert f"The experts looked at its still, {PHOTO}:0-1." in printed(found, [])


# -- what is printed -------------------------------------------------------------------------------------------------


def test_it_is_printed_in_tables_that_a_person_can_read(root: Root, rushes: Run, tmp_path: Path) -> None:
    code, out, err = rushes("explain", root.path, CLIP, "--out", tmp_path)
    assert (code, err) == (0, "")
    lines = [" ".join(line.replace("│", " ").split()) for line in out.splitlines()]
    assert "tags subject vehicle looks like bicycle 0.87 0 to 15" in lines
    assert "tags 1 efficientnet-lite0 579344248a93 1" in lines
    assert "nsfw 1 no model: classical measures 0 ValueError: too dark" in lines
    assert "camera camera_motion pan right" in lines
    assert any(line.startswith("tags labels street, bicycle") for line in lines)
    for path in tmp_path.rglob("*.jpg"):
        assert str(path) in out.replace("\n", "")


def test_what_a_picture_says_is_no_command_to_the_terminal(root: Root) -> None:
    out = printed(explain(root, CLIP), [])
    assert "\x1b" not in out
    assert "[red]EXIT[/red]" in out


def test_a_clip_that_no_expert_looked_at_says_so(root: Root) -> None:
    assert "No expert has looked at it" in printed(explain(root, f"{VIDEO}:16-32"), [])


def test_json_has_all_of_it(root: Root, rushes: Run, tmp_path: Path) -> None:
    code, out, _ = rushes("explain", root.path, CLIP, "--out", tmp_path, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["clip_id"] == CLIP
    assert found["measured"]["camera"]["camera_motion"] == "pan right"
    assert [one["expert"] for one in found["said"]] == ["faces", "nsfw", "tags", "text"]
    assert all(Path(path).is_file() for path in found["keyframes"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        ("", '""'),
        (0.123456, "0.1235"),
        ([], "none"),
        (["a", "b"], "a, b"),
        ({"frame": 3, "left": 0.25}, "{frame 3, left 0.25}"),
        (True, "True"),
    ],
)
def test_values_are_short(value: Any, text: str) -> None:
    assert _value(value) == text


def test_a_long_list_is_its_beginning_and_its_length() -> None:
    text = _value([0.5] * 384)
    assert text.endswith("... (384 in all)")
    assert len(text) < 200


# -- keyframes -------------------------------------------------------------------------------------------------------


def test_keyframes_are_written_as_they_are_and_with_boxes_beside(root: Root, tmp_path: Path) -> None:
    found = explain(root, CLIP)
    written = write_keyframes(found, tmp_path / folder_name(CLIP))
    assert [path.name for path in written] == [
        "frame-000000.jpg", "frame-000000-boxes.jpg", "frame-000001.jpg", "frame-000001-boxes.jpg", "frame-000002.jpg",
    ]  # fmt: skip
    assert written[0].read_bytes() == found.keyframes[0]["jpeg"]
    plain, drawn = (media.load_still(path).astype(int) for path in written[:2])
    height, width = plain.shape[:2]
    edge = np.abs(drawn - plain).sum(axis=2)[height // 4, width // 4 : 3 * width // 4]
    inside = np.abs(drawn - plain).sum(axis=2)[height // 3, width // 3]
    assert (edge > 60).mean() > 0.5
    assert inside < 60


def test_no_box_of_the_still_is_drawn_on_a_pseudo_video(root: Root, tmp_path: Path) -> None:
    written = write_keyframes(explain(root, f"{PHOTO}:0-16@zoom_in"), tmp_path)
    assert not [path for path in written if "boxes" in path.name]


def test_a_folder_is_named_for_its_clip() -> None:
    assert folder_name("ab12:0-48@zoom_in") == "ab12_0-48_zoom_in"
