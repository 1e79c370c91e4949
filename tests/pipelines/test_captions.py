"""The step that captions, against a real server: what is asked, what is paid for, what is written anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import media
from captioning import keyframes_hash
from dataset import open_root
from tests import videos
from tests.captioning import servers
from tests.captioning.clients import unused_port
from tests.pipelines.conftest import Run

LOCAL = ("--engine", "local")


@pytest.fixture
def chosen(rushes: Run, tmp_path: Path) -> Path:
    """A dataset of three stills, selected, of which one expert has spoken."""
    stills = tmp_path / "stills"
    stills.mkdir()
    for i, frame in enumerate(videos.scene_frames(3)):
        (stills / f"{i}.jpg").write_bytes(media.jpeg(frame))
    root, rules = tmp_path / "dataset", tmp_path / "all.yaml"
    rules.write_text("all: clip_id is not null\n")
    for command in (
        ("curate", stills, "--out", root, *LOCAL, "--experts", "colour,light", "--detector", "adaptive"),
        ("select", root, "--rules", rules),
    ):
        assert rushes(*command)[0] == 0
    return root


def by_server(rushes: Run, root: Path, url: str, *more: str) -> tuple[int, str, str]:
    return rushes("caption", root, "--backend", "openai", "--base-url", url, *LOCAL, *more)


def rows_of(root: Path) -> list[dict[str, Any]]:
    return sorted(open_root(root).read("captions").to_pylist(), key=lambda row: str(row["clip_id"]))


def test_a_server_is_asked_once_for_each_clip_and_its_answers_are_tied_to_their_pictures(
    rushes: Run, chosen: Path
) -> None:
    with servers.serve(lambda n, body: servers.Answer()) as stub:
        assert by_server(rushes, chosen, stub.url)[0] == 0
    rows = rows_of(chosen)
    assert len(rows) == len(stub.seen) == 3
    clips = {row["clip_id"]: row for row in open_root(chosen).read("clips").to_pylist()}
    for row in rows:
        assert row["keyframes_hash"] == keyframes_hash(clips[row["clip_id"]]["keyframes"])
        assert (row["backend"], row["tries"], row["tokens_out"]) == ("openai", 1, 20)
        assert row["medium"]
        assert row["windows"] == []
    assert len({row["keyframes_hash"] for row in rows}) == 3


def test_paid_answers_of_a_run_that_ended_early_are_not_paid_for_again(
    rushes: Run, chosen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines import captions

    def out_of_disk(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    with servers.serve(lambda n, body: servers.Answer()) as stub:
        with monkeypatch.context() as broken:
            broken.setattr(captions, "Part", out_of_disk)
            with pytest.raises(OSError, match="No space left"):
                by_server(rushes, chosen, stub.url)
        paid = len(stub.seen)
        assert paid
        assert rows_of(chosen) == []
        assert by_server(rushes, chosen, stub.url)[0] == 0
        assert (len(stub.seen), len(rows_of(chosen))) == (3, 3)  # and none of them twice
    assert not (chosen / "scratch" / "captions").exists()  # what was paid for is rows now


def test_captions_are_written_anew_when_asked(rushes: Run, chosen: Path) -> None:
    assert rushes("caption", chosen, "--backend", "template", *LOCAL)[0] == 0
    first = rows_of(chosen)
    _, _, said = rushes("caption", chosen, "--backend", "template", *LOCAL)
    assert "--again writes them anew" in said
    assert rows_of(chosen) == first
    with servers.serve(lambda n, body: servers.Answer()) as stub:
        _, _, said = by_server(rushes, chosen, stub.url, "--again")
    assert "3 captions are written anew" in said
    again = rows_of(chosen)
    assert [row["clip_id"] for row in again] == [row["clip_id"] for row in first]
    assert {row["backend"] for row in again} == {"openai"}


def test_vllm_without_ray_is_refused_before_anything_is_let_go(rushes: Run, chosen: Path) -> None:
    assert rushes("caption", chosen, "--backend", "template", *LOCAL)[0] == 0
    code, _, said = rushes("caption", chosen, "--backend", "vllm", "--model", "m", "--again", *LOCAL)
    assert code == 2
    assert "vllm runs inside Ray" in said
    assert len(rows_of(chosen)) == 3


def test_all_captions_are_compared_after_the_step(rushes: Run, chosen: Path) -> None:
    assert rushes("caption", chosen, "--backend", "template", *LOCAL)[0] == 0
    counted = ("query", chosen, "select count(*) as captions from caption_lint", "--json")
    assert json.loads(rushes(*counted)[1]) == [{"captions": 3}]
    (chosen / "caption_lint.parquet").unlink()  # as if the run had been killed before it compared them
    assert rushes("caption", chosen, "--backend", "template", *LOCAL)[0] == 0
    assert json.loads(rushes(*counted)[1]) == [{"captions": 3}]


def test_nothing_is_let_go_for_a_server_that_is_not_there(rushes: Run, chosen: Path) -> None:
    assert rushes("caption", chosen, "--backend", "template", *LOCAL)[0] == 0
    before = rows_of(chosen)
    dead = f"http://127.0.0.1:{unused_port()}/v1"
    for more in (("--model", "m"), ()):
        code, _, said = by_server(rushes, chosen, dead, "--again", *more)
        assert code == 5, said
        assert dead in said
        assert rows_of(chosen) == before


def test_what_got_no_answer_is_asked_for_by_the_next_run_and_nothing_else(rushes: Run, chosen: Path) -> None:
    sick: list[str] = []

    def answer(n: int, body: dict[str, Any]) -> servers.Answer:
        sick[:] = sick or [servers.key_of(body)]
        return servers.Answer(status=401 if servers.key_of(body) == sick[0] else 200)

    with servers.serve(answer) as stub:
        assert by_server(rushes, chosen, stub.url)[0] == 0
    (failed,) = [row for row in rows_of(chosen) if row["error"]]
    assert (failed["outcome"], failed["tries"]) == ("template", 1)
    with servers.serve(lambda n, body: servers.Answer()) as stub:
        _, _, said = by_server(rushes, chosen, stub.url)
        assert "1 captions that got no answer are written anew" in said
        assert len(stub.seen) == 1
    assert [row["error"] for row in rows_of(chosen)] == [None] * 3


def test_chinese_of_a_backend_that_does_not_translate_is_refused(rushes: Run, chosen: Path) -> None:
    code, _, said = rushes("caption", chosen, "--backend", "template", "--zh", *LOCAL)
    assert code == 2
    assert "does not translate" in said
