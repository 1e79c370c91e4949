"""`rushes import`: what is here is ingested, what was said of it is kept, and what is not here is listed."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import media
from dataset import open_root, verify
from dataset.importing import IMPORTED, imported_schema
from dataset.root import Root
from dataset.shards import shard_row, write_shard
from tests import videos
from tests.dataset.build import RUN, caption_row, clip_row, new_root, video_row
from tests.dataset.test_importing import openvid, panda, table, tar
from tests.pipelines.conftest import Run

ENGINE = ("--engine", "local", "--detector", "adaptive", "--json")


def two_shots(path: Path, seed: int = 0) -> Path:
    """Write a video of two shots, of 40 frames each, at 20 frames a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = [*videos.scene_frames(40, seed=seed), *videos.scene_frames(40, seed=seed + 50)]
    return videos.write_video(path, frames, fps=20)


def taken(rushes: Run, *arguments: object) -> dict[str, Any]:
    code, out, err = rushes("import", *arguments, *ENGINE)
    assert code == 0, err
    result: dict[str, Any] = json.loads(out)
    return result


def said(root: Root) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = root.read("experts/imported").to_pylist()
    return sorted(rows, key=lambda row: str(row["clip_id"]))


def test_the_spans_of_panda_go_to_the_clips_that_they_cover(rushes: Run, tmp_path: Path) -> None:
    two_shots(tmp_path / "videos/abc.mp4")
    spans = "[['0:00:00.000', '0:00:01.900'], ['0:00:02.100', '0:00:04.000']]"
    path = panda(tmp_path / "p.csv", timestamp=spans, caption="['first', 'second – 犬']")
    result = taken(rushes, tmp_path / "d", path, "--format", "panda-70m", "--media", tmp_path / "videos",
                   "--license", "LicenseRef-test")  # fmt: skip
    root = open_root(tmp_path / "d")
    (video,) = root.read("videos").to_pylist()
    assert (video["status"], video["source"], video["license"]) == ("ok", "Panda-70M", "LicenseRef-test")
    rows = said(root)
    clips = {row["clip_id"]: row for row in root.read("clips").to_pylist()}
    assert len(rows) == result["clips"] == len(clips) >= 2
    for row in rows:
        clip = clips[row["clip_id"]]
        late = clip["start_s"] >= 1.9
        assert row["caption"] == ("second – 犬" if late else "first")
        assert dict(row["scores"]) == {"matching_score": pytest.approx(0.5 if late else 0.45)}
        assert row["covered_fraction"] > 0.9
        assert row["statements"] == []
    assert verify(root) == []


def test_imported_words_can_be_asked_for_and_ruled_by_in_sql(rushes: Run, tmp_path: Path) -> None:
    two_shots(tmp_path / "videos/a.mp4")
    path = openvid(tmp_path / "o.csv", "a.mp4")
    taken(rushes, tmp_path / "d", path, "--format", "openvid", "--media", tmp_path / "videos")
    sql = "select caption, scores['aesthetic_score'] as s, labels['camera_motion'] as m from expert_imported"
    code, out, err = rushes("query", tmp_path / "d", sql, "--json")
    assert code == 0, err
    assert {(row["caption"], row["s"], row["m"]) for row in json.loads(out)} == {("A man, smiling.", 5.1, "pan_left")}
    rules = tmp_path / "rules.yaml"
    rules.write_text("liked: scores['aesthetic_score'] > 6\n")
    code, out, err = rushes("select", tmp_path / "d", "--rules", rules, "--what-if")
    assert code == 0, err
    assert "kept 0 of" in out


def test_what_is_not_here_is_quarantined_and_forgotten_once_it_is(rushes: Run, tmp_path: Path) -> None:
    path, folder = panda(tmp_path / "p.csv"), tmp_path / "videos"
    folder.mkdir()
    code, out, err = rushes("import", tmp_path / "d", path, "--format", "panda-70m", "--media", folder, *ENGINE)
    assert code == 0, err
    assert "not here: https://www.youtube.com/watch?v=abc: not fetched" in err
    assert json.loads(out)["missing"] == 1
    (row,) = open_root(tmp_path / "d").read("videos").to_pylist()
    assert (row["status"], row["reason"], row["uri"]) == (
        "quarantined",
        "unreadable",
        "https://www.youtube.com/watch?v=abc",
    )
    assert "downloads nothing" in row["detail"]
    assert verify(open_root(tmp_path / "d")) == []
    two_shots(folder / "abc.mp4")
    taken(rushes, tmp_path / "d", path, "--format", "panda-70m", "--media", folder)
    (row,) = open_root(tmp_path / "d").read("videos").to_pylist()
    assert row["status"] == "ok"
    assert row["source_url"] == "https://www.youtube.com/watch?v=abc"


