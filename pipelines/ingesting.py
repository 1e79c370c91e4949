"""The first stages: from a source's bytes to its rows, in a guarded child process, by one worker or by several."""

from __future__ import annotations

import hashlib
import hmac
import pickle
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

import curation
import media
from curation.clipfile import ClipFile
from curation.config import CurateConfig
from curation.planes import View
from curation.quarantine import quarantined_row
from dataset import open_root, schema_of
from dataset.removal import blocked, remember_copy
from media.errors import BackendError, CorruptionError, MediaError, RushesError, UserError
from pipelines.engine import Item, Part

__all__ = ["Ingest", "Scan"]

INGEST_MEMORY_MB = 8192
"""What reading one file may hold: above what the largest pictures that codecs allow ask for, below what ends a node."""

_MAC_BYTES = 32

CLIPS_IN_PART = 32
"""Rows of `clips` that are in memory at a time, and in one part."""


def ingest_into(
    uri: str, config: CurateConfig, root: str, scans: Sequence[str], key: bytes, clips: Path, **known: Any
) -> dict[str, Any]:
    """Run `curation.ingest`, its clips into the file `clips`; return the row of `videos`.

    Over the frames that other workers noted, where they left any, by their files' names.
    """
    scanned = _frames_of(root, scans, key) if scans else None
    return curation.ingest(uri, config, scanned=scanned, into=ClipFile(clips), **known).video


def _frames_of(root: str, scans: Sequence[str], key: bytes) -> Iterator[View] | None:
    """Return the frames of all spans, one span in memory at a time; None where one could not be scanned."""
    place = open_root(root)
    if any(place.size(name) is None for name in scans):
        return None

    def frames() -> Iterator[View]:
        for name in scans:
            data = place.read_bytes(name) or b""
            # Whoever may write to the dataset's storage must not be able to run code here.
            if not hmac.compare_digest(data[:_MAC_BYTES], _mac(name, data[_MAC_BYTES:], key)):
                raise MediaError("unreadable", f"{name}: not what was written there by this run")
            yield from pickle.loads(memoryview(data)[_MAC_BYTES:])

    return frames()


