"""How much of a caption nothing supports, before the checker and after it, and how many of the facts it said remain.

The judges know nothing of the checker: the labels of 60 statement sets (`tests.captioning.sets`), and the truth of
synthetic worlds (`caption_worlds`). What is judged is the row that a user gets, its dense text and its short one.

`planted`: drafts of supported and planted sentences of a set, whose wrong words are labelled. `worlds`: drafts of
synthetic worlds with corrupted facts. `template`; `embedded`, held to its grammar of facts; `embedded_schema`, which
writes freely; `server`, where RUSHES_CAPTION_SERVER is the base URL of one.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from benchmarks import caption_worlds as worlds
from benchmarks.common import main
from captioning import Checker, Fuser, Reply, Request, caption_many, make_backend, make_checker
from captioning.words import sentences
from experts.base import ModelRef, Statement
from media.errors import BackendError, MissingModelError
from tests.captioning.sets import SPAN, LabelledSet, content_words, load, words

__all__ = ["Case", "PlantedJudge", "SetJudge", "Tally", "WorldJudge", "measure_all", "tally_of"]

_ARTICLES: Final = frozenset({"a", "an", "the"})


class Judge(Protocol):
    """Tells, of a text, how many claims it makes, how many of them are wrong, and which facts it says."""

    def judge(self, text: str) -> tuple[int, int, set[Any]]:
        """Return claims, wrong claims, facts said."""
        ...


@dataclass(frozen=True)
class SetJudge:
    """Judges any text by the labels of a set."""

    labelled: LabelledSet

    def judge(self, text: str) -> tuple[int, int, set[Any]]:
        """Return claims, wrong claims, facts said."""
        wrong = len(self.labelled.wrong_in(text))
        return max(wrong, len(content_words(text))), wrong, self.labelled.said_in(text)


@dataclass(frozen=True)
class PlantedJudge:
    """Judges what became of a draft: which labelled words still stand in the sentences that came of its sentences.

    A sentence came of one of which it is a part, word for word but for articles. Any other is judged by the set.
    """

    labelled: LabelledSet
    drafted: tuple[str, ...]

    def judge(self, text: str) -> tuple[int, int, set[Any]]:
        """Return claims, wrong claims, facts said."""
        claims = wrong = 0
        for start, end in sentences(text):
            sentence = text[start:end]
            left = self._left(sentence)
            claims += max(left, len(content_words(sentence)))
            wrong += left
        return claims, wrong, self.labelled.said_in(text)

    def _left(self, sentence: str) -> int:
        mine = [w for w in words(sentence) if w not in _ARTICLES]
        sources = [s for s in self.drafted if _is_part(mine, [t for t in words(s) if t not in _ARTICLES])]
        if not sources:
            return len(self.labelled.wrong_in(sentence))
        if sentence in sources:
            return len(self.labelled.readings.get(sentence, ((),))[0])
        standing = min(
            _standing(mine, words(s), [w.lower() for w in wrong])
            for s in sources
            for wrong in self.labelled.readings.get(s, ((),))
        )
        return standing or len(self.labelled.never_in(sentence))


def _is_part(mine: Sequence[str], whole: Sequence[str]) -> bool:
    rest = iter(whole)
    return all(w in rest for w in mine)


def _standing(mine: Sequence[str], whole: Sequence[str], wrong: Sequence[str]) -> int:
    """Return how many of the wrong words stand, where the same word may stand rightly too."""
    planted = Counter(wrong)
    return sum(max(0, mine.count(w) - (whole.count(w) - n)) for w, n in planted.items())


@dataclass(frozen=True)
class WorldJudge:
    """Judges by the truth of a synthetic world; a fact of a number holds the shape's being there."""

    world: worlds.World

    def judge(self, text: str) -> tuple[int, int, set[Any]]:
        """Return claims, wrong claims, facts said."""
        said = worlds.said(text)
        true = {fact for fact in said if worlds.is_true(fact, self.world)}
        counted = {kind for sort, kind, *_ in true if sort == "count"}
        return len(said), sum(fact not in true for fact in said), true | {("there", kind) for kind in counted}


