"""Syntax: which word of a sentence is said of which, read shallowly, from left to right and without a model.

Noun phrases are runs of words up to their last noun; verbs are told by a list, by their endings and by where they
stand; prepositions hang on the nearest noun phrase or on the subject. What cannot be told has no role: a role is
evidence of what a word is said of, its absence is evidence of nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from captioning.tagging import ADJECTIVES, DETERMINERS, HAVE, PARTICIPLES, SHOWS, Tag, tag_words
from captioning.words import DEGREES, Token, is_plural, stem

__all__ = ["Role", "RoleKind", "clause_starts", "part_starts", "roles"]

RoleKind = Literal["modifier", "noun", "verb", "link", "adverb"]


@dataclass(frozen=True, slots=True)
class Role:
    """What a word is said of.

    `of` has the stems of: the noun of a modifier; who acts, of a verb or an adverb; who has or wears a noun; what
    stands before a link (a preposition). `marks` are the modifiers of those, which tell one from another. `to` has
    the stems of the objects of a verb or a link. `owned` tells how a noun is tied to `of`: `has` by a verb or `with`,
    `in` by that word, which may also be a place.
    """

    kind: RoleKind
    of: frozenset[str]
    marks: frozenset[str]
    to: frozenset[str]
    owned: str


@dataclass(slots=True)
class _Draft:
    """A role while it is read; sets may be shared with the phrases that they come from, which still grow."""

    kind: RoleKind
    of: set[str] = field(default_factory=set)
    marks: set[str] = field(default_factory=set)
    to: set[str] = field(default_factory=set)
    owned: str = ""


@dataclass(slots=True)
class _Phrase:
    """A noun phrase: the stem of its head, and of its modifiers."""

    head: str
    marks: set[str]


_OWNERS: Final = frozenset({"wear", "hav", "hold", "carry"})
_PLACING: Final = frozenset({"on", "in", "at"})
_INSIDE: Final = frozenset({"mod", "noun"})


def roles(tokens: Sequence[Token], predicate: frozenset[int] = frozenset()) -> dict[int, Role]:
    """Return the roles of a sentence's words by where the words start; `predicate` are starts known to be verbs."""
    found = _Reader(tokens, tag_words(tokens, predicate)).read()
    return {
        start: Role(r.kind, frozenset(r.of), frozenset(r.marks), frozenset(r.to), r.owned) for start, r in found.items()
    }


def clause_starts(tokens: Sequence[Token]) -> list[int]:
    """Return where the clauses of a sentence after its first begin, with the comma or conjunction before them."""
    reader = _Reader(tokens, tag_words(tokens))
    reader.read()
    return reader.starts


def part_starts(tokens: Sequence[Token]) -> list[int]:
    """Return where the parts of a clause after its first begin.

    A part is a verb with its object, a preposition with its own, or what a comma or a conjunction adds. A form of
    `be` and the adverbs before a verb belong to it.
    """
    tags = tag_words(tokens)
    found: list[int] = []
    inside: set[Tag] = set()
    stands = tokens[:1] and tokens[0].lower not in {"there", "it"}
    for i, tag in enumerate(tags):
        separates = tag in {"comma", "and", "clause", "rel"}
        between = tag == "and" and tags[i - 1 : i] == ["mod"] and tags[i + 1 : i + 2] == ["mod"]
        acts = stands and (tag in {"verb", "be"} or _leads_to_verb(tags, i))
        begins = not between and (separates or tag == "link" or acts)
        if i and begins and not inside & {"link", "be", "adv", "comma", "and", "clause", "rel"}:
            found.append(tokens[i].start)
        inside = ({*inside, tag} if tag != "noun" else set()) if begins or tag in {"det", "mod"} else set()
    return found


def _leads_to_verb(tags: Sequence[Tag], i: int) -> bool:
    following = next((t for t in tags[i:] if t != "adv"), None)
    return tags[i] == "adv" and following == "verb"


