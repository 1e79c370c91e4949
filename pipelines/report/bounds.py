"""Thresholds read out of rules' predicates, so that histograms can show them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import duckdb

from pipelines.report.svg import Bound

__all__ = ["bounds_of", "columns_named"]

_PASSING: Final = {
    "COMPARE_GREATERTHAN": "above",
    "COMPARE_GREATERTHANOREQUALTO": "above",
    "COMPARE_LESSTHAN": "below",
    "COMPARE_LESSTHANOREQUALTO": "below",
}
_OTHER: Final = {"above": "below", "below": "above"}


def bounds_of(rules: Iterable[tuple[str, str]]) -> dict[str, list[Bound]]:
    """Return, by column, the thresholds that `(name, predicate)` rules compare it with.

    Only comparisons of a column with a number are read; what else a predicate says is for SQL alone.
    """
    found: dict[str, list[Bound]] = {}
    for rule, tree in _trees(rules):
        for column, value, passing in _walk(tree, negated=False):
            found.setdefault(column, []).append(Bound(value, passing, rule))
    return found


def columns_named(rules: Iterable[tuple[str, str]]) -> list[str]:
    """Return every column that a rule mentions, in order of first mention."""
    names: dict[str, None] = {}
    for _, tree in _trees(rules):
        for node in _nodes(tree):
            if node.get("class") == "COLUMN_REF":
                names.setdefault(str(node["column_names"][-1]))
    return list(names)


def _trees(rules: Iterable[tuple[str, str]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with duckdb.connect(":memory:") as connection:
        for rule, predicate in rules:
            asked = [f"SELECT 1 WHERE ({predicate})"]
            row = connection.execute("SELECT json_serialize_sql(?)", asked).fetchall()[0]
            parsed = json.loads(row[0])
            if not parsed.get("error"):
                yield rule, parsed["statements"][0]["node"]["where_clause"]


def _nodes(tree: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from _nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _nodes(value)


def _walk(node: Mapping[str, Any], *, negated: bool) -> Iterator[tuple[str, float, str]]:
    kind = node.get("type", "")
    if kind == "COMPARE_BETWEEN":
        column = _column(node["input"])
        for side, passing in (("lower", "above"), ("upper", "below")):
            value = _number(node[side])
            if column is not None and value is not None and not negated:
                yield column, value, passing
    elif kind in _PASSING:
        left, right, passing = node["left"], node["right"], _PASSING[kind]
        if _column(left) is None:
            left, right, passing = right, left, _OTHER[passing]
        column, value = _column(left), _number(right)
        if column is not None and value is not None:
            yield column, value, _OTHER[passing] if negated else passing
    else:
        inside = negated != (kind == "OPERATOR_NOT")
        if kind.startswith("CONJUNCTION") or kind == "OPERATOR_NOT":
            for child in node["children"]:
                yield from _walk(child, negated=inside)


def _column(node: Mapping[str, Any]) -> str | None:
    """Return the column that `node` is, or that it falls back from in a coalesce."""
    if node.get("type") == "OPERATOR_COALESCE":
        return _column(node["children"][0])
    return str(node["column_names"][-1]) if node.get("class") == "COLUMN_REF" else None


def _number(node: Mapping[str, Any]) -> float | None:
    if node.get("type") != "VALUE_CONSTANT":
        return None
    literal = node.get("literal", {})
    try:
        return float(literal["text"]) if literal.get("kind") in {"INTEGER", "NUMERIC"} else None
    except (KeyError, ValueError):
        return None
