"""Exports: one contract for every format, and what is particular to each."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset import Root, ShardReader
from dataset.exporting import FORMATS, Sample, clip_id_of, export, format_of, key_of
from dataset.exporting.mds import MdsWriter
from dataset.exporting.pairs import RUNGS, rung, toml_string
from dataset.exporting.samples import shown_address
from dataset.exporting.webdataset import WebDatasetWriter
from dataset.shards import shard_frames, shard_row, write_shard
from media import decode_bytes, encode
from media.errors import ConfigError, CorruptionError, DatasetError, UserError
from tests.dataset.build import RUN, caption_row, clip_row, new_root, video_row
from tests.dataset.exports import READERS

ODD = ["aa:0-10", "aa:10-20@zoom_in", "Aa:0-10", "b/../b.x:0-10", "ü 猫:0-10", "-rf", "aa_3a0-10"]
CAPTION = "Ein Hund läuft; 一只猫在跑, «vite» 🐈\nand a second line"
SKIPPED = {"cut by reference: no media in the row": 1, "no dense caption": 2}


def frames(count: int, width: int = 64, height: int = 48, seed: int = 0) -> np.ndarray:
    """Return u8[count, height, width, 3]: a bright bar that moves over a ramp of its own."""
    made = (
        np.zeros((count, height, width, 3), np.uint8) + np.linspace(0, 90, width, dtype=np.uint8)[None, None, :, None]
    )
    for number in range(count):
        made[number, :, (4 * number + 8 * seed) % width :][:, :6] = 60 + 20 * (seed % 8)
    return made


def row(clip_id: str, count: int = 10, caption: dict[str, Any] | None = None, **how: Any) -> dict[str, Any]:
    """Return a shard row with real media; `how` goes to `shard_row`."""
    width, height = how.pop("size", (64, 48))
    how.setdefault("video", video_row(clip_id.partition(":")[0], license="CC0-1.0", source="a package"))
    media = how.pop("media", encode(frames(count, width, height, len(clip_id)), fps=8).data)
    said = caption_row(clip_id, dense=f"{CAPTION} {clip_id}", medium="a dog") if caption is None else caption
    return shard_row(
        clip_row(0, count, clip_id=clip_id), media, frames=how.pop("frames", count), fps=8.0, width_px=width,
        height_px=height, run_id=RUN, caption=said, **how,
    )  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    """Odd ids, two sizes, three lengths, licences that differ; and three rows that cannot be exported."""
    rows = [row(clip_id) for clip_id in ODD]
    rows.append(row("wide:0-20", 20, size=(96, 48), video=video_row("wide", license=None, source=None)))
    rows.append(row("still:0-1", 1, video=video_row("still", license="CC-BY-4.0")))
    rows.append(row("ref:0-10", media=None, cut="reference"))
    rows.append(row("silent:0-10", caption=caption_row("silent:0-10", outcome="error")))
    rows.append(row("blank:0-10", caption=caption_row("blank:0-10", dense=" \n")))
    made = new_root(tmp_path_factory.mktemp("exports"))
    write_shard(made, "train", rows[::2], key="a")
    write_shard(made, "train", rows[1::2], key="b")
    return made


@pytest.fixture(params=sorted(FORMATS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# The contract of every format


def test_what_is_read_back_is_what_the_shards_hold(root: Root, name: str, tmp_path: Path) -> None:
    report = export(root, "train", tmp_path / "out", name)
    found = list(READERS[name](tmp_path / "out"))
    reader = ShardReader(root, "train")
    wanted = [i for i in reader.ids if i.partition(":")[0] not in {"ref", "silent", "blank"}]
    assert report.rows == len(found) == len(wanted) == 9
    assert [read.record["clip_id"] for read in found] == wanted
    for read in found:
        original = reader.row(read.record["clip_id"])
        assert read.caption == read.record["caption"] == original["dense"]
        assert (decode_bytes(read.media) == shard_frames(original)).all()
        assert read.record["license"] == original["license"]
        assert read.record["source"] == original["source"]
        assert read.record["frames"] == len(decode_bytes(read.media))


def test_files_are_named_by_reversible_keys(root: Root, name: str, tmp_path: Path) -> None:
    export(root, "train", tmp_path / "out", name)
    for read in READERS[name](tmp_path / "out"):
        assert read.record["clip_id"] in {read.name if name == "mds" else clip_id_of(read.name)}
    inside = [path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*")]
    assert all(re.fullmatch(r"[\w.-]+", part) for path in inside for part in path.parts)


def test_what_is_left_out_is_counted_by_reason(root: Root, name: str, tmp_path: Path) -> None:
    assert export(root, "train", tmp_path / "out", name).skipped == SKIPPED


def test_the_report_counts_files_and_bytes(root: Root, name: str, tmp_path: Path) -> None:
    report = export(root, "train", tmp_path / "out", name)
    written = contents(tmp_path / "out")
    assert (report.files, report.bytes) == (len(written), sum(map(len, written.values())))


def test_the_same_shards_give_the_same_bytes(root: Root, name: str, tmp_path: Path) -> None:
    export(root, "train", tmp_path / "out", name)
    (tmp_path / "out").rename(tmp_path / "before")
    export(root, "train", tmp_path / "out", name)
    assert contents(tmp_path / "out") == contents(tmp_path / "before")


def test_an_exception_in_the_middle_leaves_nothing(
    root: Root, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, total: int) -> None:
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(root, "train", tmp_path / "out", name, progress=stop)
    assert not list(tmp_path.iterdir())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FORMATS[name].open, "finish", full)
    with pytest.raises(UserError, match="No space left on device"):
        export(root, "train", tmp_path / "out", name)
    assert not list(tmp_path.iterdir())


def test_an_out_that_is_there_is_refused_and_kept(root: Root, name: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="is there already"):
        export(root, "train", tmp_path / "out", name)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not list((tmp_path / "out").iterdir())


def test_licences_are_summed_up(root: Root, name: str, tmp_path: Path) -> None:
    export(root, "train", tmp_path / "out", name)
    summary = json.loads((tmp_path / "out/LICENSES.json").read_text())
    assert summary["licenses"] == ["CC-BY-4.0", "CC0-1.0"]
    assert (summary["clips"], summary["clips_without_license"]) == (9, 1)
    assert [(s["license"], s["source"], s["clips"]) for s in summary["by_source"]] == [
        ("CC-BY-4.0", "a package", 1),
        ("CC0-1.0", "a package", 7),
        (None, None, 1),
    ]


def test_another_caption_is_written_when_asked_for(root: Root, name: str, tmp_path: Path) -> None:
    export(root, "train", tmp_path / "out", name, caption="short")
    read = list(READERS[name](tmp_path / "out"))
    assert len(read) == 10  # blank only lacks its dense caption
    assert {r.caption for r in read} == {"a dog runs"}


def test_shards_without_a_row_to_export_are_a_clear_error(root: Root, name: str, tmp_path: Path) -> None:
    root.write_part("shards/empty", [], key="a")
    write_shard(root, "references", [row("ref:0-10", media=None, cut="reference")], key="a")
    for shards, why in (
        ("empty", "shards/empty has no row to export: the shards are empty"),
        ("references", "no row to export: cut by reference: no media in the row: 1"),
        ("nowhere", "no shards named 'nowhere'"),
    ):
        with pytest.raises(DatasetError, match=why):
            export(root, shards, tmp_path / "out", name)
    assert not list(tmp_path.iterdir())


SECRETS = {
    "/home/alice/rushes/holiday.mp4": "holiday.mp4",
    "file:///home/alice/a%20b.mp4": "a b.mp4",
    "s3://AKIAKEY:hush@bucket/deep/a.mp4": "s3://bucket/deep/a.mp4",
    "s3://AKIAKEY:hu/sh@bucket/a.mp4": "s3://bucket/a.mp4",
    "https://alice:hush@h.example:8443/v/a.mp4?X-Amz-Signature=hush&t=1#hush": "https://h.example:8443/v/a.mp4",
    "https://h.example/a.mp4?token=hush": "https://h.example/a.mp4",
}


def test_no_userinfo_query_or_home_folder_leaves(name: str, tmp_path: Path) -> None:
    made = new_root(tmp_path)
    rows = [row(f"v{n}:0-10") | {"uri": uri} for n, uri in enumerate(SECRETS)]
    write_shard(made, "train", rows, key="a")
    export(made, "train", tmp_path / "out", name)
    found = {read.record["clip_id"]: read.record["uri"] for read in READERS[name](tmp_path / "out")}
    assert found == {f"v{n}:0-10": shown for n, shown in enumerate(SECRETS.values())}
    for path, data in contents(tmp_path / "out").items():
        assert not [word for word in (b"hush", b"alice", b"AKIAKEY") if word in data], path


@given(st.text("ab/:@?#%", max_size=20), st.sampled_from(["", "/", "s3://", "https://h.example/", "file:///"]))
def test_an_address_that_may_be_shown_has_no_query_or_userinfo_whatever_it_was(text: str, start: str) -> None:
    shown = shown_address(start + text)
    if "://" in shown:
        scheme, _, rest = shown.partition("://")
        assert scheme
        assert not set("?#") & set(rest)
        assert "@" not in rest.partition("/")[0]
    else:
        assert "/" not in shown


def test_every_format_has_a_reader_here() -> None:
    assert set(READERS) == set(FORMATS)


# Rows


def test_a_copied_cut_is_written_without_the_frames_around_it(tmp_path: Path) -> None:
    made, media = new_root(tmp_path), encode(frames(12), fps=8).data
    around = row("around:0-6", media=media, frames=6, cut="copy", in_frame=3)
    whole = row("whole:0-12", 12, media=media, cut="copy")
    write_shard(made, "train", [around, whole], key="a")
    export(made, "train", tmp_path / "out", "video_folder")
    read = {r.record["clip_id"]: r for r in READERS["video_folder"](tmp_path / "out")}
    assert read["whole:0-12"].media == media
    shown, wanted = decode_bytes(read["around:0-6"].media), shard_frames(around)
    assert shown.shape == wanted.shape == (6, 48, 64, 3)
    assert np.abs(shown.astype(int) - wanted).mean() < 3


def test_an_id_that_occurs_twice_is_written_once(tmp_path: Path) -> None:
    made = new_root(tmp_path)
    for key in "ab":
        write_shard(made, "train", [row("aa:0-10")], key=key)
    report = export(made, "train", tmp_path / "out", "webdataset")
    assert (report.rows, report.skipped) == (1, {"the clip's id occurs twice": 1})


def test_damaged_media_end_the_export(tmp_path: Path) -> None:
    made = new_root(tmp_path)
    made.write_part("shards/train", [row("aa:0-10") | {"media_hash": "0" * 32}], key="a")
    with pytest.raises(CorruptionError, match="aa:0-10 does not have its checksum"):
        export(made, "train", tmp_path / "out", "mds")
    assert not (tmp_path / "out").exists()


def test_progress_is_told_of_every_row(root: Root, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    export(root, "train", tmp_path / "out", "mds", progress=lambda done, total: told.append((done, total)))
    assert told == [(n, 12) for n in range(1, 13)]


def test_an_export_is_a_local_folder(root: Root) -> None:
    with pytest.raises(UserError, match="local folder"):
        export(root, "train", "s3://bucket/out", "mds")


def test_an_unknown_caption_is_refused(root: Root, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there are dense, medium, short"):
        export(root, "train", tmp_path / "out", "mds", caption="long")


# Names


@given(st.text(min_size=1, max_size=12))
def test_a_key_is_safe_and_turns_back(clip_id: str) -> None:
    key = key_of(clip_id)
    assert re.fullmatch(r"[a-z0-9_][a-z0-9_-]*", key)
    assert clip_id_of(key) == clip_id


def test_keys_differ_without_regard_to_case() -> None:
    assert len({key_of(clip_id).lower() for clip_id in ODD}) == len(ODD)


@pytest.mark.parametrize("clip_id", ["", "x" * 201, "猫" * 30])
def test_an_id_that_fits_no_file_name_is_refused(clip_id: str) -> None:
    with pytest.raises(DatasetError, match="its file name would have"):
        key_of(clip_id)


@pytest.mark.parametrize("key", ["", "a.b", "A", "a_zz", "a_3"])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="is not the key of a clip"):
        clip_id_of(key)


@pytest.mark.parametrize("asked", ["diffusion_pipe", "diffusion-pipe", "Diffusion-Pipe", " diffusionpipe "])
def test_a_format_is_found_however_it_is_spelt(asked: str) -> None:
    assert format_of(asked).name == "diffusion_pipe"


def test_an_unknown_format_is_told_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'webdataset'"):
        format_of("webdatset")
    with pytest.raises(ConfigError, match="did you mean 'musubi_tuner'"):
        format_of("Musubi")
    with pytest.raises(ConfigError, match="there are webdataset, video_folder"):
        format_of("zip")


# Particular to one format


def sample(number: int, size: int = 3000) -> Sample:
    record = dict.fromkeys(("license", "source"), None) | {"clip_id": f"aa:{number}-9", "caption": "a dog"}
    record |= {"fps": 8.0, "frames": 9, "width_px": 64, "height_px": 48}
    return Sample(f"key{number}", bytes([number]) * size, "a dog", record)


@pytest.mark.parametrize(("writer", "suffix"), [(WebDatasetWriter, "tar"), (MdsWriter, "mds")])
def test_a_new_shard_begins_before_the_limit_is_passed(writer: type, suffix: str, tmp_path: Path) -> None:
    made = writer(tmp_path, tmp_path, 15_000)
    for number in range(8):
        made.add(sample(number))
    made.add(sample(8, 40_000))
    made.finish()
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob(f"*.{suffix}"))]
    assert len(sizes) > 2
    assert all(size <= 15_000 for size in sizes[:-1])
    assert sizes[-1] > 40_000  # a sample larger than the limit has a shard of its own
    read = list(READERS["webdataset" if suffix == "tar" else "mds"](tmp_path))
    assert [r.record["clip_id"] for r in read] == [f"aa:{n}-9" for n in range(9)]


def test_musubi_tuner_gives_each_length_a_folder(root: Root, tmp_path: Path) -> None:
    export(root, "train", tmp_path / "out", "musubi_tuner")
    config = tomllib.loads((tmp_path / "out/dataset.toml").read_text())
    assert config["general"]["resolution"] == [64, 48]
    entries = {entry["target_frames"][0]: Path(entry["video_directory"]) for entry in config["datasets"]}
    assert {frames: len(list(place.glob("*.mp4"))) for frames, place in entries.items()} == {1: 1, 9: 7, 17: 1}
    assert len({entry["cache_directory"] for entry in config["datasets"]}) == 3


def test_diffusion_pipe_has_a_bucket_that_each_clip_fills(tmp_path: Path) -> None:
    made = new_root(tmp_path)
    write_shard(made, "train", [row("aa:0-10"), row("aa:0-40", 40)], key="a")
    export(made, "train", tmp_path / "out", "diffusion_pipe")
    config = tomllib.loads((tmp_path / "out/dataset.toml").read_text())
    assert config["resolutions"] == [[64, 32]]
    assert config["frame_buckets"] == [1, 17, 25, 33, 49, 65, 81, 97]  # 10 frames at 8 fps are 20 at 16


def test_finetrainers_has_a_bucket_for_each_length_and_size(root: Root, tmp_path: Path) -> None:
    export(root, "train", tmp_path / "out", "finetrainers")
    (config,) = json.loads((tmp_path / "out/training.json").read_text())["datasets"]
    assert config["video_resolution_buckets"] == [[1, 32, 64], [9, 32, 64], [17, 32, 96]]
    names = {path.name for path in (tmp_path / "out").rglob("*")}
    assert not [n for n in names if n.endswith((".tar", ".parquet")) or n.startswith("metadata.")]


def test_a_config_names_the_final_folder_whatever_it_is_called(tmp_path: Path) -> None:
    made = new_root(tmp_path)
    write_shard(made, "train", [row("aa:0-10")], key="a")
    for name in ("finetrainers", "diffusion_pipe", "musubi_tuner"):
        out = tmp_path / f'oút "{name}" \\ 猫'
        export(made, "train", out, name)
        assert len(list(READERS[name](out))) == 1


@given(st.text())
def test_a_string_survives_toml(text: str) -> None:
    if not any("\ud800" <= c <= "\udfff" for c in text):
        assert tomllib.loads(f"a = {toml_string(text)}") == {"a": text}


def test_rungs_are_what_video_vaes_take() -> None:
    assert all(length % 4 == 1 for length in RUNGS)
    assert [rung(n) for n in (0, 1, 4, 5, 80, 81, 5000)] == [1, 1, 1, 5, 65, 81, 129]


# The projects' own loaders, where they are installed; docs/exchange.md tells which versions have read what


@pytest.fixture
def exported(root: Root, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    export(root, "train", tmp_path / "out", request.param)
    return tmp_path / "out"


def same(root: Root, found: dict[str, tuple[str, bytes]]) -> bool:
    """Whether `found`, caption and media by clip id, is what the shards hold."""
    reader = ShardReader(root, "train")
    rows = {clip_id: reader.row(clip_id) for clip_id in found}
    return len(found) == 9 and all(found[i] == (rows[i]["dense"], rows[i]["media"]) for i in found)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exported", ["webdataset"], indirect=True)
def test_webdataset_reads_it(root: Root, exported: Path) -> None:
    loader = pytest.importorskip("webdataset", reason="webdataset is not installed")
    samples = loader.WebDataset([str(path) for path in sorted(exported.glob("*.tar"))], shardshuffle=False).decode()
    assert same(root, {s["json"]["clip_id"]: (s["txt"], s["mp4"]) for s in samples})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exported", ["video_folder"], indirect=True)
def test_datasets_reads_it(root: Root, exported: Path, tmp_path: Path) -> None:
    loader = pytest.importorskip("datasets", reason="datasets is not installed")
    rows = loader.load_dataset("videofolder", data_dir=str(exported), split="train", cache_dir=str(tmp_path / "cache"))
    rows = rows.cast_column("video", loader.Video(decode=False))
    found = {r["clip_id"]: (r["caption"], r["video"]["bytes"] or Path(r["video"]["path"]).read_bytes()) for r in rows}
    assert same(root, found)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exported", ["mds"], indirect=True)
def test_streaming_reads_it(root: Root, exported: Path) -> None:
    loader = pytest.importorskip("streaming", reason="mosaicml-streaming is not installed")
    rows = loader.LocalDataset(str(exported))
    assert same(root, {rows[i]["clip_id"]: (rows[i]["caption"], rows[i]["video"]) for i in range(len(rows))})
