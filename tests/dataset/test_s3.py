"""A dataset in an object store: a real client against a real server that speaks S3."""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Iterator

import pytest

from curation.select import Rules, select
from dataset import Root, ShardReader, column_docs, make_plan, open_root, query, verify
from dataset.plan import BucketRecipe
from dataset.shards import shard_row, write_shard
from media.errors import BackendError, DatasetError
from tests.dataset.build import RUN, TAGS, clip_row, tag_row, video_row

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    import boto3
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        host, port = server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        client = boto3.client("s3")
        client.create_bucket(Bucket="footage")
        client.close()
        yield "s3://footage"
        server.stop()


@pytest.fixture(scope="module")
def root(bucket: str) -> Root:
    root = open_root(f"{bucket}/some/where/D", create=True)
    root.write_run({"run_id": RUN, "command": "test", "started": "2026-11-01"})
    for video_id in ("aa", "bb"):
        rows = [clip_row(first, first + 10, video_id) for first in (0, 10, 20)]
        root.write_part("videos", [video_row(video_id)], key=video_id)
        root.write_part("clips", rows, key=video_id)
        root.write_part("experts/tags", [tag_row(row["clip_id"]) for row in rows], TAGS, key=video_id)
    clip = clip_row(10, 20)
    write_shard(root, "train", [shard_row(clip, bytes(9999), frames=10, fps=10, width_px=64, height_px=48, run_id=RUN)],
                key="aa")  # fmt: skip
    return root


def test_tables_are_written_and_read(root: Root) -> None:
    assert root.tables() == ["videos", "clips", "experts/tags", "shards/train"]
    assert root.count("clips") == 6
    assert root.ids("experts/tags") == root.ids("clips")
    assert [run["run_id"] for run in root.runs()] == [RUN]
    assert verify(root, media=False) == []


def test_a_part_is_replaced_by_its_key(root: Root) -> None:
    for first in (0, 50):
        root.write_part("captions", [{"clip_id": f"aa:{first}-99", "outcome": "ok", "run_id": RUN}], key="aa")
    assert root.ids("captions") == {"aa:50-99"}
    root.write_part("captions", [], key="aa")


def test_duckdb_queries_it_without_an_extension(root: Root) -> None:
    sql = "SELECT video_id, count(*) AS clips, any_value(license) AS license FROM wide WHERE tags[1] = 'dog' GROUP BY 1"
    assert query(root, f"{sql} ORDER BY 1").to_pylist() == [
        {"video_id": "aa", "clips": 3, "license": "CC0-1.0"},
        {"video_id": "bb", "clips": 3, "license": "CC0-1.0"},
    ]


def test_a_selection_is_made_and_seen(root: Root) -> None:
    funnel = select(root, Rules({"motion": "flow_mean_px_per_s >= 10"}), "moving", run_id=RUN)
    assert (funnel.total, funnel.kept) == (6, 4)
    assert query(root, "SELECT selection, rule, rejected FROM funnel").to_pylist() == [
        {"selection": "moving", "rule": "motion", "rejected": 2}
    ]


def test_shards_are_read_and_planned(root: Root) -> None:
    reader = pickle.loads(pickle.dumps(ShardReader(root, "train")))
    assert reader.row("aa:10-20", verify=True)["media"] == bytes(9999)
    recipe = BucketRecipe.model_validate(
        {"buckets": [{"frames": 8, "height_px": 32, "width_px": 32}], "tokens_per_batch": 512}
    )
    assert make_plan(reader.table_of(), recipe).batches[0].ids == ("aa:10-20",)


def test_columns_are_explained(root: Root) -> None:
    assert {"experts/tags", "wide"} <= {doc.table for doc in column_docs(root)}


def test_an_address_may_name_the_server_itself(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    address = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    there = open_root(f"s3://footage/some/where/D?scheme=http&endpoint_override={address}")
    assert there.tables() == root.tables()


def test_what_is_not_there_is_told(bucket: str) -> None:
    with pytest.raises(DatasetError, match=r"is not a dataset: it has no dataset\.json"):
        open_root(f"{bucket}/nothing/here")
    with pytest.raises(BackendError, match="does not answer as it should"):
        open_root("s3://no-such-bucket/D", create=True)


def test_what_was_written_a_moment_ago_is_not_noted_as_unique(bucket: str) -> None:
    """A store's times are whole seconds: a part could be written again, as large, within one of them."""
    from dataset.uniqueness import note_unique, unique_tables

    root = open_root(f"{bucket}/fresh", create=True)
    root.write_part("videos", [video_row("aa")], key="aa")
    assert note_unique(root) == {}
    assert unique_tables(root) == frozenset()
