"""Another threshold, tried: how many clips a change of rules wins and loses. Nothing is decoded, nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from curation.select import Funnel, Rules, funnel_of, outcomes
from dataset import Root, connect
from dataset.messages import nearest
from media.errors import RuleError

__all__ = ["Change", "Comparison", "compare", "parse_changes"]


@dataclass(frozen=True, slots=True)
class Change:
    """A rule that is changed: `before` is None for one that is added, `after` for one that is left out."""

    rule: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        before, after = (text and " ".join(text.split()) for text in (self.before, self.after))
        return f"{self.rule}: {before or '(no such rule)'} -> {after or '(left out)'}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed rules do, against the same rules unchanged; all but `changes` and `funnel` are numbers of clips.

    A clip is gained when only the changed rules keep it, and lost when only the unchanged ones do. `funnel` is that
    of the changed rules.
    """

    total: int
    kept_before: int
    kept_after: int
    gained: int
    lost: int
    changes: tuple[Change, ...]
    funnel: Funnel

    def __str__(self) -> str:
        kept = f"kept {self.kept_before} -> {self.kept_after} of {self.total} clips"
        return "\n".join([*map(str, self.changes), f"{kept}: {self.gained} gained, {self.lost} lost"])


def parse_changes(texts: Sequence[str]) -> dict[str, str | None]:
    """Return changes written `rule=predicate`, as `Rules.changed` takes them; `rule=` leaves the rule out.

    Raises RuleError for a text without `=`, and for a rule that is changed twice.
    """
    changes: dict[str, str | None] = {}
    for text in texts:
        name, equals, predicate = (part.strip() for part in text.partition("="))
        if not equals:
            raise RuleError(
                f"a change is written rule=predicate, for instance 'motion=flow_p95_px_per_s > 2': {text!r}"
            )
        if name in changes:
            raise RuleError(f"rule {name} is changed twice")
        changes[name] = predicate or None
    return changes


def compare(root: Root, rules: Rules, changes: Mapping[str, str | None]) -> Comparison:
    """Return what `rules` keep with `changes` (see `Rules.changed`) against what they keep without. Writes nothing.

    A name that `rules` lack is a new rule. Raises RuleError as `curation.select.what_if` does, and for a rule that is
    to be left out and is not there.
    """
    for name, predicate in changes.items():
        if predicate is None and name not in rules.predicates:
            near = nearest(name, rules.predicates)
            raise RuleError(f"{rules.origin}: there is no rule {name}{f'; did you mean {near}?' if near else ''}")
    after = rules.changed(changes)
    old, new = list(rules.predicates.items()), list(after.predicates.items())
    asked = old + [item for item in new if item not in old]
    with connect(root) as connection:
        passed, null, clips = outcomes(connection, asked, rules.origin)
    kept_before = passed[: len(old)].all(axis=0)
    chosen = [asked.index(item) for item in new]
    kept_after = passed[chosen].all(axis=0)
    return Comparison(
        total=int(clips.sum()),
        kept_before=int(clips[kept_before].sum()),
        kept_after=int(clips[kept_after].sum()),
        gained=int(clips[kept_after & ~kept_before].sum()),
        lost=int(clips[kept_before & ~kept_after].sum()),
        changes=tuple(Change(name, rules.predicates.get(name), text) for name, text in changes.items()),
        funnel=funnel_of(after, passed[chosen], null[chosen], clips),
    )
