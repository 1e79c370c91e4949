"""It cannot be broken by its food: every hostile file ends in a lawful row, and no reader has to be killed for it."""

from __future__ import annotations

import http.server
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import curation
import media
from curation import CurateConfig, Ingested
from curation.quarantine import quarantined_row
from dataset import schema_of
from media import Guard, MediaError
from tests import hostile, hostile_headers

assert hostile_headers, "its makers are in hostile.MAKERS too"

CONFIG = CurateConfig(detector="adaptive", min_clip_s=0.5, max_clip_s=2.0)
SOFT_LIMIT_S, LIMIT_S = 30.0, 60.0
MUTATIONS, FEW = 1000, 60
FLAT_MB = 96
"""How much more than after 200 files the child may hold after 1,000: a few large pictures in the allocator's pools."""


@pytest.fixture(scope="module")
def guard() -> Iterator[Guard]:
    with Guard(memory_mb=4096) as made:
        yield made


def ingest(guard: Guard, path: Path) -> Ingested:
    return guard.run(
        curation.ingest,
        str(path),
        CONFIG,
        run_id="r",
        wall_limit_s=SOFT_LIMIT_S,
        limit_s=LIMIT_S,
        rights={"license": "CC0-1.0"},
    )


def ending(got: Ingested) -> str:
    """Return "ok" or the reason, having held the rows to the tables' schemas."""
    pa.Table.from_pylist([got.video], schema=schema_of("videos")).validate(full=True)
    pa.Table.from_pylist(got.clips, schema=schema_of("clips")).validate(full=True)
    if got.video["status"] == "ok":
        assert got.video["reason"] is None
        assert all(0 <= clip["first_frame"] < clip["end_frame"] <= got.video["frames"] for clip in got.clips)
        return "ok"
    assert got.video["status"] == "quarantined"
    assert got.video["detail"]
    assert got.clips == []
    return str(got.video["reason"])


def resident_mb() -> float:
    """Return what this process holds: for the child to say."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


@pytest.mark.parametrize("name", hostile.MAKERS)
def test_every_hostile_file_ends_in_a_row(name: str, guard: Guard, tmp_path: Path) -> None:
    make, right = hostile.MAKERS[name]
    got = ingest(guard, make(tmp_path))
    assert ending(got) in right, got.video["detail"]


@pytest.mark.parametrize("kind", hostile.STILLS)
def test_stills_with_flipped_bytes_end_in_a_row(kind: str, guard: Guard, tmp_path: Path) -> None:
    whole = hostile.still(kind)
    for seed in range(6):
        path = hostile.written(tmp_path, "a", hostile.mutated(whole, seed))
        assert ending(ingest(guard, path)) in hostile.ANY


def feed(guard: Guard, folder: Path, numbers: range) -> Counter[str]:
    """Ingest these mutations and count how they end; one that has to be killed fails the test."""
    endings: Counter[str] = Counter()
    for number in numbers:
        path = hostile.mutation(folder, number)
        try:
            endings[ending(ingest(guard, path))] += 1
        except Exception as error:
            raise AssertionError(f"mutation {number} ({path.name})") from error
    return endings


@pytest.mark.parametrize("part", range(4))
def test_flipped_bytes_end_in_a_row(part: int, guard: Guard, tmp_path: Path) -> None:
    size = FEW // 4
    assert feed(guard, tmp_path, range(part * size, (part + 1) * size)).keys() <= hostile.ANY


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_thousand_mutations_end_in_rows_and_the_memory_stays_flat(tmp_path: Path) -> None:
    with Guard() as guard:
        endings = feed(guard, tmp_path, range(200))
        child, before_mb = guard.pid, guard.run(resident_mb)
        endings += feed(guard, tmp_path, range(200, MUTATIONS))
        after_mb = guard.run(resident_mb)
    counts = ", ".join(f"{count} {end}" for end, count in endings.most_common())
    print(f"\n{MUTATIONS} mutations: {counts}; {before_mb:.0f} MiB after 200, {after_mb:.0f} MiB at the end")
    assert endings.total() == MUTATIONS
    assert endings.keys() <= hostile.ANY
    assert len(endings) >= 4  # else the mutations reach nothing
    assert child is not None
    assert after_mb < before_mb + FLAT_MB


@pytest.mark.slow
def test_a_gigabyte_of_zeros(guard: Guard, tmp_path: Path) -> None:
    assert ending(ingest(guard, hostile.zeros(tmp_path, 1 << 30))) == "not_media"


class TestTheRowOfAReaderThatWasKilled:
    ERROR = MediaError("timeout", "killed: no end after 610 s")

    def row(self, uri: str, **how: Any) -> dict[str, Any]:
        row = quarantined_row(uri, self.ERROR, run_id="r", rights={"source": "us", "license": "CC0-1.0"}, **how)
        assert ending(Ingested(row)) == "timeout"
        assert (row["uri"], row["source"], row["license"], row["run_id"]) == (uri, "us", "CC0-1.0", "r")
        assert row["detail"] == self.ERROR.detail
        return row

    @pytest.mark.parametrize("guarded", [True, False])
    def test_it_is_called_by_its_content(self, guarded: bool, guard: Guard, tmp_path: Path) -> None:
        path = hostile.written(tmp_path, "a.mp4", hostile.base())
        row = self.row(str(path), guard=guard if guarded else None)
        assert row["video_id"] == media.content_id(path)
        assert (row["media"], row["size_bytes"]) == ("video", path.stat().st_size)

    def test_a_still_is_called_a_picture(self, tmp_path: Path) -> None:
        assert self.row(str(hostile.written(tmp_path, "a.mp4", hostile.still("PNG"))))["media"] == "image"

    def test_without_content_it_is_called_by_its_address(self, tmp_path: Path) -> None:
        path = tmp_path / "missing.mp4"
        row = self.row(str(path))
        assert row["video_id"] == curation.ingest(str(path), CONFIG, run_id="r").video["video_id"]

    def test_a_server_that_never_ends_is_not_waited_for(self, guard: Guard) -> None:
        with endless_server() as address:
            row = self.row(f"{address}/a.mp4", guard=guard, limit_s=1.0)
        assert row["size_bytes"] is None


class _Endless(http.server.BaseHTTPRequestHandler):
    """Sends a few bytes now and then, for ever."""

    stop: threading.Event

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while not self.stop.wait(0.05):
                self.wfile.write(b"0123456789")
        except OSError:
            pass

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def endless_server() -> Iterator[str]:
    """Serve on loopback; yields the address."""
    stop = threading.Event()
    handler = type("Endless", (_Endless,), {"stop": stop})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        stop.set()
        server.shutdown()
        thread.join()


def test_a_name_that_is_too_long_is_unreadable(tmp_path: Path) -> None:
    got = curation.ingest(str(tmp_path / ("a" * 300 + ".mp4")), run_id="r")
    assert (got.video["status"], got.video["reason"]) == ("quarantined", "unreadable")


def test_a_name_that_is_not_utf8_can_be_written_and_read(tmp_path: Path) -> None:
    from pipelines.sources import expand

    name = os.fsdecode(b"caf\xe9.mp4")
    (tmp_path / name).write_bytes(b"no video")
    (address,) = expand([str(tmp_path)])
    got = curation.ingest(address, run_id="r")
    assert got.video["uri"].encode().startswith(b"file://")
    assert got.video["reason"] == "not_media"