def _mac(name: str, data: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(name.encode() + data, key=key, digest_size=_MAC_BYTES).digest()


class Scan:
    """Spans of a long video -> their frames, noted, each in a file for `Ingest`. Items: uri, spans, key.

    A span that cannot be scanned leaves no file: the video is then read as a whole, which finds the reason.
    """

    def __init__(self, *, root: str, curate: CurateConfig, wall_limit_s: float, run_id: str) -> None:
        self._root = open_root(root)
        self._config = curate
        self._wall_limit_s = wall_limit_s
        self._guard = media.Guard(memory_mb=INGEST_MEMORY_MB)

    def __call__(self, items: Sequence[Item]) -> tuple[list[Part], list[str]]:
        """Scan the spans (first, end, name of the file) of each item, one after the other."""
        notes: list[str] = []
        for item in items:
            try:
                with media.local_copy(item["uri"]) as path:
                    for first, end, name in item["spans"]:
                        data = self._guard.run(scan_span, path, first, end, self._config, limit_s=self._wall_limit_s)
                        self._root.write_bytes(name, _mac(name, data, item["key"]) + data)
            except (ImportError, BackendError, UserError, CorruptionError):
                raise  # not the file's fault: the next one would meet it too
            except Exception as error:
                notes.append(f"{item['uri']}: {error}; it is read as a whole")
        return [], notes


def scan_span(path: Path, first: int, end: int, config: CurateConfig) -> bytes:
    """Return the frames of a span as bytes; a file whose pictures are not as promised is MediaError("undecodable")."""
    try:
        return pickle.dumps(curation.scan(path, first, end, config), protocol=5)
    except media.SkimError as error:
        raise MediaError("undecodable", str(error)) from error


class Ingest:
    """A source -> its row in `videos` and its clips. Items: uri, rights (may be missing), scans (of `Scan`, likewise).

    Sources are food that nobody vouches for, so each is read in a guarded child process, one to a stage. The ordinary
    limit, `wall_limit_s` or twice as long as the file plays, is looked at between packets; the child is killed when it
    shows no sign of life for `grace_s` more than `wall_limit_s`, or holds more than `memory_mb`.
    """

    def __init__(
        self,
        *,
        root: str,
        curate: CurateConfig,
        wall_limit_s: float,
        run_id: str,
        grace_s: float = 10.0,
        memory_mb: int | None = INGEST_MEMORY_MB,
    ) -> None:
        self._root = open_root(root)
        self._config = curate
        self._wall_limit_s = wall_limit_s
        self._run_id = run_id
        self._grace_s = grace_s
        self._guard = media.Guard(memory_mb=memory_mb)

    def __call__(self, items: Sequence[Item]) -> tuple[Iterator[Part], list[str]]:
        """Ingest each source, as its parts are asked for; a bad one is a quarantined row and a note."""
        notes: list[str] = []
        return self._parts(items, notes), notes

    def _parts(self, items: Sequence[Item], notes: list[str]) -> Iterator[Part]:
        for item in items:
            if self._removed_since(item, notes):
                continue
            with tempfile.TemporaryDirectory(prefix="rushes-") as folder:
                clips = Path(folder) / "clips"
                video = self._ingest(item, clips)
                if self._removed_since(item, notes):
                    continue
                if video["video_id"] in self._root.removed():
                    remember_copy(self._root, item["uri"], video["video_id"], run_id=self._run_id)
                    notes.append(f"not taken in: {item['uri']} holds the same bytes as a source that was removed")
                    continue
                # Clips first: a kill between the two leaves the source without its row, so it is ingested again,
                # under the same part names.
                written = 0
                if video["status"] == "ok":
                    for rows in ClipFile.batches(clips, CLIPS_IN_PART):
                        yield Part("clips", rows, schema_of("clips"), _part_key(video["video_id"], written))
                        written += 1
                        pa.default_memory_pool().release_unused()
                # What an attempt that was killed left behind, by other settings or before the file went bad.
                while self._root.remove_part("clips", _part_key(video["video_id"], written)):
                    written += 1
                if video["status"] != "ok":
                    hint = "; engine.wall_limit_s sets the limit" if video["reason"] == "timeout" else ""
                    notes.append(f"quarantined {item['uri']}: {video['reason']} ({video['detail']}){hint}")
            yield Part("videos", [video], schema_of("videos"), item["uri"])

    def _removed_since(self, item: Item, notes: list[str]) -> bool:
        """Whether the source was removed since the run began, which a note then says."""
        gone = blocked(self._root)(item["uri"], (item.get("rights") or {}).get("source_url"))
        if gone:
            notes.append(f"not taken in: {item['uri']} was removed meanwhile")
        return gone

    def _ingest(self, item: Item, clips: Path) -> dict[str, Any]:
        """Return the source's row of `videos`; its clips are in the file `clips`."""
        uri = item["uri"]
        known: dict[str, Any] = {"rights": item.get("rights"), "run_id": self._run_id}
        if (item.get("rights") or {}).get("opt_out"):
            return quarantined_row(uri, MediaError("opted_out", "its owner has reserved it from training"), **known)
        try:
            return self._guard.run(
                ingest_into,
                uri,
                self._config,
                self._root.uri,
                item.get("scans", []),
                item.get("key", b""),
                clips,
                wall_limit_s=self._wall_limit_s,
                stall_s=self._wall_limit_s + self._grace_s,
                **known,
            )
        except MediaError as error:
            failed = error
        except (RushesError, ImportError):
            raise  # not the file's fault: the next one would meet it too
        except Exception as error:
            # A bug that one file in a million brings out must not end the run; the row tells where it is.
            failed = MediaError("crashed", f"{type(error).__name__}: {error}{_last_line(error)}")
        again_s = min(60.0, self._wall_limit_s)
        return quarantined_row(uri, failed, guard=self._guard, limit_s=again_s, **known)


def _part_key(video_id: str, number: int) -> str:
    return f"{video_id} {number}" if number else video_id


def _last_line(error: Exception) -> str:
    """Return where in the code the child failed, from the traceback that the guard noted on the error."""
    places = re.findall(r'File ".*?([^/]+/[^/]+\.py)", line (\d+)', "".join(getattr(error, "__notes__", [])))
    return " (at {}:{})".format(*places[-1]) if places else ""
