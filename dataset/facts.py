"""What can be said of a whole dataset, gathered once: for its card and for its Croissant file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import duckdb

from dataset.catalogue import DEFAULT_SELECTION, connect, query_on
from dataset.compaction import stored_files, stored_rows
from dataset.root import Root
from dataset.tombstones import REMOVALS
from media.errors import DatasetError, UserError

__all__ = ["NOT_STATED", "Facts", "Model", "facts_of"]

NOT_STATED: Final = "not stated"
"""What stands for a licence that nobody stated: it is never guessed."""

_COUNTS: Final = """
SELECT kind, count(*) AS clips, round(sum(duration_s) / 60, 1) AS minutes, count(*) FILTER (kept) AS kept
FROM wide GROUP BY kind ORDER BY kind
"""
_SOURCES: Final = f"""
SELECT coalesce(source, '-') AS source, coalesce(license, '{NOT_STATED}') AS license,
       coalesce(rights_basis, '-') AS rights_basis, media, status, count(*) AS files
FROM videos GROUP BY ALL ORDER BY ALL
"""
_LICENSES: Final = f"""
SELECT coalesce(v.license, '{NOT_STATED}') AS license, count(DISTINCT v.video_id) AS sources, count(c.clip_id) AS clips,
       coalesce(round(sum(c.duration_s) / 60, 1), 0) AS minutes
FROM (SELECT DISTINCT video_id, license FROM videos WHERE status = 'ok') v
LEFT JOIN clips c USING (video_id) GROUP BY 1 ORDER BY minutes DESC, 1
"""
_FUNNEL: Final = f"""
SELECT rule, predicate, rejected, rejected_alone, rejected_null FROM funnel WHERE selection = '{DEFAULT_SELECTION}'
"""
_SHARDS: Final = """
SELECT shard_set AS shards, kind, count(*) AS rows, sum(frames)::bigint AS frames,
       round(sum(duration_s) / 60, 1) AS minutes
FROM shards GROUP BY ALL ORDER BY ALL
"""
_QUARANTINED: Final = "SELECT reason, count(*) AS files FROM videos WHERE status <> 'ok' GROUP BY 1 ORDER BY 2 DESC, 1"
_DUPLICATES: Final = """
SELECT duplicate_set AS "set", kind, count(DISTINCT cluster_id) AS clusters, count(*) AS clips,
       count(*) FILTER (NOT representative) AS to_spare
FROM duplicates GROUP BY ALL ORDER BY ALL
"""
_OUTCOMES: Final = "SELECT outcome, count(*) AS captions FROM captions GROUP BY ALL ORDER BY captions DESC, 1"
_MODEL: Final = """
SELECT '{role}' AS role, {version} AS version, model, model_hash AS hash, count(*) AS clips FROM {view}
"""

Rows = list[dict[str, Any]]
Licences = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Model:
    """A model, or a version of a method, that looked at clips or wrote of them."""

    role: str
    version: str
    model: str | None
    hash: str | None
    license: str
    clips: int

    def in_words(self) -> str:
        """Return it in a line."""
        if self.model is None:
            return f"{self.role} {self.version}: no model, classical vision"
        return f"{self.role} {self.version}: {self.model} ({self.hash or 'no hash'}), licence {self.license}"


@dataclass(frozen=True, slots=True)
class Facts:
    """The figures of a dataset, as its card shows them."""

    counts: Rows
    sources: Rows
    by_license: Rows
    funnel: Rows
    shards: Rows
    quarantined: Rows
    duplicates: Rows
    outcomes: Rows
    models: list[Model]
    made_at: str | None
    """The day of the newest run, ISO 8601."""

    @property
    def licenses(self) -> list[str]:
        """The licences of the sources, sorted; `NOT_STATED` among them if one has none."""
        return sorted({str(row["license"]) for row in self.by_license})

    @property
    def kinds(self) -> list[str]:
        """The kinds of clips."""
        return [str(row["kind"]) for row in self.counts]

    def in_one_sentence(self) -> str:
        """Return what is in it."""
        kinds = ", ".join(f"{row['clips']} of kind {row['kind']}" for row in self.counts) or "none"
        sources = sum(row["files"] for row in self.sources if row["status"] == "ok")
        return f"Clips of {sources} sources, measured, captioned and selected: {kinds}."

    def collected(self) -> str:
        """Return how the clips came to be."""
        names = ", ".join(dict.fromkeys(row["source"] for row in self.sources if row["source"] != "-"))
        return (
            f"Sources{' from ' + names if names else ''} were split into shots and measured in one decode; every clip, "
            "kept or rejected, has its measures and the rules that rejected it."
        )

    def limits(self) -> list[str]:
        """Return what a user should know is missing."""
        said = [f"{row['files']} sources were quarantined as {row['reason']}" for row in self.quarantined]
        unstated = next((row for row in self.by_license if row["license"] == NOT_STATED), None)
        said += [f"the licence of {unstated['sources']} sources is not stated"] if unstated else []
        written = [row for row in self.outcomes if row["outcome"] == "template"]
        said += [f"{row['captions']} captions are a template's, without a language model" for row in written]
        return said


def facts_of(root: Root, licences: Licences | None = None) -> Facts:
    """Return the figures of `root`. `licences` tells that of a model by its name, None where it does not know.

    Raises DatasetError if there is nothing to describe, UserError if rows of removed sources are still stored: whoever
    reads the Parquet files that a card points to would see them.
    """
    tables = [table for table in root.tables() if table != REMOVALS]
    if not tables:
        raise DatasetError(f"{root.uri} holds no tables yet: there is nothing to describe")
    if any(stored_rows(root, file) for file in stored_files(root)):
        raise UserError(f"{root.uri} still stores rows of removed sources: run `rushes compact` before it is published")
    connection = connect(root)
    try:

        def ask(sql: str) -> Rows:
            rows: Rows = query_on(connection, sql).to_pylist()
            return rows

        return Facts(
            counts=ask(_COUNTS),
            sources=ask(_SOURCES),
            by_license=ask(_LICENSES),
            funnel=ask(_FUNNEL),
            shards=ask(_SHARDS),
            quarantined=ask(_QUARANTINED),
            duplicates=ask(_DUPLICATES),
            outcomes=ask(_OUTCOMES),
            models=_models(root, connection, licences or (lambda model: None)),
            made_at=next((str(run["finished"])[:10] for run in reversed(root.runs()) if run.get("finished")), None),
        )
    finally:
        connection.close()


def _models(root: Root, connection: duckdb.DuckDBPyConnection, licences: Licences) -> list[Model]:
    views = [(name, "version", f'"expert_{name}"') for name in root.names("experts")]
    found = []
    for role, version, view in [*views, ("captions", "backend", "captions")]:
        sql = f"{_MODEL.format(role=role, version=version, view=view)} GROUP BY ALL ORDER BY ALL"
        for row in query_on(connection, sql).to_pylist():
            known = "-" if row["model"] is None else licences(row["model"]) or NOT_STATED
            found.append(Model(**{**row, "version": row["version"] or "-"}, license=known))
    return found
