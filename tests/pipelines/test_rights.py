"""Rights, from the config and the manifest to the rows; sources that were removed, or opted out, stay out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataset import open_root, query, verify
from dataset.schema import RIGHTS
from dataset.spdx import spdx
from media.errors import ConfigError
from pipelines.config import SourceConfig, validate
from pipelines.rights import Rights, rights_of
from tests import videos
from tests.pipelines.conftest import Run

ENGINE = ("--engine", "local", "--detector", "adaptive", "--experts", "none")


def manifest(path: Path, **columns: list[Any]) -> str:
    if path.suffix == ".csv":
        rows = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
        path.write_text("\n".join(rows) + "\n")
    elif path.suffix == ".jsonl":
        names = list(columns)
        path.write_text(
            "".join(
                json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in zip(*columns.values(), strict=True)
            )
        )
    else:
        pq.write_table(pa.table(columns), path)
    return str(path)


def source(**told: Any) -> SourceConfig:
    return validate(SourceConfig, {"uris": ["x"], **told}, "test")


# Licences


@pytest.mark.parametrize(
    ("said", "spelt"),
    [
        ("cc-by-4.0", "CC-BY-4.0"),
        ("MIT or apache-2.0", "MIT OR Apache-2.0"),
        ("LicenseRef-ours", "LicenseRef-ours"),
        ("free for all", None),
        ("CC BY", None),
    ],
)
def test_a_licence_is_spelt_as_spdx_does(said: str, spelt: str | None) -> None:
    assert spdx(said) == spelt
    assert rights_of(source(license=said))("any").license == (spelt or said)


# The manifest


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_a_manifest_speaks_of_files_before_the_config_does(tmp_path: Path, ending: str) -> None:
    path = manifest(
        tmp_path / f"rights{ending}",
        uri=["a.mp4", "https://host/b.mp4"],
        license=["cc-by-4.0", "CC0-1.0"],
        source_url=["https://host/a", "https://host/b"],
        rights_basis=["license", "permission"],
        retrieved_at=["2026-03-01T12:00:00+02:00", "2026-03-02"],
        extra=["1", "2"],
    )
    told = rights_of(source(source="us", license="MIT", rights=path))
    assert told("/somewhere/a.mp4") == Rights(
        "us", "CC-BY-4.0", "https://host/a", "license", datetime(2026, 3, 1, 10, tzinfo=UTC)
    )
    second = told("https://host/b.mp4")
    assert (second.license, second.retrieved_at) == ("CC0-1.0", datetime(2026, 3, 2, tzinfo=UTC))
    assert told("/somewhere/c.mp4") == Rights("us", "MIT")


def test_a_relative_path_is_beside_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    path = manifest(tmp_path / "rights.csv", uri=["films/a.mp4"], source=["them"])
    told = rights_of(source(rights=path))
    assert told(str(tmp_path / "films/a.mp4")).source == "them"
    assert told("/elsewhere/films/a.mp4").source is None


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"file": ["a"], "license": ["MIT"]}, "a manifest has a column uri"),
        ({"uri": ["a"], "licence": ["MIT"]}, "and some of source, license"),
        ({"uri": ["a"], "rights_basis": ["because"]}, "row 1: rights_basis is 'because', not license | permission"),
        ({"uri": ["a"], "opt_out": ["perhaps"]}, "column opt_out wants bool"),
        ({"uri": ["a"], "retrieved_at": ["last spring"]}, "'last spring' is no time in ISO 8601"),
        ({"uri": ["a", "a"], "license": ["MIT", "CC0-1.0"]}, "row 2 says other things of a than a row before it"),
        ({"uri": ["a", ""], "license": ["MIT", "MIT"]}, "row 2 has no uri"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_told_in_one_line(
    tmp_path: Path, columns: dict[str, list[str]], why: str
) -> None:
    path = manifest(tmp_path / "rights.csv", **columns)
    with pytest.raises(ConfigError) as error:
        rights_of(source(rights=path))
    assert why in str(error.value)
    assert str(error.value).startswith(path)


@pytest.mark.parametrize(
    ("name", "why"), [("rights.xlsx", "ends in .csv, .jsonl, .parquet"), ("no.csv", "cannot be read")]
)
def test_a_manifest_that_is_not_one_is_told(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        rights_of(source(rights=str(tmp_path / name)))


def test_a_basis_is_of_the_closed_set() -> None:
    with pytest.raises(ConfigError, match="rights_basis"):
        source(rights_basis="because")


def test_rights_are_the_columns_of_the_contract() -> None:
    assert list(Rights.__slots__) == [column.name for column in RIGHTS]


# In the rows


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    for number, name in enumerate(("a.mp4", "b.mp4")):
        videos.write_video(folder / name, videos.scene_frames(24, seed=number), fps=12)
    return folder


def run_config(rushes: Run, tmp_path: Path, films: Path, **told: Any) -> str:
    import yaml

    config = {
        "dataset": str(tmp_path / "d"),
        "sources": [{"uris": [str(films)], **told}],
        "experts": [],
        "curate": {"detector": "adaptive"},
        "captions": {"backend": "template"},
        "engine": {"kind": "local"},
        "rules": {"all": "true"},
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    code, _, err = rushes("run", path)
    assert code == 0, err
    return err


def test_rights_reach_the_videos_and_the_shards(rushes: Run, tmp_path: Path, films: Path) -> None:
    path = manifest(tmp_path / "r.csv", uri=["a.mp4"], source_url=["https://host/a"], license=["cc-by-4.0"])
    run_config(rushes, tmp_path, films, source="us", license="CC0-1.0", rights_basis="license", rights=path)
    root = open_root(tmp_path / "d")
    rows = query(root, "SELECT source, license, source_url, rights_basis, opt_out FROM videos ORDER BY uri").to_pylist()
    first = {"source": "us", "license": "CC-BY-4.0", "source_url": "https://host/a", "rights_basis": "license"}
    assert rows[0] == {**first, "opt_out": None}
    assert (rows[1]["license"], rows[1]["source_url"]) == ("CC0-1.0", None)
    assert query(
        root, "SELECT DISTINCT source, license, source_url, rights_basis FROM shards ORDER BY license"
    ).to_pylist() == [
        {**first, "license": "CC-BY-4.0"},
        {"source": "us", "license": "CC0-1.0", "source_url": None, "rights_basis": "license"},
    ]
    assert verify(root) == []


def test_a_source_whose_owner_opted_out_is_quarantined_unread(rushes: Run, tmp_path: Path, films: Path) -> None:
    (films / "b.mp4").write_bytes(b"not a film, which reading would tell")
    path = manifest(tmp_path / "r.csv", uri=["b.mp4"], opt_out=["true"])
    said = run_config(rushes, tmp_path, films, rights=path)
    assert "opted_out" in said
    root = open_root(tmp_path / "d")
    rows = query(root, "SELECT status, reason, opt_out, size_bytes FROM videos ORDER BY uri").to_pylist()
    assert rows[1] == {"status": "quarantined", "reason": "opted_out", "opt_out": True, "size_bytes": None}
    assert rows[0]["status"] == "ok"
    assert "opted_out" not in run_config(rushes, tmp_path, films, rights=path)  # it is not tried again


def test_rows_of_a_manifest_that_speak_of_no_file_are_told(rushes: Run, tmp_path: Path, films: Path) -> None:
    path = manifest(tmp_path / "r.csv", uri=["a.mp4", "bb.mp4"], opt_out=["false", "true"])
    assert f"warning: {path}: 1 rows speak of no file here, such as bb.mp4" in run_config(
        rushes, tmp_path, films, rights=path
    )


def test_an_opt_out_that_comes_late_is_told_with_what_to_do(rushes: Run, tmp_path: Path, films: Path) -> None:
    run_config(rushes, tmp_path, films)
    said = run_config(rushes, tmp_path, films, opt_out=True)
    assert "2 sources were opted out after they were taken in: `rushes remove --source" in said


# Removal


def test_addresses_may_lie_in_each_other(rushes: Run, tmp_path: Path, films: Path) -> None:
    curated(rushes, tmp_path, films)
    code, _, err = rushes("remove", tmp_path / "d", "--source", f"{films}/", "--source", films / "a.mp4")
    assert code == 0, err
    assert seen(tmp_path) == []
    code, _, err = rushes("remove", tmp_path / "d", "--source", f"{films}/", "--undo", "--dry-run")
    assert (code, "leave --dry-run out" in err) == (2, True)


def curated(rushes: Run, tmp_path: Path, films: Path) -> str:
    code, _, err = rushes("curate", films, "--out", tmp_path / "d", *ENGINE)
    assert code == 0, err
    return err


def seen(tmp_path: Path) -> list[str]:
    return [Path(row["uri"]).name for row in open_root(tmp_path / "d").read("videos", ["uri"]).to_pylist()]


def test_a_removed_source_does_not_come_back_with_the_next_run(rushes: Run, tmp_path: Path, films: Path) -> None:
    curated(rushes, tmp_path, films)
    code, out, err = rushes("remove", tmp_path / "d", "--source", films / "a.mp4", "--reason", "asked to")
    assert code == 0, err
    assert out.splitlines()[0] == f"{films / 'a.mp4'}: removed: 1 videos, 1 clips"
    assert "--undo brings it back" in out
    assert "1 sources were removed, and stay out" in curated(rushes, tmp_path, films)
    assert seen(tmp_path) == ["b.mp4"]
    code, out, err = rushes("compact", tmp_path / "d", "--json")
    assert code == 0, err
    assert json.loads(out)["rows"] == {"videos": 1, "clips": 1}
    curated(rushes, tmp_path, films)
    assert seen(tmp_path) == ["b.mp4"]
    assert verify(open_root(tmp_path / "d")) == []


def test_its_bytes_under_another_name_do_not_come_in_and_are_read_once(
    rushes: Run, tmp_path: Path, films: Path
) -> None:
    curated(rushes, tmp_path, films)
    rushes("remove", tmp_path / "d", "--source", films / "a.mp4")
    (films / "copy.mp4").write_bytes((films / "a.mp4").read_bytes())
    assert "copy.mp4 holds the same bytes as a source that was removed" in curated(rushes, tmp_path, films)
    assert seen(tmp_path) == ["b.mp4"]
    assert "2 sources were removed, and stay out" in curated(rushes, tmp_path, films)
    assert verify(open_root(tmp_path / "d"), media=False)[0].kind == "removed"


def test_it_can_be_kept_out_ahead_and_let_in_again(rushes: Run, tmp_path: Path, films: Path) -> None:
    curated(rushes, tmp_path, films)
    videos.write_video(films / "c.mp4", videos.scene_frames(24, seed=7), fps=12)
    code, out, _ = rushes("remove", tmp_path / "d", "--source", films / "c.mp4", "--ahead")
    assert (code, out.strip()) == (0, f"{films / 'c.mp4'}: removed: nothing is here yet")
    curated(rushes, tmp_path, films)
    assert sorted(seen(tmp_path)) == ["a.mp4", "b.mp4"]
    code, out, _ = rushes("remove", tmp_path / "d", "--source", films / "c.mp4", "--undo")
    assert code == 0
    curated(rushes, tmp_path, films)
    assert sorted(seen(tmp_path)) == ["a.mp4", "b.mp4", "c.mp4"]


def test_a_wrong_address_among_right_ones_removes_nothing(rushes: Run, tmp_path: Path, films: Path) -> None:
    curated(rushes, tmp_path, films)
    code, _, err = rushes("remove", tmp_path / "d", "--source", films / "a.mp4", "--source", films / "bb.mp4")
    assert code == 2
    assert f"did you mean {films / 'b.mp4'}" in err
    assert len(seen(tmp_path)) == 2


def test_removals_are_listed_and_dry_runs_write_nothing(rushes: Run, tmp_path: Path, films: Path) -> None:
    curated(rushes, tmp_path, films)
    code, out, _ = rushes("remove", tmp_path / "d", "--source", f"{films}/", "--dry-run", "--json")
    assert code == 0
    assert len(json.loads(out)[0]["videos"]) == 2
    assert len(seen(tmp_path)) == 2
    rushes("remove", tmp_path / "d", "--source", f"{films}/", "--reason", "asked to")
    code, out, _ = rushes("remove", tmp_path / "d", "--list", "--json")
    assert [(row["source"], row["reason"]) for row in json.loads(out)] == [(f"{films}/", "asked to")] * 2
    assert seen(tmp_path) == []


def test_a_source_must_be_named(rushes: Run, tmp_path: Path, films: Path) -> None:
    open_root(tmp_path / "d", create=True)
    code, _, err = rushes("remove", tmp_path / "d")
    assert (code, "--source is missing" in err) == (2, True)
    code, out, _ = rushes("compact", tmp_path / "d")
    assert (code, out.strip()) == (0, f"{tmp_path / 'd'}: nothing removed is stored")
