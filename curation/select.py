"""Selection: named SQL predicates over what was measured. Nothing is decoded, and nothing measured is thrown away.

A rule is a boolean SQL expression over the columns of the view `wide`, for instance
`motion: flow_mean_px_per_s between 0.3 and 300`. A clip is kept when every rule is true for it. A rule whose value
is null, because what it asks of was not measured, rejects: nothing enters training unmeasured. The funnel counts
these apart; a rule that should let them pass says so, with `coalesce` or `is null or`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from dataset import Root, connect, schema_of
from dataset.catalogue import DEFAULT_SELECTION, RULES_KEY, query_on
from media.errors import QueryError, RuleError

__all__ = [
    "Funnel",
    "FunnelRow",
    "Rules",
    "default_rules",
    "funnel_of",
    "load_rules",
    "outcomes",
    "select",
    "what_if",
]

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Rules:
    """Named predicates, in order; `origin` is where they come from, for messages."""

    predicates: Mapping[str, str]
    origin: str = "rules"

    def __post_init__(self) -> None:
        if not self.predicates:
            raise RuleError(f"{self.origin}: there are no rules")
        for name, predicate in self.predicates.items():
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise RuleError(f"{self.origin}: {name!r} cannot name a rule: letters, digits, _ and -, a letter first")
            if not isinstance(predicate, str) or not predicate.strip():
                raise RuleError(f"{self.origin}: rule {name} must be an SQL predicate in text, not {predicate!r}")

    def changed(self, predicates: Mapping[str, str | None]) -> Rules:
        """Return these rules with some replaced or added, and without those that are given as None."""
        merged = {**self.predicates, **predicates}
        return Rules({name: text for name, text in merged.items() if text is not None}, self.origin)


@dataclass(frozen=True, slots=True)
class FunnelRow:
    """What one rule does: clips it rejects; those no other rule rejects; those for which its value is null."""

    rule: str
    predicate: str
    rejected: int
    rejected_alone: int
    rejected_null: int


@dataclass(frozen=True, slots=True)
class Funnel:
    """What a set of rules does to a dataset."""

    total: int
    kept: int
    rows: tuple[FunnelRow, ...]


def load_rules(path: str | os.PathLike[str]) -> Rules:
    """Read rules from a YAML file: a mapping from a rule's name to its predicate.

    Raises RuleError, naming the file, if it is not one, or names a rule twice.
    """
    source = Path(path)
    try:
        text = source.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError(f"{source}: rules cannot be read: {error}") from error
    return _parse(text, str(source))


def default_rules() -> Rules:
    """Return the rules that `rushes` selects by unless it is given others: curation/rules/default.yaml."""
    return _parse(resources.files("curation").joinpath("rules/default.yaml").read_text(), "the default rules")


def what_if(root: Root, rules: Rules) -> Funnel:
    """Return what `rules` would keep and reject. Writes nothing.

    Raises RuleError, naming the rule and the column that was meant, if one does not make sense for this dataset.
    """
    connection = connect(root)
    try:
        return funnel_of(rules, *outcomes(connection, list(rules.predicates.items()), rules.origin))
    finally:
        connection.close()


def select(root: Root, rules: Rules, name: str = DEFAULT_SELECTION, *, run_id: str) -> Funnel:
    """Write `selections/<name>`: the verdict on every clip, of any kind, with the rules that rejected it.

    An earlier selection of that name is replaced, whole. Raises RuleError as `what_if` does.
    """
    connection = connect(root)
    try:
        ids, passed, null = _verdicts(connection, list(rules.predicates.items()), rules.origin)
        in_order = query_on(connection, "SELECT clip_id FROM clips").column("clip_id")
        if not ids.equals(in_order):  # a join gives rows in any order; what is written has that of the clips
            order = pc.index_in(in_order, value_set=ids)
            ids, passed, null = in_order, passed[:, order], null[:, order]
    finally:
        connection.close()
    funnel = funnel_of(rules, passed, null, np.ones(len(ids), np.int64))
    described = json.dumps([[row.rule, row.predicate, row.rejected_null] for row in funnel.rows])
    schema = schema_of(f"selections/{name}").with_metadata({RULES_KEY: described})
    columns = {
        "clip_id": ids,
        "kept": pa.array(passed.all(axis=0)),
        "rejected_by": _names(~passed, list(rules.predicates)),
        "run_id": pa.repeat(pa.scalar(run_id), len(ids)),
    }
    root.write_part(f"selections/{name}", pa.table(columns), schema, key="verdicts")
    return funnel


def _parse(text: str, origin: str) -> Rules:
    try:
        content = yaml.load(text, _UniqueKeys)
    except yaml.YAMLError as error:
        raise RuleError(f"{origin}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise RuleError(f"{origin}: rules are a mapping from a name to an SQL predicate")
    return Rules(content, origin)


class _UniqueKeys(yaml.SafeLoader):
    """A loader that refuses what YAML forbids and PyYAML lets pass: the same key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


