"""Rows that are to be made again, let go: of an expert's other model or version, of a failure that may pass; captions.

What is let go is lacking, and what is lacking is computed: the step that looks for missing rows needs to know no more.
So there are never two rows for a clip, whenever a run is killed.
"""

from __future__ import annotations

import builtins
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from dataset import Root
from dataset.parts import serialise

__all__ = ["forget", "forget_stale", "unanswered"]

_MADE_BY: Final = ["clip_id", "version", "model", "model_hash", "error"]
_SYSTEM: Final = sorted(
    name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, OSError)
)
_PASSING: Final = f"^(?:BackendError|OutOfMemoryError|AcceleratorError|MemoryError|{'|'.join(_SYSTEM)}):"
"""Errors that say nothing of the clip: a server, a disk or a GPU failed, and may not the next time."""


def forget_stale(root: Root, expert: str, profile: str) -> tuple[set[str], str | None]:
    """Remove the rows of an expert that it would not write today, and return the clips that still have one.

    Those are the rows of another version or model, and those whose error is a passing failure; other errors stay. The
    second value says in one line what was removed and why; None where nothing was. Today's model is known without
    loading it; an expert that names no role (a server's, say) is compared by its version alone.

    Raises:
        MissingModelError: the model of today is not on this machine; nothing is removed then.
    """
    import experts

    version = experts.expert_class(expert, profile).version
    model = experts.model_of(expert, profile)
    model_hash = model.hash if model else None
    table = f"experts/{expert}"
    rows = root.read(table, _MADE_BY)
    other, failed = _made_by_another(rows, version, model_hash), _failed_in_passing(rows)
    stale = pc.or_(other, failed)
    have = set(rows.filter(pc.invert(stale))["clip_id"].to_pylist())
    if not pc.any(stale).as_py():
        return have, None
    for part in root.parts(table):
        _keep(root, f"{table}/{part}", version, model_hash)
    old, again = rows.filter(other).to_pylist(), rows.filter(pc.and_not(failed, other))["error"].to_pylist()
    said = []
    if old:
        before = dict.fromkeys(_named(row["version"], row["model"], row["model_hash"]) for row in old)
        said.append(f"{_counted(len(old))} of {', '.join(before)}")
    if again:
        kinds = Counter(error.partition(":")[0] for error in again)
        said.append(f"{_counted(len(again))} that failed in passing ({', '.join(kinds)})")
    now = _named(version, model.name if model else None, model_hash)
    return have, f"expert {expert}: {' and '.join(said)} to be computed again, by {now}"


def forget(root: Root, table: str, clip_ids: Collection[str]) -> int:
    """Remove the rows of these clips from a table, and return how many there were."""
    gone = pa.array(sorted(clip_ids), pa.string())
    before = root.count(table) if root.exists(table) else 0
    for part in root.parts(table) if before else ():
        _rewrite(root, f"{table}/{part}", lambda rows: pc.invert(pc.is_in(rows["clip_id"], gone)))
    return before - (root.count(table) if root.exists(table) else 0)


def unanswered(root: Root, backend: str) -> set[str]:
    """Return the clips whose caption the template wrote because this backend, a server or vLLM, gave no answer."""
    rows = root.read("captions", ["clip_id", "outcome", "backend", "error"])
    failed = pc.and_(pc.equal(rows["outcome"], "template"), pc.equal(rows["backend"], backend))
    return set(rows.filter(pc.and_(failed, pc.is_valid(rows["error"])))["clip_id"].to_pylist())


def _keep(root: Root, part: str, version: str, model_hash: str | None) -> None:
    """Keep of one part only what this version and model made, and did not fail in passing at."""
    _rewrite(
        root,
        part,
        lambda rows: pc.invert(pc.or_(_made_by_another(rows, version, model_hash), _failed_in_passing(rows))),
    )


def _made_by_another(rows: pa.Table, version: str, model_hash: str | None) -> pa.ChunkedArray:
    """Return, for each row, whether another version or model made it; no model is compared where there is none."""
    other = pc.not_equal(rows["version"], version)
    if model_hash is None:
        return other
    return pc.or_(other, pc.not_equal(pc.fill_null(rows["model_hash"], ""), model_hash))


def _failed_in_passing(rows: pa.Table) -> pa.ChunkedArray:
    return pc.match_substring_regex(pc.fill_null(rows["error"], ""), _PASSING)


def _rewrite(root: Root, part: str, wanted: Callable[[pa.Table], pa.ChunkedArray]) -> None:
    """Keep of one part the rows that are wanted; a part of which nothing is left goes.

    It must not stay, empty: another version may have given its columns other types.
    """
    with root.storage(part):
        content = ds.dataset([root.location(part)], format="parquet", filesystem=root.filesystem).to_table()
    kept: pa.Table = content.filter(wanted(content))
    if kept.num_rows == 0:
        with root.storage(part):
            root.filesystem.delete_file(root.location(part))
    elif kept.num_rows < content.num_rows:
        root.write_bytes(part, serialise(kept))


def _named(version: Any, model: Any, model_hash: Any) -> str:
    return f"version {version}" if model is None else f"{model} ({model_hash}, version {version})"


def _counted(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows} rows"
