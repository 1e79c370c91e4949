"""Imports: every record of another data set is read as it was meant, and what is wrong is told with file and line."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from dataset.importing import FORMATS, Imported, format_named, imported_schema, read_import
from dataset.importing.panda70m import seconds
from media.errors import ConfigError, DatasetError

PANDA = ("videoID", "url", "timestamp", "caption", "matching_score", "desirable_filtering")
OPENVID = ("video", "caption", "aesthetic score", "motion score", "temporal consistency score", "camera motion",
           "frame", "fps", "seconds", "new_id")  # fmt: skip


def table(path: Path, names: Sequence[str], *rows: Sequence[object]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *rows])
    return path


def panda(path: Path, video: str = "abc", **changed: object) -> Path:
    values = {
        "videoID": video,
        "url": f"https://www.youtube.com/watch?v={video}",
        "timestamp": "[['0:00:01.500', '0:00:03.000'], ['1:00:00.000', '1:00:02.250']]",
        "caption": "['A dog runs, quickly.', \"It's a café – 犬\"]",
        "matching_score": "[0.45, 0.5]",
        "desirable_filtering": "['desirable', '1_still_foreground_image']",
        **changed,
    }
    return table(path, list(values), list(values.values()))


def openvid(path: Path, *videos: str, **changed: object) -> Path:
    values = dict(zip(OPENVID, ("", "A man, smiling.", 5.1, 3.25, 0.99, "pan_left", 120, 30, 4.0, "n1"), strict=True))
    values |= changed
    return table(path, list(values), *([{**values, "video": video}[name] for name in values] for video in videos))


def tar(path: Path, members: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            about = tarfile.TarInfo(name)
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    return path


def videos(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"video " + name.encode())
    return folder


# Every format


def made(name: str, folder: Path) -> tuple[Path, Path]:
    """Make a data set of one video that is there; return its path and the folder of the videos."""
    if name == "panda-70m":
        return panda(folder / "panda.csv"), videos(folder / "videos", "abc.mp4")
    if name == "openvid":
        return openvid(folder / "openvid.csv", "a b.mp4"), videos(folder / "videos", "a b.mp4")
    return tar(folder / "0.tar", {"k.mp4": b"v", "k.txt": b"words", "k.json": b'{"n": 1}'}), folder / "videos"


@pytest.mark.parametrize("name", FORMATS)
def test_a_video_that_is_here_is_named_by_the_path_that_ingest_writes(name: str, tmp_path: Path) -> None:
    path, media = made(name, tmp_path)
    records = list(read_import(path, name, media))
    assert records
    for record in records:
        assert record.missing is None
        assert record.caption
        assert Path(record.uri).is_file()
        assert record.uri == str(Path(record.uri).resolve())
    assert list(read_import(path, name, media)) == records


@pytest.mark.parametrize("name", FORMATS)
def test_a_path_that_is_not_there_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no file or folder .*gone"):
        read_import(tmp_path / "gone", name, tmp_path)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_no_such_data_set_is_told(name: str, tmp_path: Path) -> None:
    path = tmp_path / "noise"
    path.write_bytes(bytes(range(256)) * 8)
    with pytest.raises((ConfigError, DatasetError), match="noise"):
        list(read_import(path, name, tmp_path))


@pytest.mark.parametrize("name", [name for name, format in FORMATS.items() if format.media_needed])
def test_a_folder_that_is_needed_is_asked_for(name: str, tmp_path: Path) -> None:
    path, _ = made(name, tmp_path)
    with pytest.raises(ConfigError, match=f"{name}: name the folder .* with --media"):
        read_import(path, name)


def test_formats_are_found_by_name_and_the_nearest_is_offered() -> None:
    for asked in ("panda-70m", "Panda_70M", "panda70m", " PANDA-70M "):
        assert format_named(asked).name == "panda-70m"
    with pytest.raises(ConfigError, match="no import format 'panda'; did you mean panda-70m"):
        format_named("panda")
    with pytest.raises(ConfigError, match="there are panda-70m, openvid, webdataset"):
        format_named("xyz")


def test_the_table_of_what_was_said_explains_its_columns() -> None:
    assert all(field.metadata[b"doc"] for field in imported_schema())


# Panda-70M


def test_panda_gives_a_record_for_each_span(tmp_path: Path) -> None:
    first, second = read_import(panda(tmp_path / "p.csv"), "panda-70m")
    assert (first.start_s, first.end_s, first.caption) == (1.5, 3.0, "A dog runs, quickly.")
    assert (second.start_s, second.end_s, second.caption) == (3600.0, 3602.25, "It's a café – 犬")
    assert (first.scores, first.labels) == ({"matching_score": 0.45}, {"desirable_filtering": "desirable"})
    assert second.labels == {"desirable_filtering": "1_still_foreground_image"}
    assert (first.source, first.license) == ("Panda-70M", None)


def test_a_video_on_youtube_is_not_fetched_and_says_how_to_go_on(tmp_path: Path) -> None:
    (first, _) = read_import(panda(tmp_path / "p.csv", "-x_Y"), "panda-70m", videos(tmp_path / "v", "other.mp4"))
    assert first.uri == "https://www.youtube.com/watch?v=-x_Y"
    assert "downloads nothing" in (first.missing or "")
    assert "<videoID>.mp4" in (first.missing or "")


def test_a_video_that_was_fetched_is_found_by_its_id_in_any_folder(tmp_path: Path) -> None:
    media = videos(tmp_path / "v", "deep/er/abc.webm")
    assert [record.uri for record in read_import(panda(tmp_path / "p.csv"), "panda-70m", media)] == [
        str(media / "deep/er/abc.webm")
    ] * 2


def test_the_first_panda_files_without_the_newer_columns_are_read(tmp_path: Path) -> None:
    path = table(tmp_path / "p.csv", PANDA[:4], ["a", "u", "[['0:00:00.000', '0:00:01.000']]", "['words']"])
    assert list(read_import(path, "panda-70m")) == [
        Imported(
            "u", "words", 0.0, 1.0, source="Panda-70M", url="u", missing=next(read_import(path, "panda-70m")).missing
        )
    ]


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("timestamp", "nonsense", "timestamp is no list: 'nonsense'"),
        ("timestamp", "__import__('os').system('true')", "timestamp is no list"),
        ("timestamp", "{'a': 1}", "timestamp is no list"),
        ("timestamp", "['0:00:01.000']", "timestamp has '0:00:01.000', not"),
        ("timestamp", "[['0:00:03.000', '0:00:01.000']]", "ends before it begins"),
        ("timestamp", "[[1, 2]]", r"timestamp has \[1, 2\], not"),
        ("caption", "['one']", "caption has 1 values for 2 spans"),
        ("matching_score", "[0.1, 'x']", "matching_score has 'x', not a number"),
    ],
)
def test_a_bad_panda_value_is_told_with_its_line(column: str, value: str, said: str, tmp_path: Path) -> None:
    changed: dict[str, object] = {column: value}
    if column == "timestamp" and value.startswith("["):
        changed |= {"caption": "['a']", "matching_score": "[1]", "desirable_filtering": "['b']"}
    with pytest.raises(DatasetError, match=rf"p\.csv, line 2: .*{said}"):
        list(read_import(panda(tmp_path / "p.csv", **changed), "panda-70m"))


def test_times_are_hours_minutes_seconds() -> None:
    assert seconds("12:34:56.789") == pytest.approx(12 * 3600 + 34 * 60 + 56.789)
    with pytest.raises(ValueError):
        seconds("1:00")


# OpenVid


def test_openvid_gives_captions_scores_and_camera(tmp_path: Path) -> None:
    media = videos(tmp_path / "v", "part1/--a_1_0to241.mp4")
    here, gone = read_import(openvid(tmp_path / "o.csv", "--a_1_0to241.mp4", "gone.mp4"), "openvid", media)
    assert here.uri == str(media / "part1/--a_1_0to241.mp4")
    assert here.caption == "A man, smiling."
    assert here.scores == {"aesthetic_score": 5.1, "motion_score": 3.25, "temporal_consistency_score": 0.99}
    assert here.labels == {"camera_motion": "pan_left", "new_id": "n1"}
    assert (here.start_s, here.end_s) == (None, None)
    assert gone.missing == f"there is no gone.mp4 below {media}"


def test_openvid_without_a_score_has_none(tmp_path: Path) -> None:
    path = openvid(tmp_path / "o.csv", "a.mp4", **{"motion score": "", "caption": "  "})
    (record,) = read_import(path, "openvid", videos(tmp_path / "v"))
    assert set(record.scores) == {"aesthetic_score", "temporal_consistency_score"}
    assert record.caption is None


def test_a_missing_column_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    path = table(tmp_path / "o.csv", ["video", "text"], ["a.mp4", "b"])
    with pytest.raises(ConfigError, match=r"o\.csv: it has no column caption; its first line has video, text"):
        list(read_import(path, "openvid", tmp_path))


def test_a_row_of_another_length_and_a_word_for_a_number_are_told(tmp_path: Path) -> None:
    path = table(tmp_path / "o.csv", ["video", "caption"], ["a.mp4", "b"], ["c.mp4", "d", "e"])
    with pytest.raises(DatasetError, match=r"o\.csv, line 3: 3 values under 2 columns"):
        list(read_import(path, "openvid", tmp_path))
    path = openvid(tmp_path / "p.csv", "a.mp4", **{"motion score": "high"})
    with pytest.raises(DatasetError, match=r"p\.csv, line 2: motion_score is 'high', not a number"):
        list(read_import(path, "openvid", tmp_path))


def test_a_table_that_begins_with_a_byte_order_mark_and_holds_line_breaks_is_read(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_bytes('﻿Video,Caption\r\na.mp4,"one\ntwo"\r\n\r\n'.encode())
    (record,) = read_import(path, "openvid", tmp_path)
    assert record.caption == "one\ntwo"


def test_a_folder_of_videos_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no folder .*gone"):
        list(read_import(openvid(tmp_path / "o.csv", "a.mp4"), "openvid", tmp_path / "gone"))


# WebDataset


def test_a_sample_of_video2dataset_is_unpacked_with_its_caption_and_numbers(tmp_path: Path) -> None:
    about = {"url": "http://x/1.mp4", "key": "00_1", "caption": "other", "status": "success", "clips": [[0, 1]],
             "similarity": 0.25, "is_hd": True, "bad": float("inf"), "source": "WebVid", "license": "CC0-1.0",
             "error_message": None}  # fmt: skip
    tar(tmp_path / "in/00000.tar", {"00_1.webm": b"bytes", "00_1.txt": " ein Hund – 犬 ".encode(),
                                    "00_1.json": json.dumps(about).encode()})  # fmt: skip
    (record,) = read_import(tmp_path / "in", "webdataset", tmp_path / "media")
    assert Path(record.uri).read_bytes() == b"bytes"
    assert Path(record.uri).suffix == ".webm"
    assert record.caption == "ein Hund – 犬"
    assert record.scores == {"similarity": 0.25}
    assert record.labels == {"key": "00_1", "status": "success"}
    assert (record.source, record.license, record.url) == ("WebVid", "CC0-1.0", "http://x/1.mp4")


def test_a_caption_may_stand_in_the_metadata_alone_and_a_sample_without_video_is_none(tmp_path: Path) -> None:
    path = tar(
        tmp_path / "a.tar", {"1.json": b'{"caption": "words"}', "1.mp4": b"v", "2.txt": b"no video", "3.mp4": b"w"}
    )
    first, second = read_import(path, "webdataset", tmp_path / "m")
    assert (first.caption, second.caption) == ("words", None)


def test_the_same_key_in_two_tars_is_two_videos(tmp_path: Path) -> None:
    for number in range(2):
        tar(tmp_path / f"in/sub/{number}.tar", {"k.mp4": b"v%d" % number})
    records = list(read_import(tmp_path / "in", "webdataset", tmp_path / "m"))
    assert [Path(record.uri).read_bytes() for record in records] == [b"v0", b"v1"]


def test_tars_of_one_name_in_two_folders_keep_their_videos_apart(tmp_path: Path) -> None:
    for part in ("a", "b"):
        tar(tmp_path / f"in/{part}/00000.tar", {"k.mp4": f"v{part}".encode(), "k.txt": part.encode()})
    records = list(read_import(tmp_path / "in", "webdataset", tmp_path / "m"))
    assert [(record.caption, Path(record.uri).read_bytes()) for record in records] == [("a", b"va"), ("b", b"vb")]
    assert all(Path(record.uri).parent.name.startswith("00000-") for record in records)


def test_two_imports_into_one_folder_keep_their_videos_apart(tmp_path: Path) -> None:
    uris = []
    for part in ("one", "two"):
        path = tar(tmp_path / part / "00000.tar", {"k.mp4": f"of {part}".encode()})
        uris += [record.uri for record in read_import(path, "webdataset", tmp_path / "m")]
    assert [Path(uri).read_bytes() for uri in uris] == [b"of one", b"of two"]


def test_a_tar_that_holds_another_video_now_gives_another_file(tmp_path: Path) -> None:
    (first,) = read_import(tar(tmp_path / "t.tar", {"k.mp4": b"then"}), "webdataset", tmp_path / "m")
    (again,) = read_import(tar(tmp_path / "t.tar", {"k.mp4": b"now!"}), "webdataset", tmp_path / "m")
    assert again.uri != first.uri  # what was ingested from the first is still what it was
    assert [Path(record.uri).read_bytes() for record in (first, again)] == [b"then", b"now!"]


def test_a_tar_is_the_same_by_whatever_path_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tar(tmp_path / "in/t.tar", {"k.mp4": b"v"})
    monkeypatch.chdir(tmp_path / "in")
    named = [list(read_import(given, "webdataset", tmp_path / "m")) for given in (path, "t.tar", "../in/t.tar")]
    assert named[0] == named[1] == named[2]


@pytest.mark.parametrize("name", ["../../escape.mp4", "/abs/escape.mp4", "..//escape.mp4", "a/../../escape.mp4"])
def test_a_name_in_a_tar_is_never_a_path(name: str, tmp_path: Path) -> None:
    media = tmp_path / "deep/er/media"
    (record,) = read_import(tar(tmp_path / "t.tar", {name: b"v"}), "webdataset", media)
    assert Path(record.uri).parent.parent == media
    assert [path.name for path in tmp_path.rglob("*") if path.is_file() and media not in path.parents] == ["t.tar"]


def test_links_and_devices_in_a_tar_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "t.tar"
    with tarfile.open(path, "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE):
            about = tarfile.TarInfo("k.mp4")
            about.type, about.linkname = kind, "/etc/hostname"
            archive.addfile(about)
    assert list(read_import(path, "webdataset", tmp_path / "m")) == []


def test_what_is_unpacked_already_is_not_written_again(tmp_path: Path) -> None:
    path = tar(tmp_path / "t.tar", {"k.mp4": b"video"})
    (first,) = read_import(path, "webdataset", tmp_path / "m")
    before = Path(first.uri).stat()
    (again,) = read_import(path, "webdataset", tmp_path / "m")
    assert (again, Path(again.uri).stat().st_ino) == (first, before.st_ino)
    Path(first.uri).write_bytes(b"vid")  # half of it, as a kill of some other tool would leave it
    (mended,) = read_import(path, "webdataset", tmp_path / "m")
    assert Path(mended.uri).read_bytes() == b"video"


def test_a_tar_that_ends_early_or_holds_bad_text_is_told(tmp_path: Path) -> None:
    whole = tar(tmp_path / "t.tar", {"k.mp4": bytes(5000), "k.txt": b"words"})
    (tmp_path / "cut.tar").write_bytes(whole.read_bytes()[:3000])
    with pytest.raises(DatasetError, match=r"cut\.tar cannot be read"):
        list(read_import(tmp_path / "cut.tar", "webdataset", tmp_path / "m"))
    with pytest.raises(DatasetError, match=r"bad\.tar: k\.json"):
        list(read_import(tar(tmp_path / "bad.tar", {"k.json": b"{"}), "webdataset", tmp_path / "m"))
    with pytest.raises(ConfigError, match=r"there is no \.tar file below"):
        list(read_import(tmp_path / "m", "webdataset", tmp_path / "m"))
