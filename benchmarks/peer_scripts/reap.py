"""Run a command and wait for every process that it leaves behind, so that their CPU time counts as this one's.

A process whose parent ends before it is adopted by the init process, and its CPU time is then in no one's
`RUSAGE_CHILDREN`. Here this process adopts it (prctl(2), PR_SET_CHILD_SUBREAPER, Linux only).
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

PR_SET_CHILD_SUBREAPER: Final = 36


def main(command: Sequence[str]) -> int:
    """Run `command`, wait for its orphans too, and return its exit code. Raises OSError if none can be adopted."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    code = subprocess.call(command)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
