"""Names that were meant: the one that is spelt otherwise, the nearest one, and the one that DuckDB misses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["explain", "nearest", "spelt"]

_COLUMN = re.compile(r'Referenced column "([^"]+)"|does not have a column named "([^"]+)"|Column "([^"]+)" ')
_TABLE = re.compile(r"Table with name (\S+) does not exist|Referenced table \"([^\"]+)\"")
_DENIED = re.compile(r"^Permission Error|configuration has been locked|file system operations are disabled")
_POINTER = re.compile(r"\n\s*LINE \d+:.*", re.DOTALL)


def spelt(name: str, known: Iterable[str]) -> str | None:
    """Return the name in `known` that `name` is, but for capitals, `-`, `_` and blanks around it; None if none is."""
    return {_plain(candidate): candidate for candidate in known}.get(_plain(name))


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "").replace("_", "")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the name in `known` that `name` was most likely meant to be; None if nothing is near."""
    folded = {candidate.lower(): candidate for candidate in sorted(set(known))}
    name = name.lower()
    starts = [candidate for candidate in folded if len(name) > 2 and candidate.startswith(name)]
    close = get_close_matches(name, folded, n=1, cutoff=0.6)
    within = [candidate for candidate in folded if len(name) > 2 and name in candidate]
    for found in (starts, close, within):
        if found:
            return folded[min(found, key=len)]
    return None


def explain(error: Exception, columns: Iterable[str], views: Iterable[str]) -> str:
    """Return `error`, raised by DuckDB, in one line; names the nearest of `columns` or `views` where one was meant."""
    text = str(error)
    if match := _COLUMN.search(text):
        return _unknown("column", next(filter(None, match.groups())), columns)
    if match := _TABLE.search(text):
        return _unknown("view", next(filter(None, match.groups())), views)
    if _DENIED.search(text):
        return "a query may not touch files, extensions or settings: it sees the dataset's views and nothing else"
    return " ".join(_POINTER.sub("", text).split())


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    near = nearest(name.strip('"'), known)
    hint = f"; did you mean {near}?" if near else "; `rushes columns` lists what there is"
    return f"there is no {what} {name}{hint}"
