"""The view `wide`: everything known of a clip, in one row. Rules and most queries speak of its columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dataset.schema import expert_schema

__all__ = ["WideColumn", "views_needed", "wide_columns", "wide_sql"]

_CAPTION = {
    "outcome": "caption_outcome",
    "short": "short",
    "medium": "medium",
    "dense": "dense",
    "dense_zh": "dense_zh",
    "structured": "structured",
    "flags": "caption_flags",
    "backend": "caption_backend",
}
_VIDEO = ("source", "license")
_VERDICT = ("kept", "rejected_by")
_HIDDEN = {"clip_id", "run_id"}


@dataclass(frozen=True, slots=True)
class WideColumn:
    """A column of `wide`: its name there, the view and the column that it shows."""

    name: str
    view: str
    column: str
    field: pa.Field


def wide_columns(schemas: Mapping[str, pa.Schema]) -> list[WideColumn]:
    """Return the columns of `wide`, given the schema of every view it joins.

    `schemas` has `clips`, `captions`, `selections`, `videos` and any number of `expert_<name>`. An expert's own
    columns keep their names, unless a clip or another expert has a column of that name; then they are prefixed
    `<expert>_`, as are its version, model, statements and error, always.
    """
    found = [WideColumn(field.name, "clips", field.name, field) for field in schemas["clips"]]
    found += [WideColumn(new, "captions", old, schemas["captions"].field(old)) for old, new in _CAPTION.items()]
    found += [WideColumn(name, "selections", name, schemas["selections"].field(name)) for name in _VERDICT]
    found += [WideColumn(name, "videos", name, schemas["videos"].field(name)) for name in _VIDEO]
    experts = {view: schema for view, schema in sorted(schemas.items()) if view.startswith("expert_")}
    count = Counter(column.name for column in found)
    count.update(name for schema in experts.values() for name in schema.names)
    fixed = set(expert_schema(()).names)
    for view, schema in experts.items():
        for field in schema:
            if field.name not in _HIDDEN:
                prefixed = field.name in fixed or count[field.name] > 1
                name = f"{view.removeprefix('expert_')}_{field.name}" if prefixed else field.name
                found.append(WideColumn(name, view, field.name, field))
    return found


def wide_sql(
    schemas: Mapping[str, pa.Schema],
    selection: str,
    views: Collection[str] | None = None,
    unique: Collection[str] = (),
) -> str:
    """Return the statement that makes `wide`, with the verdicts of `selection`.

    A clip is one row whatever the other tables hold: each is grouped by its key before it is joined, by two hashes of
    64 bits, which are a fraction of the ids' text; that two clips share both is as likely as that two files share an
    id. A view in `unique`, no two of whose rows have the same hash of their key, is joined by that as it is. Only
    `views` are joined, if given: the view then lacks the columns of the others.
    """
    columns = [c for c in wide_columns(schemas) if views is None or c.view == "clips" or c.view in views]
    joined = list(dict.fromkeys(column.view for column in columns if column.view != "clips"))
    joins: list[str] = []
    hashed: dict[str, str] = {}
    for view in joined:
        key = "video_id" if view == "videos" else "clip_id"
        hashes = _hashes(key, 1 if view in unique else 2)
        hashed |= hashes
        where = f" WHERE selection = '{selection}'" if view == "selections" else ""
        grouped = "" if view in unique else f" GROUP BY {', '.join(hashes)}"
        own = (_name(column.column) for column in columns if column.view == view)
        shown = ", ".join(name if view in unique else f"first({name}) AS {name}" for name in own)
        table = f"SELECT {_as(hashes)}, {shown} FROM {_name(view)}{where}{grouped}"
        names = " AND ".join(f"{_name(view)}.{name} = clips.{name}" for name in hashes)
        joins.append(f"LEFT JOIN ({table}) AS {_name(view)} ON {names}")
    clips = f"(SELECT *, {_as(hashed)} FROM clips) AS clips" if joins else "clips"
    shown = ", ".join(f"{_name(column.view)}.{_name(column.column)} AS {_name(column.name)}" for column in columns)
    return f"CREATE OR REPLACE VIEW wide AS SELECT {shown} FROM {clips} {' '.join(joins)}"


def _hashes(key: str, count: int) -> dict[str, str]:
    """Return the first `count` of the hashes of a key, by their names."""
    made = {f"hash_of_{key}": f"hash({key})", f"hash_of_reversed_{key}": f"hash('.' || {key})"}
    return dict(list(made.items())[:count])


def _as(hashes: Mapping[str, str]) -> str:
    return ", ".join(f"{made} AS {name}" for name, made in hashes.items())


def views_needed(tree: Any, columns: Collection[WideColumn]) -> set[str] | None:
    """Return the views that a query needs `wide` to join, or None if it may need them all.

    `tree` is the query as DuckDB's `json_serialize_sql` gives it. Whatever the query mentions by a name that
    `wide` has counts as needed; a whole row or a natural join needs everything, as does a star that may be over `wide`.
    """
    if _is_starred(tree, ["wide"]):
        return None
    words: set[str] = set()
    tables: set[str] = set()
    whole: set[str] = set()
    for node in _nodes(tree):
        if node.get("ref_type") == "NATURAL":
            return None
        if node.get("class") == "COLUMN_REF" and len(node["column_names"]) == 1:
            whole.add(node["column_names"][0].lower())
        if node.get("type") == "BASE_TABLE":
            tables |= {node["table_name"].lower(), str(node.get("alias", "")).lower()}
        words.update(word.lower() for value in node.values() for word in _words(value))
    if whole & tables - {column.name for column in columns}:
        return None
    return {column.view for column in columns if column.name.lower() in words}


def _is_starred(tree: Any, sources: list[str]) -> bool:
    """Whether a star stands where `wide` is among the sources: those of the nearest SELECT around it."""
    if isinstance(tree, dict):
        if tree.get("class") == "STAR":
            return "wide" in sources
        if "from_table" in tree:
            sources = _sources(tree["from_table"])
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return any(_is_starred(child, sources) for child in children)


def _sources(table: Any) -> list[str]:
    """Return the names that a FROM reads directly; what is neither a table, a join nor a subquery may be `wide`."""
    match (table or {}).get("type"):
        case "BASE_TABLE":
            return [table["table_name"].lower()]
        case "JOIN":
            return _sources(table["left"]) + _sources(table["right"])
        case "SUBQUERY":
            return []
    return ["wide"]


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
    for child in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _nodes(child)


def _words(value: Any) -> list[str]:
    return [word for word in (value if isinstance(value, list) else [value]) if isinstance(word, str)]


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
