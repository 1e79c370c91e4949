"""The scene graph: triples from the statements, which SQL can ask for `a red car that moves left`.

Each thing is named by the head of its noun phrase, in lower case and in the singular; what stands before the head
(`red`, `denim`, `2`) are its attributes. The phrases are read by `captioning.syntax`, which is shallow: `a hot dog` is
a dog that is hot.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import takewhile
from typing import Any, Final

from captioning.phrases import WHOLE
from captioning.syntax import Role, roles
from captioning.words import COLOURS, FUNCTION, PLACES, QUANTIFIERS, Token, is_plural, number_value, stem, tokens
from experts.base import Statement

__all__ = ["graph"]

_OVERALL: Final = frozenset({"light", "style", "quality"})
_VERBATIM: Final = frozenset({"text", "camera", *_OVERALL})
_BE: Final = frozenset({"is", "are", "was", "were", "has", "have"})
_NAMING: Final = frozenset({"shows", "show", "contains", "contain", "includes", "include", "looks like", "may be"})
_VISIBLE: Final = "is visible"
_ABSENT: Final = "is absent"
_PLACED: Final = PLACES | {"in", "at", "on"}
_NO_CARDINALS: Final = frozenset({"first", "second", "third", "fourth", "fifth", "half", "quarter", "both"})
_AS_THEY_ARE: Final = frozenset(
    {"jeans", "pyjamas", "sunglasses", "glasses", "goggles", "trousers", "shorts", "tights", "leggings", "scissors",
     "binoculars", "headphones", "clothes", "stairs", "fireworks", "goods", "series", "species", "news"}
)  # fmt: skip
_SINGULARS: Final = {
    "people": "person", "persons": "person", "men": "man", "women": "woman", "children": "child", "mice": "mouse",
    "geese": "goose", "feet": "foot", "teeth": "tooth", "shelves": "shelf", "leaves": "leaf", "wolves": "wolf",
    "knives": "knife", "buses": "bus", "loaves": "loaf", "tomatoes": "tomato", "potatoes": "potato", "heroes": "hero",
}  # fmt: skip

_Triple = tuple[str, str, str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Thing:
    """A noun phrase: its head, what stands before it (a count as digits), and whether `no` does."""

    name: str
    marks: tuple[str, ...] = ()
    denied: bool = False
    words: frozenset[int] = field(default=frozenset(), compare=False)

    @property
    def adjectives(self) -> tuple[str, ...]:
        return tuple(mark for mark in self.marks if not mark.isdigit() and mark not in QUANTIFIERS)

    @property
    def is_many(self) -> bool:
        return any(mark in QUANTIFIERS or (mark.isdigit() and int(mark) > 1) for mark in self.marks)


@dataclass(frozen=True, slots=True)
class _Read:
    """What a phrase speaks of: the things that stand alone, relations between things, and those to what is before it.

    `on the table` relates what is spoken of to the table: an adjunct; `and raises an arm` is another of its acts.
    `manner` is how a phrase begins that says how or where to something is done, such as `left` or `quickly`.
    """

    things: tuple[_Thing, ...]
    relations: tuple[tuple[_Thing, str, _Thing | str], ...]
    adjuncts: tuple[tuple[str, _Thing | str], ...]
    acts: tuple[tuple[str, _Thing | str], ...]
    manner: str


def graph(statements: Sequence[Statement]) -> list[dict[str, Any]]:
    """Return triples `{subject, predicate, object, attributes}`, each once, in the order of the statements.

    - `scene shows two red cars` is `car`, `is visible`, nothing, with the attributes `2` and `red`; `no cars` is
      `car`, `is absent`;
    - `cup is on the table` is `cup`, `is on`, `table`, and so is a cup on a table within any phrase;
    - `people wear denim shirts` is `person`, `wear`, `shirt`, and `shirt`, `is`, nothing, with the attribute `denim`;
    - `car is red` makes `red` an attribute of the car's triples, and a triple `car`, `is` where it has no other.

    What is said of a bare name holds of the thing of that name that is described elsewhere, if there is one such
    thing only: of a red car and a blue one, `car moves left` tells not which, and has neither's attribute. Written
    text and the camera's moves stand as they are stated.
    """
    statements = [part for s in statements for part in _parts(s)]
    things = _Things(statements)
    drafts = list(dict.fromkeys(triple for s in statements for triple in things.triples(s)))
    for thing in things.qualified:
        attributes = things.attributes(thing)
        if not any(name == thing.name and {*attributes} <= {*has} for name, _, _, has in drafts):
            drafts.append((thing.name, "is", "", attributes))
    drafts += [(name, "is", "", tuple(dict.fromkeys(told))) for name, told in things.overall.items()]
    seen = {(name, attributes) for name, predicate, _, attributes in drafts if predicate == _VISIBLE}
    return [
        {"subject": name, "predicate": predicate, "object": value, "attributes": list(attributes)}
        for name, predicate, value, attributes in drafts
        if (predicate, value) != ("is", "") or (name, attributes) not in seen
    ]


class _Things:
    """The things of a clip, by name, and what is said of each."""

    def __init__(self, statements: Sequence[Statement]) -> None:
        self.qualified: dict[_Thing, list[str]] = {}
        self.overall: dict[str, list[str]] = {}
        self._described: dict[str, set[tuple[str, ...]]] = {}
        self._many: dict[str, set[tuple[str, ...]]] = {}
        for s in statements:
            subject = _subject(s)
            if (qualities := _qualities(s)) and (s.dimension in _OVERALL or subject.name in WHOLE):
                self.overall.setdefault(subject.name, []).extend(qualities)
                continue
            if qualities:
                self.qualified.setdefault(subject, []).extend(qualities)
            for thing in (subject, *_mentioned(s)):
                if thing.adjectives:
                    self._described.setdefault(thing.name, set()).add(thing.adjectives)
                if thing.is_many:
                    self._many.setdefault(thing.name, set()).add(thing.adjectives)

    def attributes(self, thing: _Thing) -> tuple[str, ...]:
        """Return the attributes of a thing: its own, and what is said elsewhere of what must be the same thing."""
        described = self._described.get(thing.name, set())
        bare = self.qualified.get(_Thing(thing.name), [])
        found = [*thing.marks, *self.qualified.get(_Thing(thing.name, thing.adjectives), [])]
        if len(described) == 1 and not _clash(only := next(iter(described)), bare):
            # Of two cars, one of them red, a bare `car` may be the other.
            if thing.adjectives or self._many.get(thing.name, set()) <= described:
                found[len(thing.marks) : len(thing.marks)] = only if not thing.adjectives else ()
            found += bare if thing.adjectives else ()
        return tuple(dict.fromkeys(found))

    def triples(self, s: Statement) -> Iterator[_Triple]:
        """Yield the triples that a statement makes; one that only qualifies its subject makes none."""
        if _qualities(s):
            return
        subject, predicate, value = _subject(s), s.predicate.strip(), s.value.strip()
        if _is_verbatim(s):
            yield subject.name, predicate, value if s.dimension == "text" else _bare(value), self.attributes(subject)
            return
        read = _read(value)
        yield from self._related(_read(s.subject))
        if s.dimension == "count" and (number := _cardinal(value)) is not None:
            yield self._seen(_Thing(subject.name, (number, *subject.marks)))
        elif _is_naming(s, subject) and read.things:
            if subject.name not in WHOLE:
                yield from self._said(subject, predicate, value, read)
            yield from (self._seen(thing) for thing in read.things)
        else:
            yield from self._said(subject, predicate, value, read)
        yield from self._related(read)

    def _said(self, subject: _Thing, predicate: str, value: str, read: _Read) -> Iterator[_Triple]:
        attributes = self.attributes(subject)
        objects: list[tuple[str, _Thing | str]] = [(predicate, thing) for thing in read.things]
        objects += [(f"{_is(predicate)} {link}", goal) for link, goal in read.adjuncts]
        objects = [*([(predicate, read.manner)] if read.manner and objects else ()), *objects, *read.acts]
        for said, goal in objects or [(predicate, _bare(value))]:
            denied = isinstance(goal, _Thing) and goal.denied
            name = goal.name if isinstance(goal, _Thing) else goal
            yield subject.name, f"{said} no" if denied else said, name, attributes
            yield from self._own(goal)

    def _related(self, read: _Read) -> Iterator[_Triple]:
        for one, link, goal in read.relations:
            yield one.name, link, goal.name if isinstance(goal, _Thing) else goal, self.attributes(one)
            yield from self._own(goal)

    def _seen(self, thing: _Thing) -> _Triple:
        if thing.denied or "0" in thing.marks:
            return thing.name, _ABSENT, "", thing.adjectives
        return thing.name, _VISIBLE, "", self.attributes(thing)

    def _own(self, thing: _Thing | str) -> Iterator[_Triple]:
        """Yield the triple that holds the attributes of a thing that is an object elsewhere."""
        if isinstance(thing, _Thing) and thing.marks and not thing.denied:
            yield thing.name, "is", "", self.attributes(thing)


def _parts(s: Statement) -> list[Statement]:
    """Return `court is blue with white lines` as what it is and what it is with; any other statement as it is."""
    what, link, rest = s.value.strip().partition(" with ")
    if link and not _is_verbatim(s) and s.predicate.strip().lower() in {"is", "are"} and _is_colour(what):
        return [replace(s, value=what), replace(s, predicate="with", value=rest)]
    return [s]


def _subject(s: Statement) -> _Thing:
    if s.dimension != "text" and not _is_whole(s.subject):
        for thing in _read(s.subject).things:
            return thing
    return _Thing(_bare(s.subject).lower())


def _bare(text: str) -> str:
    return re.sub(r"(?i)^(?:(?:an?|the) (?=\S))+", "", " ".join(text.split()))


def _is(predicate: str) -> str:
    return "is" if predicate.lower() in {"are", "was", "were"} else predicate


def _mentioned(s: Statement) -> list[_Thing]:
    if _is_verbatim(s) or _qualities(s):
        return []
    read = _read(s.value)
    of_subject = _read(s.subject).relations
    related = [thing for one, _, other in (*read.relations, *of_subject) for thing in (one, other)]
    related += [thing for _, thing in read.adjuncts]
    if s.dimension == "count" and (number := _cardinal(s.value)) is not None:
        subject = _subject(s)
        related.append(_Thing(subject.name, (number, *subject.marks)))
    return [*read.things, *(thing for thing in related if isinstance(thing, _Thing))]


def _qualities(s: Statement) -> list[str]:
    """Return the attributes that a statement gives its subject; none if it relates it to something."""
    value, words = s.value.strip(), s.predicate.lower().split()
    is_whole = _is_whole(s.subject)
    if not value or (s.dimension not in {"appearance", *_OVERALL} and (is_whole or not _is_adjective(s))):
        return []
    degree = " ".join(words[words[:1] != [] and words[0] in _BE :])
    if s.dimension not in _OVERALL and not is_whole:
        read = _read(value)
        if words[:1] in ([], ["has"], ["have"]) or words[0] not in _BE or read.relations or read.adjuncts:
            return []
        if value != _bare(value):
            return []
        parts = re.split(r",?\s+and\s+|,\s*", value.lower())
        return [word for part in parts for word in ((*degree.split(), *part.split()) if _is_colour(part) else
                                                    (f"{degree} {part}".strip(),))]  # fmt: skip
    return [f"{degree} {value}".strip()]


def _is_adjective(s: Statement) -> bool:
    """Whether a statement of any dimension says what its subject is by modifiers alone: `tablecloth is white`."""
    found = roles(tokens(s.value)).values()
    told = s.dimension in {"subject", "setting", "action"} and s.predicate.strip().lower() in _BE - {"has", "have"}
    return told and bool(found) and all(role.kind == "modifier" for role in found)


def _is_colour(text: str) -> bool:
    return text.rpartition(" ")[2] in COLOURS


def _is_verbatim(s: Statement) -> bool:
    if s.dimension == "action" and _is_whole(s.subject):
        return not _read(s.value).relations
    return s.dimension in _VERBATIM or (s.dimension == "setting" and _is_whole(s.subject) and not _is_listed(s))


def _is_listed(s: Statement) -> bool:
    """Whether a setting names a thing with an article, `shows a city street`, not a state, `is outdoors`."""
    return s.predicate.lower() in _NAMING and bool(_read(s.value).things)


def _is_naming(s: Statement, subject: _Thing) -> bool:
    predicate = s.predicate.strip().lower()
    return (subject.name in WHOLE and predicate in {*_NAMING, "is"}) or predicate in {"looks like", "may be"} or (
        s.dimension == "count"
    )  # fmt: skip


def _is_whole(subject: str) -> bool:
    return subject.strip().lower() in WHOLE


def _clash(adjectives: Sequence[str], said: Sequence[str]) -> bool:
    """Whether two colours are told that cannot be one thing's."""
    one, other = ({COLOURS[word] for word in words if word in COLOURS} for words in (adjectives, said))
    return bool(one and other and not one & other)