class _Reader:
    """Reads the tagged words of one sentence."""

    def __init__(self, tokens: Sequence[Token], tags: Sequence[Tag]) -> None:
        self.tokens, self.tags = tokens, tags
        self.found: dict[int, _Draft] = {}
        self.subjects: list[_Phrase] = []
        self.last: _Phrase | None = None
        self.link: _Draft | None = None
        self.joined = False
        self.predicative = False
        self.passive: _Draft | None = None
        self.showing: _Draft | None = None
        self.acted = False
        self.part = False
        self.starts: list[int] = []
        self.separator: int | None = None
        self.separator_strong = False

    def read(self) -> dict[int, _Draft]:
        i = 0
        while i < len(self.tokens):
            tag = self.tags[i]
            if tag in _INSIDE:
                i = self._phrase(i)
                continue
            getattr(self, f"_{tag}", self._skip)(i)
            i += 1
        return self.found

    def _skip(self, i: int) -> None:
        """Pass over what has no role; `shows` and the like are verbs of no claim."""
        if self.tokens[i].lower in SHOWS and (self.last or self.subjects):
            self.subjects = self.subjects or ([self.last] if self.last else [])
            self.link = self.showing = _Draft("verb")
            self.acted, self.joined = True, False

    def _and(self, i: int) -> None:
        self.separator_strong = self.joined and self.tags[i] == "and"
        self.joined = True
        if not i or self.tags[i - 1] not in {"comma", "and"}:
            self.separator = self.tokens[i].start

    _comma = _and

    def _clause(self, i: int) -> None:
        self.subjects, self.last, self.link = [], None, None
        self.joined = self.predicative = self.acted = False
        if i:
            before = self.tags[i - 1] in {"comma", "and"} and self.separator is not None
            self.starts.append(self.separator if before and self.separator is not None else self.tokens[i].start)

    def _rel(self, i: int) -> None:
        self.subjects = [self.last] if self.last else []
        self.link, self.predicative = None, False

    def _be(self, i: int) -> None:
        self.subjects = self.subjects or ([self.last] if self.last else [])
        self.link, self.joined, self.predicative, self.last = None, False, bool(self.subjects), None
        self.acted = True

    def _adv(self, i: int) -> None:
        if self.tokens[i].lower not in DEGREES:
            self._add(i, self._manner())

    def _manner(self) -> _Draft:
        """Return the role of an adverb: of who acts, in the verb before it."""
        verb = self.link if self.link is not None and self.link.kind == "verb" and self.link.of else None
        return _Draft("adverb", verb.of, verb.marks) if verb else _Draft("adverb", *self._who())

    def _dir(self, i: int) -> None:
        """Mark who is on the left; a direction after a verb is how it acts."""
        placed = self.link is not None and self.link.kind == "link" and not self.link.to
        if placed and self.last is not None and self._word_before(i) in _PLACING:
            of, marks = {self.last.head}, set(self.last.marks)
            self.last.marks.add(self.tokens[i].lower)
            self._add(i, _Draft("modifier", of, marks))
        else:
            self._add(i, self._manner())

    def _word_before(self, i: int) -> str:
        earlier = [t.lower for t in self.tokens[:i] if t.lower not in DETERMINERS]
        return earlier[-1] if earlier else ""

    def _verb(self, i: int) -> None:
        word = self.tokens[i].lower
        if i and self.tags[i - 1] == "noun" and word.endswith(("ing", "ed")) and self.last:
            who: tuple[set[str], set[str]] = ({self.last.head}, self.last.marks)
        else:
            self.subjects = self.subjects or ([self.last] if self.last else [])
            who, self.last = self._who(), None
        role = _Draft("verb", set(who[0]), who[1], owned="has" if stem(word) in _OWNERS or word in HAVE else "")
        if self.predicative and (word.endswith("ed") or word in PARTICIPLES):
            role.of, role.marks, role.to = set(), set(), set(who[0])
            self.passive = role
        self._add(i, role)
        self.link, self.joined, self.predicative, self.acted = role, False, False, True

    def _link(self, i: int) -> None:
        word = self.tokens[i].lower
        if word == "by" and self.passive is not None:
            self.link = self.passive
            return
        of = {p.head for p in self.subjects} | ({self.last.head} if self.last else set())
        marks = self.last.marks if self.last else self._who()[1]
        if word == "of" and self.link is not None and self.link.kind == "link" and not self.link.to:
            return
        self.part = word == "of" and len(self.subjects) == 1 and self.last is self.subjects[0]
        self.link = _Draft("link", of, marks, owned={"with": "has", "in": "in"}.get(word, ""))
        self._add(i, self.link)
        self.joined = self.predicative = False

    def _who(self) -> tuple[set[str], set[str]]:
        marks = self.subjects[0].marks if len(self.subjects) == 1 else set()
        return {p.head for p in self.subjects}, marks

    def _add(self, i: int, role: _Draft) -> None:
        self.found[self.tokens[i].start] = role

    def _phrase(self, i: int) -> int:
        """Read the noun phrase, or the predicative adjectives, that begin at `i`; return where they end."""
        end = i + 1
        while end < len(self.tokens) and (self.tags[end] in _INSIDE or self._joins_modifiers(end)):
            end += 1
        inside = [j for j in range(i, end) if self.tags[j] in _INSIDE]
        nouns = [j for j in inside if self.tags[j] == "noun"]
        if not nouns and i and self.tags[i - 1] == "det" and self.tokens[inside[-1]].lower in ADJECTIVES:
            nouns = inside[-1:]
        bare = self.tags[i - 1] in {"be", "adv", "and", "comma"} if i else False
        following = self.tags[end] if end < len(self.tags) else None
        if not nouns or (self.predicative and bare and not self._has_plural(nouns) and following != "verb" and (
                following != "be")):  # fmt: skip
            of, marks = self._who()
            for j in inside:
                self._add(j, _Draft("modifier", of, marks))
            self.joined = False
            return end
        head = nouns[-1]
        others = [j for j in inside if j != head]
        phrase = _Phrase(stem(self.tokens[head].text), {self.tokens[j].lower for j in others})
        self._attach(phrase, head, following)
        for j in others:
            self._add(j, _Draft("modifier", {phrase.head}, {self.tokens[k].lower for k in others if k != j}))
        return end

    def _has_plural(self, nouns: Sequence[int]) -> bool:
        return is_plural(self.tokens[nouns[-1]].text)

    def _joins_modifiers(self, i: int) -> bool:
        """Whether `and` at `i` stands between two modifiers of one noun: `red and green apples`."""
        return (
            self.tags[i] == "and"
            and self.tags[i - 1] == "mod"
            and i + 2 < len(self.tags)
            and self.tags[i + 1] == "mod"
            and self.tags[i + 2] in _INSIDE
        )

    def _attach(self, phrase: _Phrase, head: int, following: Tag | None) -> None:
        role = _Draft("noun", marks=phrase.marks)
        begins = self._begins(head, following)
        if self.link is not None and not (begins and (self.joined or self.link is self.showing)):
            if self.link is self.passive and not self.predicative and self.link.to and self._is_by(head):
                self.link.of.add(phrase.head)
                self.link.marks = phrase.marks
            else:
                self.link.to.add(phrase.head)
            if self.part:
                self.subjects, self.part = [*self.subjects, phrase], False
            if self.link.owned:
                role.of, role.owned = set(self.link.of), self.link.owned
        elif self.joined and self.link is None and self.subjects and not self.predicative:
            self.subjects.append(phrase)
        elif self.predicative and not self.joined:
            role.of = {p.head for p in self.subjects}
        else:
            if self.joined and self.subjects and self.separator is not None:
                self.starts.append(self.separator)
            self.subjects, self.link, self.predicative, self.acted = [phrase], None, False, False
        self.last, self.joined = phrase, False
        self._add(head, role)

    def _begins(self, head: int, following: Tag | None) -> bool:
        """Whether a joined noun phrase is the subject of a new clause: a verb follows before the next joint."""
        strong = self.separator_strong and self.joined
        if not (self.acted or strong):
            return False
        for j in range(head + 1, len(self.tags)):
            tag, word = self.tags[j], self.tokens[j].lower
            if tag in {"comma", "and", "clause", "rel"}:
                return False
            if tag == "be" or word in SHOWS or (tag == "verb" and not word.endswith(("ing", "ed"))):
                return True
        return False

    def _is_by(self, head: int) -> bool:
        return any(t.lower == "by" for t in self.tokens[max(0, head - 4) : head])