@dataclass(frozen=True)
class Case:
    """A clip to caption, who judges, and the draft where there is one."""

    name: str
    split: str
    statements: tuple[Statement, ...]
    judge: Judge
    drafted: str | None = None

    @property
    def row(self) -> dict[str, Any]:
        """The clip's row."""
        return {"clip_id": f"{self.name}:{SPAN[0]}-{SPAN[1]}", "first_frame": SPAN[0], "end_frame": SPAN[1]}


class Drafts:
    """A backend that answers with the drafts."""

    name = "openai"
    model: ModelRef | None = None
    prompt_hash: str | None = None

    def __init__(self, cases: Sequence[Case]) -> None:
        self._drafts = {case.row["clip_id"]: case.drafted or "" for case in cases}

    def fuse(self, requests: Sequence[Request]) -> list[Reply | BackendError]:
        """Return each clip's draft; its first sentence is the short text."""
        texts = [self._drafts[r.clip_id] for r in requests]
        return [Reply(r.clip_id, t[: sentences(t)[0][1]], t) for r, t in zip(requests, texts, strict=True)]

    def close(self) -> None:
        """Nothing is held."""


class Recorded:
    """A backend whose replies are kept, to be judged as they came."""

    def __init__(self, backend: Fuser) -> None:
        self._backend = backend
        self.name, self.model, self.prompt_hash = backend.name, backend.model, backend.prompt_hash
        self.replies: dict[str, Reply | BackendError] = {}

    def fuse(self, requests: Sequence[Request]) -> list[Reply | BackendError]:
        """Ask the backend."""
        answers = self._backend.fuse(requests)
        self.replies |= {r.clip_id: a for r, a in zip(requests, answers, strict=True)}
        return answers

    def close(self) -> None:
        """Close the backend."""
        self._backend.close()


@dataclass
class Tally:
    """Counts over captions."""

    claims_before: int = 0
    wrong_before: int = 0
    claims_after: int = 0
    wrong_after: int = 0
    said: int = 0
    kept: int = 0
    cpu_s: float = 0.0
    captions: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    left: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    def figures(self, suffix: str) -> dict[str, Any]:
        """Return the shares, named with `suffix`."""
        return {
            f"unsupported_share_before{suffix}": _share(self.wrong_before, self.claims_before),
            f"unsupported_share_after{suffix}": _share(self.wrong_after, self.claims_after),
            f"supported_kept_share{suffix}": _share(self.kept, self.said, 1.0),
        }


def _share(part: int, whole: int, empty: float = 0.0) -> float:
    return round(part / whole, 4) if whole else empty


def tally_of(cases: Sequence[Case], backend: Fuser, checker: Checker) -> dict[str, Tally]:
    """Caption `cases`; return the counts by split."""
    recorded = Recorded(backend)
    started = time.process_time()
    rows = caption_many([(case.row, case.statements) for case in cases], recorded, checker, run_id="quality")
    each_s = (time.process_time() - started) / max(1, len(cases))
    found: dict[str, Tally] = {}
    for case, row in zip(cases, rows, strict=True):
        judged = _judged(case, row, recorded.replies.get(row["clip_id"]), each_s)
        found[case.split] = found.get(case.split, Tally()) + judged
    return found


def _judged(case: Case, row: Mapping[str, Any], answer: Reply | BackendError | None, cpu_s: float) -> Tally:
    claims, wrong, said = (0, 0, set()) if not isinstance(answer, Reply) else case.judge.judge(answer.dense)
    after_claims, after_wrong, told = case.judge.judge(f"{row['dense'] or ''} {row['short'] or ''}")
    lost = [f"{case.name}: {fact} | {row['dense']}" for fact in sorted(map(str, said - told))]
    left = [f"{case.name}: {after_wrong} in {row['dense']} / {row['short']}"] if after_wrong else []
    outcomes = Counter({row["outcome"]: 1, **({"backend_error": 1} if isinstance(answer, BackendError) else {})})
    return Tally(claims, wrong, after_claims, after_wrong, len(said), len(said & told), cpu_s, 1, outcomes, left, lost)


# -- cases -----------------------------------------------------------------------------------------------------------


