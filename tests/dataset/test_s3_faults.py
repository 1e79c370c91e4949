"""A store that answers badly for a while costs time; one that goes on so costs one clear error, and never a row."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator

import pytest

from curation.select import Rules, select
from dataset import Root, ShardReader, compact, open_root, query, remove, verify
from dataset.shards import shard_row, write_shard
from media.errors import BackendError
from tests.dataset.build import RUN, TAGS, clip_row, tag_row, video_row
from tests.dataset.test_s3 import ENVIRONMENT
from tests.faults import Faults, Kind, proxy

MEDIA = bytes(range(256)) * 400


@pytest.fixture(scope="module")
def store() -> Iterator[tuple[str, int]]:
    import boto3
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        host, port = server.get_host_and_port()
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
        client.create_bucket(Bucket="footage")
        client.close()
        yield host, port
        server.stop()


def address(where: str, name: str) -> str:
    return f"s3://footage/{name}?scheme=http&endpoint_override={where}"


def fill(root: Root) -> None:
    root.write_run({"run_id": RUN, "command": "test", "started": "2026-11-01"})
    for video in ("aa", "bb"):
        rows = [clip_row(first, first + 10, video) for first in (0, 10, 20)]
        root.write_part("clips", rows, key=video)
        root.write_part("videos", [video_row(video)], key=video)
        root.write_part("experts/tags", [tag_row(row["clip_id"]) for row in rows], TAGS, key=video)
        shard = [shard_row(row, MEDIA, frames=10, fps=10, width_px=64, height_px=48, run_id=RUN) for row in rows]
        write_shard(root, "train", shard, key=video)


def check(root: Root) -> None:
    """Read it in every way there is."""
    assert query(root, "SELECT count(*) AS n, sum(len(tags)) AS tags FROM wide").to_pylist() == [{"n": 6, "tags": 6}]
    assert root.ids("clips") == {f"{v}:{i}-{i + 10}" for v in ("aa", "bb") for i in (0, 10, 20)}
    reader = ShardReader(root, "train")
    for clip_id in reader.ids:
        assert reader.row(clip_id, verify=True)["media"] == MEDIA
    assert len(list(reader.iter_rows(["clip_id"]))) == 6


FAULTS: dict[str, dict[Kind, float]] = {
    "500s": {"500": 0.15},
    "503s": {"503": 0.15},
    "slow reads": {"slow": 0.5},
    "dropped connections": {"drop": 0.1},
    "refused connections": {"refuse": 0.1},
    "all of it": {"500": 0.05, "503": 0.05, "slow": 0.1, "drop": 0.05, "refuse": 0.05},
}


def test_reads_that_the_client_gives_up_are_tried_again(store: tuple[str, int]) -> None:
    faults = Faults(methods=("GET",), seed=1)
    with proxy(store, faults) as where:
        root = open_root(address(where, "reads"), create=True)
        fill(root)
        faults.chances = {"500": 0.2}
        check(root)
    assert faults.met["500"] >= 5


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", FAULTS)
def test_what_passes_is_outlived(store: tuple[str, int], name: str) -> None:
    faults = Faults(FAULTS[name], seed=3)
    with proxy(store, faults) as where:
        root = open_root(address(where, name.replace(" ", "-")), create=True)
        fill(root)
        check(root)
        select(root, Rules({"late": "first_frame >= 10"}), run_id=RUN)
        root.write_part("clips", [clip_row(0, 9, "cc")], key="cc")
        assert query(root, "SELECT count(*) FILTER (kept) AS n FROM wide").to_pylist() == [{"n": 4}]
        remove(root, "/footage/aa.mp4", run_id=RUN)
        compact(root)
        assert query(root, "SELECT count(*) AS n FROM shards").to_pylist() == [{"n": 3}]
        problems = verify(root, media=False)
    assert {problem.kind for problem in problems} <= {"orphan"}
    assert sum(faults.met[kind] for kind in FAULTS[name]) >= 5, faults.met


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["500", "503", "drop", "refuse"])
def test_what_does_not_pass_is_one_clear_error_in_bounded_time(store: tuple[str, int], kind: Kind) -> None:
    faults = Faults()
    with proxy(store, faults) as where:
        root = open_root(address(where, f"lasting-{kind}"), create=True)
        fill(root)
        faults.chances = {kind: 1.0}
        for ask in (lambda: root.read("clips"), lambda: root.write_part("clips", [clip_row(0, 9, "cc")], key="cc")):
            started = time.perf_counter()
            with pytest.raises(BackendError, match="the store does not answer as it should") as error:
                ask()
            assert "\n" not in str(error.value)
            assert time.perf_counter() - started < 60
        faults.chances = {}
        check(root)


@pytest.mark.slow
def test_a_store_that_is_not_there_is_told(store: tuple[str, int]) -> None:
    with pytest.raises(BackendError, match="does not answer as it should"):
        open_root(address("127.0.0.1:9", "gone"))


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_an_upload_that_breaks_leaves_the_part_as_it_was(store: tuple[str, int]) -> None:
    """A part of several uploads, broken in the middle: what a reader sees is the old part, whole."""
    faults = Faults()
    large = [clip_row(i, i + 1, "aa", keyframes=[{"frame": i, "time_s": 0.0, "jpeg": os.urandom(600_000), "phash": 1}])
             for i in range(40)]  # fmt: skip
    with proxy(store, faults) as where:
        root = open_root(address(where, "uploads"), create=True)
        root.write_part("clips", [clip_row()], key="aa")
        before = root.read_bytes(f"clips/{root.parts('clips')[0]}")
        faults.chances, faults.methods = {"500": 1.0}, ("PUT",)
        with pytest.raises(BackendError):
            root.write_part("clips", large, key="aa")
        faults.chances = {}
        assert root.read_bytes(f"clips/{root.parts('clips')[0]}") == before
        root.write_part("clips", large, key="aa")
        assert root.count("clips") == 40
