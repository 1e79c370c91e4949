"""Where the thresholds of rules could stand: for each, how far it must move to let some of the clips in again.

A threshold is a number that a column is compared with, in a rule that joins its terms by AND and OR alone. It alone
rejects a clip when every other rule keeps it, and its own rule would too if this one number stood elsewhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.select import Funnel, Rules, funnel_of, outcomes
from dataset import Root, connect
from dataset.catalogue import query_on

__all__ = ["SHARES", "Move", "Threshold", "sweep", "threshold_rows"]

SHARES: Final = (0.05, 0.1, 0.25)
"""The parts, of the clips that a threshold alone rejects, which its moves let in."""

_SIGNS: Final = {
    "COMPARE_LESSTHAN": "<",
    "COMPARE_LESSTHANOREQUALTO": "<=",
    "COMPARE_GREATERTHAN": ">",
    "COMPARE_GREATERTHANOREQUALTO": ">=",
}
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_EXPRESSION: Final = ("statements", 0, "node", "select_list", 0)
_DIGITS: Final = 4

Tree = dict[str, Any]
Steps = tuple[str | int, ...]
Values = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Move:
    """A threshold moved to `value`, so that at least `share` of the clips that it alone rejects come in.

    `gained` and `kept` are the clips that come in, and that are kept then; `predicate` is the rule to write for it.
    """

    share: float
    value: float
    gained: int
    kept: int
    predicate: str


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number in a rule: `column` `sign` `value`; `rejected_alone` clips are rejected by it and by nothing else.

    Clips whose column is null or not finite are not counted, for no other number lets them in. There are no moves
    where there are no such clips.
    """

    rule: str
    column: str
    sign: str
    value: float
    rejected_alone: int
    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """A threshold in the tree of its rule: the steps to its number, and the rule as text without it."""

    threshold: Threshold
    rule: int
    tree: Tree
    number: Steps
    opened: str


def sweep(root: Root, rules: Rules, shares: Sequence[float] = SHARES) -> tuple[Funnel, tuple[Threshold, ...]]:
    """Return what `rules` do, and every threshold in them with its moves, in the rules' order. Writes nothing.

    The moves of all thresholds come from one pass over the columns. A number is rounded to 4 digits, so that it can be
    typed, towards letting more in; the counts are those of the rounded number. Raises RuleError as `what_if` does.
    """
    with connect(root) as connection:
        named = list(rules.predicates.items())
        funnel = funnel_of(rules, *outcomes(connection, named, rules.origin))
        found = [one for index, (name, text) in enumerate(named) for one in _thresholds(connection, index, name, text)]
        values = _rejected_alone(connection, [text for _, text in named], found)
        swept = [
            replace(one.threshold, rejected_alone=len(own), moves=_moves(connection, one, own, shares, funnel.kept))
            for one, own in zip(found, values, strict=True)
        ]
    return funnel, tuple(swept)


def threshold_rows(thresholds: Sequence[Threshold]) -> list[dict[str, Any]]:
    """Return a row of text for each threshold, for a table: what it alone rejects, and what its moves would keep."""
    shares = dict.fromkeys(move.share for one in thresholds for move in one.moves)
    rows = []
    for one in thresholds:
        said = {move.share: f"{move.value:.10g}: +{move.gained:,} = {move.kept:,}" for move in one.moves}
        rows.append(
            {
                "rule": one.rule,
                "threshold": f"{one.column} {one.sign} {one.value:.10g}",
                "by it alone": one.rejected_alone,
                **{f"let in {share:.0%}": said.get(share, "") for share in shares},
            }
        )
    return rows


def _thresholds(connection: duckdb.DuckDBPyConnection, rule: int, name: str, predicate: str) -> Iterator[_Found]:
    tree = _parse(connection, predicate)
    if tree is None:
        return
    for steps, term in _terms(_at(tree, _EXPRESSION), _EXPRESSION):
        for column, sign, number, opened in _bounds(term):
            value = float(_at(term, number)["literal"]["text"])
            threshold = Threshold(name, _text(connection, _with(tree, _EXPRESSION, column)), sign, value, 0, ())
            without = _text(connection, _with(tree, steps, opened))
            yield _Found(threshold, rule, tree, (*steps, *number), without)


def _terms(node: Tree, steps: Steps) -> Iterator[tuple[Steps, Tree]]:
    """Yield what is joined by AND and OR; there, letting a clip pass one term can only keep it."""
    if node["class"] != "CONJUNCTION":
        yield steps, node
        return
    for index, child in enumerate(node["children"]):
        yield from _terms(child, (*steps, "children", index))


def _bounds(term: Tree) -> Iterator[tuple[Tree, str, Steps, Tree]]:
    """Yield the column, the sign, the steps to the number, and what is left of a term when that number is any."""
    if term["class"] == "BETWEEN" and _is_column(term["input"]):
        for here, there, sign in (("lower", "upper", "COMPARE_GREATERTHANOREQUALTO"),
                                  ("upper", "lower", "COMPARE_LESSTHANOREQUALTO")):  # fmt: skip
            if _is_number(term[here]):
                other = next(name for name in _SIGNS if _SIGNS[name] == _MIRRORED[_SIGNS[sign]])
                left = {"class": "COMPARISON", "type": other, "left": term["input"], "right": term[there]}
                yield term["input"], _SIGNS[sign], (here,), {"alias": "", **left}
    if term["class"] == "COMPARISON" and term["type"] in _SIGNS:
        sign = _SIGNS[term["type"]]
        for here, there, read in (("right", "left", sign), ("left", "right", _MIRRORED[sign])):
            if _is_number(term[here]) and _is_column(term[there]):
                always = {**term, "type": "COMPARE_EQUAL", "left": term[here], "right": term[here]}
                yield term[there], read, (here,), always


