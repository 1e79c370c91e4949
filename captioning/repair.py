"""Repair: one deterministic round that takes out what nothing supports, and only that.

First an unsupported modifier before a supported noun goes, and unsupported adverbs; then the parts of a sentence (split
at commas and conjunctions) that still hold an unsupported claim; then the sentence. What is left is checked again.
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
from captioning.template import capitalised
from captioning.words import sentences, word_count
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
    slim = _without_modifiers(checked)
    if slim != sentence:
        checked = checker.check(slim, statements)
        if checked.ok:
            return slim if checked.claims else ""
    return _without_parts(slim, statements, checker)


def _without_modifiers(checked: Checked) -> str:
    """Take out unsupported adjectives and colours that stand before a supported noun, and unsupported adverbs."""
    text = checked.text
    bad = set(checked.unsupported)
    for i in range(len(checked.claims) - 1, -1, -1):
        claim = checked.claims[i]
        if claim not in bad or claim.kind not in {"word", "colour", "degree"}:
            continue
        following = checked.claims[i + 1] if i + 1 < len(checked.claims) else None
        if claim.lower.endswith("ly") or (following is not None and _modifies(text, claim, following, bad)):
            text = text[: claim.start] + text[claim.end :].lstrip(" ")
    return _tidied(text)


def _modifies(text: str, claim: Claim, following: Claim, bad: set[Claim]) -> bool:
    between = text[claim.end : following.start]
    return between.strip() == "" and following not in bad and following.kind in {"word", "name"}


def _without_parts(sentence: str, statements: Sequence[Statement], checker: Checker) -> str:
    """Drop the parts that hold unsupported claims; the sentence falls if its first part does."""
    kept: list[str] = []
    for part in parts(sentence):
        candidate = capitalised("".join([*kept, part]).strip(" ,;."))
        checked = checker.check(candidate, statements)
        if checked.ok and checked.claims:
            kept.append(part)
        elif not kept:
            return ""
    return _tidied(capitalised("".join(kept).strip(" ,;."))) if kept else ""


def parts(sentence: str) -> list[str]:
    """Split at commas and conjunctions, never inside a quotation; the parts join to the sentence again."""
    places = [m.start() for m in _CUT.finditer(sentence) if m.start() and sentence[: m.start()].count('"') % 2 == 0]
    edges = [0, *places, len(sentence)]
    return [sentence[a:b] for a, b in pairwise(edges) if sentence[a:b]]


def _tidied(text: str) -> str:
    """Mend what deletion leaves: doubled spaces, a space before a comma, `a` before a vowel."""
    text = re.sub(r"\s+", " ", text).replace(" ,", ",").replace(" .", ".").replace(",.", ".").strip()
    text = re.sub(r"\b([Aa]) (?=[aeioAEIO])(?!one\b)", r"\1n ", text)
    text = re.sub(r"\b([Aa])n (?=[^aeiouAEIOUh\W])", r"\1 ", text)
    return text[:1].upper() + text[1:]


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
