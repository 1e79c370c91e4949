"""Repair: one deterministic round that takes out what nothing supports, and only that.

First unsupported adjectives, numbers and adverbs go, where less is unsupported without them; then, in each clause by
itself, the parts (a verb or preposition with its object, what a comma or conjunction adds) that still hold an
unsupported claim; the clause goes with its subject. What is left is checked again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Final

from captioning.checker import Checked, Checker
from captioning.claims import Claim
from captioning.syntax import clause_starts, part_starts, roles
from captioning.template import capitalised
from captioning.words import sentences, tokens, word_count
from experts.base import Statement

__all__ = ["Repaired", "parts", "repair", "shorten"]

_CUT: Final = re.compile(r"(?i)(?=,\s)|\s+(?=(?:while|as|with|and|but|where|which|that|in|on|near|beside)\b)")


@dataclass(frozen=True, slots=True)
class Repaired:
    """A text with every claim supported (empty if nothing held), its check, and the words taken out."""

    text: str
    checked: Checked
    dropped: tuple[str, ...]


def repair(text: str, statements: Sequence[Statement], checker: Checker) -> Repaired:
    """Return `text` without its unsupported claims; `text` itself where all are supported."""
    kept: list[str] = []
    dropped: list[str] = []
    for start, end in sentences(text):
        sentence = text[start:end]
        fixed = _repair_sentence(sentence, statements, checker)
        if fixed != sentence:
            dropped += _missing(sentence, fixed)
        if fixed:
            kept.append(fixed)
    whole = checker.check(" ".join(kept), statements)
    if not whole.ok:
        bad = {c.sentence for c in whole.unsupported}
        dropped += [s for n, s in enumerate(kept) if n in bad]
        whole = checker.check(" ".join(s for n, s in enumerate(kept) if n not in bad), statements)
    if not whole.ok:
        dropped.append(whole.text)
        whole = checker.check("", statements)
    return Repaired(whole.text, whole, tuple(dropped))


def shorten(text: str, words: int) -> str:
    """Return the first sentence of `text`, cut at its last boundaries until it has at most `words` words; or empty."""
    spans = sentences(text)
    if not spans:
        return ""
    sentence = text[spans[0][0] : spans[0][1]]
    pieces = parts(sentence)
    while len(pieces) > 1 and word_count("".join(pieces)) > words:
        pieces.pop()
    cut = capitalised("".join(pieces).strip(" ,;."))
    return cut if word_count(cut) <= words else ""


def _repair_sentence(sentence: str, statements: Sequence[Statement], checker: Checker) -> str:
    checked = checker.check(sentence, statements)
    if checked.ok:
        return sentence if checked.claims else ""
    slim = _without_modifiers(checked, statements, checker)
    if slim.ok:
        return slim.text if slim.claims else ""
    return _without_clauses(slim.text, statements, checker)


def _without_modifiers(checked: Checked, statements: Sequence[Statement], checker: Checker) -> Checked:
    """Take out unsupported adjectives before their noun, and adverbs, wherever less is unsupported without them."""
    at = len(checked.claims)
    while at:
        at -= 1
        if at >= len(checked.claims):
            continue
        claim = checked.claims[at]
        if claim not in checked.unsupported or not _is_loose(checked, at):
            continue
        less = checker.check(_tidied(_without(checked, at)), statements)
        if len(less.unsupported) < len(checked.unsupported):
            checked = less
    return checked


def _is_loose(checked: Checked, at: int) -> bool:
    """Whether the sentence stands without it: an adverb, an adjective that its noun follows, or one of several."""
    claim = checked.claims[at]
    if claim.kind not in {"word", "colour", "degree", "direction", "number"} or claim.role is None:
        return claim.lower.endswith("ly") or claim.kind == "degree"
    if claim.role.kind != "modifier" or (claim.kind == "number" and claim.value == "1"):
        return claim.role.kind == "adverb" and claim.lower.endswith("ly")
    after = [c for c in checked.claims[at + 1 :] if c.sentence == claim.sentence]
    noun = next((c for c in after if c.role is None or c.role.kind != "modifier"), None)
    return (noun is not None and noun.value in claim.role.of) or any(
        checked.text[min(c.end, claim.end) : max(c.start, claim.start)].strip() == "and" for c in _fellows(checked, at)
    )


def _fellows(checked: Checked, at: int) -> list[Claim]:
    """Return the claims right beside that at `at` which modify the same."""
    claim = checked.claims[at]
    beside = [c for c in checked.claims[max(0, at - 1) : at + 2] if c is not claim and c.role is not None]
    return [c for c in beside if c.role and claim.role and (c.role.kind, c.role.of) == ("modifier", claim.role.of)]


def _without(checked: Checked, at: int) -> str:
    """Cut a claim out, and an `and` that joined it to another modifier of the same noun."""
    text, claim = checked.text, checked.claims[at]
    before, after = text[: claim.start], text[claim.end :].lstrip(" ")
    fellows = _fellows(checked, at)
    if after.startswith("and ") and any(c.start > claim.start for c in fellows):
        after = after.removeprefix("and ")
    elif before.endswith(" and ") and any(c.start < claim.start for c in fellows):
        before = before.removesuffix("and ")
    return before + after


def _without_clauses(sentence: str, statements: Sequence[Statement], checker: Checker) -> str:
    """Repair each clause by itself; those that hold are joined as they were, or stand as sentences where that fails."""
    kept: list[tuple[str, str]] = []
    for clause in _split(sentence, clause_starts(tokens(sentence))):
        opening = _OPENING.match(clause)
        joint = opening.group() if opening else ""
        body = _without_parts(clause[len(joint) :].strip(" ,;."), statements, checker)
        if body:
            kept.append((joint if kept else "", body))
    joined = _tidied(capitalised("".join(f"{joint}{body}" for joint, body in kept))) if kept else ""
    if len(kept) < 2 or checker.check(joined, statements).ok:
        return joined
    return " ".join(_tidied(capitalised(body)) for _, body in kept)


def _without_parts(clause: str, statements: Sequence[Statement], checker: Checker) -> str:
    """Return the clause without the parts that hold unsupported claims, or empty: it falls if its subject does."""
    pieces = _split(clause, part_starts(tokens(clause)))
    kept: list[str] = []
    subject = False
    fell, claims = "", 0  # the piece right before that fell; the claims kept so far
    for piece in pieces:
        said = _JOINT.sub(" ", piece, count=1) if fell else piece
        if fell and not (_acts(said) if said != piece else _stands(said, fell)):
            continue
        checked = checker.check(_sentence([*kept, said]), statements)
        leads = not subject and not _LEADING.match(piece.strip(" ,"))
        says = len(checked.claims) > claims or leads or _BE.match(said)
        if checked.ok and says:
            kept.append(said)
            fell, subject, claims = "", subject or leads, len(checked.claims)
        elif leads:
            return ""
        else:
            fell = piece
    whole = _sentence(kept)
    if not kept or not checker.check(whole, statements).claims or (len(kept) < len(pieces) and _is_stub(kept)):
        return ""
    return _agreed("".join(kept).strip(" ,;."))


def _stands(piece: str, fell: str) -> bool:
    """Whether a piece may follow although the one before it fell: no movement without its verb, as in `into a cup`."""
    return not _acts(fell) or not _MOVEMENT.match(piece)


def _agreed(clause: str) -> str:
    """Mend `a cat are visible`, where the other subject fell."""
    return re.sub(r"(?i)^((?:an? |one )(?:(?!\band\b)[^,])*?) are\b", r"\1 is", clause)


def _is_stub(kept: Sequence[str]) -> bool:
    """Whether only `The cat` is left of a clause: of something known, nothing is said."""
    return len(kept) == 1 and kept[0].lower().startswith(("the ", "its ", "their ", "his ", "her "))


def _acts(piece: str) -> bool:
    """Whether the piece begins with a verb, so that a subject may stand before it."""
    return any(role.kind == "verb" for role in roles(tokens(f"the person {piece}")).values())


def _sentence(pieces: Sequence[str]) -> str:
    return _tidied(capitalised("".join(pieces).strip(" ,;.")))


def _split(text: str, starts: Sequence[int]) -> list[str]:
    edges = [0, *sorted({s for s in starts if 0 < s < len(text)}), len(text)]
    return [text[a:b] for a, b in pairwise(edges) if text[a:b].strip()]


_OPENING: Final = re.compile(r"(?i)[\s,;]*(?:(?:and|while|as|whereas|but)\s+)*")
_JOINT: Final = re.compile(r"(?i)^[\s,]*(?:(?:and|or|but)\s+|,\s*)")
_MOVEMENT: Final = re.compile(r"(?i)\s*(?:into|onto|through|across|along|to|from|towards?|over|out|off|past|of)\b")
_BE: Final = re.compile(r"\s*(?:is|are|was|were)\b")
_LEADING: Final = re.compile(r"(?i)(?:in|on|at|with|under|near|behind|inside|from|by|as|while|there)\b")


def parts(sentence: str) -> list[str]:
    """Split at commas and conjunctions, never inside a quotation; the parts join to the sentence again."""
    places = [m.start() for m in _CUT.finditer(sentence) if m.start() and sentence[: m.start()].count('"') % 2 == 0]
    edges = [0, *places, len(sentence)]
    return [sentence[a:b] for a, b in pairwise(edges) if sentence[a:b]]


def _tidied(text: str) -> str:
    """Mend what deletion leaves: doubled spaces, a space before a comma, `a` before a vowel."""
    text = re.sub(r"\s+", " ", text).replace(" ,", ",").replace(" .", ".").replace(",.", ".").strip()
    text = re.sub(r"\b([Aa])n? (?=(\w+))", lambda m: f"{m[1]}{'n' if _begins_with_vowel(m[2]) else ''} ", text)
    return text[:1].upper() + text[1:]


def _begins_with_vowel(word: str) -> bool:
    lower = word.lower()
    silent = lower.startswith(("hour", "honest", "heir", "x-ray"))
    return silent or (lower[0] in "aeiou" and not re.match(r"uni|use|usu|eu|one\b|ut[ei]", lower))


def _missing(before: str, after: str) -> list[str]:
    """Return the runs of words of `before` that `after` lacks, in order."""
    words = before.split()
    ours, theirs = ([_bare(w) for w in text] for text in (words, after.split()))
    edits = SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes()
    runs = [" ".join(words[a:b]).strip(" ,.;") for kind, a, b, _, _ in edits if kind in {"delete", "replace"}]
    return [run for run in runs if run]


def _bare(word: str) -> str:
    bare = word.lower().strip(",.;")
    return "a" if bare == "an" else bare
