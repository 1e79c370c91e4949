"""Which files a source means."""

from __future__ import annotations

import http.server
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataset.root import MARKER
from media import local_copy
from media.errors import BackendError, ConfigError
from pipelines.sources import expand

FILES = ("b.mp4", "a.mp4", "deep/c.png", "deep/down/d.mp4", ".hidden/e.mp4", "deep/.f.mp4",
         f"made/{MARKER}", "made/clips/part-1.parquet")  # fmt: skip
SHOWN = ["a.mp4", "b.mp4", "deep/c.png", "deep/down/d.mp4"]
PATTERNS = {
    "*.mp4": ["a.mp4", "b.mp4"],
    "[a]*": ["a.mp4"],
    "d*": ["deep/c.png", "deep/down/d.mp4"],
    "d*/*.png": ["deep/c.png"],
    "**/*.mp4": ["a.mp4", "b.mp4", "deep/down/d.mp4"],
    "**/down/*": ["deep/down/d.mp4"],
    "**": SHOWN,
    "deep/**/d.mp4": ["deep/down/d.mp4"],
}
ODD = ["a b.mp4", "50%.mp4", "a#b+c=d.mp4", "was?.mp4", "größe.mp4"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.fixture(scope="module")
def store() -> Iterator[tuple[str, str]]:
    """The address of a bucket on a real server that speaks S3, and the query string that names the server."""
    import boto3
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        host, port = server.get_host_and_port()
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
        client.create_bucket(Bucket="raw")
        for name in FILES:
            client.put_object(Bucket="raw", Key=f"tree/{name}", Body=b"x")
        for name in ODD:
            client.put_object(Bucket="raw", Key=f"odd/{name}", Body=name.encode())
        client.put_object(Bucket="raw", Key="empty/", Body=b"")
        client.close()
        yield "s3://raw", f"?scheme=http&endpoint_override={host}:{port}"
        server.stop()


def below(tree: Path, files: list[str]) -> list[str]:
    return [str(Path(file).relative_to(tree.resolve())) for file in files]


def test_a_folder_is_every_file_below_it_but_hidden_ones_and_datasets(tree: Path) -> None:
    assert below(tree, expand([str(tree)])) == SHOWN


def test_repeats_count_once_and_paths_are_absolute(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert expand(["a.mp4", "a.mp4", str(tree / "a.mp4"), (tree / "a.mp4").as_uri()]) == [str(tree / "a.mp4")]
    assert below(tree, expand(["[ab].mp4"])) == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_is_expanded(tree: Path, pattern: str) -> None:
    assert below(tree, expand([str(tree / pattern)])) == PATTERNS[pattern]


def test_a_name_that_looks_like_a_pattern_is_a_name(tree: Path) -> None:
    (tree / "[ab].mp4").write_bytes(b"x")
    assert below(tree, expand([str(tree / "[ab].mp4")])) == ["[ab].mp4"]


@pytest.mark.parametrize("uri", ["https://example.com/a.mp4", "https://example.com/b/", "http://example.com/a*b?c=*"])
def test_a_web_address_passes_through(uri: str) -> None:
    assert expand([uri]) == [uri]


@pytest.mark.parametrize("uri", ["nowhere.mp4", "nothing/*.mp4", "file:///nowhere/a.mp4"])
def test_what_is_not_there_is_an_error_that_names_it(uri: str) -> None:
    with pytest.raises(ConfigError, match=uri.replace("*", r"\*")):
        expand([uri])


def test_a_folder_with_no_file_to_take_is_an_error(tree: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file below .*empty"):
        expand([str(tree / "empty")])
    with pytest.raises(ConfigError, match="made is a dataset"):
        expand([str(tree / "made")])
    with pytest.raises(ConfigError, match="nothing matches"):
        expand([str(tree / "made" / "*")])


@pytest.mark.parametrize("end", ["", "/"])
def test_a_folder_of_a_store_is_what_it_is_on_a_disk(store: tuple[str, str], end: str) -> None:
    bucket, query = store
    assert expand([f"{bucket}/tree{end}{query}"]) == [f"{bucket}/tree/{name}{query}" for name in SHOWN]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_of_a_store_is_what_it_is_on_a_disk(store: tuple[str, str], pattern: str) -> None:
    bucket, query = store
    found = expand([f"{bucket}/tree/{pattern}{query}"])
    assert found == [f"{bucket}/tree/{name}{query}" for name in PATTERNS[pattern]]


def test_a_file_of_a_store_is_the_same_by_itself_and_by_its_folder(store: tuple[str, str]) -> None:
    bucket, query = store
    one = f"{bucket}/tree/a.mp4{query}"
    assert expand([one, f"{bucket}/tree/*{query}"]).count(one) == 1
    assert expand([f"{bucket}/odd/a b.mp4{query}"]) == expand([f"{bucket}/odd/a%20b.mp4{query}"])


def test_what_is_found_can_be_opened_whatever_its_name(store: tuple[str, str]) -> None:
    bucket, query = store
    contents = []
    for uri in expand([f"{bucket}/odd{query}"]):
        with local_copy(uri) as path:
            contents.append(path.read_bytes().decode())
    assert sorted(contents) == sorted(ODD)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("s3://raw/none/", "there is no file or folder s3://raw/none/"),
        ("s3://no-such-bucket/a.mp4", "there is no file or folder"),
        ("s3://raw/tree/*.mov", "nothing matches"),
        ("s3://no-such-bucket/*", "nothing matches"),
        ("s3://raw/empty", "no file below"),
        ("s3://raw/tree/made", "is a dataset"),
        ("s3://", "names no bucket"),
        ("s3://*/a.mp4", "names no bucket"),
    ],
)
def test_what_a_store_has_not_is_an_error_in_one_line(store: tuple[str, str], path: str, message: str) -> None:
    with pytest.raises(ConfigError, match=r"^sources: [^\n]*$") as caught:
        expand([f"{path}{store[1]}"])
    assert message in str(caught.value)


def test_an_option_that_a_store_does_not_know_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"is not an address of a store: .*'nope'"):
        expand(["s3://raw/tree?nope=1"])


def test_a_store_that_refuses_is_told_in_one_line(store: tuple[str, str]) -> None:
    class Refusal(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(403)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusal) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(BackendError, match=r"^sources: s3://raw/a\.mp4[^\n]*ACCESS_DENIED[^\n]*$"):
            expand([f"s3://raw/a.mp4?scheme=http&endpoint_override=127.0.0.1:{server.server_port}"])
        server.shutdown()
