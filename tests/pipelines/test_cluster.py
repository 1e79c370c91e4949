"""The same on a cluster: a job submitted to a real Ray head writes the tables that a local run writes."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from dataset import open_root
from tests import videos

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent
ATTEMPTS = 3


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def head() -> Iterator[dict[str, str]]:
    """Start a Ray head of its own; yields the environment in which a client finds it."""
    # Ray's sockets lie below its folder and a socket's path has at most 107 characters: pytest's folders are too deep.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as place:
        yield from heads(Path(place))


def heads(place: Path) -> Iterator[dict[str, str]]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    env |= {"RAY_AUTH_MODE": "disabled", "PYTHONWARNINGS": "ignore", "RAY_DISABLE_USAGE_STATS": "1"}
    for attempt in range(ATTEMPTS):  # on a busy machine a part of Ray may not come up within Ray's own limits
        folder = place / str(attempt)
        folder.mkdir()
        process, address = start(folder, env)
        try:
            if answers(address, process):
                yield {**env, "RAY_API_SERVER_ADDRESS": address}
                return
        finally:
            stop(process)
    raise AssertionError((folder / "head.log").read_text())


def start(folder: Path, env: dict[str, str]) -> tuple[subprocess.Popen[bytes], str]:
    dashboard = free_port()
    command = [SCRIPTS / "ray", "start", "--head", "--block", "--num-cpus=2", "--object-store-memory=134217728"]
    # Ports of its own, so that another Ray on this machine is not met.
    command += [f"--port={free_port()}", f"--dashboard-port={dashboard}", f"--ray-client-server-port={free_port()}"]
    command += ["--min-worker-port=0", "--max-worker-port=0", f"--temp-dir={folder}"]
    with (folder / "head.log").open("w") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    return process, f"http://127.0.0.1:{dashboard}"


def answers(address: str, process: subprocess.Popen[bytes]) -> bool:
    """Wait until the head answers; False when it gives up."""
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/api/version", timeout=1):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    return False


def submit(head: dict[str, str], *entrypoint: str) -> subprocess.CompletedProcess[str]:
    """Submit a job from the project's folder and wait for it; the dashboard may answer before it can take one."""
    command = [SCRIPTS / "ray", "job", "submit", "--working-dir", ".", "--", *entrypoint]
    for _ in range(ATTEMPTS):
        ended = subprocess.run(command, cwd=ROOT, env=head, capture_output=True, text=True, check=False)
        if "submitted successfully" in ended.stdout:
            break
        time.sleep(3)
    return ended


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def config_of(folder: Path, name: str, sources: Path, engine: str) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "dataset": str(folder / name),
                "sources": [{"uris": [str(sources)], "source": "test", "license": "CC0-1.0"}],
                "curate": {"detector": "adaptive", "min_clip_s": 0.5, "max_clip_s": 4.0},
                "experts": ["colour", "motion"],
                "rules": {"long_enough": "kind = 'still' or duration_s >= 0.5"},
                "captions": {"backend": "template"},
                "pseudo": {"motions": ["zoom_in"], "frames": 16, "height_px": 64},
                "engine": {"kind": engine},
            }
        )
    )
    return path


@pytest.mark.cluster
@pytest.mark.xdist_group("cluster")
@pytest.mark.timeout(480)
def test_a_submitted_job_writes_what_a_local_run_writes(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, head: dict[str, str]
) -> None:
    sources = tmp_path_factory.mktemp("sources")
    videos.write_video(sources / "a.mp4", videos.scene_frames(40))
    videos.write_video(sources / "b.mp4", videos.scene_frames(30, 96, 64, seed=1))
    (sources / "empty.mp4").touch()
    import media

    (sources / "still.jpg").write_bytes(media.jpeg(next(iter(videos.scene_frames(1, seed=2)))))
    local = config_of(tmp_path, "local", sources, "local")
    remote = config_of(tmp_path, "remote", sources, "ray")
    subprocess.run([sys.executable, "-m", "pipelines", "run", str(local)], check=True, cwd=ROOT)
    submitted = submit(head, sys.executable, "-m", "pipelines", "run", str(remote))
    assert submitted.returncode == 0, submitted.stdout[-4000:] + submitted.stderr[-4000:]
    assert re.search(r"succeeded", submitted.stdout)
    for table in (
        "videos",
        "clips",
        "captions",
        "experts/colour",
        "experts/motion",
        "selections/default",
        "shards/train",
    ):
        key = "uri" if table == "videos" else "clip_id"
        varying = {"run_id", "wall_s"}
        here, there = (
            [
                {k: v for k, v in row.items() if k not in varying}
                for row in open_root(str(tmp_path / name)).read(table).sort_by(key).to_pylist()
            ]
            for name in ("local", "remote")
        )
        assert here, table
        assert here == there, table
