"""Progress suits where it is read."""

from __future__ import annotations

import io
import time

import pytest

from pipelines import progress
from pipelines.progress import Reporter, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def wait_for(stream: io.StringIO, text: str) -> None:
    """Wait until the painting thread has written `text`; the test's own limit ends a wait that never ends."""
    while text not in stream.getvalue():
        time.sleep(0.01)


def test_elsewhere_than_on_a_terminal_there_are_lines_without_control_characters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.01)
    stream = io.StringIO()
    with Reporter(2, stream=stream).step("look", "clips") as move:
        move(2, 4)
        wait_for(stream, "[1/2] look: 2 of 4 clips (50%)")
        move(4, 4)
    assert not set("\r\033") & set(stream.getvalue())
    assert stream.getvalue().splitlines()[-1].startswith("[1/2] look: 4 clips, done in")


def test_a_step_in_which_nothing_ends_is_seen_to_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.01)
    stream = io.StringIO()
    with Reporter(stream=stream).step("think"):
        wait_for(stream, "think ...")


def test_lines_do_not_flood() -> None:
    stream = io.StringIO()
    with Reporter(stream=stream).step("look", "clips") as move:
        for done in range(10_000):
            move(done, 10_000)
    assert len(stream.getvalue().splitlines()) == 1


def test_a_step_with_no_work_says_so() -> None:
    stream = io.StringIO()
    with Reporter(stream=stream).step("look", "clips") as move:
        move(0, 0)
    assert "look: nothing to do, done in" in stream.getvalue()


def test_on_a_terminal_there_is_one_line_that_moves_and_a_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "BAR_EVERY_S", 0.01)
    stream = Terminal()
    with Reporter(stream=stream).step("look", "clips") as move:
        move(1, 2)
        wait_for(stream, "1/2 clips")
    assert stream.getvalue().count("\n") == 1
    assert "━" in stream.getvalue()


def test_a_step_that_fails_says_that_it_stopped() -> None:
    stream = io.StringIO()
    with pytest.raises(ValueError), Reporter(stream=stream).step("look"):
        raise ValueError("x")
    assert "stopped after" in stream.getvalue()


def test_unnumbered_steps_do_not_count() -> None:
    stream = io.StringIO()
    report = Reporter(2, stream=stream)
    with report.step("one"):
        pass
    with report.step("between", numbered=False):
        pass
    with report.step("two"):
        pass
    assert "[2/2] two" in stream.getvalue()
    assert set(report.seconds) == {"one", "between", "two"}


@pytest.mark.parametrize(("seconds", "said"), [(0.44, "0.4 s"), (12.3, "12 s"), (185, "3 min 05 s")])
def test_durations_read_well(seconds: float, said: str) -> None:
    assert duration(seconds) == said
