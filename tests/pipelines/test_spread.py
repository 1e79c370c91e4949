"""A long video is spread over the workers, and its rows are those of one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dataset import open_root
from dataset.root import SCRATCH
from media import MediaError
from pipelines import ingesting
from pipelines.config import RunConfig
from pipelines.engine import Item, LocalEngine, RayEngine, Report, StageSpec
from pipelines.progress import Reporter
from pipelines.steps import Work, ingest
from tests.curation.pictures import moving
from tests.videos import write_video

GROUPS = {"preset": "ultrafast", "x264-params": "keyint=25:bframes=3:b-adapt=0"}


class Counting(LocalEngine):
    """One process that says it is several, and counts the stages it ran."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.ran: list[tuple[str, int]] = []

    def run(self, spec: StageSpec, batches: Sequence[Sequence[Item]]) -> Iterator[Report]:
        self.ran.append((spec.factory.__name__, sum(map(len, batches))))  # type: ignore[attr-defined]
        return super().run(spec, batches)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shots = [f for seed, motion in enumerate(("pan_left", "zoom_in", "tilt_up")) for f in moving(seed, 60, motion)]
    return write_video(tmp_path_factory.mktemp("film") / "film.mp4", shots, options=GROUPS)


def curated(folder: Path, film: Path, engine: Any, span_s: float = 2.0) -> tuple[list[Any], list[Any], list[str]]:
    config = RunConfig.model_validate(
        {"dataset": str(folder), "sources": [{"uris": [str(film)]}], "engine": {"span_s": span_s}}
    )
    root = open_root(str(folder), create=True)
    work = Work(root, engine, Reporter(), "r")
    ingest(work, config)
    assert root.size(f"{SCRATCH}/r") is None
    assert not (folder / SCRATCH / "r").exists()
    clips = sorted(root.read("clips").to_pylist(), key=lambda row: row["clip_id"])
    return root.read("videos").to_pylist(), clips, work.notes


def test_spans_and_one_pass_write_the_same_rows(tmp_path: Path, film: Path) -> None:
    spread, whole = Counting(3), Counting(1)
    rows = curated(tmp_path / "spread", film, spread)
    assert rows == curated(tmp_path / "whole", film, whole)
    assert len(rows[1]) == 3
    assert spread.ran == [("Scan", 3), ("Ingest", 1)]
    assert whole.ran == [("Ingest", 1)]


def test_a_short_video_is_not_spread(tmp_path: Path, film: Path) -> None:
    engine = Counting(3)
    curated(tmp_path, film, engine, span_s=100)
    assert engine.ran == [("Ingest", 1)]


def test_a_bad_file_is_told_in_its_row(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video" * 100)
    videos, clips, _ = curated(tmp_path / "d", tmp_path / "bad.mp4", Counting(3))
    assert (videos[0]["status"], videos[0]["reason"]) == ("quarantined", "not_media")
    assert clips == []


def test_where_a_span_fails_the_video_is_read_as_a_whole(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = curated(tmp_path / "whole", film, Counting(1))
    monkeypatch.setattr(ingesting, "scan_span", _fails_once)
    videos, clips, notes = curated(tmp_path / "spread", film, Counting(3))
    assert (videos, clips) == whole[:2]
    assert len(notes) == 1
    assert "read as a whole" in notes[0]


def _fails_once(path: Path, first: int, end: int, config: Any) -> bytes:
    if first == 0:
        raise MediaError("undecodable", "the test says so")
    return ingesting.scan_span(path, first, end, config)  # in the child, where nothing is patched


@pytest.mark.cluster
@pytest.mark.xdist_group("cluster")
def test_on_ray_too(tmp_path: Path, film: Path) -> None:
    engine = RayEngine(2)
    try:
        spread = curated(tmp_path / "ray", film, engine)
    finally:
        engine.close()
    assert spread == curated(tmp_path / "whole", film, Counting(1))


def test_only_scratch_can_be_removed(tmp_path: Path) -> None:
    root = open_root(str(tmp_path / "d"), create=True)
    with pytest.raises(ValueError, match="scratch"):
        root.remove("clips")
    root.write_bytes(f"{SCRATCH}/a/b", b"x")
    root.remove(f"{SCRATCH}/a")
    root.remove(f"{SCRATCH}/a")
    assert root.read_bytes(f"{SCRATCH}/a/b") is None
