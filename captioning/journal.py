"""The journal of paid answers: what a server said is written down the moment it arrives, and never asked for twice.

A folder of append-only JSON lines, one file for each process that writes. A process that is killed leaves at most one
torn line, its last, which is not read. (The lines are handed to the system, not forced to the disk: they outlive the
process, though not a power cut.)
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from captioning.asking import Answer, Question
from media.errors import ConfigError

__all__ = ["Journal", "journal_key"]

_SUFFIX: Final = ".jsonl"


def journal_key(model: str, question: Question, sampling: Mapping[str, Any]) -> str:
    """Return 32 hex digits of all that an answer depends on: the model, the chat, the schema, the sampling settings.

    Where the server stands is not in it: the same model at another address gives the same answer.
    """
    said = json.dumps([model, list(question.chat), question.schema, dict(sampling)], sort_keys=True)
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


class Journal:
    """Answers by key, in `folder` on a local disk. Safe between threads and between processes.

    What other processes write after this one has opened is not seen. In memory are only keys and places.
    """

    def __init__(self, folder: str | Path) -> None:
        """Read the folder, or make it. ConfigError where it cannot be one."""
        if "://" in str(folder):
            raise ConfigError(f"journal: {folder} is no local folder; give one, and answers are kept on that machine")
        self._folder = Path(folder).expanduser()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"journal: {self._folder} is no folder to write to: {error}") from error
        self._lock = threading.Lock()
        self._places: dict[bytes, tuple[Path, int, int]] = {}
        self._path: Path | None = None
        self._descriptor: int | None = None
        self._end = 0
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            self._read(path)

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: str) -> Answer | None:
        """Return the answer that was put under `key`, or None."""
        with self._lock:
            place = self._places.get(bytes.fromhex(key))
        if place is None:
            return None
        path, start, size = place
        try:
            with path.open("rb") as stream:
                stream.seek(start)
                found = _record(stream.read(size))
        except OSError:
            return None  # cleared by another process
        return None if found is None or found[0] != key else found[1]

    def put(self, key: str, answer: Answer) -> None:
        """Write the answer down. OSError where the disk refuses; what is in the journal stays whole."""
        record = {
            "key": key,
            "raw": answer.raw,
            "tokens_in": answer.tokens_in,
            "tokens_out": answer.tokens_out,
            "tries": answer.tries,
            "at": round(time.time(), 3),
        }
        line = json.dumps(record).encode() + b"\n"
        with self._lock:
            path, descriptor = self._open()
            try:
                written = 0
                while written < len(line):
                    written += os.write(descriptor, line[written:])
            except OSError:
                self._shut()  # the line may be torn: the next one begins another file
                raise
            self._places[bytes.fromhex(key)] = (path, self._end, len(line))
            self._end += len(line)

    def clear(self) -> None:
        """Forget everything, and remove the files, those of other processes too."""
        with self._lock:
            self._shut()
            self._places.clear()
            for path in self._folder.glob(f"*{_SUFFIX}"):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; may be called twice, and a later `put` opens another."""
        with self._lock:
            self._shut()

    def _open(self) -> tuple[Path, int]:
        if self._path is None or self._descriptor is None:
            self._path = self._folder / f"{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
            self._descriptor, self._end = os.open(self._path, flags, 0o644), 0
        return self._path, self._descriptor

    def _shut(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._path = self._descriptor = None

    def _read(self, path: Path) -> None:
        start = 0
        with path.open("rb") as stream:
            for line in stream:
                found = _record(line)
                if found is not None:
                    self._places[bytes.fromhex(found[0])] = (path, start, len(line))
                start += len(line)


def _record(line: bytes) -> tuple[str, Answer] | None:
    """Return the key and the answer of a line; None if it is torn or no record."""
    if not line.endswith(b"\n"):
        return None
    try:
        found = json.loads(line)
        key, raw, tries = found["key"], found["raw"], found["tries"]
        tokens_in, tokens_out = found["tokens_in"], found["tokens_out"]
        whole = isinstance(raw, str) and len(bytes.fromhex(key)) == 16 and isinstance(tries, int)
    except (ValueError, KeyError, TypeError):
        return None
    return (key, Answer(raw, tokens_in, tokens_out, tries)) if whole else None