def _cardinal(text: str) -> str | None:
    """Return a whole number that is all of `text`, as digits: `3`, `two`."""
    word = text.strip().lower()
    number = None if word in _NO_CARDINALS else number_value(word)
    return str(int(number)) if number is not None and number == int(number) and "%" not in word else None


@lru_cache(maxsize=4096)
def _read(text: str) -> _Read:
    """Read a phrase: what a word is said of is told by `captioning.syntax`, by stems; here they are words again."""
    words = tokens(text)
    found = roles(words)
    inside = {j for i, t in enumerate(words) if t.lower in _PLACED for j in range(i + 1, _link_end(words, i))}
    heads = [i for i, t in enumerate(words) if _is_head(found.get(t.start), t) and i not in inside]
    things = {i: _thing(words, found, i) for i in heads}
    relations: list[tuple[_Thing, str, _Thing | str]] = []
    adjuncts: list[tuple[str, _Thing | str]] = []
    acts: list[tuple[str, _Thing | str]] = []
    tied: set[int] = set()
    for i, token in enumerate(words):
        role = found.get(token.start)
        kind = "link" if role and _leads_on(role, words[i + 1 : i + 2]) else role and role.kind
        if role is None or i in inside or kind not in {"link", "verb"} or any(i in things[j].words for j in heads):
            continue
        named = " ".join(word.lower for word in words[i : _link_end(words, i)])
        later = [j for j in heads if j > i and stem(words[j].text) in role.to]
        if kind == "link" and not later:
            later = [j for j in heads if j > i][:1]
        one = next((j for j in reversed(heads) if j < i and stem(words[j].text) in role.of), None)
        goals: list[_Thing | str] = [things[j] for j in later] or [_rest(words, found, i)]
        if kind == "verb" and i and words[i - 1].lower in {"and", ","}:
            acts += [(named, goal) for goal in goals]
        elif one is not None:
            predicate = f"is {named}" if kind == "link" and token.lower in _PLACED else named
            relations += [(things[one], predicate, goal) for goal in goals]
        elif kind == "link":
            adjuncts += [(named, goal) for goal in goals]
        if one is not None or kind == "link":
            tied |= {*later}
    standing = tuple(things[j] for j in heads if j not in tied)
    firsts = takewhile(lambda t: (role := found.get(t.start)) is not None and role.kind == "adverb", words)
    manner = " ".join(token.lower for token in firsts)
    return _Read(standing, tuple(relations), tuple(adjuncts), tuple(acts), manner)