def test_nothing_is_fetched(rushes: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an address was opened")

    monkeypatch.setattr(fsspec, "open", refuse)
    assert taken(rushes, tmp_path / "d", panda(tmp_path / "p.csv"), "--format", "panda-70m")["missing"] == 1


def test_webdataset_is_unpacked_ingested_and_taken_in_once(rushes: Run, tmp_path: Path) -> None:
    one, two = (two_shots(tmp_path / f"made/{seed}.mp4", seed).read_bytes() for seed in (1, 2))
    about = json.dumps({"source": "a web page", "license": "CC0-1.0", "aesthetic": 4.5}).encode()
    tar(tmp_path / "tars/0.tar", {"k1.mp4": one, "k1.txt": "caf\u00e9".encode(), "k1.json": about})
    tar(tmp_path / "tars/1.tar", {"k2.mp4": two, "k2.txt": b"two", "k2.json": b"{}", "k3.mp4": b"no video"})
    asked = (tmp_path / "d", tmp_path / "tars", "--format", "webdataset", "--media", tmp_path / "media")
    first = taken(rushes, *asked)
    root = open_root(tmp_path / "d")
    rows = {row["uri"]: row for row in root.read("videos").to_pylist()}
    assert sorted(row["status"] for row in rows.values()) == ["ok", "ok", "quarantined"]
    assert {(row["source"], row["license"]) for row in rows.values() if row["size_bytes"] == len(one)} == {
        ("a web page", "CC0-1.0")
    }
    assert {row["caption"] for row in said(root)} == {"café", "two"}
    assert verify(root) == []
    again = taken(rushes, *asked)
    assert (again["clips"], again["rows"].get("clips", 0)) == (first["clips"], 0)
    assert verify(open_root(tmp_path / "d")) == []


def test_what_was_exported_as_webdataset_comes_in_again(rushes: Run, tmp_path: Path) -> None:
    made = media.encode(videos.scene_frames(40), fps=20)
    clip, rights = clip_row(0, 40), video_row(source="a shop – 店", license="CC-BY-4.0")
    row = shard_row(clip, made.data, frames=made.frames, fps=20, width_px=made.width_px, height_px=made.height_px,
                    run_id=RUN, caption=caption_row(clip["clip_id"], dense="a café, 犬"), video=rights)  # fmt: skip
    write_shard(new_root(tmp_path), "train", [row], key="aa")
    code, _, err = rushes("export", tmp_path / "D", tmp_path / "out", "--format", "webdataset")
    assert code == 0, err
    taken(rushes, tmp_path / "d", tmp_path / "out", "--format", "webdataset", "--media", tmp_path / "media")
    root = open_root(tmp_path / "d")
    (video,) = root.read("videos").to_pylist()
    assert (video["source"], video["license"], video["frames"]) == ("a shop – 店", "CC-BY-4.0", 40)
    assert {row["caption"] for row in said(root)} == {"a café, 犬"}
    assert {dict(row["labels"])["clip_id"] for row in said(root)} == {clip["clip_id"]}


def test_a_video_that_is_named_in_separate_rows_keeps_what_all_of_them_say(rushes: Run, tmp_path: Path) -> None:
    two_shots(tmp_path / "videos/abc.mp4")
    two_shots(tmp_path / "videos/xyz.mp4", 1)
    rows = [("abc", "first", "['0:00:00.000', '0:00:01.900']"), ("xyz", "other", "['0:00:00.000', '0:00:04.000']"),
            ("abc", "second", "['0:00:02.100', '0:00:04.000']")]  # fmt: skip
    path = table(tmp_path / "p.csv", ["videoID", "url", "timestamp", "caption"],
                 *([video, "u", f"[{span}]", f"['{words}']"] for video, words, span in rows))  # fmt: skip
    result = taken(rushes, tmp_path / "d", path, "--format", "panda-70m", "--media", tmp_path / "videos")
    root = open_root(tmp_path / "d")
    assert {row["caption"] for row in said(root)} == {"first", "second", "other"}
    assert result["clips"] == result["rows"]["experts/imported"] == len(said(root)) == root.count("clips")


def test_a_second_data_set_over_the_same_videos_adds_to_what_the_first_said(rushes: Run, tmp_path: Path) -> None:
    two_shots(tmp_path / "videos/abc.mp4")
    first = panda(tmp_path / "p.csv", timestamp="[['0:00:00.000', '0:00:01.900']]", caption="['of panda']",
                  matching_score="[0.5]", desirable_filtering="['desirable']")  # fmt: skip
    second = openvid(tmp_path / "o.csv", "abc.mp4", caption="of openvid")
    for path, name in ((first, "panda-70m"), (second, "openvid"), (second, "openvid")):
        result = taken(rushes, tmp_path / "d", path, "--format", name, "--media", tmp_path / "videos")
    root = open_root(tmp_path / "d")
    early, *late = said(root)
    assert result["clips"] == root.count("clips") == 1 + len(late)
    assert (early["caption"], early["format"], early["data_set"]) == ("of openvid", "openvid", f"openvid {second}")
    assert dict(early["scores"]).keys() == {"matching_score", "aesthetic_score", "motion_score",
                                            "temporal_consistency_score"}  # fmt: skip
    labels = dict(early["labels"])
    assert labels[f"caption of panda-70m {first}"] == "of panda"
    assert labels["desirable_filtering"] == "desirable"
    assert all("matching_score" not in dict(row["scores"]) for row in late)
    assert verify(root) == []
    taken(rushes, tmp_path / "d", first, "--format", "panda-70m", "--media", tmp_path / "videos")
    early, *late = said(root)
    assert (early["caption"], dict(early["labels"])[f"caption of openvid {second}"]) == ("of panda", "of openvid")
    assert f"caption of panda-70m {first}" not in dict(early["labels"])
    assert {row["caption"] for row in late} == {"of openvid"}  # of which the first says nothing


def test_a_data_set_that_was_mended_replaces_its_own_words(rushes: Run, tmp_path: Path) -> None:
    two_shots(tmp_path / "videos/a.mp4")
    for words in ("then", "now"):
        path = openvid(tmp_path / "o.csv", "a.mp4", caption=words)
        taken(rushes, tmp_path / "d", path, "--format", "openvid", "--media", tmp_path / "videos")
    rows = said(open_root(tmp_path / "d"))
    assert {row["caption"] for row in rows} == {"now"}
    assert not [name for row in rows for name, _ in row["labels"] if name.startswith("caption")]


def test_the_same_bytes_at_two_addresses_are_one_video_of_which_the_first_is_heard(rushes: Run, tmp_path: Path) -> None:
    two_shots(tmp_path / "videos/a.mp4")
    (tmp_path / "videos/b.mp4").write_bytes((tmp_path / "videos/a.mp4").read_bytes())
    rows = [["a.mp4", "of a"], ["b.mp4", "of b"]]
    path = table(tmp_path / "o.csv", ["video", "caption"], *rows)
    for _ in range(2):
        result = taken(rushes, tmp_path / "d", path, "--format", "openvid", "--media", tmp_path / "videos")
        root = open_root(tmp_path / "d")
        assert len({row["video_id"] for row in root.read("videos").to_pylist()}) == 1
        assert {row["caption"] for row in said(root)} == {"of a"}
        assert result["clips"] == len(said(root)) == root.count("clips")


def test_a_wrong_format_or_folder_makes_no_dataset(rushes: Run, tmp_path: Path) -> None:
    path = openvid(tmp_path / "o.csv", "a.mp4")
    for arguments, said_of_it in [
        (("--format", "openvdi", "--media", tmp_path), "did you mean openvid?"),
        (("--format", "openvid"), "openvid: name the folder where its videos lie with --media"),
        (("--format", "openvid", "--media", tmp_path / "gone"), "there is no such folder"),
    ]:
        code, _, err = rushes("import", tmp_path / "d", path, *arguments)
        assert code == 2
        assert said_of_it in err
        assert err.count("\n") == 1
    code, _, err = rushes("import", tmp_path / "d", tmp_path / "x.csv", "--format", "openvid", "--media", tmp_path)
    assert (code, "there is no file or folder" in err) == (2, True)
    assert not (tmp_path / "d").exists()


def test_the_commands_of_the_page_run_as_they_stand(
    rushes: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs/importing.md").read_text()
    commands = [shlex.split(line) for line in page.splitlines() if line.startswith("rushes ")]
    monkeypatch.chdir(tmp_path)
    openvid(tmp_path / "OpenVid-1M.csv", two_shots(tmp_path / "videos/a.mp4", 3).name)
    panda(tmp_path / "panda70m_testing.csv", two_shots(tmp_path / "fetched/abc.mp4", 4).stem)
    tar(tmp_path / "tars/0.tar", {"k.mp4": two_shots(tmp_path / "made/k.mp4", 5).read_bytes(), "k.txt": b"words"})
    (tmp_path / "rules.yaml").write_text("aesthetic: scores['aesthetic_score'] > 5\n")
    assert len(commands) == 5
    for command in commands:
        local = ENGINE[:4] if command[1] == "import" else ()
        code, out, err = rushes(*command[1:], *local)
        assert code == 0, err
        assert out
        assert "warning" not in err  # another data set is no change of settings
    root = open_root("dataset")
    assert {row["format"] for row in said(root)} == {"openvid", "panda-70m", "webdataset"}
    names = {column.name for column in imported_schema()}
    assert {name for name in re.findall(r"`(\w+)`", page) if name in names} >= {c.name for c in IMPORTED}