def set_cases(sets: Sequence[LabelledSet]) -> list[Case]:
    """Return a case for each labelled set."""
    return [Case(s.name, s.split, s.statements, SetJudge(s)) for s in sets]


def planted_cases(sets: Sequence[LabelledSet], drafts: int) -> list[Case]:
    """Return `drafts` drafts of each set, of supported and planted sentences in any order."""
    return [_planted(s, seed) for s in sets for seed in range(drafts)]


def _planted(s: LabelledSet, seed: int) -> Case:
    rng = random.Random(f"{s.name} {seed}")
    true = rng.sample(s.supported, min(len(s.supported), rng.randint(2, 4)))
    false = rng.sample(s.planted, min(len(s.planted), rng.randint(2, 4)))
    drafted = [*true, *(t for t, _ in false)]
    rng.shuffle(drafted)
    text = " ".join(drafted)
    return Case(f"{s.name}-{seed}", s.split, s.statements, PlantedJudge(s, tuple(drafted)), text)


def world_cases(number: int) -> list[Case]:
    """Return `number` worlds, each with a draft that has corrupted facts."""
    found = []
    for seed in range(number):
        world = worlds.make_world(seed)
        told = tuple(worlds.statements_of(world, seed))
        found.append(Case(f"world-{seed}", "worlds", told, WorldJudge(world), worlds.draft(world, seed)))
    return found


# -- figures ---------------------------------------------------------------------------------------------------------


def _backends(quick: bool) -> Iterator[tuple[str, list[Case], Callable[[Sequence[Case]], Fuser]]]:
    sets = load()
    few = [s for split in ("first", "tune", "held") for s in load(split)[:: 10 if quick else 1]]
    yield "planted", planted_cases(sets, 1 if quick else 5), Drafts
    yield "worlds", world_cases(50 if quick else 300), Drafts
    yield "template", set_cases(sets), lambda _: make_backend("template")
    yield "embedded", set_cases(few), lambda _: make_backend("embedded")
    yield "embedded_schema", set_cases(few[:: 2 if quick else 1]), lambda _: make_backend("embedded", guided="schema")
    if url := os.environ.get("RUSHES_CAPTION_SERVER"):
        yield "server", set_cases(sets), lambda _: make_backend("openai", base_url=url, max_tokens=1024)


def measure_all(quick: bool) -> dict[str, Any]:
    """Measure captions of every backend against labels by hand and known worlds."""
    figures: dict[str, Any] = {}
    totals: list[dict[str, Any]] = []
    checker = _checker()
    for name, cases, backend in _backends(quick):
        try:
            fuser = backend(cases)
        except MissingModelError as error:
            print(f"{name} is left out: {error}")
            continue
        by_split = tally_of(cases, fuser, checker)
        fuser.close()
        total = sum(by_split.values(), Tally())
        totals.append(total.figures(""))
        figures |= total.figures(f"_{name}") | {f"captions_{name}": total.captions}
        figures |= {f"cpu_ms_per_caption_{name}": round(1e3 * total.cpu_s / max(1, total.captions), 2)}
        figures |= {f"outcome_{outcome}_{name}": n for outcome, n in sorted(total.outcomes.items())}
        if len(by_split) > 1:
            for split, tally in by_split.items():
                figures |= tally.figures(f"_{name}_{split}")
        if os.environ.get("RUSHES_CAPTION_SHOW"):
            print("\n".join([f"LEFT {name} {x}" for x in total.left] + [f"LOST {name} {x}" for x in total.lost]))
    worst = {
        "unsupported_share_before": max(t["unsupported_share_before"] for t in totals),
        "unsupported_share_after": max(t["unsupported_share_after"] for t in totals),
        "supported_kept_share": min(t["supported_kept_share"] for t in totals),
    }
    return {**worst, **figures}


def _checker() -> Checker:
    """The checker as captions by a free backend get it; by the word lists alone where the embedder is missing."""
    try:
        return make_checker("embedded")
    except MissingModelError:
        return make_checker()


if __name__ == "__main__":
    sys.exit(main("caption_quality", measure_all) is None)
