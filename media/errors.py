"""Every error Rushes raises on purpose, in one tree.

    RushesError                    anything below; the CLI prints it in one line
    |-- UserError                  something to fix in what was typed or configured (exit code 2)
    |   |-- ConfigError            a config file: names file, field and the nearest right name
    |   |-- RuleError              a selection rule: names the rule and the column meant
    |   |-- QueryError             an SQL query that does not run, or may not
    |   |-- DatasetError           a dataset root that is missing, or not one
    |   `-- MissingModelError      a model the profile names and the machine lacks (exit code 3)
    |-- MediaError                 one bad file: becomes a quarantined row, never ends a run
    |-- CorruptionError            a table, part or checkpoint that fails its checksum (exit code 4)
    `-- BackendError               a server or runtime that did not answer as promised (exit code 5)

A user's mistake names the file, the field and the fix. A bad video is data, not an exception: `MediaError`
is caught at the stage boundary and its `reason` is written in the row.
"""

from __future__ import annotations

from typing import Final, Literal

__all__ = [
    "EXIT_CODES",
    "BackendError",
    "ConfigError",
    "CorruptionError",
    "DatasetError",
    "MediaError",
    "MissingModelError",
    "QueryError",
    "Reason",
    "RuleError",
    "RushesError",
    "UserError",
]

EXIT_CODES: Final[dict[int, str]] = {
    0: "done; quarantined files are a warning, not a failure",
    1: "a bug in Rushes: a traceback is shown",
    2: "something to fix in the command, the config, a rule or a query",
    3: "a model is missing; the message says how to get it",
    4: "a file of the dataset or of a checkpoint is damaged",
    5: "a server or runtime did not answer as promised",
    6: "`rushes diff --exit-code`: the two differ",
    130: "interrupted; run the same command again to go on",
}
"""What each exit code of the `rushes` command means."""

Reason = Literal[
    "unreadable",  # the address cannot be opened: missing, forbidden, unreachable
    "empty_file",  # zero bytes
    "not_media",  # bytes, but no container or image format we know
    "no_video",  # a container with no picture in it
    "truncated",  # the header promises more than the bytes hold
    "undecodable",  # the stream is there and cannot be decoded
    "timeout",  # over the wall limit of one file
    "crashed",  # the process that read it died, or failed as nobody foresaw
    "too_short",  # fewer frames than the shortest clip
    "uncopyable",  # its packets cannot be cut out without loss: cut it exact
    "verify_failed",  # a written clip does not match its source
    "opted_out",  # its owner has reserved it from training: it was not read
]
"""Why a file is quarantined: a closed set, so that it can be counted."""


class RushesError(Exception):
    """Anything Rushes raises on purpose."""

    exit_code: int = 1


class UserError(RushesError):
    """Something the user can fix."""

    exit_code = 2


class ConfigError(UserError):
    """A config file that cannot be used."""


class RuleError(UserError):
    """A selection rule that cannot be used."""


class QueryError(UserError):
    """A query that does not run, or may not."""


class DatasetError(UserError):
    """A dataset root that is missing, or is not one."""


class MissingModelError(UserError):
    """A model that the profile names and this machine lacks."""

    exit_code = 3


class MediaError(RushesError):
    """One bad file; becomes a quarantined row with `reason` and the message as detail.

    It reaches the command line only where the file was named there, to be mended there.
    """

    exit_code = 2

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason: Reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[MediaError], tuple[Reason, str]]:
        """Pickle by the two arguments, so that the error survives a process boundary."""
        return type(self), (self.reason, self.detail)


class CorruptionError(RushesError):
    """A file that fails its checksum."""

    exit_code = 4


class BackendError(RushesError):
    """A server or runtime that did not answer as promised."""

    exit_code = 5