def outcomes(
    connection: duckdb.DuckDBPyConnection, named: Sequence[tuple[str, str]], origin: str
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Return the outcomes that occur, and how many clips have each.

    The first two are bool[rules, outcomes]: where a rule passes, and where its value is null. The clips are counted
    in DuckDB, so that nothing is held for each. `named` are rules, each a name and a predicate; `origin` says where
    they come from. Raises RuleError as `what_if`.
    """
    columns = _columns(connection, named, origin)
    names = ", ".join(f"rule_{index}" for index in range(len(named)))
    sql = f"SELECT {names}, count(*) AS clips FROM (SELECT {columns} FROM wide) GROUP BY ALL"
    found = _judged(connection, named, origin, sql)
    clips = found.column("clips").to_numpy().astype(np.int64)
    return *_values(found, named, origin, int(clips.sum()), connection), clips


def _verdicts(
    connection: duckdb.DuckDBPyConnection, named: Sequence[tuple[str, str]], origin: str
) -> tuple[pa.ChunkedArray, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return the clips' ids and, as bool[rules, clips], where a rule passes and where its value is null."""
    columns = _columns(connection, named, origin)
    found = _judged(connection, named, origin, f"SELECT clip_id, {columns} FROM wide")
    return found.column("clip_id"), *_values(found, named, origin, found.num_rows, connection)


def _columns(connection: duckdb.DuckDBPyConnection, named: Sequence[tuple[str, str]], origin: str) -> str:
    """Return the rules, each of them checked alone, as the columns rule_0, rule_1 ... of a SELECT."""
    for name, predicate in named:
        _bind(connection, origin, name, predicate)
    return ", ".join(f"(\n{predicate}\n) AS rule_{index}" for index, (_, predicate) in enumerate(named))


def _judged(connection: duckdb.DuckDBPyConnection, named: Sequence[tuple[str, str]], origin: str, sql: str) -> pa.Table:
    try:
        return query_on(connection, sql)
    except QueryError:
        _blame(connection, named, origin)
        raise


def _values(
    found: pa.Table,
    named: Sequence[tuple[str, str]],
    origin: str,
    judged: int,
    connection: duckdb.DuckDBPyConnection,
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return, as bool[rules, rows of `found`], where a rule passes and where it is null; `judged` clips are in it."""
    if judged != query_on(connection, "SELECT count(*) AS n FROM clips").column("n")[0].as_py():
        _blame(connection, named, origin)
        raise RuleError(f"{origin}: a rule gives one value for a clip; together these give other numbers of them")
    passed = np.empty((len(named), found.num_rows), np.bool_)
    null = np.empty_like(passed)
    for index in range(len(named)):
        values = found.column(f"rule_{index}")
        null[index] = values.is_null().to_numpy()
        passed[index] = values.fill_null(False).to_numpy()
    return passed, null


def _bind(connection: duckdb.DuckDBPyConnection, origin: str, name: str, predicate: str) -> None:
    """Raise RuleError unless `predicate` is one boolean expression over `wide`."""
    where = f"{origin}: rule {name}"
    try:
        duckdb.SQLExpression(predicate)
        bound = query_on(connection, f"SELECT clip_id, (\n{predicate}\n) AS verdict FROM wide LIMIT 0")
    except (QueryError, duckdb.Error) as error:
        text = " ".join(str(error).split())
        if "GROUP BY" in text:
            text = "a rule speaks of one clip; an aggregate over all of them needs OVER ()"
        raise RuleError(f"{where}: {text}") from error
    kind = bound.schema.field("verdict").type
    if not pa.types.is_boolean(kind):
        raise RuleError(f"{where}: a rule is true or false; `{predicate.strip()}` is of type {kind}: compare it")


def _blame(connection: duckdb.DuckDBPyConnection, named: Sequence[tuple[str, str]], origin: str) -> None:
    """Raise RuleError for the first rule that does not give one value for each clip, if there is one."""
    total = query_on(connection, "SELECT count(*) AS n FROM clips").column("n")[0].as_py()
    for name, predicate in named:
        try:
            rows = query_on(connection, f"SELECT clip_id, (\n{predicate}\n) AS verdict FROM wide").num_rows
        except QueryError as error:
            raise RuleError(f"{origin}: rule {name}: {error}") from error
        if rows != total:
            raise RuleError(f"{origin}: rule {name} gives {rows} values for {total} clips: no unnest in a rule")


def funnel_of(
    rules: Rules, passed: npt.NDArray[np.bool_], null: npt.NDArray[np.bool_], clips: npt.NDArray[np.int64]
) -> Funnel:
    """Return what `rules` do, counted from what `outcomes` gives."""
    failed = ~passed
    once = failed.sum(axis=0) == 1
    rows = tuple(
        FunnelRow(
            name,
            predicate.strip(),
            int(clips[failed[i]].sum()),
            int(clips[failed[i] & once].sum()),
            int(clips[null[i]].sum()),
        )
        for i, (name, predicate) in enumerate(rules.predicates.items())
    )
    return Funnel(total=int(clips.sum()), kept=int(clips[passed.all(axis=0)].sum()), rows=rows)


def _names(failed: npt.NDArray[np.bool_], names: list[str]) -> pa.ListArray:
    """Return, for each clip, the names of the rules that failed, in the rules' order."""
    which = np.nonzero(failed.T)[1]
    offsets = np.concatenate([[0], np.cumsum(failed.sum(axis=0))])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(names, pa.string()).take(pa.array(which)))
