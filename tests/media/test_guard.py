"""The guarded child: what runs in it may hang, crash or swell, and nothing here is the worse for it."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from media import Guard, MediaError
from media.errors import BackendError, MissingModelError

ROOT = Path(__file__).parents[2]
GENEROUS_S = 30.0


# What runs in the child ----------------------------------------------------------------------------------------------


def add(a: int, b: int = 1) -> int:
    return a + b


def same(value: Any) -> Any:
    return value


def stuck_in_c() -> None:
    ctypes.PyDLL(None).sleep(600)  # PyDLL keeps the interpreter's lock: no thread of Python's can help


def segfault() -> None:
    ctypes.string_at(0)


def leave() -> None:
    os._exit(7)


def swell() -> None:
    held = []
    while True:
        held.append(b"x" * (16 << 20))
        time.sleep(0.01)


_kept: list[bytes] = []


def keep(megabytes: int) -> int:
    _kept.append(b"x" * (megabytes << 20))
    return os.getpid()


def fail(error: Exception) -> None:
    raise error


def fail_oddly() -> None:
    class Odd(Exception):
        """Cannot be pickled: its class has no name to be found by."""

    raise Odd("how odd")


def answer_oddly() -> Any:
    return lambda: None


def chatter() -> str:
    print("hello")
    os.write(1, b"hello\n")
    return "quiet"


def count(until: int, progress: Callable[[int, int], None]) -> int:
    for n in range(1, until + 1):
        progress(n, until)
    return until


def start_another_and_hang(path: str) -> None:
    Path(path).write_text(str(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid))
    stuck_in_c()


def leave_a_temporary_file_and_hang(path: str) -> None:
    import tempfile

    Path(path).write_text(tempfile.mkdtemp())
    stuck_in_c()


# Here ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def guard() -> Iterator[Guard]:
    with Guard() as made:
        yield made


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def ends(pid: int) -> bool:
    """Wait for the process to end."""
    until = time.monotonic() + GENEROUS_S
    while is_running(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not is_running(pid)


def test_it_returns_what_the_function_returns(guard: Guard) -> None:
    pids = [guard.pid]
    assert guard.run(add, 2, b=3) == 5
    pids += [guard.run(os.getpid), guard.pid]
    assert pids[0] is None  # nothing starts before it is needed
    assert pids[1] == pids[2] != os.getpid()


def test_large_values_pass_both_ways(guard: Guard) -> None:
    value = os.urandom(8 << 20)
    assert guard.run(same, value) == value


@pytest.mark.parametrize(
    "error", [MediaError("truncated", "half of it"), MissingModelError("no model"), KeyError("k"), MemoryError()]
)
def test_an_error_comes_back_as_itself(guard: Guard, error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        guard.run(fail, error, limit_s=GENEROUS_S)
    assert str(caught.value) == str(error)
    assert guard.run(add, 1) == 2


def test_an_error_tells_where_it_was_raised(guard: Guard) -> None:
    with pytest.raises(KeyError) as caught:
        guard.run(fail, KeyError("k"))
    assert "in fail" in caught.value.__notes__[0]


def test_what_cannot_be_pickled_is_told_in_words(guard: Guard) -> None:
    with pytest.raises(RuntimeError, match="Odd: how odd"):
        guard.run(fail_oddly)
    with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
        guard.run(answer_oddly)
    with pytest.raises((AttributeError, pickle.PicklingError)):
        guard.run(lambda: 1)
    assert guard.run(add, 1) == 2


def test_a_function_of_a_script_is_refused_with_a_sentence(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(add, "__module__", "__main__")
    with pytest.raises(TypeError, match="move it to a module"):
        guard.run(add, 1)


def test_a_decoder_stuck_in_c_is_killed(guard: Guard) -> None:
    guard.run(add, 1)
    child = guard.pid
    started = time.monotonic()
    with pytest.raises(MediaError, match=r"killed: no end after 0\.2 s") as caught:
        guard.run(stuck_in_c, limit_s=0.2)
    assert caught.value.reason == "timeout"
    assert time.monotonic() - started < GENEROUS_S
    assert child is not None
    assert not is_running(child)
    assert guard.run(add, 1) == 2
    assert guard.pid != child


@pytest.mark.parametrize(("end", "words"), [(segfault, "SIGSEGV"), (os.abort, "SIGABRT"), (leave, "exit code 7")])
def test_a_crash_is_a_bad_file(guard: Guard, end: Callable[[], None], words: str) -> None:
    with pytest.raises(MediaError, match=words) as caught:
        guard.run(end, limit_s=GENEROUS_S)
    assert caught.value.reason == "crashed"
    assert guard.run(add, 1) == 2


def test_one_that_swells_is_killed() -> None:
    with Guard(memory_mb=400) as guard:
        with pytest.raises(MediaError, match="more than 400 MiB") as caught:
            guard.run(swell, limit_s=GENEROUS_S)
        assert caught.value.reason == "crashed"
        assert guard.run(add, 1) == 2


def test_one_that_keeps_much_is_retired_between_calls() -> None:
    with Guard(memory_mb=600) as guard:
        assert guard.run(keep, 400) != guard.run(keep, 1) == guard.run(os.getpid)


def test_a_child_killed_while_idle_is_replaced(guard: Guard) -> None:
    pid = guard.run(os.getpid)
    os.kill(pid, signal.SIGKILL)
    assert ends(pid)
    assert guard.run(os.getpid) != pid


def test_stray_prints_do_not_get_between_the_messages(guard: Guard, capfd: pytest.CaptureFixture[str]) -> None:
    assert guard.run(chatter) == "quiet"
    assert capfd.readouterr() == ("", "hello\nhello\n")


def test_progress_travels_now_and_then_and_the_last_always(guard: Guard) -> None:
    told: list[tuple[int, int]] = []
    assert guard.run(count, 5000, progress=lambda done, total: told.append((done, total))) == 5000
    assert told[0] == (1, 5000)
    assert told[-1] == (5000, 5000)
    assert told == sorted(set(told))
    assert len(told) < 2500


def test_an_error_in_the_parents_progress_ends_the_call(guard: Guard) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guard.run(count, 10, progress=stop)
    assert guard.pid is None
    assert guard.run(add, 1) == 2


def test_the_limit_does_not_count_imports(guard: Guard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the child finds what its parent's sys.path finds."""
    (tmp_path / "slow_to_import.py").write_text("import time, sys\nif 'pytest' not in sys.modules: time.sleep(1.2)\n")
    with (tmp_path / "slow_to_import.py").open("a") as module:
        module.write("def one(): return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import slow_to_import  # type: ignore[import-not-found]

    assert guard.run(slow_to_import.one, limit_s=1.0) == 1


def test_a_child_that_cannot_start_is_no_files_fault(monkeypatch: pytest.MonkeyPatch, guard: Guard) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(BackendError, match="died before its work began"):
        guard.run(add, 1)


def test_the_whole_process_group_is_killed(guard: Guard, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="timeout"):
        guard.run(start_another_and_hang, str(tmp_path / "pid"), limit_s=1.5)
    assert ends(int((tmp_path / "pid").read_text()))


def test_temporary_files_of_a_killed_child_are_removed(guard: Guard, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="timeout"):
        guard.run(leave_a_temporary_file_and_hang, str(tmp_path / "where"), limit_s=1.5)
    left = Path((tmp_path / "where").read_text())
    assert not left.exists()
    assert not left.parent.exists()


def test_nothing_is_left_open() -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    with Guard() as guard:
        for _ in range(5):
            guard.run(add, 1)
            with pytest.raises(MediaError):
                guard.run(leave)
        guard.run(add, 1)
        pid = guard.pid
    assert descriptors() == before
    assert pid is not None
    assert not is_running(pid)


def test_a_forgotten_guard_ends_its_child() -> None:
    guard = Guard()
    pid = guard.run(os.getpid)
    del guard
    assert ends(pid)


def test_the_thread_that_started_it_may_end(guard: Guard) -> None:
    pids: list[int] = []
    thread = threading.Thread(target=lambda: pids.append(guard.run(os.getpid)))
    thread.start()
    thread.join()
    time.sleep(0.2)
    assert guard.run(os.getpid) == pids[0]


@pytest.mark.parametrize(
    "last_words",
    [
        "sys.exit(0)",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "threading.Thread(target=guard.run, args=(stuck_in_c,), daemon=True).start(); time.sleep(1); "
        "os.kill(os.getpid(), signal.SIGKILL)",
    ],
    ids=["at its end", "killed while the child is idle", "killed while the child is stuck in C"],
)
def test_the_child_ends_with_its_parent(last_words: str, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, threading, time\n"
        "from media import Guard\n"
        "from tests.media.test_guard import stuck_in_c\n"
        f"guard = Guard(); print(guard.run(os.getpid), flush=True); {last_words}"
    )
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert ends(int(ended.stdout)), ended.stderr


def slowly(steps: int, progress: Callable[[int, int], None]) -> int:
    for n in range(steps):
        time.sleep(0.2)
        progress(n, steps)
    return steps


def then_stuck(progress: Callable[[int, int], None]) -> None:
    progress(1, 2)
    stuck_in_c()


def test_work_that_shows_signs_of_life_may_go_on() -> None:
    with Guard() as guard:
        assert guard.run(slowly, 8, stall_s=0.8) == 8  # 1.6 s in all
        with pytest.raises(MediaError, match="no sign of life") as caught:
            guard.run(then_stuck, stall_s=0.5)
        assert caught.value.reason == "timeout"
        assert guard.run(add, 1) == 2
