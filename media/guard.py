"""A process that may hang, crash or swell in our stead: a guarded child for reading files nobody vouches for.

A decoder stuck in C holds the interpreter and cannot be interrupted, one that reads past its buffer takes the process
with it. So a function runs in a child of its own, and the parent waits with a clock in its hand. This guards against
accidents, not against attackers: the child has all the rights of its parent.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pickle
import resource
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, TypeVar, cast

from media.errors import BackendError, MediaError

__all__ = ["Guard"]

T = TypeVar("T")

_START_LIMIT_S = 120.0
_LOOK_EVERY_S = 0.2
_PROGRESS_EVERY_S = 0.1
_LENGTH = struct.Struct("<Q")
_CHUNK_BYTES = 1 << 20
_CHILD = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from media.guard import _serve; _serve(sys.argv[2])"

_Kind = Literal["began", "progress", "value", "error"]


class Guard:
    """One persistent child process, in which functions run under a wall limit and, if wanted, a limit of memory.

    The child starts with the first call, and again after each time it had to be killed. It ends when the guard is
    closed or forgotten, and when this process ends, however that happens. A guard has one owner: it is not to be used
    by two threads at once, nor on both sides of a fork.

    `memory_mb` bounds the child's resident memory in MiB, looked at five times a second (its address space is not
    bounded: torch reserves far more than it uses). A child that holds over half of it between calls is retired, so
    that a slow leak is not blamed on the file at which it runs over.
    """

    def __init__(self, *, memory_mb: int | None = None) -> None:
        self._memory_mb = memory_mb
        self._process: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize[..., Guard] | None = None

    def __enter__(self) -> Guard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is none."""
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """End the child, whatever it does. A later call starts another."""
        if self._end is not None:
            self._end()
        self._process, self._end = None, None

    def run(
        self,
        function: Callable[..., T],
        /,
        *args: Any,
        limit_s: float | None = None,
        progress: Callable[..., None] | None = None,
        stall_s: float | None = None,
        **kwargs: Any,
    ) -> T:
        """Return `function(*args, **kwargs)`, run in the child; the function is found there by its module and name.

        `limit_s` counts from when the function begins, so that neither the child's start nor the import of the
        function's module counts. With `progress`, the function is given a `progress` of its own, whose calls arrive
        here while it runs, the latest ten times a second and the last one always. `stall_s` is a limit that begins
        anew with each of them: for work whose length nobody knows beforehand.

        Raises what the function raises, as itself. MediaError("timeout") when the limit is over, MediaError("crashed")
        when the child dies or holds more than `memory_mb`: it is killed, with its process group. BackendError when
        the child does not get as far as the function. TypeError for a function that only a script's __main__ has.
        """
        if getattr(function, "__module__", None) == "__main__":
            raise TypeError(f"{function.__qualname__} is defined in a script: move it to a module that can be imported")
        if stall_s is not None and progress is None:
            progress = _unheard
        request = pickle.dumps((function, args, kwargs, progress is not None))
        process = self._started()
        try:
            kind, value = _Exchange(process, self._memory_mb, limit_s, progress, stall_s).complete(request)
        except BaseException:
            self.close()
            raise
        if self._memory_mb and _resident_mb(process.pid) > self._memory_mb / 2:
            self.close()
        if kind == "error":
            raise cast("BaseException", value)
        return cast("T", value)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self.close()  # it was killed while it was idle
        if self._process is None:
            # What a killed child had fetched to temporary files is removed with the folder.
            folder = tempfile.mkdtemp(prefix="rushes-")
            process = subprocess.Popen(
                [sys.executable, "-c", _CHILD, json.dumps([str(place) for place in sys.path]), folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                env={**os.environ, "TMPDIR": folder},
                start_new_session=True,
            )
            self._process, self._end = process, weakref.finalize(self, _finish, process, folder, os.getpid())
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                os.set_blocking(pipe.fileno(), False)
        return self._process


def _unheard(*_: Any, **__: Any) -> None:
    """Take a sign of life that nobody asked for."""


def _finish(process: subprocess.Popen[bytes], folder: str, owner: int) -> None:
    if os.getpid() != owner:
        return  # a fork of the owner has no part in it
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    shutil.rmtree(folder, ignore_errors=True)


class _Exchange:
    """One call, seen from the parent: the request goes out, messages come in, and the clock is looked at."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        memory_mb: int | None,
        limit_s: float | None,
        progress: Callable[..., None] | None,
        stall_s: float | None,
    ) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._to, self._from = process.stdin.fileno(), process.stdout.fileno()
        self._memory_mb = memory_mb
        self._limit_s = limit_s
        self._stall_s = stall_s
        self._stalls_at = float("inf")
        self._progress = progress
        self._began = False
        self._ends_at = time.monotonic() + _START_LIMIT_S
        self._received = bytearray()

    def complete(self, request: bytes) -> tuple[_Kind, Any]:
        """Send the request and return the last message: a value or an error."""
        unsent = memoryview(_LENGTH.pack(len(request)) + request)
        waits = select.poll()
        waits.register(self._from, select.POLLIN)
        waits.register(self._to, select.POLLOUT)
        while True:
            self._check()
            left_s = min(self._ends_at, self._stalls_at) - time.monotonic()
            ready = dict(waits.poll(1000 * max(0.0, min(_LOOK_EVERY_S, left_s))))
            if self._to in ready:
                unsent = unsent[self._send(unsent) :]
                if not unsent:
                    waits.unregister(self._to)
            if self._from in ready:
                self._receive()
                for kind, value in iter(self._message, None):
                    if kind in ("value", "error"):
                        return kind, value
                    self._note(kind, value)

    def _check(self) -> None:
        """Raise when the time is over, the child is gone, or it holds too much."""
        if time.monotonic() >= self._ends_at:
            if not self._began:
                raise BackendError(f"the guarded process did not start within {_START_LIMIT_S:g} s")
            raise MediaError("timeout", f"killed: no end after {self._limit_s:g} s")
        if time.monotonic() >= self._stalls_at:
            raise MediaError("timeout", f"killed: no sign of life for {self._stall_s:g} s")
        if self._process.poll() is not None and not _ready(self._from, select.POLLIN):
            raise self._death()
        if self._memory_mb and _resident_mb(self._process.pid) > self._memory_mb:
            raise MediaError("crashed", f"killed: it holds more than {self._memory_mb} MiB of memory")

    def _send(self, unsent: memoryview) -> int:
        try:
            return os.write(self._to, unsent[:_CHUNK_BYTES])
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            raise self._death() from None

    def _receive(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._from, _CHUNK_BYTES)
            if not data:
                raise self._death()
            self._received += data

    def _message(self) -> tuple[_Kind, Any] | None:
        """Take one whole message from what was received."""
        if len(self._received) < _LENGTH.size:
            return None
        end = _LENGTH.size + _LENGTH.unpack_from(self._received)[0]
        if len(self._received) < end:
            return None
        message: tuple[_Kind, Any] = pickle.loads(self._received[_LENGTH.size : end])
        del self._received[:end]
        return message

    def _note(self, kind: _Kind, value: Any) -> None:
        if kind == "began":
            self._began = True
            self._ends_at = float("inf") if self._limit_s is None else time.monotonic() + self._limit_s
        elif self._progress is not None:
            self._progress(*value)
        if self._stall_s is not None:
            self._stalls_at = time.monotonic() + self._stall_s

    def _death(self) -> MediaError | BackendError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5.0)
        code = self._process.returncode
        words = f"exit code {code}" if code is None or code >= 0 else signal.Signals(-code).name
        if code == -signal.SIGKILL:
            words += ", perhaps for want of memory"
        if not self._began:
            return BackendError(f"the guarded process died before its work began ({words}); its errors are on stderr")
        return MediaError("crashed", f"the process that read it died ({words})")


def _ready(descriptor: int, event: int) -> bool:
    waits = select.poll()
    waits.register(descriptor, event)
    return bool(waits.poll(0))


def _resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MiB; 0 where that cannot be told."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize() / 2**20
    except (OSError, IndexError):
        return 0.0


def _serve(folder: str) -> None:
    """Be the child: run what is asked for until the parent closes the pipe; `folder` holds the temporary files."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    requests, answers = os.dup(0), os.dup(1)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)  # what a library prints must not get between the messages
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGIO})
    fcntl.fcntl(requests, fcntl.F_SETOWN, os.getpid())
    while True:
        request = _read(requests)
        if request is None:
            shutil.rmtree(folder, ignore_errors=True)
            return
        _die_with_the_parent(requests, True)
        message = _outcome(request, answers)
        _die_with_the_parent(requests, False)  # before the answer: after it, the next request is a signal too
        _write_all(answers, message)


