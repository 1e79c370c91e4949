"""Files: names from bytes, local copies of remote ones, pictures known by their first bytes; and a cheap import."""

from __future__ import annotations

import hashlib
import logging
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import media
from media.errors import MediaError

Maker = Callable[..., Path]


@given(st.binary(max_size=3000))
def test_content_id_is_of_the_bytes_alone(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder, "a.mp4"), Path(folder, "b.bin")
        first.write_bytes(data)
        second.write_bytes(data)
        assert media.content_id(first) == media.content_id(second) == hashlib.blake2b(data, digest_size=16).hexdigest()


def test_content_id_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(MediaError) as caught:
        media.content_id(tmp_path / "nothing")
    assert caught.value.reason == "unreadable"


def test_local_files_pass_through(tmp_path: Path) -> None:
    path = tmp_path / "a file with spaces #1.mp4"
    path.write_bytes(b"bytes")
    for uri in (path, str(path), path.as_uri()):
        with media.local_copy(uri) as local:
            assert local == path
    assert path.exists()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path))) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_http_is_fetched_and_cleaned_up(server: str, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"0123456789" * 1000)
    with media.local_copy(f"{server}/clip.mp4") as local:
        assert local.read_bytes() == b"0123456789" * 1000
        assert local.suffix == ".mp4"
    assert not local.exists()
    with pytest.raises(MediaError) as caught, media.local_copy(f"{server}/nothing.mp4"):
        pass
    assert caught.value.reason == "unreadable"


def test_an_object_store_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real client against a real server that speaks S3."""
    import boto3
    from moto.server import ThreadedMotoServer

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        host, port = server.get_host_and_port()
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
        client.create_bucket(Bucket="raw-footage")
        client.put_object(Bucket="raw-footage", Key="some/where/clip.mov", Body=bytes(range(256)) * 100)
        client.close()
        where = f"?scheme=http&endpoint_override={host}:{port}&region=us-east-1"
        with media.local_copy(f"s3://raw-footage/some/where/clip.mov{where}") as local:
            assert local.read_bytes() == bytes(range(256)) * 100
            assert local.suffix == ".mov"
        assert not local.exists()
        with pytest.raises(MediaError) as caught, media.local_copy(f"s3://raw-footage/nothing.mov{where}"):
            pass
        assert caught.value.reason == "unreadable"
    finally:
        server.stop()


@pytest.mark.parametrize("uri", ["/no/such/file.mp4", "nothing://known/file.mp4", "http://127.0.0.1:9/closed.mp4"])
def test_addresses_that_cannot_be_opened(uri: str) -> None:
    with pytest.raises(MediaError) as caught, media.local_copy(uri):
        pass
    assert caught.value.reason == "unreadable"
    assert uri in caught.value.detail


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(MediaError) as caught, media.local_copy(tmp_path):
        pass
    assert caught.value.reason == "unreadable"


def test_an_error_inside_the_context_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(ZeroDivisionError), media.local_copy(tmp_path / "a"):
        raise ZeroDivisionError


def test_videos_and_text_are_no_pictures(numbered_video: Maker, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_text("not at all")
    assert not media.is_image(tmp_path / "picture.png")
    for suffix in (".mp4", ".mkv", ".mov"):
        assert not media.is_image(numbered_video(frames=3, suffix=suffix))


def test_errors_cross_process_boundaries() -> None:
    error = pickle.loads(pickle.dumps(MediaError("truncated", "half of it")))
    assert (error.reason, error.detail) == ("truncated", "half of it")


def test_importing_the_room_is_cheap() -> None:
    code = "import sys, media; print([m for m in ('av', 'cv2', 'numpy', 'PIL', 'pyarrow') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


def test_every_public_name_is_there() -> None:
    assert sorted(media.__all__, key=str.lower) == sorted(dir(media), key=str.lower)
    for name in media.__all__:
        assert getattr(media, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = media.nonsense


def test_a_probe_says_what_a_file_is(numbered_video: Maker, varying_times_s: list[float]) -> None:
    path = numbered_video(audio=True)
    probe = media.probe(path)
    assert (probe.container, probe.codec, probe.pixel_format) == ("mp4", "h264", "yuv420p")
    assert (probe.frames_header, probe.fps, probe.has_audio) == (40, 25.0, True)
    assert probe.duration_s == pytest.approx(1.6)
    assert probe.size_bytes == path.stat().st_size
    assert [probe.is_still, probe.interlaced, probe.mirrored, probe.hdr] == [False] * 4
    names = {".mkv": "matroska", ".mov": "mov", ".avi": "avi", ".ts": "mpegts"}
    for suffix, name in names.items():
        codec = "mpeg4" if suffix == ".avi" else "libx264"
        assert media.probe(numbered_video(codec, suffix=suffix)).container == name
    assert media.probe(numbered_video("libvpx-vp9", suffix=".webm")).container == "webm"
    assert media.probe(numbered_video("libsvtav1")).codec == "av1"
    assert media.probe(numbered_video(times_s=varying_times_s)).fps == pytest.approx(40 / varying_times_s[-1], rel=0.05)
