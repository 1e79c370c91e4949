"""Runs: what was asked, by which code, with which versions, and what came of it.

Every row carries a `run_id`; `runs/<run_id>.json` answers for it. Provenance goes from a shard's row to here.
"""

from __future__ import annotations

import json
import platform
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from dataset.root import Root

__all__ = ["Run", "config_hash", "new_run"]

_PACKAGES: Final = (
    "av", "decord", "duckdb", "numpy", "onnxruntime", "opencv-python-headless", "pillow", "pyarrow", "rapidocr", "ray",
    "scenedetect-headless", "torch", "transformers", "xllamacpp",
)  # fmt: skip
_ROOMS: Final = (
    "media", "dataset", "experts", "curation", "captioning", "training", "generation", "evaluation", "pipelines",
)  # fmt: skip


@dataclass(slots=True)
class Run:
    """One run of one command. `finish` closes it; without that its outcome stays `running`."""

    run_id: str
    command: str
    config: dict[str, Any]
    config_hash: str
    versions: dict[str, str]
    started: str
    finished: str | None = None
    wall_s: float | None = None
    outcome: str = "running"
    counts: dict[str, Any] = field(default_factory=dict)
    root: Root | None = field(default=None, repr=False)

    def finish(
        self, counts: Mapping[str, Any] | None = None, *, outcome: str = "done", root: Root | None = None
    ) -> dict[str, Any]:
        """Close the run with its `counts`, write it where it has a root, and return it as a record."""
        now = datetime.now(UTC)
        self.finished, self.outcome = now.isoformat(timespec="milliseconds"), outcome
        self.wall_s = round((now - datetime.fromisoformat(self.started)).total_seconds(), 3)
        self.counts.update(counts or {})
        return self._write(root or self.root)

    def record(self) -> dict[str, Any]:
        """Return the run as it is written: plain JSON values."""
        names = [name for name in self.__dataclass_fields__ if name != "root"]
        return {name: getattr(self, name) for name in names}

    def _write(self, root: Root | None) -> dict[str, Any]:
        record = self.record()
        if root is not None:
            root.write_run(record)
        return record


def new_run(command: str, config: Mapping[str, Any] | None = None, *, root: Root | None = None) -> Run:
    """Begin a run of `command` with its resolved `config` (anything JSON can hold).

    With `root`, the run is written now, as `running`, and again when it finishes. Ids sort by time.
    """
    plain = json.loads(json.dumps(dict(config or {}), default=str, sort_keys=True))
    now = datetime.now(UTC)
    run = Run(
        run_id=f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}",
        command=command,
        config=plain,
        config_hash=config_hash(plain),
        versions=_versions(),
        started=now.isoformat(timespec="milliseconds"),
        root=root,
    )
    run._write(root)
    return run


def config_hash(config: Mapping[str, Any]) -> str:
    """Return 12 hex digits of the BLAKE2b of a config: equal configs hash alike, whatever the order of their keys."""
    return blake2b(json.dumps(config, sort_keys=True, default=str).encode(), digest_size=6).hexdigest()


@cache
def _versions() -> dict[str, str]:
    """Versions of Rushes (release, commit, hash of its sources), of Python, and of the packages that shape the data."""
    found = {"rushes": _installed("rushes") or "unknown", "source_hash": _source_hash()}
    if commit := _commit():
        found["commit"] = commit
    found |= {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    return found | {name: version for name in _PACKAGES if (version := _installed(name))}


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _source_hash() -> str:
    """Hash the rooms' own sources, so that an uncommitted change shows."""
    digest = blake2b(digest_size=6)
    base = Path(__file__).resolve().parent.parent
    for source in sorted(path for room in _ROOMS for path in (base / room).rglob("*.py")):
        digest.update(str(source.relative_to(base)).encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()


def _commit() -> str | None:
    """Return the commit of the checkout that this code runs from; None when it is installed."""
    git = Path(__file__).resolve().parent.parent / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        if (git / name).is_file():
            return (git / name).read_text().strip()
        for line in (git / "packed-refs").read_text().splitlines():
            if line.endswith(f" {name}"):
                return line.split()[0]
    except OSError:
        return None
    return None
