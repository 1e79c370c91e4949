"""docs/queries.md: every query on the page runs on a real dataset and returns the columns that the page names."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
import yaml

import media
from dataset import Root, open_root, query
from pipelines.cli import main
from pipelines.linting import lint_captions
from tests import videos

PAGE = Path(__file__).parents[1] / "docs" / "queries.md"


class Question(NamedTuple):
    """One query of the page."""

    number: int
    title: str
    explained: str
    command: list[str]
    columns: list[str]


def questions() -> list[Question]:
    """Return the queries of the page, as a reader would type them."""
    found = []
    for section in re.split(r"^(?=#{2,3} )", PAGE.read_text(), flags=re.MULTILINE):
        if heading := re.match(
            r"### (\d+)\. (.+)\n\n(.+?)\n\n```\n(.+?)\n```\n\nColumns: (.+?)\.\n", section, re.DOTALL
        ):
            number, title, explained, command, columns = heading.groups()
            names = re.findall(r"`(\w+)`", columns)
            found.append(Question(int(number), title, explained, shlex.split(command), names))
    return found


QUESTIONS = questions()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A dataset made by the commands, from two videos, a still and a broken file, of which all queries find something.

    What the commands cannot be made to give, a caption with its flags and conflicts, is written beside.
    """
    folder = tmp_path_factory.mktemp("queries")
    footage = folder / "footage"
    footage.mkdir()
    (footage / "still.jpg").write_bytes(media.jpeg(next(iter(videos.scene_frames(1)))))
    (footage / "broken.mp4").write_text("This is no video.\n")
    videos.write_video(footage / "scene.mp4", videos.scene_frames(60))
    videos.write_video(footage / "written.mp4", written(48, "BREAKING NEWS"), codec="libx264")
    config = {
        "dataset": str(folder / "D"),
        "sources": [{"uris": [str(footage)], "source": "tests", "license": "CC0-1.0"}],
        "curate": {"detector": "adaptive"},
        "experts": ["colour", "text"],
        "rules": str(folder / "rules.yaml"),
        "captions": {"backend": "template"},
        "engine": {"kind": "local"},
    }
    (folder / "rules.yaml").write_text(
        "motion: kind = 'clip' and frames <> 48\nlong: frames > 1\nlight: luma_mean > 0\n"
    )
    (folder / "run.yaml").write_text(yaml.safe_dump(config))
    run(["run", str(folder / "run.yaml")])
    root = open_root(folder / "D")
    (caption,) = root.read("captions").to_pylist()
    (rejected,) = query(root, "SELECT clip_id FROM clips WHERE frames = 48").column("clip_id").to_pylist()
    said = {"flags": ["length: 300 words"], "conflicts": ["colour: blue (0.4) lost to red (0.9)"]}
    root.write_part(
        "captions", [{**caption, "clip_id": rejected, "outcome": "ok", "backend": "llm", **said}], key="beside"
    )
    lint_captions(root, caption["run_id"])
    return root


def written(count: int, text: str) -> Iterator[videos.Rgb]:
    """Yield pictures of a shot with `text` laid over it."""
    for picture in videos.scene_frames(count, 480, 272):
        yield np.asarray(cv2.putText(picture.copy(), text, (40, 220), cv2.FONT_HERSHEY_DUPLEX, 1.4, (255,) * 3, 2))


def run(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert not ended.value.code


def ask(question: Question, root: Root, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    arguments = [root.uri if word == "DATASET" else word for word in question.command[1:]]
    capsys.readouterr()
    run([*arguments, "--json"])
    return list(json.loads(capsys.readouterr().out))


def test_there_are_twenty_and_no_command_is_left_out() -> None:
    assert [question.number for question in QUESTIONS] == list(range(1, 21))
    assert PAGE.read_text().count("rushes query DATASET") == 20
    assert len({question.title for question in QUESTIONS}) == 20


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: str(q.number))
def test_is_a_command_with_one_sentence(question: Question) -> None:
    assert question.command[:3] == ["rushes", "query", "DATASET"]
    assert len(question.command) == 4
    assert question.explained.endswith(".")
    assert len(re.findall(r"[.!?](?:\s|$)", question.explained)) == 1
    assert question.title.endswith("?")


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: str(q.number))
def test_returns_the_columns_that_the_page_names(
    question: Question, root: Root, capsys: pytest.CaptureFixture[str]
) -> None:
    assert query(root, question.command[3]).column_names == question.columns
    rows = ask(question, root, capsys)
    assert rows
    assert all(list(row) == question.columns for row in rows)


def test_what_is_wrong_is_found(root: Root, capsys: pytest.CaptureFixture[str]) -> None:
    found = {number: ask(QUESTIONS[number - 1], root, capsys) for number in (2, 3, 9, 10, 13, 14)}
    assert [(row["rule"], row["other_rule"], row["clips"]) for row in found[2]] == [("long", "motion", 1)]
    assert [row["uri"].rpartition("/")[2] for row in found[3]] == ["written.mp4"]
    assert [(row["flag"], row["captions"]) for row in found[9]] == [("length", 1)]
    assert len({row["clip_id"] for row in found[10]}) == 2
    assert "NEWS" in found[13][0]["text"].upper()
    assert [row["conflict"] for row in found[14]] == ["colour: blue (0.4) lost to red (0.9)"]


def test_the_funnel_and_the_provenance_say_what_was_done(root: Root, capsys: pytest.CaptureFixture[str]) -> None:
    by_number = {question.number: question for question in QUESTIONS}
    assert [row["rule"] for row in ask(by_number[1], root, capsys)] == ["motion", "long", "light"]
    (row,) = ask(by_number[20], root, capsys)
    assert row["uri"].endswith(".mp4")
    assert row["measured"] <= row["captioned"] <= row["sharded"]
    (reason,) = ask(by_number[17], root, capsys)
    assert reason["example"].endswith("broken.mp4")
    assert [(r["expert"], r["missing"], r["failed"]) for r in ask(by_number[15], root, capsys)] == [
        ("colour", 0, 0),
        ("text", 0, 0),
    ]
