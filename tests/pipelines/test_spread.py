"""A long video is spread over the workers, and its rows are those of one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from curation import CurateConfig
from dataset import open_root
from dataset.root import SCRATCH, Root
from media import MediaError
from media.errors import BackendError
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


def test_a_scan_that_somebody_changed_is_not_run(tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in the dataset's storage between two stages is signed: pickles of others are not opened."""
    whole = curated(tmp_path / "whole", film, Counting(1))
    write = Root.write_bytes

    def changed(root: Root, name: str, data: Any) -> None:
        write(root, name, data[:-1] + b"!" if name.endswith("-0.frames") else data)

    monkeypatch.setattr(Root, "write_bytes", changed)
    videos, _, notes = curated(tmp_path / "spread", film, Counting(3))
    assert (videos[0]["status"], videos[0]["reason"]) == ("quarantined", "unreadable")
    assert "not what was written there" in notes[0]
    monkeypatch.undo()
    assert curated(tmp_path / "spread", film, Counting(3))[1] == whole[1]


def test_fewer_clips_than_before_leave_none_behind(tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt by other settings wrote more parts and was killed before the row of `videos`."""
    monkeypatch.setattr(ingesting, "CLIPS_IN_PART", 2)
    how = {"root": str(tmp_path), "wall_limit_s": 60.0, "run_id": "r"}
    root = open_root(str(tmp_path), create=True)
    for least_s, count in ((0.4, 9), (2.0, 3)):
        config = CurateConfig(min_clip_s=least_s, max_clip_s=2 * least_s)
        spec = StageSpec(ingesting.Ingest, root.uri, {**how, "curate": config})
        list(LocalEngine().run(spec, [[{"uri": str(film)}]]))
        assert root.count("clips") == count
    film_gone = {"uri": str(tmp_path / "bad.mp4")}
    Path(film_gone["uri"]).write_bytes(film.read_bytes()[:-900])
    list(LocalEngine().run(StageSpec(ingesting.Ingest, root.uri, {**how, "curate": CurateConfig()}), [[film_gone]]))
    assert root.count("clips") == 3


def test_scratch_of_a_run_that_failed_is_cleared_away(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise BackendError("the test says so")

    monkeypatch.setattr(ingesting.Ingest, "__call__", broken)
    with pytest.raises(BackendError):
        curated(tmp_path / "d", film, Counting(3))
    assert open_root(str(tmp_path / "d")).leftovers() == []
