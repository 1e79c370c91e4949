"""The dataset card: a README.md that says what is in a dataset, where it comes from, and how it was chosen.

Its front matter is that of the Hugging Face hub, so a folder that is uploaded there shows its shards as splits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from dataset.catalogue import connect, query_on
from dataset.columns import column_docs
from dataset.root import Root
from media.errors import DatasetError

__all__ = ["card", "write_card"]

_COUNTS = """
SELECT kind, count(*) AS clips, round(sum(duration_s) / 60, 1) AS minutes, count(*) FILTER (kept) AS kept
FROM wide GROUP BY kind ORDER BY kind
"""
_SOURCES = """
SELECT coalesce(source, '-') AS source, coalesce(license, 'not stated') AS license, media, status, count(*) AS files
FROM videos GROUP BY ALL ORDER BY ALL
"""
_FUNNEL = "SELECT rule, predicate, rejected, rejected_alone, rejected_null FROM funnel WHERE selection = 'default'"
_SHARDS = """
SELECT shard_set AS shards, kind, count(*) AS rows, sum(frames)::bigint AS frames
FROM shards GROUP BY ALL ORDER BY ALL
"""


def write_card(root: Root, *, title: str = "A video dataset") -> str:
    """Write the card as `README.md` in the root, and return its text."""
    text = card(root, title=title)
    root.write_bytes("README.md", text.encode())
    return text


def card(root: Root, *, title: str = "A video dataset") -> str:
    """Return the dataset card of `root`: counts, sources and licences, rules, models, columns, as Markdown.

    Raises DatasetError if there is nothing to describe.
    """
    tables = root.tables()
    if not tables:
        raise DatasetError(f"{root.uri} holds no tables yet: there is nothing to describe")
    connection = connect(root)
    try:
        counts, sources, funnel, shards = (
            query_on(connection, sql).to_pylist() for sql in (_COUNTS, _SOURCES, _FUNNEL, _SHARDS)
        )
        models = [model for name in root.names("experts") for model in _models(connection, name)]
    finally:
        connection.close()
    sections = [
        _front_matter(root, title, sources),
        f"# {title}\n\nMade with Rushes. Everything is Parquet: "
        "`duckdb -c \"select * from 'clips/*.parquet' limit 5\"` reads it.",
        "## Clips\n\n" + _table(counts),
        "## Sources and licences\n\n" + _table(sources),
        "## Shards\n\n" + _table(shards),
        "## Selection\n\nA clip is kept when every rule is true.\n\n" + _table(funnel),
        "## Models that looked at it\n\n" + _table(models),
        "## Columns\n\n" + _columns(root),
    ]
    return "\n\n".join(sections) + "\n"


def _models(connection: Any, expert: str) -> list[dict[str, Any]]:
    sql = f"""
    SELECT '{expert}' AS expert, version, coalesce(model, 'none: classical vision') AS model,
           coalesce(model_hash, '-') AS hash, count(*) AS clips
    FROM "expert_{expert}" GROUP BY ALL ORDER BY ALL
    """
    rows: list[dict[str, Any]] = query_on(connection, sql).to_pylist()
    return rows


def _front_matter(root: Root, title: str, sources: Sequence[dict[str, Any]]) -> str:
    licenses = sorted({row["license"] for row in sources if row["license"] != "not stated"})
    content: dict[str, Any] = {"pretty_name": title, "task_categories": ["text-to-video"]}
    content["license"] = licenses[0].lower() if len(licenses) == 1 else "other"
    if len(licenses) > 1:
        content["license_name"] = " AND ".join(licenses)
    content["configs"] = [
        {"config_name": name, "data_files": f"shards/{name}/*.parquet"} for name in root.names("shards")
    ]
    return f"---\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True)}---"


def _columns(root: Root) -> str:
    rows = [
        {"table": doc.table, "column": doc.column, "type": doc.type, "meaning": doc.doc}
        for doc in column_docs(root)
        if doc.table != "wide"
    ]
    return _table(rows)


def _table(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return "None."
    names = list(rows[0])

    def line(values: Iterable[object]) -> str:
        return "| " + " | ".join(str("" if value is None else value).replace("|", "\\|") for value in values) + " |"

    return "\n".join([line(names), line("---" for _ in names), *(line(row.values()) for row in rows)])