def _is_column(node: Tree) -> bool:
    return bool(node["class"] == "COLUMN_REF")


def _is_number(node: Tree) -> bool:
    return bool(node["class"] == "CONSTANT" and node.get("literal", {}).get("kind") in {"INTEGER", "NUMERIC"})


def _rejected_alone(
    connection: duckdb.DuckDBPyConnection, predicates: Sequence[str], found: Sequence[_Found]
) -> list[Values]:
    """Return, for each threshold, the values of the clips that it alone rejects, the nearest first."""
    if not found:
        return []
    columns = list(dict.fromkeys(one.threshold.column for one in found))
    asked = [f"coalesce((\n{predicate}\n), false) AS rule_{i}" for i, predicate in enumerate(predicates)]
    asked += [f"({one.opened}) AS opened_{i}" for i, one in enumerate(found)]
    asked += [f"{column} AS value_{i}" for i, column in enumerate(columns)]
    failing = " + ".join(f"(NOT rule_{i})::INTEGER" for i in range(len(predicates)))
    names = ", ".join(one.rpartition(" AS ")[2] for one in asked)
    rows = query_on(connection, f"SELECT {names} FROM (SELECT {', '.join(asked)} FROM wide) WHERE {failing} = 1")
    alone = []
    for index, one in enumerate(found):
        column = rows.column(f"value_{columns.index(one.threshold.column)}")
        fails = ~rows.column(f"rule_{one.rule}").to_numpy()
        would = rows.column(f"opened_{index}").fill_null(False).to_numpy()
        own = _numbers(column.filter(pa.array(fails & would)))
        alone.append(own[::-1] if one.threshold.sign in {">", ">="} else own)
    return alone


def _numbers(column: pa.ChunkedArray) -> Values:
    """Return the finite values, sorted: whole numbers as int64, others as what they are; none of anything else."""
    if pa.types.is_integer(column.type) and column.type != pa.uint64():
        return np.sort(column.drop_null().cast(pa.int64()).to_numpy())
    if not pa.types.is_floating(column.type):
        return np.empty(0)
    values = column.drop_null().to_numpy()
    return np.sort(values[np.isfinite(values)])


def _moves(
    connection: duckdb.DuckDBPyConnection, one: _Found, own: Values, shares: Sequence[float], kept: int
) -> tuple[Move, ...]:
    moves = []
    for share in shares if len(own) else ():
        wanted = max(1, math.ceil(round(share * len(own), 6)))
        value = _typed(own[wanted - 1], one.threshold.sign)
        gained = int(_passes(own, one.threshold.sign, value).sum())
        literal = {"kind": "NUMERIC" if "." in str(value) else "INTEGER", "text": str(value)}
        text = _text(connection, _with(one.tree, (*one.number, "literal"), literal))
        moves.append(Move(share, float(value), gained, kept + gained, text))
    return tuple(moves)


def _typed(value: Any, sign: str) -> Decimal:
    """Return the number to write after `sign` that lets `value` in: of few digits, rounded away from it."""
    exact = Decimal(value.item())
    step = Decimal(1)
    if not isinstance(value, np.integer):
        step = Decimal(1).scaleb(exact.adjusted() + 1 - _DIGITS)
    written = exact.quantize(step, ROUND_FLOOR if sign in {">", ">="} else ROUND_CEILING)
    while not _passes(np.asarray([value]), sign, written)[0]:
        written += -step if sign == ">" else step
    return Decimal(format(written.normalize(), "f"))


def _passes(values: Values, sign: str, number: Decimal) -> npt.NDArray[np.bool_]:
    """Compare as DuckDB does: a written number becomes what the column is."""
    bound = values.dtype.type(number)
    passes: npt.NDArray[np.bool_] = {
        "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal
    }[sign](values, bound)  # fmt: skip
    return passes


# The tree of an expression, as DuckDB's json_serialize_sql gives it


def _parse(connection: duckdb.DuckDBPyConnection, expression: str) -> Tree | None:
    statement = f"SELECT (\n{expression}\n)"
    tree: Tree = json.loads(connection.execute("SELECT json_serialize_sql(?)", [statement]).fetchall()[0][0])
    return None if tree.get("error") else tree


def _text(connection: duckdb.DuckDBPyConnection, tree: Tree) -> str:
    """Return an expression's tree as SQL, without parentheses around the whole."""
    text: str = connection.execute("SELECT json_deserialize_sql(?)", [json.dumps(tree)]).fetchall()[0][0]
    text = text.removeprefix("SELECT ")
    enclosed = _at(tree, _EXPRESSION)["class"] in {"CONJUNCTION", "COMPARISON", "BETWEEN"}
    return text[1:-1] if enclosed else text


def _at(tree: Any, steps: Steps) -> Any:
    for step in steps:
        tree = tree[step]
    return tree


def _with(tree: Tree, steps: Steps, node: Any) -> Tree:
    """Return a copy of `tree` with `node` at the end of `steps`."""
    changed = deepcopy(tree)
    _at(changed, steps[:-1])[steps[-1]] = node
    return changed
