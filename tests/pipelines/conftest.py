"""What the tests of commands share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipelines.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def rushes(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process; returns its exit code, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = 0
        try:
            main([str(a) for a in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run