def _leads_on(role: Role, following: Sequence[Token]) -> bool:
    """Whether a direction stands before a noun phrase: `down the street`."""
    return role.kind == "adverb" and any(token.lower in {"a", "an", "the"} for token in following)


def _is_head(role: Role | None, token: Token) -> bool:
    return role is not None and role.kind == "noun" and token.kind == "word"


def _link_end(words: Sequence[Token], i: int) -> int:
    """Return where a preposition, or a verb, ends with what belongs to it: `next to`, `left of`, `in front of`."""
    end = i + 1
    while end < len(words) and words[end].lower in {"to", "of", "front"}:
        end += 1
    return end


def _rest(words: Sequence[Token], found: Mapping[int, Role], i: int) -> str:
    """Return where something goes, or how it acts, that has no object: the directions and adverbs that follow."""
    end = i + 1
    while end < len(words):
        role = found.get(words[end].start)
        if words[end].kind != "word" or (role is None and words[end].lower not in {"the", "to", "of", "front"}):
            break
        if role is not None and role.kind not in {"adverb", "modifier"}:
            break
        end += 1
    return " ".join(word.lower for word in words[i + 1 : end] if word.lower not in {"the", "to", "of", "front"})


def _thing(words: Sequence[Token], found: Mapping[int, Role], head: int) -> _Thing:
    """Return the noun phrase that ends in `head`, with the modifiers and the `no` before it."""
    start = head
    while start > 0 and _belongs(words, found, start - 1, head):
        start -= 1
    before = words[start:head]
    marks = [word.lower for word in before if word.start in found]
    numbers = [i for i, mark in enumerate(marks) if _cardinal(mark) is not None]
    if len(numbers) == 1:
        number = _cardinal(marks.pop(numbers[0]))
        marks = [number or "", *marks]
    denied = any(word.lower == "no" for word in before)
    return _Thing(_singular(words[head].lower), tuple(marks), denied, frozenset(range(start, head + 1)))


def _belongs(words: Sequence[Token], found: Mapping[int, Role], i: int, head: int) -> bool:
    role = found.get(words[i].start)
    if role is not None:
        inside = role.kind == "modifier" and stem(words[head].text) in role.of
        # `racing car`: a participle in front of its noun reads as a verb.
        return inside or (role.kind == "verb" and not role.of and i + 1 == head and words[i].lower.endswith("ing"))
    return words[i].lower in FUNCTION | {"no"} and words[i].lower not in {"with", "of"}


def _singular(noun: str) -> str:
    if noun in _SINGULARS:
        return _SINGULARS[noun]
    if noun in _AS_THEY_ARE or not is_plural(noun):
        return noun
    if noun.endswith("ies") and len(noun) > 4:
        return f"{noun[:-3]}y"
    return re.sub(r"(?:(?<=ch)|(?<=sh)|(?<=ss)|(?<=x))es$|s$", "", noun)