def _die_with_the_parent(requests: int, ask: bool) -> None:
    """Let the kernel end this process (SIGIO) when the parent's end of the pipe is closed during a call.

    Unlike a thread that waits, this needs no interpreter lock; unlike PR_SET_PDEATHSIG, it does not fire when only
    the parent's *thread* that started the child ends.
    """
    flags = fcntl.fcntl(requests, fcntl.F_GETFL)
    fcntl.fcntl(requests, fcntl.F_SETFL, flags | os.O_ASYNC if ask else flags & ~os.O_ASYNC)
    if ask and _ready(requests, select.POLLHUP):  # it had ended before we asked
        os.kill(os.getpid(), signal.SIGKILL)


def _read(requests: int) -> bytes | None:
    """Return the next request; None when the pipe is closed."""
    header = _read_exactly(requests, _LENGTH.size)
    return None if header is None else _read_exactly(requests, _LENGTH.unpack(header)[0])


def _read_exactly(requests: int, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        piece = os.read(requests, min(size - len(data), _CHUNK_BYTES))
        if not piece:
            return None
        data += piece
    return bytes(data)


def _outcome(request: bytes, answers: int) -> bytes:
    """Run what is asked for; return the message that says what came of it."""
    try:
        function, args, kwargs, wants_progress = pickle.loads(request)
        _write_all(answers, _packed("began", None))
        if not wants_progress:
            return _packed("value", function(*args, **kwargs))
        progress = _Progress(answers)
        value = function(*args, **kwargs, progress=progress)
        progress.flush()
        return _packed("value", value)
    except Exception as error:
        return _packed("error", _portable(error))


class _Progress:
    """The `progress` that a function in the child is given: its calls go to the parent, now and then."""

    def __init__(self, answers: int) -> None:
        self._answers = answers
        self._next_at = 0.0
        self._held: tuple[Any, ...] | None = None

    def __call__(self, *args: Any) -> None:
        self._held = args
        if time.monotonic() >= self._next_at:
            self.flush()

    def flush(self) -> None:
        """Send the latest call, if it was not sent yet."""
        if self._held is not None:
            _write_all(self._answers, _packed("progress", self._held))
            self._held, self._next_at = None, time.monotonic() + _PROGRESS_EVERY_S


def _portable(error: Exception) -> Exception:
    """Return the error as it can be pickled, with the child's traceback as a note."""
    trace = "".join(traceback.format_exception(error))
    error.add_note(f"in the guarded process:\n{trace}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
        error.add_note(f"in the guarded process:\n{trace}")
    return error


def _packed(kind: _Kind, value: Any) -> bytes:
    return pickle.dumps((kind, value), pickle.HIGHEST_PROTOCOL)


def _write_all(answers: int, message: bytes) -> None:
    unsent = memoryview(_LENGTH.pack(len(message)) + message)
    while unsent:
        unsent = unsent[os.write(answers, unsent) :]
